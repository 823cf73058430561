/*-------------------------------------------------------------------------
 *
 * aead.c
 *		A256CBC-HS512: authenticated encryption (RFC 7518, section 5.2.5),
 *		composed of pgcrypto's AES-256-CBC and HMAC-SHA-512.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "vault/aead.h"
#include "base/compat.h"
#include "base/json.h"
#include "vault/pgcrypto.h"

#define AES_BLOCK_LEN 16
#define HALF_KEY_LEN (AEAD_KEY_LEN / 2)

static bytea *
MakeBytea(const void *bytes, Size len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return result;
}

/*
 * An IV, which nobody could know before.
 *
 * They are drawn some at a time, as arc4random() does: the random source takes
 * much longer to be asked than to answer.
 */
bytea *
RandomIv(void)
{
	static uint8 drawn[16][AEAD_IV_LEN];
	static int	left = 0;
	bytea	   *iv;

	if (left == 0)
	{
		bytea	   *bytes = RandomBytes(sizeof(drawn));

		memcpy(drawn, VARDATA_ANY(bytes), sizeof(drawn));
		WipeBytea(bytes);
		left = lengthof(drawn);
	}
	left--;
	iv = MakeBytea(drawn[left], AEAD_IV_LEN);
	explicit_bzero(drawn[left], AEAD_IV_LEN);
	return iv;
}

/*
 * The first half of HMAC(MAC key, AAD || IV || ciphertext || bits of AAD).
 */
static void
ComputeTag(const uint8 *key, bytea *iv, const char *aad, Size aad_len,
		   bytea *ciphertext, uint8 *tag)
{
	Size		ciphertext_len = VARSIZE_ANY_EXHDR(ciphertext);
	uint64		aad_bits = pg_hton64((uint64) aad_len * BITS_PER_BYTE);
	Size		len = aad_len + AEAD_IV_LEN + ciphertext_len + sizeof(aad_bits);
	bytea	   *data = palloc(VARHDRSZ + len);
	char	   *p = VARDATA(data);
	bytea	   *mac_key = MakeBytea(key, HALF_KEY_LEN);
	bytea	   *mac;

	SET_VARSIZE(data, VARHDRSZ + len);
	memcpy(p, aad, aad_len);
	p += aad_len;
	memcpy(p, VARDATA_ANY(iv), AEAD_IV_LEN);
	p += AEAD_IV_LEN;
	memcpy(p, VARDATA_ANY(ciphertext), ciphertext_len);
	p += ciphertext_len;
	memcpy(p, &aad_bits, sizeof(aad_bits));

	mac = HmacSha512(data, mac_key);
	memcpy(tag, VARDATA_ANY(mac), AEAD_TAG_LEN);
	WipeBytea(mac_key);
	pfree(mac);
	pfree(data);
}

/*
 * Whether two tags are equal, in a time that doesn't tell where they differ.
 */
static bool
TagsAreEqual(const uint8 *a, const uint8 *b)
{
	volatile uint8 difference = 0;

	for (int i = 0; i < AEAD_TAG_LEN; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/*
 * Encrypt and authenticate.
 *
 * key has AEAD_KEY_LEN bytes, iv AEAD_IV_LEN; the ciphertext is returned and
 * AEAD_TAG_LEN bytes go to tag.  The plaintext is wiped and freed as soon as
 * that is done.  RFC 7518, section 5.2.2.1.
 */
bytea *
AeadEncrypt(const uint8 *key, bytea *iv, const char *aad, Size aad_len,
			bytea *plaintext, uint8 *tag)
{
	bytea	   *enc_key = MakeBytea(key + HALF_KEY_LEN, HALF_KEY_LEN);
	bytea	   *ciphertext = AesCbcEncrypt(plaintext, enc_key, iv);

	WipeBytea(enc_key);
	WipeBytea(plaintext);
	ComputeTag(key, iv, aad, aad_len, ciphertext, tag);
	return ciphertext;
}

/*
 * Take the PKCS #7 padding off; false if it is wrong, which only who has the key
 * can make it.
 */
static bool
RemovePadding(bytea *padded)
{
	Size		len = VARSIZE(padded) - VARHDRSZ;
	const uint8 *bytes = (const uint8 *) VARDATA(padded);
	uint8		padding = bytes[len - 1];

	if (padding == 0 || padding > AES_BLOCK_LEN)
		return false;
	for (Size i = len - padding; i < len; i++)
	{
		if (bytes[i] != padding)
			return false;
	}
	SET_VARSIZE(padded, VARHDRSZ + len - padding);
	return true;
}

/*
 * Check the tag, and only then decrypt.
 *
 * Returns the plaintext, or NULL if ciphertext, iv, aad or tag is not what
 * was written with that key.  RFC 7518, section 5.2.2.2.
 */
bytea *
AeadDecrypt(const uint8 *key, bytea *iv, const char *aad, Size aad_len,
			bytea *ciphertext, const uint8 *tag)
{
	Size		ciphertext_len = VARSIZE_ANY_EXHDR(ciphertext);
	uint8		expected[AEAD_TAG_LEN];
	bytea	   *enc_key;
	bytea	   *plaintext;

	if (VARSIZE_ANY_EXHDR(iv) != AEAD_IV_LEN ||
		ciphertext_len == 0 || ciphertext_len % AES_BLOCK_LEN != 0)
		return NULL;

	ComputeTag(key, iv, aad, aad_len, ciphertext, expected);
	if (!TagsAreEqual(expected, tag))
		return NULL;

	enc_key = MakeBytea(key + HALF_KEY_LEN, HALF_KEY_LEN);
	plaintext = AesCbcDecrypt(ciphertext, enc_key, iv);
	WipeBytea(enc_key);
	if (!RemovePadding(plaintext))
	{
		WipeBytea(plaintext);
		return NULL;
	}
	return plaintext;
}
