/*-------------------------------------------------------------------------
 *
 * storage.c
 *		The tables: what is asked as the caller, and what is done as their owner.
 *
 * The statements name everything with its schema, operators included, and
 * their plans are kept for the session.  Each takes a snapshot of its own, so
 * that a view sees what an update in the same statement has just written.
 * What runs as the table's owner does so the way foreign-key triggers do
 * (ri_triggers.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "domain.h"
#include "row.h"
#include "storage.h"

#define PRIMARY_NAME "Project dbt connection"
#define FETCH_BATCH 100

#define EQ "OPERATOR(pg_catalog.=)"
#define OF_PROJECT " WHERE project_uuid " EQ " $1"
#define OF_SOURCE OF_PROJECT " AND project_dbt_source_uuid " EQ " $2"
#define PLAIN_COLUMNS "project_uuid, project_dbt_source_uuid, name, is_primary, precedence, dbt_connection_type"
#define COLUMNS PLAIN_COLUMNS ", dbt_connection"
#define HEADERS PLAIN_COLUMNS ", pg_catalog.substr(dbt_connection, 1, 4097)"
/* where a Source is in these columns, and in the table itself */
#define ANUM_PROJECT 1
#define ANUM_SOURCE 2
#define ANUM_NAME 3
#define ANUM_PRECEDENCE 5
#define ANUM_TYPE 6
#define ANUM_ENVELOPE 7
#define ANUM_UPDATED_AT 9

#define PROJECTS "%1$s.projects"
#define SOURCES "%1$s.project_dbt_sources"

typedef enum Statement
{
	SEE_PROJECT,
	LOCK_PROJECT,
	FETCH_SOURCE,
	LOCK_SOURCE,
	LOCK_PRIMARY,
	ADD_PRIMARY,
	LIST_ADDITIONAL,
	LIST_HEADERS,
	LIST_STALE,
	RENAME_SOURCE,
	REPLACE_SOURCE,
	REENCRYPT_SOURCE,
	INSERT_SOURCE,
	DELETE_SOURCE
} Statement;

#define NUM_STATEMENTS (DELETE_SOURCE + 1)
#define MAX_ARGS 5

#define GENERIC CURSOR_OPT_GENERIC_PLAN
#define CUSTOM CURSOR_OPT_CUSTOM_PLAN

/*
 * A project's primary source exists from the first time that one of its
 * sources is changed.  Its row also serves as the lock that gives one
 * precedence to one source: LOCK_PRIMARY writes it, so that of two creators
 * the second waits, and under REPEATABLE READ fails.
 */
static const struct
{
	bool		as_owner;
	int			plan;			/* cursor option */
	int			nargs;
	Oid			argtypes[MAX_ARGS];
	const char *text;
}			statements[NUM_STATEMENTS] = {
	[SEE_PROJECT] = {false, GENERIC, 1, {UUIDOID},
		"SELECT 1 FROM " PROJECTS OF_PROJECT},
	[LOCK_PROJECT] = {false, GENERIC, 1, {UUIDOID},
		"SELECT 1 FROM " PROJECTS OF_PROJECT " FOR KEY SHARE"},
	[FETCH_SOURCE] = {true, GENERIC, 2, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_SOURCE},
	[LOCK_SOURCE] = {true, GENERIC, 2, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_SOURCE " FOR NO KEY UPDATE"},
	[LOCK_PRIMARY] = {true, GENERIC, 1, {UUIDOID},
		"UPDATE " SOURCES " SET precedence = 0" OF_PROJECT
		" AND project_dbt_source_uuid " EQ " $1 RETURNING " COLUMNS},
	/* names no constraint, as one that isn't named is an error in a race for the row */
	[ADD_PRIMARY] = {true, GENERIC, 1, {UUIDOID},
		"INSERT INTO " SOURCES " (project_uuid, project_dbt_source_uuid, name, precedence)"
		" VALUES ($1, $1, '" PRIMARY_NAME "', 0) ON CONFLICT DO NOTHING"},
	[LIST_ADDITIONAL] = {true, GENERIC, 1, {UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_PROJECT
		" AND NOT is_primary ORDER BY precedence, name"},
	[LIST_HEADERS] = {true, GENERIC, 0, {InvalidOid},
		"SELECT " HEADERS " FROM " SOURCES " WHERE dbt_connection IS NOT NULL"},
	/* planned for its limit, so that a batch reads no more than it needs */
	[LIST_STALE] = {true, CUSTOM, 4, {UUIDOID, UUIDOID, TEXTOID, INT4OID},
		"SELECT " COLUMNS " FROM " SOURCES
		" WHERE ($1 IS NULL OR ROW(project_uuid, project_dbt_source_uuid) OPERATOR(pg_catalog.>) ROW($1, $2))"
		" AND pg_catalog.substr(dbt_connection, 1, pg_catalog.length($3)) OPERATOR(pg_catalog.<>) $3"
		" ORDER BY project_uuid, project_dbt_source_uuid LIMIT $4"},
	[RENAME_SOURCE] = {true, GENERIC, 3, {UUIDOID, UUIDOID, TEXTOID},
		"UPDATE " SOURCES " SET name = $3, updated_at = pg_catalog.now()" OF_SOURCE
		" RETURNING " COLUMNS},
	[REPLACE_SOURCE] = {true, GENERIC, 5, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE " SOURCES " SET name = $3, dbt_connection_type = $4, dbt_connection = $5,"
		" updated_at = pg_catalog.now()" OF_SOURCE},
	[REENCRYPT_SOURCE] = {true, GENERIC, 4, {UUIDOID, UUIDOID, TEXTOID, TEXTOID},
		"UPDATE " SOURCES " SET dbt_connection = $4"
		" WHERE (project_uuid, project_dbt_source_uuid) " EQ
		" (SELECT project_uuid, project_dbt_source_uuid FROM " SOURCES OF_SOURCE
		" AND dbt_connection " EQ " $3 FOR NO KEY UPDATE SKIP LOCKED)"},
	[INSERT_SOURCE] = {true, GENERIC, 5, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID},
		"INSERT INTO " SOURCES " (project_uuid, project_dbt_source_uuid, name, precedence,"
		" dbt_connection_type, dbt_connection)"
		" SELECT $1, $2, $3, pg_catalog.max(precedence) OPERATOR(pg_catalog.+) 1, $4, $5"
		" FROM " SOURCES OF_PROJECT " RETURNING " COLUMNS},
	[DELETE_SOURCE] = {true, GENERIC, 2, {UUIDOID, UUIDOID},
		"DELETE FROM " SOURCES OF_SOURCE},
};

