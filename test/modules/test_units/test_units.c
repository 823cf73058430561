/*-------------------------------------------------------------------------
 *
 * test_units.c
 *		Parts of the extension by themselves: A256CBC-HS512 with a given key and
 *		IV, for published test vectors; base64url; the hiding of values in texts;
 *		the lock of a key; and for the benchmark, how long an envelope takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* a cancel at any of the places where one is looked for, and what is wiped */
#include "miscadmin.h"
#undef CHECK_FOR_INTERRUPTS
#define CHECK_FOR_INTERRUPTS() CountInterrupt()
#define explicit_bzero(bytes, len) CountWipe(bytes, len)

static int	until_cancel = -1;
static Size wiped = 0;

static void
CountInterrupt(void)
{
	if (until_cancel-- == 0)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("canceled")));
}

static void
CountWipe(void *bytes, Size len)
{
	wiped += len;
	memset(bytes, 0, len);
}

#include "vault/aead.c"
#include "vault/base64url.c"
#include "vault/envelope.c"
#include "storage/extension.c"
#include "base/json.c"
#include "vault/keyring.c"
#include "vault/keylock.c"
#include "log/mask.c"
#include "vault/pgcrypto.c"
#include "rules/variants.c"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(test_aead_encrypt);
PG_FUNCTION_INFO_V1(test_aead_decrypt);
PG_FUNCTION_INFO_V1(test_base64url);
PG_FUNCTION_INFO_V1(test_silence);
PG_FUNCTION_INFO_V1(test_is_hidden);
PG_FUNCTION_INFO_V1(test_hold_key);
PG_FUNCTION_INFO_V1(test_envelope_cpu);
PG_FUNCTION_INFO_V1(test_canceled_keyring);

static bool names_are_prepared = false;

/*
 * test_aead_encrypt(key, iv, aad, plaintext bytea) returns bytea
 *
 * Ciphertext and tag.
 */
Datum
test_aead_encrypt(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_P(0);
	bytea	   *aad = PG_GETARG_BYTEA_P(2);
	uint8		tag[AEAD_TAG_LEN];
	bytea	   *ciphertext = AeadEncrypt((uint8 *) VARDATA(key), PG_GETARG_BYTEA_P(1),
										 VARDATA(aad), VARSIZE(aad) - VARHDRSZ,
										 PG_GETARG_BYTEA_P(3), tag);
	Size		len = VARSIZE_ANY_EXHDR(ciphertext);
	bytea	   *result = palloc(VARHDRSZ + len + AEAD_TAG_LEN);

	SET_VARSIZE(result, VARHDRSZ + len + AEAD_TAG_LEN);
	memcpy(VARDATA(result), VARDATA_ANY(ciphertext), len);
	memcpy(VARDATA(result) + len, tag, AEAD_TAG_LEN);
	PG_RETURN_BYTEA_P(result);
}

/*
 * test_aead_decrypt(key, iv, aad, ciphertext, tag bytea) returns bytea
 *
 * The plaintext, or NULL.
 */
