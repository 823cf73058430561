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

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/domain.h"
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

typedef struct Signature
{
	const char *name;
	int			nargs;
	Oid			argtypes[4];
} Signature;

static const Signature signatures[NUM_PRIMITIVES] = {
	[GEN_RANDOM_BYTES] = {"gen_random_bytes", 1, {INT4OID}},
	[ENCRYPT_IV] = {"encrypt_iv", 4, {BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID}},
	[DECRYPT_IV] = {"decrypt_iv", 4, {BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID}},
	[HMAC] = {"hmac", 3, {BYTEAOID, BYTEAOID, TEXTOID}},
};

static FmgrInfo primitives[NUM_PRIMITIVES];
static bool primitives_valid = false;
static bool forgotten;			/* since the last look-up began */

/*
 * pgcrypto may have been dropped and installed again.
 */
static void
ForgetPrimitives(Datum arg pg_attribute_unused(),
				 int cacheid pg_attribute_unused(),
				 uint32 hashvalue pg_attribute_unused())
{
	primitives_valid = false;
	forgotten = true;
}

/*
 * Errors: 42883 if it isn't there.
 */
static Oid
PrimitiveOid(Primitive which, Oid schema)
{
	const Signature *signature = &signatures[which];
	oidvector  *argtypes = buildoidvector(signature->argtypes, signature->nargs);
	Oid			oid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									  CStringGetDatum(signature->name),
									  PointerGetDatum(argtypes),
									  ObjectIdGetDatum(schema));

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s is not in the schema of the extension pgcrypto",
						func_signature_string(list_make1(makeString(pstrdup(signature->name))),
											  signature->nargs, NIL, signature->argtypes)),
				 errhint("Put it back, or install pgcrypto anew.")));
	return oid;
}

/*
 * All of them or, if there is an error, none: a look-up may wait for a lock, and
 * be canceled there.
 */
static void
LookUpPrimitives(void)
{
	static bool watching = false;
	FmgrInfo	found[NUM_PRIMITIVES];
	Oid			schema;

	if (!watching)
	{
		CacheRegisterSyscacheCallback(PROCOID, ForgetPrimitives, (Datum) 0);
		watching = true;
	}

	forgotten = false;
	schema = ExtensionSchema("pgcrypto", false);
	for (int i = 0; i < NUM_PRIMITIVES; i++)
		fmgr_info_cxt(PrimitiveOid(i, schema), &found[i], TopMemoryContext);
	memcpy(primitives, found, sizeof(primitives));
	/* good for the next call, too, unless something changed meanwhile */
	primitives_valid = !forgotten;
}

static FmgrInfo *
GetPrimitive(Primitive which)
{
	if (!primitives_valid)
		LookUpPrimitives();
	return &primitives[which];
}

/*
 * Our arguments are what pgcrypto takes, so that an error which puts it down to
 * them comes from the library below, which is out of memory or doesn't allow an
 * algorithm.
 *
 * Errors: 58000 for that.
 */
static bytea *
CallPrimitive(Primitive which, const Datum *args)
{
	MemoryContext caller = CurrentMemoryContext;
	FmgrInfo   *primitive = GetPrimitive(which);
	bytea	   *volatile result = NULL;

	LOCAL_FCINFO(fcinfo, 4);

	InitFunctionCallInfoData(*fcinfo, primitive, signatures[which].nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < signatures[which].nargs; i++)
	{
		fcinfo->args[i].value = args[i];
		fcinfo->args[i].isnull = false;
	}
	PG_TRY();
	{
		result = DatumGetByteaP(FunctionCallInvoke(fcinfo));
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_INTERNAL_ERROR &&
			category != ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		error->sqlerrcode = ERRCODE_SYSTEM_ERROR;
		error->hint = "The server may be out of memory, or its OpenSSL may not allow the algorithm.";
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
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
	Datum		args[] = {Int32GetDatum(len)};

	return CallPrimitive(GEN_RANDOM_BYTES, args);
}

/*
 * AES in CBC mode with PKCS #7 padding; the key's length chooses the cipher.
 */
bytea *
AesCbcEncrypt(bytea *plaintext, bytea *key, bytea *iv)
{
	Datum		args[] = {PointerGetDatum(plaintext), PointerGetDatum(key), PointerGetDatum(iv),
	AlgorithmName("aes-cbc/pad:pkcs")};

	return CallPrimitive(ENCRYPT_IV, args);
}

/*
 * The same for whole blocks, and the padding stays: pgcrypto raises an error for
 * one that is wrong.
 */
bytea *
AesCbcDecrypt(bytea *ciphertext, bytea *key, bytea *iv)
{
	Datum		args[] = {PointerGetDatum(ciphertext), PointerGetDatum(key), PointerGetDatum(iv),
	AlgorithmName("aes-cbc/pad:none")};

	return CallPrimitive(DECRYPT_IV, args);
}

bytea *
HmacSha512(bytea *data, bytea *key)
{
	Datum		args[] = {PointerGetDatum(data), PointerGetDatum(key), AlgorithmName("sha512")};

	return CallPrimitive(HMAC, args);
}
