/*-------------------------------------------------------------------------
 *
 * storage.c
 *		The tables: what is asked as the caller, and what is done as their owner.
 *
 * The statements name everything with its schema, operators included, and
 * their plans are kept for the session.  Each takes a snapshot of its own, so
 * that a view sees what an update in the same statement has just written.  What runs as the table's owner does
 * so the way foreign-key triggers do (ri_triggers.c).
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
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "storage.h"

#define PRIMARY_NAME "Project dbt connection"
#define LIST_BATCH 100

#define EQ "OPERATOR(pg_catalog.=)"
#define OF_PROJECT " WHERE project_uuid " EQ " $1"
#define OF_SOURCE OF_PROJECT " AND project_dbt_source_uuid " EQ " $2"
#define COLUMNS "project_dbt_source_uuid, name, precedence, dbt_connection"
#define PROJECTS "%1$s.projects"
#define SOURCES "%1$s.project_dbt_sources"

typedef enum Statement
{
	SEE_PROJECT,
	LOCK_PROJECT,
	FETCH_SOURCE,
	LOCK_SOURCE,
	LOCK_PRIMARY,
	LIST_SOURCES,
	RENAME_SOURCE,
	REPLACE_SOURCE,
	INSERT_SOURCE,
	DELETE_SOURCE
} Statement;

#define NUM_STATEMENTS (DELETE_SOURCE + 1)
#define MAX_ARGS 5

/*
 * A project's primary source exists from the first time that one of its
 * sources is changed.  Its row also serves as the lock that gives one
 * precedence to one source: LOCK_PRIMARY writes it, so that of two creators
 * the second waits, and under REPEATABLE READ fails.
 */
static const struct
{
	bool		as_owner;
	int			nargs;
	Oid			argtypes[MAX_ARGS];
	const char *text;
}			statements[NUM_STATEMENTS] = {
	[SEE_PROJECT] = {false, 1, {UUIDOID},
		"SELECT 1 FROM " PROJECTS OF_PROJECT},
	[LOCK_PROJECT] = {false, 1, {UUIDOID},
		"SELECT 1 FROM " PROJECTS OF_PROJECT " FOR KEY SHARE"},
	[FETCH_SOURCE] = {true, 2, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_SOURCE},
	[LOCK_SOURCE] = {true, 2, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_SOURCE " FOR NO KEY UPDATE"},
	[LOCK_PRIMARY] = {true, 1, {UUIDOID},
		"INSERT INTO " SOURCES " (project_uuid, project_dbt_source_uuid, name, precedence)"
		" VALUES ($1, $1, '" PRIMARY_NAME "', 0)"
		" ON CONFLICT (project_uuid, project_dbt_source_uuid) DO UPDATE SET precedence = 0"
		" RETURNING " COLUMNS},
	[LIST_SOURCES] = {true, 1, {UUIDOID},
		"SELECT " COLUMNS " FROM " SOURCES OF_PROJECT
		" ORDER BY is_primary DESC, precedence, name"},
	[RENAME_SOURCE] = {true, 3, {UUIDOID, UUIDOID, TEXTOID},
		"UPDATE " SOURCES " SET name = $3, updated_at = pg_catalog.now()" OF_SOURCE},
	[REPLACE_SOURCE] = {true, 5, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE " SOURCES " SET name = $3, dbt_connection_type = $4, dbt_connection = $5,"
		" updated_at = pg_catalog.now()" OF_SOURCE},
	[INSERT_SOURCE] = {true, 5, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID},
		"INSERT INTO " SOURCES " (project_uuid, project_dbt_source_uuid, name, precedence,"
		" dbt_connection_type, dbt_connection)"
		" SELECT $1, $2, $3, pg_catalog.max(precedence) OPERATOR(pg_catalog.+) 1, $4, $5"
		" FROM " SOURCES OF_PROJECT " RETURNING " COLUMNS},
	[DELETE_SOURCE] = {true, 2, {UUIDOID, UUIDOID},
		"DELETE FROM " SOURCES OF_SOURCE},
};

/* the schema that the extension is in, and the plans made for its name */
static Oid	schema = InvalidOid;
static char *schema_name = NULL;
static SPIPlanPtr plans[NUM_STATEMENTS];

/*
 * Take the schema of the SQL function that was called for the extension's.
 * Every SQL-callable function that uses the tables begins with this.
 */
void
UseSchemaOf(FunctionCallInfo fcinfo)
{
	Oid			oid = get_func_namespace(fcinfo->flinfo->fn_oid);
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
								  CURSOR_OPT_GENERIC_PLAN);
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

/*
 * Become the owner of the tables, if the statement runs as such.  An error puts
 * the caller's identity back when the (sub)transaction is aborted.
 */
static Identity
BecomeOwnerFor(Statement statement)
{
	Identity	caller;

	GetUserIdAndSecContext(&caller.userid, &caller.sec_context);
	if (statements[statement].as_owner)
		SetUserIdAndSecContext(StorageOwner(),
							   caller.sec_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_NOFORCE_RLS);
	return caller;
}

