/*-------------------------------------------------------------------------
 *
 * test_units.c
 *		Parts of the extension by themselves: A256CBC-HS512 with a given key and
 *		IV, for published test vectors, and the masking of a text.
 *
 *-------------------------------------------------------------------------
 */
#include "../../../src/aead.c"
#include "../../../src/extension.c"
#include "../../../src/mask.c"
#include "../../../src/pgcrypto.c"
#include "../../../src/variants.c"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(test_aead_encrypt);
PG_FUNCTION_INFO_V1(test_aead_decrypt);
PG_FUNCTION_INFO_V1(test_mask);

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
 * test_mask(text) returns text
 *
 * The text as the log shows it.
 */
Datum
test_mask(PG_FUNCTION_ARGS)
{
	char	   *masked = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		found = HasSecrets(masked);

	MaskSecrets(masked);
	if (found != (strcmp(masked, text_to_cstring(PG_GETARG_TEXT_PP(0))) != 0))
		elog(ERROR, "HasSecrets() and MaskSecrets() disagree");
	PG_RETURN_TEXT_P(cstring_to_text(masked));
}
