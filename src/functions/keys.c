/*-------------------------------------------------------------------------
 *
 * keys.c
 *		Adding a key to the keyring file, and taking one out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "vault/base64url.h"
#include "functions/call.h"
#include "functions/databases.h"
#include "functions/usage.h"
#include "base/domain.h"
#include "base/json.h"
#include "vault/keylock.h"
#include "vault/keyring.h"
#include "vault/pgcrypto.h"

#define KID_RANDOM_BYTES 6
#define EMPTY_SET "{\"keys\": []}"
#define MAX_LINKS 40			/* as Linux has it */

#define HINT_WRITABLE "The file is replaced, so the server needs to write to its folder. If it comes from elsewhere, such as a mounted secret, change it there."

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

static Datum
KeyPath(int index)
{
	Datum		elems[2];

	elems[0] = CStringGetTextDatum("keys");
	elems[1] = CStringGetTextDatum(psprintf("%d", index));
	return PointerGetDatum(construct_array(elems, 2, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * The JWK Set in the keyring file, which has to be valid, so that nothing is
 * written that could not be read again.  Its keys go to *keyring.
 *
 * If the file doesn't exist, an empty set, and *keyring is NULL.
 */
static Jsonb *
ReadKeySet(Keyring **keyring)
{
	KeyringProblem why = {0};
	Size		len;
	char	   *file = ReadKeyringFile(keyring_file, &len, &why);
	Jsonb	   *set;

	*keyring = NULL;
	if (file == NULL && why.missing)
		return JsonFromUtf8(EMPTY_SET, strlen(EMPTY_SET));
	if (file == NULL)
		ReportKeyringProblem(ERROR, &why);
	PG_TRY();
	{
		*keyring = ParseKeyring(file, len, CurrentMemoryContext, &why);
		if (*keyring == NULL)
			ReportKeyringProblem(ERROR, &why);
		set = JsonFromUtf8(file, len);
	}
	PG_FINALLY();
	{
		explicit_bzero(file, len);
	}
	PG_END_TRY();
	return set;
}

/*
 * Raise what the operating system says.  Where the file is concerns the
 * administrator alone.
 */
static void
ReportFileError(const char *action, const char *path)
{
	bool		not_writable = errno == EACCES || errno == EPERM || errno == EROFS;
	bool		no_quota = errno == EDQUOT; /* a full disk to us */

	ereport(ERROR,
			(no_quota ? errcode(ERRCODE_DISK_FULL) : errcode_for_file_access(),
			 errmsg("could not %s keyring file: %m", action),
			 errdetail_log("The file is \"%s\".", path),
			 not_writable ? errhint(HINT_WRITABLE) : 0));
}

/*
 * The file to replace: what the setting names, or what a symbolic link there
 * leads to, which may not exist yet.
 *
 * Errors: file access errors, if that can't be found out.
 */
static char *
KeyringTarget(void)
{
	char	   *path = pstrdup(keyring_file);
	int			links;

	for (links = 0; links <= MAX_LINKS; links++)
	{
		char		target[MAXPGPATH];
		char		joined[MAXPGPATH];
		ssize_t		len = readlink(path, target, sizeof(target) - 1);

		if (len < 0 && (errno == EINVAL || errno == ENOENT))
			return path;		/* no link, or nothing there */
		if (len < 0)
			break;
		target[len] = '\0';
		if (is_absolute_path(target))
			path = pstrdup(target);
		else
		{
			strlcpy(joined, path, sizeof(joined));
			get_parent_directory(joined);
			join_path_components(joined, joined, target);
			path = pstrdup(joined);
		}
	}
	if (links > MAX_LINKS)
		errno = ELOOP;
	ReportFileError("follow the links to", keyring_file);
	return NULL;				/* not reached */
}

/*
 * Replace the keyring file, so that after a crash the old or the new one is
 * there, whole.
 */
static void
WriteKeyringFile(const char *text, Size len)
{
	char	   *target = KeyringTarget();
	char	   *temporary = psprintf("%s.tmp", target);
	int			fd;

	/* left behind by a crash; the lock that we hold keeps others out */
	(void) unlink(temporary);

	PG_TRY();
	{
		fd = OpenTransientFilePerm(temporary, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, 0600);
		if (fd < 0)
			ReportFileError("create", temporary);
		errno = 0;
		if (write(fd, text, len) != (ssize_t) len)
		{
			/* if write didn't set errno, assume problem is no disk space */
			if (errno == 0)
				errno = ENOSPC;
			ReportFileError("write", temporary);
		}
		if (pg_fsync(fd) != 0)
			ReportFileError("fsync", temporary);
		if (CloseTransientFile(fd) != 0)
			ReportFileError("close", temporary);
		if (durable_rename(temporary, target, LOG_SERVER_ONLY) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_IO_ERROR),
					 errmsg("could not replace keyring file"),
					 errdetail("The server log tells why."),
					 errhint(HINT_WRITABLE)));
	}
	PG_CATCH();
	{
		(void) unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * Write a JWK Set to the keyring file, and wipe it.
 *
 * Errors: 54000 if it could not be read again.
 */
static void
WriteKeySet(Jsonb *set)
{
	bytea	   *text = JsonToBytea(set);

	WipeJsonb(set);
	PG_TRY();
	{
		if (VARSIZE(text) - VARHDRSZ > MAX_KEYRING_FILE_LEN)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the keyring would be too large"),
					 errdetail("The file may have at most %d bytes.", MAX_KEYRING_FILE_LEN),
					 errhint("Remove the keys that no connection needs, see encryption_keys() and remove_encryption_key().")));
		WriteKeyringFile(VARDATA(text), VARSIZE(text) - VARHDRSZ);
	}
	PG_FINALLY();
	{
		WipeBytea(text);
	}
	PG_END_TRY();
}

/*
 * The keyring is missing: a new one would be the end of what needs the old one,
 * as that isn't missed any more.
 *
 * Errors: 55000 if this database has connections, or may have.
 */
static void
RefuseToBeginAnew(void)
{
	KeyUse		use;

	if (FindUse(NULL, &use))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the keyring is missing"),
				 use.access != TABLE_READABLE ?
				 errdetail("Table %s, which may have connections that are encrypted with keys of it, could not be read. %s",
						   use.table, WhyUncounted(use.access)) :
				 errdetail_plural("Table %s has " INT64_FORMAT " connection that is encrypted with a key of it.",
								  "Table %s has " INT64_FORMAT " connections that are encrypted with keys of it.",
								  use.others, use.table, use.others),
				 errdetail_log("Keyring file \"%s\" does not exist.", keyring_file),
				 errhint("Bring the keyring file back from its backup, or set dbt_sources.keyring_file to where it is. "
						 "If it is lost for good, rotate_encryption_key(anew => true) begins a new one.")));
}

