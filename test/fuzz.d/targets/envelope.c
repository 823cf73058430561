/*-------------------------------------------------------------------------
 *
 * envelope.c
 *		Opened is what was sealed, and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "vault/aead.h"
#include "vault/base64url.h"
#include "vault/envelope.h"

extern void envelope(const char *input, Size len);

#define SUBJECT "project/source"
#define ACTIVE "active"
#define OLD "old"

/* ours are shorter; see envelope.c */
#define MAX_HEADER_LEN 4096

static Keyring *
TwoKeys(void)
{
	static Keyring *keyring = NULL;

	if (keyring == NULL)
	{
		keyring = MemoryContextAllocZero(TopMemoryContext, offsetof(Keyring, keys) + 2 * sizeof(Key));
		keyring->nkeys = 2;
		keyring->keys[0].kid = ACTIVE;
		keyring->keys[1].kid = OLD;
		memset(keyring->keys[1].bytes, 1, AEAD_KEY_LEN);
	}
	return keyring;
}

static bytea *
MakeBytea(const char *bytes, Size len)
{
	return (bytea *) cstring_to_text_with_len(bytes, len);
}

static bytea *
Open(text *envelope, const char *subject)
{
	const char *why = NULL;
	bytea	   *plaintext = OpenEnvelope(TwoKeys(), subject, envelope, true, &why);

	HOLDS((plaintext == NULL) == (why != NULL), "there is a reason, or a plaintext");
	return plaintext;
}

static bool
Says(Jsonb *header, const char *name, const char *expected)
{
	JsonbValue	value;

	return JsonFind(&header->root, name, &value) && JsonStringEquals(&value, expected);
}

/*
 * Any header with the right tag.
 */
static void
CheckHeader(const char *bytes, Size len, const Key *key)
{
	StringInfoData jwe;
	bytea	   *iv = MakeBytea("0123456789abcdef", AEAD_IV_LEN);
	uint8		tag[AEAD_TAG_LEN];
	bytea	   *ciphertext;
	Jsonb	   *header = JsonFromUtf8(bytes, len);
	JsonbValue	ignored;
	bool		ours;

	initStringInfo(&jwe);
	AppendBase64Url(&jwe, bytes, len);
	ours = jwe.len <= MAX_HEADER_LEN && header != NULL && JB_ROOT_IS_OBJECT(header) &&
		Says(header, "alg", "dir") && Says(header, "enc", "A256CBC-HS512") &&
		Says(header, "sub", SUBJECT) && Says(header, "kid", key->kid) &&
		!JsonFind(&header->root, "crit", &ignored) && !JsonFind(&header->root, "zip", &ignored);
	ciphertext = AeadEncrypt(key->bytes, iv, jwe.data, jwe.len, MakeBytea("{}", 2), tag);
	appendStringInfoString(&jwe, "..");
	AppendBase64Url(&jwe, VARDATA_ANY(iv), AEAD_IV_LEN);
	appendStringInfoChar(&jwe, '.');
	AppendBase64Url(&jwe, VARDATA_ANY(ciphertext), VARSIZE_ANY_EXHDR(ciphertext));
	appendStringInfoChar(&jwe, '.');
	AppendBase64Url(&jwe, tag, AEAD_TAG_LEN);
	HOLDS((Open(cstring_to_text_with_len(jwe.data, jwe.len), SUBJECT) != NULL) == ours,
		  "with the right tag the header decides, as RFC 7516 has it");
}

static bool
BeginsWith(text *whole, text *prefix)
{
	return VARSIZE_ANY_EXHDR(whole) >= VARSIZE_ANY_EXHDR(prefix) &&
		memcmp(VARDATA_ANY(whole), VARDATA_ANY(prefix), VARSIZE_ANY_EXHDR(prefix)) == 0;
}

/*
 * What is sealed is opened, for this row only, and not if a letter is another.
 */
static void
CheckSealed(const char *bytes, Size len)
{
	const Key  *key = &TwoKeys()->keys[0];
	int			lacks = len % 4;
	text	   *sealed = SealEnvelope(key, SUBJECT, lacks, MakeBytea(bytes, len));
	Size		sealed_len = VARSIZE_ANY_EXHDR(sealed);
	char	   *kid = EnvelopeKid(sealed);
	bytea	   *opened = Open(sealed, SUBJECT);

	HOLDS(opened != NULL && VARSIZE_ANY_EXHDR(opened) == len && memcmp(VARDATA_ANY(opened), bytes, len) == 0,
		  "what is sealed is opened");
	HOLDS(Open(sealed, SUBJECT "s") == NULL, "but not for another row");
	HOLDS(kid != NULL && strcmp(kid, ACTIVE) == 0, "it names its key");
	HOLDS(EnvelopeLacks(sealed) == lacks, "it says what it lacks");
	HOLDS(BeginsWith(sealed, EnvelopePrefix(ACTIVE)) && !BeginsWith(sealed, EnvelopePrefix(OLD)),
		  "its key's prefix is its own");
	HOLDS((lacks & LACKS_UNKNOWN) == 0 || BeginsWith(sealed, EnvelopePrefixLacking(key, SUBJECT, lacks)),
		  "its row's prefix is its own");
	VARDATA_ANY(sealed)[len % sealed_len] ^= 1;
	HOLDS(Open(sealed, SUBJECT) == NULL, "but not if a letter is another");
}

void
envelope(const char *input, Size len)
{
	text	   *whole = cstring_to_text_with_len(input, len);
	int			dots = 0;

	for (Size i = 0; i < len; i++)
		dots += input[i] == '.';
	HOLDS(Open(whole, SUBJECT) == NULL || dots == 4, "an envelope has five parts");
	(void) EnvelopeKid(whole);
	(void) EnvelopeLacks(whole);
	CheckHeader(input, len, &TwoKeys()->keys[len % 2]);
	CheckSealed(input, len);
}
