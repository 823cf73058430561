/*-------------------------------------------------------------------------
 *
 * envelope.h
 *		A connection at rest: JWE compact serialization (RFC 7516).
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ENVELOPE_H
#define DBT_SOURCES_ENVELOPE_H

#include "postgres.h"

#include "vault/keyring.h"

/* what a connection doesn't have, as its protected header says */
typedef enum Lacks
{
	LACKS_UNKNOWN = 1 << 0,		/* a property that its type doesn't know */
	LACKS_ENVIRONMENT = 1 << 1
} Lacks;

extern text *SealEnvelope(const Key *key, const char *subject, int lacks,
						  bytea *plaintext);
extern bytea *OpenEnvelope(const Keyring *keyring, const char *subject,
						   text *envelope, bool keep, const char **why);
extern char *EnvelopeKid(text *envelope);
extern text *EnvelopePrefix(const char *kid);
extern text *EnvelopePrefixLacking(const Key *key, const char *subject, int lacks);
extern int	EnvelopeLacks(text *envelope);

#endif							/* DBT_SOURCES_ENVELOPE_H */