static void
BecomeCaller(Identity caller)
{
	SetUserIdAndSecContext(caller.userid, caller.sec_context);
}

/*
 * A second source of one name is the only thing that violates a unique
 * constraint of ours.
 */
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
		if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("project already has a dbt source of that name")));
	}
	PG_END_TRY();
}

/*
 * The source in a row of COLUMNS, palloc'd in the current context.
 */
static Source *
MakeSource(const pg_uuid_t *project, HeapTuple tuple, TupleDesc desc)
{
	Source	   *source = palloc(sizeof(Source));
	bool		isnull;
	Datum		envelope;

	source->project = *project;
	source->source = *DatumGetUUIDP(heap_getattr(tuple, 1, desc, &isnull));
	source->name = DatumGetTextPCopy(heap_getattr(tuple, 2, desc, &isnull));
	source->precedence = DatumGetInt32(heap_getattr(tuple, 3, desc, &isnull));
	envelope = heap_getattr(tuple, 4, desc, &isnull);
	source->envelope = isnull ? NULL : DatumGetTextPCopy(envelope);
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
	caller = BecomeOwnerFor(statement);
	RunPlan(GetPlan(statement), args, nulls);
	BecomeCaller(caller);
	count = SPI_processed;
	if (result != NULL)
	{
		MemoryContext spi = MemoryContextSwitchTo(cxt);

		*result = count == 0 ? NULL :
			MakeSource(DatumGetUUIDP(args[0]), SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
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
 * Whether the caller may lock the project, which needs UPDATE on any column of
 * the table, and to pass its policies; if so, it is locked.
 *
 * Errors: 42501 if they may not read the table at all.
 */
bool
CanLockProject(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};
	Oid			table = TableOid("projects");

	/* asked first, as the statement itself would raise an error */
	if (pg_class_aclcheck(table, GetUserId(), ACL_UPDATE) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_UPDATE, ACLMASK_ANY) != ACLCHECK_OK)
		return false;
	return Run(LOCK_PROJECT, args, NULL, NULL) > 0;
}

bool
IsPrimary(const Source *source)
{
	return memcmp(&source->project, &source->source, sizeof(pg_uuid_t)) == 0;
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
	if (result == NULL && memcmp(project, source, sizeof(pg_uuid_t)) == 0)
		result = UntouchedPrimary(project);
	return result;
}

/*
 * The same, locked until the end of the transaction.
 */
Source *
LockSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	Datum		args[] = {UUIDPGetDatum(project), UUIDPGetDatum(source)};
	Source	   *result;

	if (memcmp(project, source, sizeof(pg_uuid_t)) == 0)
		return LockPrimarySource(project);
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

	(void) Run(LOCK_PRIMARY, args, NULL, &result);
	return result;
}

/*
 * Hand each source of a project to callback, the primary one first, then by
 * precedence.  The callback runs in a context that is reset after each.
 */
void
ForEachSource(const pg_uuid_t *project, SourceCallback callback, void *arg)
{
	Datum		args[] = {UUIDPGetDatum(project)};
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "dbt source",
												  ALLOCSET_DEFAULT_SIZES);
	bool		first = true;
	Identity	caller;
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	caller = BecomeOwnerFor(LIST_SOURCES);
	portal = SPI_cursor_open(NULL, GetPlan(LIST_SOURCES), args, NULL, false);
	for (;;)
	{
		MemoryContext spi;

		SPI_cursor_fetch(portal, true, LIST_BATCH);
		if (SPI_processed == 0 && !first)
			break;
		spi = MemoryContextSwitchTo(per_row);
		if (first && (SPI_processed == 0 ||
					  memcmp(DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc, 1,
														 &(bool) {false})),
							 project, sizeof(pg_uuid_t)) != 0))
			callback(UntouchedPrimary(project), arg);
		first = false;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(per_row);
			callback(MakeSource(project, SPI_tuptable->vals[i], SPI_tuptable->tupdesc), arg);
		}
		MemoryContextSwitchTo(spi);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	BecomeCaller(caller);
	SPI_finish();
	MemoryContextDelete(per_row);
}

/*
 * Store the name of a source that is locked.
 *
 * Errors: 23505 if the project has another source of that name.
 */
void
RenameSource(const Source *source)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
	PointerGetDatum(source->name)};

	(void) Run(RENAME_SOURCE, args, NULL, NULL);
}

/*
 * Store the name and the connection of a source that is locked.  Errors as
 * above.
 */
void
ReplaceSource(const Source *source, const char *type)
{
	Datum		args[] = {UUIDPGetDatum(&source->project), UUIDPGetDatum(&source->source),
		PointerGetDatum(source->name), CStringGetTextDatum(type),
	PointerGetDatum(source->envelope)};

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