/*
 * rotate_encryption_key(anew boolean default false) returns text
 *
 * Add a key of 64 random bytes to the keyring file and make it the active key;
 * the others still decrypt.  Returns the new key's kid.  If there is no file, it
 * is created, unless this database has connections, which need a key of the one
 * that is missing; with anew, then too.  The file is not part of the transaction:
 * the key stays when the transaction is rolled back.  RFC 7517, section 5;
 * RFC 7518, section 6.4.
 *
 * Errors: 22023 for a NULL argument; 25006 in a read-only transaction; 55000 if
 * there is a keyring file that can't be used, or if it is missing and
 * connections need it; 54000 if the file would be too large; file access errors.
 */
SILENT_FUNCTION(rotate_encryption_key)
{
	static const char *const argnames[] = {"anew"};
	char	   *kid;
	char	   *jwk;
	Jsonb	   *key;
	Jsonb	   *old;
	Jsonb	   *new;
	Keyring    *keyring;

	BeginCall(fcinfo, argnames);
	PreventCommandIfReadOnly("rotate_encryption_key()");

	LockKeyringFile();
	old = ReadKeySet(&keyring);
	if (keyring != NULL)
		WipeKeyring(keyring);
	/* until ALTER EXTENSION UPDATE, the signature of 0.2.0 has no argument */
	else if (PG_NARGS() == 0 || !PG_GETARG_BOOL(0))
		RefuseToBeginAnew();
	kid = MakeKid();
	jwk = MakeJwk(kid);
	key = JsonFromUtf8(jwk, strlen(jwk));
	explicit_bzero(jwk, strlen(jwk));
	new = DatumGetJsonbP(DirectFunctionCall4(jsonb_insert, JsonbPGetDatum(old), KeyPath(0),
											 JsonbPGetDatum(key), BoolGetDatum(false)));
	WipeJsonb(old);
	WipeJsonb(key);
	WriteKeySet(new);
	UnlockKeyringFile();
	PG_RETURN_TEXT_P(cstring_to_text(kid));
}

/*
 * Where in the keyring, which may be NULL, a key is that may be removed.
 *
 * Errors: 42704 if there is no such key; 55006 if it is the active one.
 */
static int
RemovableKeyIndex(const Keyring *keyring, const char *kid)
{
	const Key  *key = keyring == NULL ? NULL : FindKey(keyring, kid, strlen(kid));

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("encryption key \"%s\" does not exist", kid)));
	if (key == &keyring->keys[0])
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot remove the active encryption key"),
				 errhint("Make another one active with rotate_encryption_key().")));
	return key - keyring->keys;
}

static void
TakeOutOfKeyringFile(const char *kid)
{
	Keyring    *keyring;
	Jsonb	   *old;
	Jsonb	   *new;

	LockKeyringFile();
	old = ReadKeySet(&keyring);
	new = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete_path, JsonbPGetDatum(old),
											 KeyPath(RemovableKeyIndex(keyring, kid))));
	WipeKeyring(keyring);
	WipeJsonb(old);
	WriteKeySet(new);
	UnlockKeyringFile();
}

/*
 * remove_encryption_key(kid text) returns void
 *
 * Take a key out of the keyring file, if nothing in the cluster needs it: it is
 * not the active one, no connection in any database that has the extension is
 * encrypted with it, and no transaction could still see or write one that is.
 * So this waits for transactions that have a snapshot, as CREATE INDEX
 * CONCURRENTLY does; lock_timeout limits that.  Like the rotation it is not
 * undone by a rollback.
 *
 * Standbys, backups and dumps are out of its sight.
 *
 * Errors: 22023 for a NULL argument; 25006 in a read-only transaction; 25001 in a
 * transaction that has written; 42704 if there is no such key; 55006 if it is in
 * use, or may be, or if another call is running; 55000 without a usable keyring,
 * or if a database could not be asked; 53000 without a free background worker;
 * file access errors.
 */
SILENT_FUNCTION(remove_encryption_key)
{
	static const char *const argnames[] = {"kid"};
	char	   *kid;

	BeginCall(fcinfo, argnames);
	PreventCommandIfReadOnly("remove_encryption_key()");
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("remove_encryption_key() cannot run in a transaction that has changed something"),
				 errdetail("The change could be rolled back, but the removal of the key could not.")));

	kid = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) RemovableKeyIndex(GetKeyring(ERROR), kid);
	if (!BeginRemoval())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another remove_encryption_key() is running")));

	WaitForHoldersOfKey(kid);
	RefuseKeyInUse(kid);
	WaitForOldSnapshots();
	TakeOutOfKeyringFile(kid);
	PG_RETURN_VOID();
}
