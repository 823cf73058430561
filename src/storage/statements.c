/*-------------------------------------------------------------------------
 *
 * statements.c
 *		The statements over the tables, and as whom they run.
 *
 * They name everything with its schema, operators included, and their plans are
 * kept for the session.  Each takes a snapshot of its own, so that a view sees
 * what an update in the same statement has just written.  What runs as the
 * tables' owner does so the way foreign-key triggers do (ri_triggers.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/domain.h"
#include "storage/statements.h"

#define FETCH_BATCH 100

#define EQ "OPERATOR(pg_catalog.=)"
#define OF_PROJECT " WHERE project_uuid " EQ " $1"
#define OF_SOURCE OF_PROJECT " AND project_dbt_source_uuid " EQ " $2"
#define PLAIN_COLUMNS "project_uuid, project_dbt_source_uuid, name, is_primary, precedence, dbt_connection_type"
#define COLUMNS PLAIN_COLUMNS ", dbt_connection"
#define HEADERS PLAIN_COLUMNS ", pg_catalog.substr(dbt_connection, 1, 4097)"

#define PROJECTS "%1$s.projects"
#define SOURCES "%1$s.project_dbt_sources"

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

Oid
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
Identity
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

void
BecomeCaller(Identity caller)
{
	SetUserIdAndSecContext(caller.userid, caller.sec_context);
}

/*
 * Raise the error that was caught; a violated unique constraint in words of our
 * own, as only a second source of one name violates one.
 */
void
RethrowStorageError(MemoryContext cxt)
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
		RethrowStorageError(cxt);
	}
	PG_END_TRY();
}

/*
 * The source in a row of COLUMNS or of the table, palloc'd in the current
 * context.  An envelope that is stored out of line is not fetched here, as not
 * everybody needs it.
 */
Source *
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
uint64
RunStatement(Statement statement, Datum *args, const char *nulls, Source **result)
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
 * Hand each row of a statement to callback, in a context that is reset after
 * each.
 */
void
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
