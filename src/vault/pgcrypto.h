/*-------------------------------------------------------------------------
 *
 * pgcrypto.h
 *		The primitives that pgcrypto gives us.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_PGCRYPTO_H
#define DBT_SOURCES_PGCRYPTO_H

#include "postgres.h"

extern bytea *RandomBytes(int len);
extern bytea *AesCbcEncrypt(bytea *plaintext, bytea *key, bytea *iv);
extern bytea *AesCbcDecrypt(bytea *ciphertext, bytea *key, bytea *iv);
extern bytea *HmacSha512(bytea *data, bytea *key);

#endif							/* DBT_SOURCES_PGCRYPTO_H */
