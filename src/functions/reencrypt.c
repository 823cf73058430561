/*-------------------------------------------------------------------------
 *
 * reencrypt.c
 *		Moving connections to the active key, a batch at a time, beside a busy
 *		application.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "functions/call.h"
#include "vault/connection.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "vault/keyring.h"
#include "storage/storage.h"
#include "storage/tables.h"
#include "functions/usage.h"

#define READ_BATCH 1000
#define MAX_REPORTED 100
#define PROGRESS_INTERVAL 3000	/* milliseconds */

/*
 * Where the session's last batch ended, so that the next one doesn't read again
 * what is done.
 */
static SourceKey resume_after;
static bool resume = false;

typedef struct Batch
{
	int64		wanted;			/* how many to re-encrypt */
	int64		moved;
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
	/* what is after a skipped one is gone through again */
	if (batch->skipped)
		return;
	if (batch->failed++ < MAX_REPORTED)
		appendStringInfo(&batch->report, "%sProject %s, source %s: %s",
						 batch->report.len > 0 ? "\n" : "",
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->project))),
						 SourceLabel(source), why);
}

/*
 * Returns whether the source wasn't skipped.
 */
static bool
TryToMove(Source *source, Batch *batch)
{
	const char *why;
	text	   *envelope = ResealSource(source, &why);

	if (envelope == NULL)
	{
		ReportFailure(batch, source, why);
		return true;
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
			return false;
	}
	return true;
}

static void
MoveSource(Source *source, void *arg)
{
	Batch	   *batch = arg;
	SourceKey	key = {source->project, source->source};

	batch->seen++;
	batch->last = key;
	if (!TryToMove(source, batch) && !batch->skipped)
	{
		batch->skipped = true;
		batch->first_skipped = key;
	}
}

/*
 * Go through up to limit sources after *position, or from the first if it is
 * NULL; true if there are no more.
 */
static bool
MoveNext(const SourceKey *position, int limit, Batch *batch)
{
	text	   *prefix = EnvelopePrefix(GetKeyring(ERROR)->keys[0].kid);

	batch->seen = 0;
	ForEachStaleSource(position, prefix, limit, MoveSource, batch);
	return batch->seen < limit;
}

/*
 * The same until enough are moved.
 */
static bool
MoveSourcesAfter(const SourceKey *position, Batch *batch)
{
	while (batch->moved < batch->wanted)
	{
		if (MoveNext(position, Min(batch->wanted - batch->moved, READ_BATCH), batch))
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
	Source	   *source = LockSource(&key->project, &key->source);

	if (source != NULL && source->envelope != NULL)
		(void) TryToMove(source, batch);
}

static void
WarnOfFailures(const Batch *batch)
{
	if (batch->failed > 0)
		ereport(WARNING,
				(errmsg_plural("%d connection was not re-encrypted and left as it is",
							   "%d connections were not re-encrypted and left as they are",
							   batch->failed, batch->failed),
				 errdetail_internal("%s%s", batch->report.data,
									batch->failed > MAX_REPORTED ? "\n..." : ""),
				 errhint("Restore the keyring that has their keys, or store the connections anew.")));
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
 * Errors: 22023 for NULL or less than 1; 25006 in a read-only transaction; 55000
 * without a usable keyring; 40001 under REPEATABLE READ and above.
 */
SILENT_FUNCTION(reencrypt_dbt_connections)
{
	static const char *const argnames[] = {"max_rows"};
	Batch		batch = {0};
	bool		from_first = !resume;
	bool		at_end;

	BeginCall(fcinfo, argnames);
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
	WarnOfFailures(&batch);
	PG_RETURN_INT32(batch.moved);
}

/* what reencrypt_all_dbt_connections() tells of itself */
typedef struct Progress
{
	TimestampTz began;
	TimestampTz told;			/* last */
	int64		in_all;			/* to be moved; not counted before it is told */
} Progress;

/*
 * Counting takes a while where there are many, but then this does, too.
 */
static void
TellProgress(Progress *progress, int64 moved)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(progress->told, now, PROGRESS_INTERVAL))
		return;
	if (progress->in_all == 0)
	{
		SourcesTable table = {GetTables()->sources, true};

		progress->in_all = moved + CountConnections(&table, GetKeyring(ERROR)->keys[0].kid).others;
	}
	ereport(NOTICE,
			(errmsg("re-encrypted " INT64_FORMAT " connections, " INT64_FORMAT " left, %.0f a second",
					moved, Max(progress->in_all - moved, 0),
					moved * 1000.0 / TimestampDifferenceMilliseconds(progress->began, now))));
	progress->told = now;
}

