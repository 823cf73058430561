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

#include "vault/connection.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "rules/fields.h"
#include "base/json.h"
#include "vault/keylock.h"

static char *
UuidText(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/*
 * What an envelope says it belongs to: "<project uuid>/<source uuid>".
 */
static char *
RowSubject(const Source *source)
{
	return psprintf("%s/%s", UuidText(&source->project), UuidText(&source->source));
}

/*
 * Encrypt a connection, as JSON that is wiped and freed, for the row of a source,
 * with the active key.  known is its only_known.
 *
 * Errors: 55000 without a usable keyring; 54000 if it is too large.
 */
text *
SealConnection(bytea *plaintext, bool known, const Source *source)
{
	return SealEnvelope(HoldActiveKey(), RowSubject(source), known, plaintext);
}

/*
 * The same of a connection that was decrypted, which is wiped and freed.
 */
text *
ResealConnection(Jsonb *connection, const Source *source)
{
	ConnectionFields fields;
	text	   *envelope;

	ReadFields(connection, &fields);
	envelope = SealConnection(JsonToBytea(connection), fields.only_known, source);
	WipeJsonb(connection);
	return envelope;
}

/*
 * Decrypt the connection of a source that has one.
 *
 * Returns NULL, and in *why a sentence that tells the reason, if the bytes
 * that are stored are not a connection that was encrypted for this row with a
 * key of the keyring, which may be NULL.  Unless the envelope is to be kept, it
 * is freed: it may be large.
 */
Jsonb *
OpenConnection(Source *source, const Keyring *keyring, bool keep_envelope,
			   const char **why)
{
	text	   *envelope;
	bytea	   *plaintext;
	Jsonb	   *connection;

	if (keyring == NULL)
	{
		*why = "There is no usable keyring.";
		return NULL;
	}
	envelope = DatumGetTextPP(PointerGetDatum(source->envelope));
	plaintext = OpenEnvelope(keyring, RowSubject(source), envelope,
							 keep_envelope && envelope == source->envelope, why);
	if (!keep_envelope)
		source->envelope = NULL;
	if (plaintext == NULL)
		return NULL;
	connection = JsonFromBytea(plaintext);
	if (connection != NULL && ConnectionVariant(connection) == VARIANT_UNKNOWN)
	{
		WipeJsonb(connection);
		connection = NULL;
	}
	if (connection == NULL)
	{
		*why = "What was encrypted is not a connection.";
		return NULL;
	}
	return connection;
}

/*
 * Whether the stored connection is said to have known properties only.
 *
 * Whoever could make it say so wrongly could as well make it unreadable, after
 * which an update keeps nothing of it either.
 */
bool
StoredHasOnlyKnown(const Source *source)
{
	return source->envelope != NULL && EnvelopeSaysKnown(source->envelope);
}

/*
 * What the envelope of a source begins with if it was encrypted with the active
 * key, and has known properties only.
 *
 * Errors: 55000 without a usable keyring.
 */
text *
KnownPrefix(const Source *source)
{
	return EnvelopeHeader(HoldActiveKey(), RowSubject(source), true);
}

/*
 * The stored connection, or NULL if there is none or it can't be decrypted.
 */
Jsonb *
StoredConnection(Source *source)
{
	const char *why;

	if (source->envelope == NULL)
		return NULL;
	return OpenConnection(source, GetKeyring(DEBUG1), false, &why);
}

/*
 * The same where an answer can't do without it; NULL only for a primary source
 * that has none yet.
 *
 * Errors: XX001 if it can't be decrypted; 55000 without a usable keyring.
 */
Jsonb *
RequireConnection(Source *source)
{
	const char *why = "There is none.";
	Jsonb	   *connection = NULL;

	if (source->envelope == NULL && IsPrimary(source))
		return NULL;
	if (source->envelope != NULL)
		connection = OpenConnection(source, GetKeyring(ERROR), false, &why);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("connection of dbt source %s of project %s cannot be decrypted",
						SourceLabel(source), UuidText(&source->project)),
				 errdetail_internal("%s", why),
				 errhint("Restore the keyring that has its key, or store the connection anew.")));
	return connection;
}
