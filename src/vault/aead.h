/*-------------------------------------------------------------------------
 *
 * aead.h
 *		A256CBC-HS512: authenticated encryption (RFC 7518, section 5.2.5).
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_AEAD_H
#define DBT_SOURCES_AEAD_H

#include "postgres.h"

#define AEAD_KEY_LEN 64			/* MAC key, then encryption key */
#define AEAD_IV_LEN 16
#define AEAD_TAG_LEN 32

extern bytea *RandomIv(void);
extern bytea *AeadEncrypt(const uint8 *key, bytea *iv, const char *aad, Size aad_len,
						  bytea *plaintext, uint8 *tag);
extern bytea *AeadDecrypt(const uint8 *key, bytea *iv, const char *aad, Size aad_len,
						  bytea *ciphertext, const uint8 *tag);

#endif							/* DBT_SOURCES_AEAD_H */
