/*-------------------------------------------------------------------------
 *
 * pgcrypto.c
 *		The primitives that pgcrypto gives us.
 *
 * They are called through the function manager, by the exact signature in the
 * schema that the extension pgcrypto is in, so that neither the caller's
 * search_path nor the caller's privileges matter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "storage/extension.h"
#include "vault/pgcrypto.h"

typedef enum Primitive
{
	GEN_RANDOM_BYTES,
	ENCRYPT_IV,
	DECRYPT_IV,
	HMAC
} Primitive;

#define NUM_PRIMITIVES (HMAC + 1)

static const struct
{
	const char *name;
	int			nargs;
	Oid			argtypes[4];
}			signatures[NUM_PRIMITIVES] = {
	[GEN_RANDOM_BYTES] = {"gen_random_bytes", 1, {INT4OID}},
	[ENCRYPT_IV] = {"encrypt_iv", 4, {BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID}},
	[DECRYPT_IV] = {"decrypt_iv", 4, {BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID}},
	[HMAC] = {"hmac", 3, {BYTEAOID, BYTEAOID, TEXTOID}},
};

static FmgrInfo primitives[NUM_PRIMITIVES];
static bool primitives_valid = false;

/*
 * pgcrypto may have been dropped and installed again.
 */
static void
ForgetPrimitives(Datum arg pg_attribute_unused(),
				 int cacheid pg_attribute_unused(),
				 uint32 hashvalue pg_attribute_unused())
{
	primitives_valid = false;
}

static void
LookUpPrimitives(void)
{
	static bool watching = false;
	char	   *schema;

	if (!watching)
	{
		CacheRegisterSyscacheCallback(PROCOID, ForgetPrimitives, (Datum) 0);
		watching = true;
	}

	schema = get_namespace_name(ExtensionSchema("pgcrypto", false));
	primitives_valid = true;	/* an invalidation meanwhile resets it */
	for (int i = 0; i < NUM_PRIMITIVES; i++)
	{
		List	   *name = list_make2(makeString(schema),
									  makeString(pstrdup(signatures[i].name)));

		fmgr_info_cxt(LookupFuncName(name, signatures[i].nargs,
									 signatures[i].argtypes, false),
					  &primitives[i], TopMemoryContext);
	}
}

static FmgrInfo *
GetPrimitive(Primitive which)
{
	if (!primitives_valid)
		LookUpPrimitives();
	return &primitives[which];
}

static Datum
AlgorithmName(const char *name)
{
	return PointerGetDatum(cstring_to_text(name));
}

/*
 * len bytes from the strong random source.
 */
bytea *
RandomBytes(int len)
{
	return DatumGetByteaP(FunctionCall1(GetPrimitive(GEN_RANDOM_BYTES),
										Int32GetDatum(len)));
}

/*
 * AES in CBC mode with PKCS #7 padding; the key's length chooses the cipher.
 */
bytea *
AesCbcEncrypt(bytea *plaintext, bytea *key, bytea *iv)
{
	return DatumGetByteaP(FunctionCall4(GetPrimitive(ENCRYPT_IV),
										PointerGetDatum(plaintext),
										PointerGetDatum(key),
										PointerGetDatum(iv),
										AlgorithmName("aes-cbc/pad:pkcs")));
}

bytea *
AesCbcDecrypt(bytea *ciphertext, bytea *key, bytea *iv)
{
	return DatumGetByteaP(FunctionCall4(GetPrimitive(DECRYPT_IV),
										PointerGetDatum(ciphertext),
										PointerGetDatum(key),
										PointerGetDatum(iv),
										AlgorithmName("aes-cbc/pad:pkcs")));
}

bytea *
HmacSha512(bytea *data, bytea *key)
{
	return DatumGetByteaP(FunctionCall3(GetPrimitive(HMAC),
										PointerGetDatum(data),
										PointerGetDatum(key),
										AlgorithmName("sha512")));
}
