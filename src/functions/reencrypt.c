/*-------------------------------------------------------------------------
 *
 * reencrypt.c
 *		Moving connections to the active key, a batch at a time, beside a busy
 *		application.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "functions/call.h"
#include "vault/connection.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "vault/keyring.h"
#include "storage/storage.h"

#define READ_BATCH 1000
#define MAX_REPORTED 100

/*
 * Where the session's last batch ended, so that the next one doesn't read again
 * what is done.
 */
static SourceKey resume_after;
static bool resume = false;

typedef struct Batch
{
	int			wanted;			/* how many more to re-encrypt */
	int			moved;
	int			seen;			/* of the rows that were read last */
	SourceKey	last;			/* the last of them */
	bool		skipped;		/* somebody holds the lock of a row: */
	SourceKey	first_skipped;
	int			failed;			/* connections that can't be decrypted: */
	StringInfoData report;
} Batch;

/*
 * The same connection encrypted with the active key, or NULL and the reason in
 * *why.
 */
static text *
ResealSource(Source *source, const char **why)
{
	Jsonb	   *connection = OpenConnection(source, GetKeyring(ERROR), true, why);

	return connection == NULL ? NULL : ResealConnection(connection, source);
}

static void
ReportFailure(Batch *batch, const Source *source, const char *why)
{
	if (batch->failed++ < MAX_REPORTED)
		appendStringInfo(&batch->report, "%sProject %s, source %s: %s",
						 batch->report.len > 0 ? "\n" : "",
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->project))),
						 SourceLabel(source), why);
}

static void
MoveSource(Source *source, void *arg)
{
	Batch	   *batch = arg;
	SourceKey	key = {source->project, source->source};
	const char *why;
	text	   *envelope = ResealSource(source, &why);

	batch->seen++;
	batch->last = key;
	if (envelope == NULL)
	{
		ReportFailure(batch, source, why);
		return;
	}
	switch (ReencryptSource(source, envelope))
	{
		case REENCRYPTED:
			batch->moved++;
			break;
		case REENCRYPTION_REFUSED:
			ReportFailure(batch, source, "A trigger or a rule of the table kept it from being stored.");
			break;
		case REENCRYPTION_SKIPPED:
			if (!batch->skipped)
				batch->first_skipped = key;
			batch->skipped = true;
			break;
	}
}

/*
 * Go through the sources after *position (or all, if it is NULL) until enough
 * are moved or the last is reached; true in the latter case.
 */
static bool
MoveSourcesAfter(const SourceKey *position, Batch *batch)
{
	while (batch->moved < batch->wanted)
	{
		text	   *prefix = EnvelopePrefix(GetKeyring(ERROR)->keys[0].kid);
		int			limit = Min(batch->wanted - batch->moved, READ_BATCH);

		batch->seen = 0;
		ForEachStaleSource(position, prefix, limit, MoveSource, batch);
		if (batch->seen < limit)
			return true;
		position = &batch->last;
	}
	return false;
}

static void
ClearReport(Batch *batch)
{
	batch->skipped = false;
	batch->failed = 0;
	resetStringInfo(&batch->report);
}

/*
 * Wait for the lock of one source, and move it.
 */
static void
WaitAndMove(const SourceKey *key, Batch *batch)
{
	const char *why;
	Source	   *source = LockSource(&key->project, &key->source);
	text	   *envelope;

	if (source == NULL || source->envelope == NULL)
		return;
	envelope = ResealSource(source, &why);
	if (envelope != NULL && ReencryptSource(source, envelope) == REENCRYPTED)
		batch->moved++;
}

/*
 * reencrypt_dbt_connections(max_rows integer default 1000) returns integer
 *
 * Encrypt up to max_rows connections of this database with the active key that
 * are not yet; returns how many were.  Call it until it returns 0, which it
 * does only when a pass over all of them found nothing left to do.  A connection
 * that can't be decrypted is left as it is; a WARNING counts them and names
 * project and source.
 *
 * A row that somebody else holds the lock of is skipped; only when nothing but
 * such rows is left, the first of them is waited for.  The rows stay locked
 * until the end of the transaction, so commit after each call.
 *
 * Errors: 22023 for NULL or less than 1; 42501 for who is not superuser; 25006
 * in a read-only transaction; 55000 without a usable keyring; 40001 under
 * REPEATABLE READ and above.
 */
SILENT_FUNCTION(reencrypt_dbt_connections)
{
	static const char *const argnames[] = {"max_rows"};
	Batch		batch = {0};
	bool		from_first = !resume;
	bool		at_end;

	BeginCall(fcinfo, argnames);
	RequireSuperuser("re-encrypt connections");
	PreventCommandIfReadOnly("reencrypt_dbt_connections()");
	batch.wanted = PG_GETARG_INT32(0);
	if (batch.wanted < 1)
		ParameterError("max_rows must be at least 1");
	initStringInfo(&batch.report);

	at_end = MoveSourcesAfter(from_first ? NULL : &resume_after, &batch);
	while (batch.moved == 0 && (!from_first || batch.skipped))
	{
		/* only a whole pass tells that nothing is left */
		if (from_first)
			WaitAndMove(&batch.first_skipped, &batch);
		from_first = true;
		if (batch.moved > 0)
			break;
		ClearReport(&batch);
		at_end = MoveSourcesAfter(NULL, &batch);
	}

	resume = !at_end;
	resume_after = batch.last;
	if (batch.failed > 0)
		ereport(WARNING,
				(errmsg_plural("%d connection was not re-encrypted and left as it is",
							   "%d connections were not re-encrypted and left as they are",
							   batch.failed, batch.failed),
				 errdetail_internal("%s%s", batch.report.data,
									batch.failed > MAX_REPORTED ? "\n..." : ""),
				 errhint("Restore the keyring that has their keys, or store the connections anew.")));
	PG_RETURN_INT32(batch.moved);
}