/* the schema that the extension is in, and the plans made for its name */
static Oid	schema = InvalidOid;
static char *schema_name = NULL;
static SPIPlanPtr plans[NUM_STATEMENTS];

/*
 * Use the tables in a schema from here on: the extension's.
 */
void
UseSchema(Oid oid)
{
	char	   *name = get_namespace_name(oid);

	if (schema_name != NULL && oid == schema && strcmp(name, schema_name) == 0)
		return;

	/* the extension was installed anew, or its schema was renamed */
	for (int i = 0; i < NUM_STATEMENTS; i++)
	{
		if (plans[i] != NULL)
			SPI_freeplan(plans[i]);
		plans[i] = NULL;
	}
	if (schema_name != NULL)
		pfree(schema_name);
	schema_name = NULL;
	schema_name = MemoryContextStrdup(TopMemoryContext, name);
	schema = oid;
}

static Oid
TableOid(const char *name)
{
	Oid			table = get_relname_relid(name, schema);

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" does not exist", schema_name, name)));
	return table;
}

static Oid
StorageOwner(void)
{
	HeapTuple	tuple = SearchSysCache1(RELOID,
										ObjectIdGetDatum(TableOid("project_dbt_sources")));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for the table of dbt sources");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static SPIPlanPtr
GetPlan(Statement statement)
{
	if (plans[statement] == NULL)
	{
		char	   *text = psprintf(statements[statement].text, quote_identifier(schema_name));
		Oid			argtypes[MAX_ARGS];
		SPIPlanPtr	plan;

		memcpy(argtypes, statements[statement].argtypes, sizeof(argtypes));
		plan = SPI_prepare_cursor(text, statements[statement].nargs, argtypes,
								  statements[statement].plan);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
		plans[statement] = plan;
	}
	return plans[statement];
}

typedef struct Identity
{
	Oid			userid;
	int			sec_context;
} Identity;

static Identity
GetCaller(void)
{
	Identity	caller;

	GetUserIdAndSecContext(&caller.userid, &caller.sec_context);
	return caller;
}

/*
 * Become the owner of the tables.  An error puts the caller's identity back when
 * the (sub)transaction is aborted.
 */
static Identity
BecomeOwner(void)
{
	Identity	caller = GetCaller();

	SetUserIdAndSecContext(StorageOwner(),
						   caller.sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	return caller;
}

static Identity
BecomeWhoRuns(Statement statement)
{
	return statements[statement].as_owner ? BecomeOwner() : GetCaller();
}

static void
BecomeCaller(Identity caller)
{
	SetUserIdAndSecContext(caller.userid, caller.sec_context);
}

/*
 * Raise the error that was caught; a violated unique constraint in words of our
 * own, as only a second source of one name violates one.
 */
static void
Rethrow(MemoryContext cxt)
{
	if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
		PG_RE_THROW();
	MemoryContextSwitchTo(cxt);
	FlushErrorState();
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("project already has a dbt source of that name")));
}

static void
RunPlan(SPIPlanPtr plan, Datum *args, const char *nulls)
{
	MemoryContext cxt = CurrentMemoryContext;

	PG_TRY();
	{
		int			code = SPI_execute_plan(plan, args, nulls, false, 0);

		if (code < 0)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(code));
	}
	PG_CATCH();
	{
		Rethrow(cxt);
	}
	PG_END_TRY();
}

/*
 * The source in a row of COLUMNS or of the table, palloc'd in the current
 * context.  An envelope that is stored out of line is not fetched here, as not
 * everybody needs it.
 */
