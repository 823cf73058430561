/*-------------------------------------------------------------------------
 *
 * rotate.c
 *		Adding a key to the keyring file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base64url.h"
#include "json.h"
#include "keyring.h"
#include "pgcrypto.h"

#define KID_RANDOM_BYTES 6

PG_FUNCTION_INFO_V1(rotate_encryption_key);

/*
 * A key id tells a reader of the keyring when the key was made.
 */
static char *
MakeKid(void)
{
	pg_time_t	now = (pg_time_t) time(NULL);
	bytea	   *random = RandomBytes(KID_RANDOM_BYTES);
	StringInfoData kid;
	char		date[16];

	pg_strftime(date, sizeof(date), "%Y-%m-%d-", pg_gmtime(&now));
	initStringInfo(&kid);
	appendStringInfoString(&kid, date);
	for (int i = 0; i < KID_RANDOM_BYTES; i++)
		appendStringInfo(&kid, "%02x", (uint8) VARDATA_ANY(random)[i]);
	return kid.data;
}

/*
 * A new JWK as JSON text.  RFC 7518, section 6.4.
 */
static char *
MakeJwk(const char *kid)
{
	bytea	   *bytes = RandomBytes(AEAD_KEY_LEN);
	StringInfoData jwk;

	initStringInfo(&jwk);
	appendStringInfo(&jwk, "{\"kty\": \"oct\", \"kid\": \"%s\", \"alg\": \"A256CBC-HS512\", \"k\": \"", kid);
	AppendBase64Url(&jwk, VARDATA_ANY(bytes), AEAD_KEY_LEN);
	appendStringInfoString(&jwk, "\"}");
	WipeBytea(bytes);
	return jwk.data;
}

/*
 * The JWK Set with the new key put first; all else in it stays.
 */
static char *
MakeKeyringText(const char *jwk, Size *len)
{
	KeyringProblem why = {0};
	char	   *old = ReadKeyringFile(keyring_file, len, &why);
	Keyring    *valid;
	Jsonb	   *set;
	Jsonb	   *key;
	ArrayType  *path;
	Datum		elems[2];

	if (old == NULL && !why.missing)
		ReportKeyringProblem(ERROR, &why);
	if (old == NULL)
		return psprintf("{\"keys\": [%s]}\n", jwk);

	/* never write what could not be read again */
	valid = ParseKeyring(old, *len, CurrentMemoryContext, &why);
	if (valid == NULL)
	{
		explicit_bzero(old, *len);
		ReportKeyringProblem(ERROR, &why);
	}
	WipeKeyring(valid);

	set = JsonFromUtf8(old, *len);
	explicit_bzero(old, *len);
	key = JsonFromUtf8(jwk, strlen(jwk));
	elems[0] = CStringGetTextDatum("keys");
	elems[1] = CStringGetTextDatum("0");
	path = construct_array(elems, 2, TEXTOID, -1, false, TYPALIGN_INT);
	set = DatumGetJsonbP(DirectFunctionCall4(jsonb_insert, JsonbPGetDatum(set), PointerGetDatum(path),
											 JsonbPGetDatum(key), BoolGetDatum(false)));
	old = JsonToUtf8(set, len);
	explicit_bzero(set, VARSIZE(set));
	explicit_bzero(key, VARSIZE(key));
	return old;
}

/*
 * Replace the keyring file, so that after a crash the old or the new one is
 * there, whole.
 */
static void
WriteKeyringFile(const char *text, Size len)
{
	char	   *temporary = psprintf("%s.tmp", keyring_file);
	int			fd;

	/* left behind by a crash; the lock that we hold keeps others out */
	(void) unlink(temporary);

	PG_TRY();
	{
		fd = OpenTransientFilePerm(temporary, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, 0600);
		if (fd < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not create keyring file \"%s\": %m", temporary)));
		errno = 0;
		if (write(fd, text, len) != (ssize_t) len)
		{
			/* if write didn't set errno, assume problem is no disk space */
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write keyring file \"%s\": %m", temporary)));
		}
		if (pg_fsync(fd) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not fsync keyring file \"%s\": %m", temporary)));
		if (CloseTransientFile(fd) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not close keyring file \"%s\": %m", temporary)));
		(void) durable_rename(temporary, keyring_file, ERROR);
	}
	PG_CATCH();
	{
		(void) unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * rotate_encryption_key() returns text
 *
 * Add a key of 64 random bytes to the keyring file, creating the file if there
 * is none, and make it the active key; the others still decrypt.  Returns the
 * new key's kid.  The file is not part of the transaction: the key stays when
 * the transaction is rolled back.  RFC 7517, section 5; RFC 7518, section 6.4.
 *
 * Errors: 42501 for who is not superuser; 25006 in a read-only transaction;
 * 55000 if there is a keyring file that can't be used; file access errors.
 */
Datum
rotate_encryption_key(PG_FUNCTION_ARGS)
{
	char	   *kid;
	char	   *jwk;
	char	   *text;
	Size		len;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to rotate the encryption key")));
	PreventCommandIfReadOnly("rotate_encryption_key()");

	/* one at a time in all databases: the file belongs to the cluster */
	LockSharedObject(ExtensionRelationId, InvalidOid, 0, ExclusiveLock);

	kid = MakeKid();
	jwk = MakeJwk(kid);
	text = MakeKeyringText(jwk, &len);
	explicit_bzero(jwk, strlen(jwk));
	len = strlen(text);
	WriteKeyringFile(text, len);
	explicit_bzero(text, len);

	UnlockSharedObject(ExtensionRelationId, InvalidOid, 0, ExclusiveLock);
	PG_RETURN_TEXT_P(cstring_to_text(kid));
}
