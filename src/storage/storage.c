/*-------------------------------------------------------------------------
 *
 * storage.c
 *		The table of sources: what is done to it as its owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "storage/row.h"
#include "storage/statements.h"
#include "storage/storage.h"

/*
 * Lock a source without a statement; NULL if that has to be run.
 */
static Source *
LockRowOf(const pg_uuid_t *project, const pg_uuid_t *source)
{
	const pg_uuid_t *key[ROW_KEYS] = {project, source};
	TupleTableSlot *row = LockRow(TableOid("project_dbt_sources"), key);
	Source	   *result;

	if (row == NULL)
		return NULL;
	result = MakeSource(ExecFetchSlotHeapTuple(row, false, NULL), row->tts_tupleDescriptor);
	result->tid = row->tts_tid;
	ExecDropSingleTupleTableSlot(row);
	return result;
}

/*
 * Store the name of a source that is locked, and unless type is NULL its
 * connection, without a statement; false if that has to be run.
 */
static bool
UpdateRowOf(Source *source, const char *type)
{
	NewValue	columns[] = {
		{ANUM_NAME, PointerGetDatum(source->name)},
		{ANUM_UPDATED_AT, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())},
		{ANUM_TYPE, type == NULL ? (Datum) 0 : CStringGetTextDatum(type)},
		{ANUM_ENVELOPE, PointerGetDatum(source->envelope)}
	};
	MemoryContext cxt = CurrentMemoryContext;
	Identity	caller;
	volatile bool done = false;

	if (!ItemPointerIsValid(&source->tid))
		return false;
	caller = BecomeOwner();
	PG_TRY();
	{
		done = UpdateRow(TableOid("project_dbt_sources"), &source->tid, columns,
						 type == NULL ? 2 : lengthof(columns));
	}
	PG_CATCH();
	{
		RethrowStorageError(cxt);
	}
	PG_END_TRY();
	BecomeCaller(caller);
	return done;
}

/*
 * The primary source of a project whose sources were never changed.
 */
static Source *
UntouchedPrimary(const pg_uuid_t *project)
{
	Source	   *source = palloc0(sizeof(Source));

	source->project = *project;
	source->source = *project;
	source->name = cstring_to_text(PRIMARY_NAME);
	return source;
}

/*
 * A source of a project, or NULL.
 */
Source *
FetchSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};
	Source	   *result;

	(void) RunStatement(FETCH_SOURCE, args, NULL, &result);
	if (result == NULL && SameUuid(project, source))
		result = UntouchedPrimary(project);
	return result;
}

/*
 * A source that has a row, locked until the end of the transaction, or NULL.
 */
Source *
LockSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};
	Source	   *result = LockRowOf(project, source);

	if (result == NULL)
		(void) RunStatement(LOCK_SOURCE, args, NULL, &result);
	return result;
}

/*
 * The primary source, which gets its row here, locked.
 */
Source *
LockPrimarySource(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};
	Source	   *result;

	if (RunStatement(LOCK_PRIMARY, args, NULL, &result) == 0)
	{
		(void) RunStatement(ADD_PRIMARY, args, NULL, NULL);
		(void) RunStatement(LOCK_PRIMARY, args, NULL, &result);
	}
	return result;
}

/*
 * The sources of a project but the primary one, by precedence.
 */
void
ForEachAdditionalSource(const pg_uuid_t *project, SourceCallback callback, void *arg)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	ForEachRow(LIST_ADDITIONAL, args, NULL, callback, arg);
}

/*
 * All sources that have a connection, of all projects; of each envelope only
 * the beginning is there, with the protected header.
 */
void
ForEachHeader(SourceCallback callback, void *arg)
{
	ForEachRow(LIST_HEADERS, NULL, NULL, callback, arg);
}

/*
 * Up to limit sources, of all projects, whose envelope doesn't begin with
 * prefix, in the order of their keys and beginning after a given one (or with
 * the first, if that is NULL).
 */
void
ForEachStaleSource(const SourceKey *after, text *prefix, int limit,
				   SourceCallback callback, void *arg)
{
	Datum		args[] = {(Datum) 0, (Datum) 0, PointerGetDatum(prefix), Int32GetDatum(limit)};

	if (after != NULL)
	{
		args[0] = UUIDPGetDatum(&after->project);
		args[1] = UUIDPGetDatum(&after->source);
	}
	ForEachRow(LIST_STALE, args, after == NULL ? "nn  " : NULL, callback, arg);
}

/*
 * Give a source another envelope for the same connection; false if it
 * meanwhile has another connection or is gone, or if somebody holds its lock.
 */
bool
ReencryptSource(const Source *source, text *envelope)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
	PointerGetDatum(source->envelope), PointerGetDatum(envelope)};

	return RunStatement(REENCRYPT_SOURCE, args, NULL, NULL) > 0;
}

/*
 * Give a source another name; returns the source, or NULL if there is none.
 *
 * Errors: 23505 if the project has another source of that name.
 */
Source *
RenameSource(const pg_uuid_t *project, const pg_uuid_t *source, text *name)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source), PointerGetDatum(name)};
	Source	   *result = LockRowOf(project, source);

	if (result != NULL)
	{
		result->name = name;
		if (UpdateRowOf(result, NULL))
			return result;
	}
	(void) RunStatement(RENAME_SOURCE, args, NULL, &result);
	return result;
}

/*
 * Store the name and the connection of a source that is locked.  Errors as
 * above.
 */
void
ReplaceSource(Source *source, const char *type)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
		PointerGetDatum(source->name), CStringGetTextDatum(type),
	PointerGetDatum(source->envelope)};

	if (!UpdateRowOf(source, type))
		(void) RunStatement(REPLACE_SOURCE, args, NULL, NULL);
}

/*
 * Add a source after the others of a project whose primary source is locked;
 * sets its precedence.  Errors as above.
 */
void
InsertSource(Source *source, const char *type)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
		PointerGetDatum(source->name), CStringGetTextDatum(type),
	PointerGetDatum(source->envelope)};
	Source	   *inserted;

	(void) RunStatement(INSERT_SOURCE, args, NULL, &inserted);
	source->precedence = inserted->precedence;
}

/*
 * Remove a source; false if there was none.
 */
bool
DeleteSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};

	return RunStatement(DELETE_SOURCE, args, NULL, NULL) > 0;
}