Datum
test_aead_decrypt(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_P(0);
	bytea	   *aad = PG_GETARG_BYTEA_P(2);
	bytea	   *tag = PG_GETARG_BYTEA_P(4);
	bytea	   *plaintext = AeadDecrypt((uint8 *) VARDATA(key), PG_GETARG_BYTEA_P(1),
										VARDATA(aad), VARSIZE(aad) - VARHDRSZ,
										PG_GETARG_BYTEA_P(3), (uint8 *) VARDATA(tag));

	if (plaintext == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(plaintext);
}

/*
 * test_base64url(text) returns bytea
 *
 * What it encodes, or NULL.
 */
Datum
test_base64url(PG_FUNCTION_ARGS)
{
	text	   *encoded = PG_GETARG_TEXT_PP(0);
	bytea	   *bytes = DecodeBase64Url(VARDATA_ANY(encoded), VARSIZE_ANY_EXHDR(encoded));

	if (bytes == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(bytes);
}

/*
 * test_silence(VARIADIC texts text[]) returns text[]
 *
 * The texts of one log entry as the log shows them.
 */
Datum
test_silence(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *texts;
	int			ntexts;
	int			names = 0;

	if (!names_are_prepared)
		PrepareNames();
	names_are_prepared = true;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &ntexts);
	for (int i = 0; i < ntexts; i++)
		names |= NamesIn(VARDATA_ANY(DatumGetTextPP(texts[i])), VARSIZE_ANY_EXHDR(DatumGetTextPP(texts[i])));
	for (int i = 0; i < ntexts && MayHoldConnection(names); i++)
	{
		char	   *shown = TextDatumGetCString(texts[i]);

		HideValues(shown);
		texts[i] = CStringGetTextDatum(shown);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(texts, ntexts, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * test_is_hidden(text, len integer) returns boolean
 *
 * Whether the names in the first len bytes are those of a connection.
 */
Datum
test_is_hidden(PG_FUNCTION_ARGS)
{
	if (!names_are_prepared)
		PrepareNames();
	names_are_prepared = true;
	PG_RETURN_BOOL(MayHoldConnection(NamesIn(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1))));
}

/*
 * test_canceled_keyring(jwks text, nth integer) returns integer
 *
 * How many bytes are wiped if the parsing of a keyring is canceled where it looks
 * for that for the nth time; NULL if it ends before.
 */
Datum
test_canceled_keyring(PG_FUNCTION_ARGS)
{
	text	   *jwks = PG_GETARG_TEXT_PP(0);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext call = AllocSetContextCreate(caller, "call", ALLOCSET_DEFAULT_SIZES);
	KeyringProblem why = {0};
	volatile bool canceled = false;

	MemoryContextSwitchTo(call);
	wiped = 0;
	until_cancel = PG_GETARG_INT32(1) - 1;
	PG_TRY();
	{
		WipeKeyring(ParseKeyring(VARDATA_ANY(jwks), VARSIZE_ANY_EXHDR(jwks), TopMemoryContext, &why));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		canceled = true;
	}
	PG_END_TRY();
	until_cancel = -1;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(call);
	if (!canceled)
		PG_RETURN_NULL();
	PG_RETURN_INT32(wiped);
}

/*
 * test_hold_key(kid text) returns void
 *
 * Lets nobody encrypt with a key until the end of the transaction, as its removal
 * does for a moment.
 */
Datum
test_hold_key(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag = MakeTag(LOCKED_KEY, text_to_cstring(PG_GETARG_TEXT_PP(0)));

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	PG_RETURN_VOID();
}

/*
 * test_envelope_cpu(count integer, plaintext bytea) returns float8
 *
 * Microseconds of CPU time that it takes to seal and open an envelope.
 */
Datum
test_envelope_cpu(PG_FUNCTION_ARGS)
{
	int			count = PG_GETARG_INT32(0);
	bytea	   *plaintext = PG_GETARG_BYTEA_P(1);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "envelope", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(cxt);
	Keyring    *keyring = palloc0(offsetof(Keyring, keys) + sizeof(Key));
	struct rusage before,
				after;

	keyring->nkeys = 1;
	keyring->keys[0].kid = pstrdup("2026-01-01-000000000000");
	MemoryContextSwitchTo(AllocSetContextCreate(cxt, "round", ALLOCSET_DEFAULT_SIZES));
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < count; i++)
	{
		const char *why;
		bytea	   *copy = memcpy(palloc(VARSIZE(plaintext)), plaintext, VARSIZE(plaintext));
		text	   *sealed = SealEnvelope(&keyring->keys[0], "project/source", true, copy);
		text	   *envelope = DatumGetTextP(PointerGetDatum(sealed));

		if (OpenEnvelope(keyring, "project/source", envelope, false, &why) == NULL)
			elog(ERROR, "%s", why);
		MemoryContextReset(CurrentMemoryContext);
	}
	getrusage(RUSAGE_SELF, &after);
	MemoryContextSwitchTo(caller);
	PG_RETURN_FLOAT8(((after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1e6 +
					  after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / count);
}