static Source *
MakeSource(HeapTuple tuple, TupleDesc desc)
{
	Source	   *source = palloc(sizeof(Source));
	bool		isnull;
	Datum		envelope;

	source->project = *DatumGetUUIDP(heap_getattr(tuple, ANUM_PROJECT, desc, &isnull));
	source->source = *DatumGetUUIDP(heap_getattr(tuple, ANUM_SOURCE, desc, &isnull));
	source->name = DatumGetTextPCopy(heap_getattr(tuple, ANUM_NAME, desc, &isnull));
	source->precedence = DatumGetInt32(heap_getattr(tuple, ANUM_PRECEDENCE, desc, &isnull));
	envelope = heap_getattr(tuple, ANUM_ENVELOPE, desc, &isnull);
	source->envelope = isnull ? NULL : (text *) DatumGetPointer(datumCopy(envelope, false, -1));
	ItemPointerSetInvalid(&source->tid);
	return source;
}

/*
 * Run a statement; returns how many rows it found or changed, and the first one, if
 * asked for, in *result.
 */
static uint64
Run(Statement statement, Datum *args, const char *nulls, Source **result)
{
	MemoryContext cxt = CurrentMemoryContext;
	Identity	caller;
	uint64		count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	caller = BecomeWhoRuns(statement);
	RunPlan(GetPlan(statement), args, nulls);
	BecomeCaller(caller);
	count = SPI_processed;
	if (result != NULL)
	{
		MemoryContext spi = MemoryContextSwitchTo(cxt);

		*result = count == 0 ? NULL :
			MakeSource(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return count;
}

/*
 * Whether the caller sees the project.
 *
 * Errors: 42501 if they may not read the table at all.
 */
bool
CanSeeProject(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	return Run(SEE_PROJECT, args, NULL, NULL) > 0;
}

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
		Rethrow(cxt);
	}
	PG_END_TRY();
	BecomeCaller(caller);
	return done;
}

static bool
MayUpdate(Oid table)
{
	return pg_class_aclcheck(table, GetUserId(), ACL_UPDATE) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_UPDATE, ACLMASK_ANY) == ACLCHECK_OK;
}

/*
 * Whether the caller may lock the project, which needs UPDATE on any column of
 * the table, and to pass its policies; if so, it is locked.
 *
 * Errors: 42501 if they may not read the table at all.
 */
bool
CanLockProject(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	/* asked first, as the statement itself would raise an error */
	return MayUpdate(TableOid("projects")) && Run(LOCK_PROJECT, args, NULL, NULL) > 0;
}

/*
 * Whether the caller may lock whatever project there is: the privileges are
 * theirs for the whole table, and no policy applies to them.
 */
bool
CanLockAnyProject(void)
{
	Oid			table = TableOid("projects");

	return pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK && MayUpdate(table) &&
		check_enable_rls(table, InvalidOid, true) != RLS_ENABLED;
}

bool
SameUuid(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

bool
IsPrimary(const Source *source)
{
	return SameUuid(&source->project, &source->source);
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

	(void) Run(FETCH_SOURCE, args, NULL, &result);
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
		(void) Run(LOCK_SOURCE, args, NULL, &result);
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

	if (Run(LOCK_PRIMARY, args, NULL, &result) == 0)
	{
		(void) Run(ADD_PRIMARY, args, NULL, NULL);
		(void) Run(LOCK_PRIMARY, args, NULL, &result);
	}
	return result;
}

/*
 * Hand each row of a statement to callback, in a context that is reset after
 * each.
 */
static void
ForEachRow(Statement statement, Datum *args, const char *nulls,
		   SourceCallback callback, void *arg)
{
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "dbt source",
												  ALLOCSET_DEFAULT_SIZES);
	Identity	caller;
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	caller = BecomeWhoRuns(statement);
	portal = SPI_cursor_open(NULL, GetPlan(statement), args, nulls, false);
	for (;;)
	{
		SPITupleTable *batch;
		MemoryContext spi;

		SPI_cursor_fetch(portal, true, FETCH_BATCH);
		batch = SPI_tuptable;
		if (batch->numvals == 0)
			break;
		spi = MemoryContextSwitchTo(per_row);
		for (uint64 i = 0; i < batch->numvals; i++)
		{
			CHECK_FOR_INTERRUPTS();
			callback(MakeSource(batch->vals[i], batch->tupdesc), arg);
			MemoryContextReset(per_row);
		}
		MemoryContextSwitchTo(spi);
		SPI_freetuptable(batch);
	}
	SPI_cursor_close(portal);
	BecomeCaller(caller);
	SPI_finish();
	MemoryContextDelete(per_row);
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

	return Run(REENCRYPT_SOURCE, args, NULL, NULL) > 0;
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
	(void) Run(RENAME_SOURCE, args, NULL, &result);
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
		(void) Run(REPLACE_SOURCE, args, NULL, NULL);
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

	(void) Run(INSERT_SOURCE, args, NULL, &inserted);
	source->precedence = inserted->precedence;
}

/*
 * Remove a source; false if there was none.
 */
bool
DeleteSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};

	return Run(DELETE_SOURCE, args, NULL, NULL) > 0;
}
