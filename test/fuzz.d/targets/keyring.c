/*-------------------------------------------------------------------------
 *
 * keyring.c
 *		A keyring that is taken is whole, and a refusal says why.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "vault/base64url.h"
#include "vault/keyring.h"

extern void keyring(const char *input, Size len);

static void
CheckRefusal(const KeyringProblem *why)
{
	HOLDS(why->problem != NULL && why->hint != NULL, "a refusal has a reason and a hint");
}

/*
 * The JWK Set of a keyring.
 */
static char *
JoinKeys(const Keyring *keyring)
{
	StringInfoData set;

	initStringInfo(&set);
	appendStringInfoString(&set, "{\"keys\": [");
	for (int i = 0; i < keyring->nkeys; i++)
	{
		const Key  *key = &keyring->keys[i];

		appendStringInfo(&set, "%s{\"kty\": \"oct\", \"kid\": ", i > 0 ? ", " : "");
		AppendJsonString(&set, key->kid, strlen(key->kid));
		appendStringInfoString(&set, ", \"k\": \"");
		AppendBase64Url(&set, key->bytes, AEAD_KEY_LEN);
		appendStringInfoString(&set, "\"}");
	}
	appendStringInfoString(&set, "]}");
	return set.data;
}

void
keyring(const char *input, Size len)
{
	KeyringProblem why = {0};
	Keyring    *first = ParseKeyring(input, len, CurrentMemoryContext, &why);
	Keyring    *again;
	char	   *set;

	if (first == NULL)
	{
		CheckRefusal(&why);
		return;
	}
	HOLDS(why.problem == NULL && first->nkeys > 0, "a keyring has a key");
	/* to look for each takes time for all */
	for (int i = 0; i < Min(first->nkeys, 100); i++)
	{
		const Key  *key = &first->keys[i];

		HOLDS(FindKey(first, key->kid, strlen(key->kid)) == key, "each key is found by its kid");
		HOLDS(Matches(key->kid, "^[ -~]{1,255}$"), "a kid can be read");
	}
	set = JoinKeys(first);
	again = ParseKeyring(set, strlen(set), CurrentMemoryContext, &why);
	HOLDS(again != NULL && again->nkeys == first->nkeys, "what was joined is taken");
	HOLDS(strcmp(JoinKeys(again), set) == 0, "and means the same");
	WipeKeyring(again);
	WipeKeyring(first);
}