/*
 * Commit, and go on in a new transaction.  READ COMMITTED, whatever the default
 * is: a row that an application has changed meanwhile is no reason to fail.
 */
static void
CommitAndBegin(FunctionCallInfo fcinfo, const char *const *argnames)
{
	CommitProcedure();
	XactIsoLevel = XACT_READ_COMMITTED;
	/* out-of-line values are read under it */
	EnsurePortalSnapshotExists();
	BeginCall(fcinfo, argnames);
}

/*
 * CALL reencrypt_all_dbt_connections(batch integer default 1000)
 *
 * Encrypt all connections of this database with the active key that are not
 * yet, batch of them in a transaction each.  So it can be interrupted anywhere
 * and called again.  A NOTICE tells every few seconds how far it is, and one at
 * the end how many there were; a WARNING counts connections that can't be
 * decrypted, as above.
 *
 * A row that somebody else holds the lock of is waited for when those after it
 * are done.
 *
 * Errors: 22023 for NULL or less than 1; 25001 in a transaction block, or called
 * by a function; 25006 in a read-only transaction; 55000 without a usable
 * keyring.
 */
SILENT_PROCEDURE(reencrypt_all_dbt_connections)
{
	static const char *const argnames[] = {"batch"};
	Batch		batch = {0};
	Progress	progress = {0};
	MemoryContext per_batch;
	SourceKey	position;
	bool		from_first = true;
	bool		wait = false;
	char	   *kid;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("reencrypt_all_dbt_connections() cannot run inside a transaction block"),
				 errdetail("It commits after each batch.")));
	BeginCall(fcinfo, argnames);
	PreventCommandIfReadOnly("reencrypt_all_dbt_connections()");
	if (PG_GETARG_INT32(0) < 1)
		ParameterError("batch must be at least 1");

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	per_batch = AllocSetContextCreate(CurrentMemoryContext, "dbt sources", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&batch.report);
	progress.began = progress.told = GetCurrentTimestamp();
	CommitAndBegin(fcinfo, argnames);
	kid = pstrdup(GetKeyring(ERROR)->keys[0].kid);
	for (;;)
	{
		MemoryContext caller = MemoryContextSwitchTo(per_batch);
		bool		at_end = false;

		if (wait)
			WaitAndMove(&position, &batch);
		else
		{
			at_end = MoveNext(from_first ? NULL : &position, PG_GETARG_INT32(0), &batch);
			position = batch.last;
		}
		from_first = wait = false;
		CommitAndBegin(fcinfo, argnames);
		TellProgress(&progress, batch.moved);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_batch);
		if (at_end && batch.skipped)
		{
			/* those before it are done, and those after it perhaps not */
			position = batch.first_skipped;
			batch.skipped = false;
			wait = true;
		}
		else if (at_end)
		{
			if (strcmp(GetKeyring(ERROR)->keys[0].kid, kid) == 0)
				break;
			/* the key was rotated meanwhile */
			kid = MemoryContextStrdup(caller, GetKeyring(ERROR)->keys[0].kid);
			from_first = true;
			ClearReport(&batch);
		}
	}
	WarnOfFailures(&batch);
	ereport(NOTICE,
			(errmsg_plural("re-encrypted " INT64_FORMAT " connection",
						   "re-encrypted " INT64_FORMAT " connections",
						   batch.moved, batch.moved)));
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	PG_RETURN_VOID();
}
