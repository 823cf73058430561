/*-------------------------------------------------------------------------
 *
 * storage.c
 *		The table of sources: what is done to it as its owner.
 *
 * A trigger or a rule of the table may refuse a row or change it.  So what is
 * written comes back as it was stored, and what wasn't is an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "base/domain.h"
#include "storage/storage.h"
#include "storage/tables.h"

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
	source->version = 1;
	return source;
}

static Source *
FetchRow(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};
	Source	   *result;

	(void) RunStatement(FETCH_SOURCE, args, NULL, &result);
	return result;
}

/*
 * A source of a project, or NULL.
 */
Source *
FetchSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Source	   *result = FetchRow(project, source);

	if (result == NULL && SameUuid(project, source))
		result = UntouchedPrimary(project);
	return result;
}

static void
RaiseSuppressed(const Source *source)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("change of dbt source %s was suppressed", SourceLabel(source)),
			 errdetail("A trigger or a rule of the table kept it from being stored.")));
}

/*
 * After a statement that changed no row: there is none, or it was suppressed.
 *
 * Errors: 09000 if it was suppressed.
 */
static void
RefuseSuppressed(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Source	   *unchanged = FetchRow(project, source);

	if (unchanged != NULL)
		RaiseSuppressed(unchanged);
}

/*
 * Insert the row of a primary source in a subtransaction; returns the error, of
 * which nothing is left, or NULL.
 */
static ErrorData *
TryToAddPrimary(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		(void) RunStatement(ADD_PRIMARY, args, NULL, NULL);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return error;
}

/*
 * Give the primary source of a project its row, if it still has none.
 *
 * If somebody else is doing the same, the unique constraints have us wait for
 * that.  What then violates them is the row that we want.  (ON CONFLICT isn't for
 * tables with rules or deferrable constraints, and the projects' rows can't be
 * locked here: in a distributed database nobody but the owner can do anything
 * after the owner's statement has written.)
 */
static void
AddPrimary(const pg_uuid_t *project)
{
	ErrorData  *error = TryToAddPrimary(project);

	if (error != NULL && !IsOurs(error))
		ReThrowError(error);
	if (FetchRow(project, project) != NULL)
		return;
	if (error != NULL)
		ReThrowError(error);
	RaiseSuppressed(UntouchedPrimary(project));
}

/*
 * A source that has a row, locked until the end of the transaction, or NULL.
 */
Source *
LockSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};
	Source	   *result;

	(void) RunStatement(LOCK_SOURCE, args, NULL, &result);
	return result;
}

/*
 * The same, where the primary source of a project that is locked gets its row.
 */
Source *
LockOrAddSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Source	   *result = LockSource(project, source);

	if (result == NULL && SameUuid(project, source))
	{
		AddPrimary(project);
		result = LockSource(project, source);
	}
	return result;
}

/*
 * Nobody else adds a source to the project until the end of the transaction.
 * Its primary source gets its row here.  It is locked only where it isn't written,
 * as nothing in it changes (suppress_redundant_updates_trigger).
 *
 * Errors: 40001 under REPEATABLE READ and above if somebody else has; 09000 if
 * the row is suppressed.
 */
void
LockForCreation(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	while (RunStatement(LOCK_PRIMARY, args, NULL, NULL) == 0 &&
		   LockSource(project, project) == NULL)
		AddPrimary(project);
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
 * Give a source another envelope for the same connection, if nobody holds its
 * lock.
 */
Reencryption
ReencryptSource(const Source *source, text *envelope)
{
	Datum		key[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
	PointerGetDatum(source->envelope)};
	Datum		args[] = {key[0], key[1], PointerGetDatum(envelope)};
	Source	   *stored;

	if (RunStatement(LOCK_STALE_SOURCE, key, NULL, NULL) == 0)
		return REENCRYPTION_SKIPPED;
	(void) RunStatement(REENCRYPT_SOURCE, args, NULL, &stored);
	return stored != NULL && stored->as_sent ? REENCRYPTED : REENCRYPTION_REFUSED;
}

/*
 * Give a source another name; returns the source as it is stored, or NULL if
 * there is none.
 *
 * Errors: 23505 if the project has another source of that name; 09000 if the row
 * is suppressed.
 */
Source *
RenameSource(const pg_uuid_t *project, const pg_uuid_t *source, text *name)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source), PointerGetDatum(name)};
	Source	   *result;

	if (RunStatement(RENAME_SOURCE, args, NULL, &result) > 0)
		return result;
	if (SameUuid(project, source))
	{
		AddPrimary(project);
		(void) RunStatement(RENAME_SOURCE, args, NULL, &result);
	}
	if (result == NULL)
		RefuseSuppressed(project, source);
	return result;
}

/*
 * A source that was written, or NULL; fetched again if a trigger has stored
 * another connection than the one that was sent.
 */
static Source *
AsStored(Source *written)
{
	return written == NULL || written->as_sent ? written :
		FetchSource(&written->project, &written->source);
}

static Source *
RunReplacement(Statement statement, const Source *source, const char *type, text *prefix)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
		PointerGetDatum(source->name), CStringGetTextDatum(type),
	PointerGetDatum(source->envelope), PointerGetDatum(prefix)};
	Source	   *result;

	(void) RunStatement(statement, args, source->name == NULL ? "  n   " : NULL, &result);
	return AsStored(result);
}

/*
 * Store the connection of a source that is locked, and its name unless that is
 * NULL.
 *
 * Returns the source as it is stored, without its envelope if that is as it was
 * sent.  Errors as for RenameSource().
 */
Source *
ReplaceSource(const Source *source, const char *type)
{
	Source	   *stored = RunReplacement(REPLACE_SOURCE, source, type, NULL);

	if (stored == NULL)
		RaiseSuppressed(source);
	return stored;
}

/*
 * The same of a source that needn't be locked, if its stored envelope begins with
 * prefix; NULL if it doesn't, if there is none, or if the row is suppressed.
 */
Source *
ReplaceWholly(const Source *source, const char *type, text *prefix)
{
	return RunReplacement(REPLACE_WHOLLY, source, type, prefix);
}

/*
 * The highest precedence in a project, 0 if it has only its primary source.
 */
int32
LastPrecedence(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};
	Source	   *last;

	(void) RunStatement(LAST_PRECEDENCE, args, NULL, &last);
	return last == NULL ? 0 : last->precedence;
}

/*
 * Errors: 2200H if there is none.
 */
int32
NextPrecedence(int32 precedence)
{
	if (precedence == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
				 errmsg("no precedence is left in the project")));
	return precedence + 1;
}

/*
 * Add a source to a project that is locked for that.  Returns and errors as for
 * ReplaceSource().
 */
Source *
InsertSource(const Source *source, const char *type)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
		PointerGetDatum(source->name), Int32GetDatum(source->precedence),
	CStringGetTextDatum(type), PointerGetDatum(source->envelope)};
	Source	   *stored;

	(void) RunStatement(INSERT_SOURCE, args, NULL, &stored);
	stored = AsStored(stored);
	if (stored == NULL)
		RaiseSuppressed(source);
	return stored;
}

/*
 * Remove a source; false if there was none.
 *
 * Errors: 09000 if that is suppressed.
 */
bool
DeleteSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};

	if (RunStatement(DELETE_SOURCE, args, NULL, NULL) > 0)
		return true;
	RefuseSuppressed(project, source);
	return false;
}
