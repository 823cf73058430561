/*-------------------------------------------------------------------------
 *
 * keyring.h
 *		The keys: a JWK Set (RFC 7517) in a file that only the server reads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_KEYRING_H
#define DBT_SOURCES_KEYRING_H

#include "postgres.h"

#include "vault/aead.h"

#define MAX_KEYRING_FILE_LEN (1024 * 1024)

typedef struct Key
{
	char	   *kid;
	uint8		bytes[AEAD_KEY_LEN];
} Key;

typedef struct Keyring
{
	int			nkeys;
	Key			keys[FLEXIBLE_ARRAY_MEMBER];	/* the first is active */
} Keyring;

extern char *keyring_file;		/* dbt_sources.keyring_file */

extern const Keyring *GetKeyring(int elevel);
extern const Key *FindKey(const Keyring *keyring, const char *kid, int len);

/* what is wrong with a keyring file; hint is never NULL when problem isn't */
typedef struct KeyringProblem
{
	const char *problem;
	const char *hint;
	bool		missing;
} KeyringProblem;

extern char *ReadKeyringFile(const char *path, Size *len, KeyringProblem *why);
extern Keyring *ParseKeyring(const char *text, Size len, MemoryContext cxt,
							 KeyringProblem *why);
extern void WipeKeyring(Keyring *keyring);
extern void ReportKeyringProblem(int elevel, const KeyringProblem *why);

#endif							/* DBT_SOURCES_KEYRING_H */
