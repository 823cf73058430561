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

extern text *SealEnvelope(const Key *key, const char *subject, bool known,
						  bytea *plaintext);
extern bytea *OpenEnvelope(const Keyring *keyring, const char *subject,
						   text *envelope, bool keep, const char **why);
extern char *EnvelopeKid(text *envelope);
extern text *EnvelopePrefix(const char *kid);
extern text *EnvelopeHeader(const Key *key, const char *subject, bool known);
extern bool EnvelopeSaysKnown(text *envelope);

#endif							/* DBT_SOURCES_ENVELOPE_H */
