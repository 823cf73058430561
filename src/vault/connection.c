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

#include "vault/connection.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "base/json.h"
#include "rules/print.h"
#include "rules/withheld.h"
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

static int
LacksOf(const ConnectionFields *fields)
{
	return (fields->only_known ? LACKS_UNKNOWN : 0) |
		(EnvironmentOf(fields) == NULL ? LACKS_ENVIRONMENT : 0);
}

/*
 * Encrypt a connection for the row of a source, with the active key.
 *
 * Errors: 55000 without a usable keyring; 54000 if it is too large.
 */
text *
SealConnection(const ConnectionFields *fields, const Source *source)
{
	return SealEnvelope(HoldActiveKey(), RowSubject(source), LacksOf(fields), PrintConnection(fields));
}

/*
 * The same of a connection that was decrypted, which is wiped and freed.
 */
text *
ResealConnection(Jsonb *connection, const Source *source)
{
	ConnectionFields fields;
	bytea	   *plaintext;

	ReadConnection(connection, &fields);
	plaintext = PrintConnection(&fields);
	WipeJsonb(connection);
	return SealEnvelope(HoldActiveKey(), RowSubject(source), LacksOf(&fields), plaintext);
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
 * What a stored connection has to lack, so that an update that sends every secret
 * keeps nothing of it.
 */
static int
LacksFor(const ConnectionFields *update)
{
	return LACKS_UNKNOWN | (SendsEnvironment(update) ? 0 : LACKS_ENVIRONMENT);
}

/*
 * What the envelope of a source begins with if an update that sends every secret
 * keeps nothing of it.
 *
 * Whoever could make the header say so wrongly could as well replace it.
 *
 * Errors: 55000 without a usable keyring.
 */
text *
PrefixOfNothingFor(const ConnectionFields *update, const Source *source)
{
	return EnvelopePrefixLacking(HoldActiveKey(), RowSubject(source), LacksFor(update));
}

/*
 * Whether there is nothing in a stored connection that an update keeps, as far as
 * its header tells.
 */
static bool
HasNothingFor(const ConnectionFields *update, const Source *source)
{
	int			lacks = LacksFor(update);

	return source->envelope == NULL || update->variant == VARIANT_UNKNOWN ||
		(SendsSecrets(update) && (EnvelopeLacks(source->envelope) & lacks) == lacks);
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

static void
RaiseUnreadable(const Source *source, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("connection of dbt source %s of project %s cannot be decrypted",
					SourceLabel(source), UuidText(&source->project)),
			 errdetail_internal("%s", why),
			 errhint("Bring back the keyring that has its key. Only if that is lost, store the connection anew, "
					 "with all of its secrets and its environment, or as one of another type.")));
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
		RaiseUnreadable(source, why);
	return connection;
}

/*
 * The stored connection of which an update may have to keep something, or NULL if
 * it can't.  One that can't be decrypted isn't overwritten by what leaves out what
 * it may have; but another type keeps nothing, so the column that nobody has
 * authenticated will do to tell that.
 *
 * Errors: as above.
 */
Jsonb *
StoredConnectionFor(const ConnectionFields *update, Source *source)
{
	Jsonb	   *connection;
	const char *why;

	if (HasNothingFor(update, source))
		return NULL;
	if (source->type != NULL && strcmp(source->type, variant_names[update->variant]) != 0)
		return StoredConnection(source);
	connection = OpenConnection(source, GetKeyring(ERROR), false, &why);
	if (connection == NULL)
		RaiseUnreadable(source, why);
	return connection;
}
