/*-------------------------------------------------------------------------
 *
 * connection.c
 *		A dbt connection, in the clear and at rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "connection.h"
#include "envelope.h"
#include "json.h"

/*
 * Which variant a connection is of, or VARIANT_UNKNOWN.
 */
Variant
ConnectionVariant(Jsonb *connection)
{
	JsonbValue	type;

	if (!JB_ROOT_IS_OBJECT(connection) ||
		!JsonFindString(&connection->root, TYPE_PROPERTY, &type))
		return VARIANT_UNKNOWN;
	return VariantByName(type.val.string.val, type.val.string.len);
}

/*
 * What an envelope says it belongs to: "<project uuid>/<source uuid>".
 */
static char *
RowSubject(const pg_uuid_t *project, const pg_uuid_t *source)
{
	char	   *project_text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(project)));
	char	   *source_text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(source)));

	return psprintf("%s/%s", project_text, source_text);
}

/*
 * Encrypt a connection for its row, with the active key.
 *
 * Errors: 55000 without a usable keyring; 54000 if it is too large.
 */
text *
SealConnection(Jsonb *connection, const pg_uuid_t *project, const pg_uuid_t *source)
{
	const Keyring *keyring = GetKeyring(ERROR);
	Size		len;
	char	   *json = JsonToUtf8(connection, &len);
	bytea	   *plaintext;
	text	   *envelope;

	if (len > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("dbtConnection is too large to be stored")));
	plaintext = palloc(VARHDRSZ + len);
	SET_VARSIZE(plaintext, VARHDRSZ + len);
	memcpy(VARDATA(plaintext), json, len);
	explicit_bzero(json, len);
	pfree(json);
	envelope = SealEnvelope(&keyring->keys[0], RowSubject(project, source), plaintext);
	WipeBytea(plaintext);
	return envelope;
}

/*
 * Decrypt the connection of a row.
 *
 * Returns NULL, and in *why a sentence that tells the reason, if the bytes
 * that are stored are not a connection that was encrypted for this row with a
 * key of the keyring, which may be NULL.
 */
Jsonb *
OpenConnection(text *envelope, const pg_uuid_t *project, const pg_uuid_t *source,
			   const Keyring *keyring, const char **why)
{
	bytea	   *plaintext;
	Jsonb	   *connection;

	if (keyring == NULL)
	{
		*why = "There is no usable keyring.";
		return NULL;
	}
	plaintext = OpenEnvelope(keyring, RowSubject(project, source), envelope, why);
	if (plaintext == NULL)
		return NULL;
	connection = JsonFromUtf8(VARDATA_ANY(plaintext), VARSIZE_ANY_EXHDR(plaintext));
	WipeBytea(plaintext);
	if (connection == NULL || ConnectionVariant(connection) == VARIANT_UNKNOWN)
	{
		*why = "What was encrypted is not a connection.";
		return NULL;
	}
	return connection;
}
