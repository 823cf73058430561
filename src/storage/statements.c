/*-------------------------------------------------------------------------
 *
 * statements.c
 *		The statements over the tables, and as whom they run.
 *
 * They name everything with its schema, operators included, and their plans are
 * kept for the session.  Each takes a snapshot of its own, so that a view sees
 * what an update in the same statement has just written.  What runs as the
 * tables' owner does so the way foreign-key triggers do (ri_triggers.c), with a
 * search_path that isn't the caller's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "base/domain.h"
#include "base/searchpath.h"
#include "storage/constraints.h"
#include "storage/statements.h"
#include "storage/tables.h"

#define FETCH_BATCH 100

#define EQ "OPERATOR(pg_catalog.=)"
#define PLUS "OPERATOR(pg_catalog.+)"
#define OF_PROJECT " WHERE project_uuid " EQ " $1"
#define OF_SOURCE OF_PROJECT " AND project_dbt_source_uuid " EQ " $2"

/* what every statement returns of a source */
#define PLAIN_COLUMNS "name, precedence, version, dbt_connection_type"
#define COLUMNS PLAIN_COLUMNS ", dbt_connection"
#define NO_CONNECTION PLAIN_COLUMNS ", NULL::pg_catalog.text"
/* what it is of, unless the arguments say so */
#define KEY ", project_uuid, project_dbt_source_uuid"
/* whether the connection that was sent is what is stored */
#define AS_SENT(parameter) PLAIN_COLUMNS ", dbt_connection " EQ " " parameter

#define CHANGED "version = version " PLUS " 1, updated_at = pg_catalog.now()"

/* %1$s is the table; %2$s a projects' column that identifies them */
#define OF_TABLE " FROM %1$s"

#define NUM_STATEMENTS (DELETE_SOURCE + 1)
#define NUM_COLUMNS 5			/* without the key */
#define MAX_ARGS 6

#define GENERIC CURSOR_OPT_GENERIC_PLAN
#define CUSTOM CURSOR_OPT_CUSTOM_PLAN

/* on which table, and so as whom: the projects as the caller */
typedef enum Role
{
	CALLER_ON_PROJECTS,
	OWNER_READS,
	OWNER_WRITES
} Role;

/*
 * A project's primary source exists from the first time that one of its
 * sources is changed.  Its row also serves as the lock that gives one
 * precedence to one source: LOCK_PRIMARY writes it, so that of two creators
 * the second waits, and under REPEATABLE READ fails.
 *
 * A distributed database runs a generic plan only if it leads to one node: one
 * table, its keys equal to parameters, nothing nested.
 */
/* INDENT OFF */
static const struct
{
	Role		role;
	int			plan;			/* cursor option */
	Oid			argtypes[MAX_ARGS + 1]; /* the one after the last is zero */
	const char *text;
}			statements[NUM_STATEMENTS] = {
	[SEE_PROJECT] = {CALLER_ON_PROJECTS, GENERIC, {UUIDOID},
		"SELECT 1" OF_TABLE " WHERE %2$s " EQ " $1"},
	[LOCK_PROJECT] = {CALLER_ON_PROJECTS, GENERIC, {UUIDOID},
		"SELECT 1" OF_TABLE " WHERE %2$s " EQ " $1 FOR KEY SHARE"},
	[FETCH_SOURCE] = {OWNER_READS, GENERIC, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS OF_TABLE OF_SOURCE},
	[LOCK_SOURCE] = {OWNER_READS, GENERIC, {UUIDOID, UUIDOID},
		"SELECT " COLUMNS OF_TABLE OF_SOURCE " FOR NO KEY UPDATE"},
	[LOCK_STALE_SOURCE] = {OWNER_READS, GENERIC, {UUIDOID, UUIDOID, TEXTOID},
		"SELECT " NO_CONNECTION OF_TABLE OF_SOURCE
		" AND dbt_connection " EQ " $3 FOR NO KEY UPDATE SKIP LOCKED"},
	[LOCK_PRIMARY] = {OWNER_WRITES, GENERIC, {UUIDOID},
		"UPDATE %1$s SET precedence = 0" OF_PROJECT
		" AND project_dbt_source_uuid " EQ " $1 RETURNING " NO_CONNECTION},
	[ADD_PRIMARY] = {OWNER_WRITES, GENERIC, {UUIDOID},
		"INSERT INTO %1$s (project_uuid, project_dbt_source_uuid, name, precedence)"
		" VALUES ($1, $1, '" PRIMARY_NAME "', 0)"},
	[LIST_ADDITIONAL] = {OWNER_READS, GENERIC, {UUIDOID},
		"SELECT " COLUMNS KEY OF_TABLE OF_PROJECT
		" AND project_dbt_source_uuid OPERATOR(pg_catalog.<>) $1 ORDER BY precedence, name"},
	/* planned for its limit, so that a batch reads no more than it needs */
	[LIST_STALE] = {OWNER_READS, CUSTOM, {UUIDOID, UUIDOID, TEXTOID, INT4OID},
		"SELECT " COLUMNS KEY OF_TABLE
		" WHERE ($1 IS NULL OR ROW(project_uuid, project_dbt_source_uuid) OPERATOR(pg_catalog.>) ROW($1, $2))"
		" AND pg_catalog.substr(dbt_connection, 1, pg_catalog.length($3)) OPERATOR(pg_catalog.<>) $3"
		" ORDER BY project_uuid, project_dbt_source_uuid LIMIT $4"},
	[LAST_PRECEDENCE] = {OWNER_READS, GENERIC, {UUIDOID},
		"SELECT " NO_CONNECTION KEY OF_TABLE OF_PROJECT " ORDER BY precedence DESC LIMIT 1"},
	[RENAME_SOURCE] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID, TEXTOID},
		"UPDATE %1$s SET name = $3, " CHANGED OF_SOURCE " RETURNING " COLUMNS},
	[REPLACE_SOURCE] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE %1$s SET name = COALESCE($3, name), dbt_connection_type = $4, dbt_connection = $5, "
		CHANGED OF_SOURCE " RETURNING " AS_SENT("$5")},
	[REPLACE_WHOLLY] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE %1$s SET name = COALESCE($3, name), dbt_connection_type = $4, dbt_connection = $5, "
		CHANGED OF_SOURCE
		" AND pg_catalog.substr(dbt_connection, 1, pg_catalog.length($6)) " EQ " $6"
		" RETURNING " AS_SENT("$5")},
	[REENCRYPT_SOURCE] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID, TEXTOID},
		"UPDATE %1$s SET dbt_connection = $3" OF_SOURCE " RETURNING " AS_SENT("$3")},
	[INSERT_SOURCE] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID, TEXTOID, INT4OID, TEXTOID, TEXTOID},
		"INSERT INTO %1$s (project_uuid, project_dbt_source_uuid, name, precedence,"
		" dbt_connection_type, dbt_connection) VALUES ($1, $2, $3, $4, $5, $6)"
		" RETURNING " AS_SENT("$6")},
	[DELETE_SOURCE] = {OWNER_WRITES, GENERIC, {UUIDOID, UUIDOID},
		"DELETE" OF_TABLE OF_SOURCE},
};
/* INDENT ON */

/*
 * The plans made for the tables of a generation.  Those before go when the
 * transaction ends, as an outer call may be running one of them.
 */
static SPIPlanPtr plans[NUM_STATEMENTS];
static uint64 plans_generation = 0;
static List *outdated_plans = NIL;

/* who runs, and which settings are put back afterwards */
typedef struct Identity
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;		/* of settings, or 0 */
} Identity;

static void
DropOutdatedPlans(XactEvent event pg_attribute_unused(), void *arg pg_attribute_unused())
{
	ListCell   *lc;

	foreach(lc, outdated_plans)
		SPI_freeplan(lfirst(lc));
	list_free(outdated_plans);
	outdated_plans = NIL;
}

static void
ForgetPlans(void)
{
	static bool registered = false;
	MemoryContext caller;

	if (!registered)
		RegisterXactCallback(DropOutdatedPlans, NULL);
	registered = true;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = 0; i < NUM_STATEMENTS; i++)
	{
		if (plans[i] != NULL)
			outdated_plans = lappend(outdated_plans, plans[i]);
		plans[i] = NULL;
	}
	MemoryContextSwitchTo(caller);
}

static int
CountArgs(const Oid *argtypes)
{
	int			nargs = 0;

	while (OidIsValid(argtypes[nargs]))
		nargs++;
	return nargs;
}

static SPIPlanPtr
GetPlan(Statement statement, const Tables *tables)
{
	if (plans_generation != tables->generation)
	{
		ForgetPlans();
		plans_generation = tables->generation;
	}
	if (plans[statement] == NULL)
	{
		char	   *text = statements[statement].role == CALLER_ON_PROJECTS ?
			psprintf(statements[statement].text, tables->projects_name, tables->project_uuid) :
			psprintf(statements[statement].text, tables->sources_name);
		const Oid  *argtypes = statements[statement].argtypes;
		SPIPlanPtr	plan = SPI_prepare_cursor(text, CountArgs(argtypes), unconstify(Oid *, argtypes),
											  statements[statement].plan);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
		plans[statement] = plan;
	}
	return plans[statement];
}

/*
 * Become the owner of a table, with restrictions (of a security context) that
 * are added.  An error puts the caller's identity and settings back when the
 * (sub)transaction is aborted.
 */
static Identity
BecomeOwner(Oid owner, int restrictions)
{
	Identity	caller;

	GetUserIdAndSecContext(&caller.userid, &caller.sec_context);
	SetUserIdAndSecContext(owner,
						   caller.sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS | restrictions);
	caller.nestlevel = BeginSafePath();
	return caller;
}

static void
RefuseUnsafePart(UnsafePart unsafe)
{
	if (unsafe.part == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s is not safe to run", unsafe.part),
			 errdetail("It runs as the owner of the table, and its function %s has no search_path of its own that ends with pg_temp.",
					   unsafe.function),
			 errhint("ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp, with the schemas that it needs before pg_temp.",
					 unsafe.function)));
}

/*
 * Errors: 55000 if the statement writes, and something would run as the owner that
 * a caller could lead astray.
 */
static Identity
BecomeWhoRuns(Statement statement, const Tables *tables)
{
	Identity	nobody = {InvalidOid, 0, 0};

	if (statements[statement].role == OWNER_WRITES)
		RefuseUnsafePart(tables->unsafe);
	if (statement == DELETE_SOURCE)
		RefuseUnsafePart(FindUnsafePartOfDelete(tables->sources));
	return statements[statement].role == CALLER_ON_PROJECTS ? nobody : BecomeOwner(tables->owner, 0);
}

static void
BecomeCaller(Identity caller)
{
	if (caller.nestlevel == 0)
		return;
	AtEOXact_GUC(true, caller.nestlevel);
	SetUserIdAndSecContext(caller.userid, caller.sec_context);
}

static void
RunPlan(Statement statement, const Tables *tables, Datum *args, const char *nulls)
{
	MemoryContext cxt = CurrentMemoryContext;
	SPIPlanPtr	plan = GetPlan(statement, tables);

	PG_TRY();
	{
		int			code = SPI_execute_plan(plan, args, nulls, false, 0);

		if (code < 0)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(code));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		if (statements[statement].role == OWNER_WRITES)
			RethrowWriteError(tables);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * A column that the table has NOT NULL as we make it.
 */
static Datum
GetColumn(HeapTuple tuple, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of a dbt source is null",
						NameStr(TupleDescAttr(desc, column - 1)->attname)),
				 errhint("The table has it NOT NULL as enable_dbt_sources() makes it.")));
	return value;
}

/*
 * The source in a row that a statement returned, palloc'd in the current
 * context; args are the statement's.  An envelope that is stored out of line is
 * not fetched here, as not everybody needs it.
 */
static Source *
MakeSource(HeapTuple tuple, TupleDesc desc, Datum *args)
{
	Source	   *source = palloc0(sizeof(Source));
	bool		has_key = desc->natts > NUM_COLUMNS;
	bool		isnull;
	Datum		value;

	source->project = *DatumGetUUIDP(has_key ? GetColumn(tuple, desc, NUM_COLUMNS + 1) : args[0]);
	source->source = *DatumGetUUIDP(has_key ? GetColumn(tuple, desc, NUM_COLUMNS + 2) : args[1]);
	source->name = DatumGetTextPCopy(GetColumn(tuple, desc, 1));
	source->precedence = DatumGetInt32(GetColumn(tuple, desc, 2));
	source->version = DatumGetInt64(GetColumn(tuple, desc, 3));
	value = heap_getattr(tuple, 4, desc, &isnull);
	source->type = isnull ? NULL : TextDatumGetCString(value);
	value = heap_getattr(tuple, NUM_COLUMNS, desc, &isnull);
	if (TupleDescAttr(desc, NUM_COLUMNS - 1)->atttypid == BOOLOID)
		source->as_sent = !isnull && DatumGetBool(value);
	else if (!isnull)
		source->envelope = (text *) DatumGetPointer(datumCopy(value, false, -1));
	return source;
}

static void
ConnectSpi(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/*
 * Run a statement; returns how many rows it found or changed, and the first one, if
 * asked for, in *result.
 */
uint64
RunStatement(Statement statement, Datum *args, const char *nulls, Source **result)
{
	const Tables *tables = GetTables();
	MemoryContext cxt = CurrentMemoryContext;
	Identity	caller;
	uint64		count;

	ConnectSpi();
	caller = BecomeWhoRuns(statement, tables);
	RunPlan(statement, tables, args, nulls);
	BecomeCaller(caller);
	count = SPI_processed;
	if (result != NULL)
	{
		MemoryContext spi = MemoryContextSwitchTo(cxt);

		*result = count == 0 ? NULL :
			MakeSource(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, args);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return count;
}

typedef void (*RowCallback) (HeapTuple row, TupleDesc desc, void *arg);

/*
 * Hand each row of a cursor to callback, in a context that is reset after each.
 * What callback runs, such as a trigger with CLOSE ALL, can't close it meanwhile.
 */
static void
ForEachFetched(Portal portal, RowCallback callback, void *arg)
{
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "dbt source",
												  ALLOCSET_DEFAULT_SIZES);

	PinPortal(portal);
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
			callback(batch->vals[i], batch->tupdesc, arg);
			MemoryContextReset(per_row);
		}
		MemoryContextSwitchTo(spi);
		SPI_freetuptable(batch);
	}
	UnpinPortal(portal);
	SPI_cursor_close(portal);
}

typedef struct SourceReceiver
{
	SourceCallback callback;
	void	   *arg;
} SourceReceiver;

static void
ReceiveSource(HeapTuple row, TupleDesc desc, void *arg)
{
	SourceReceiver *receiver = arg;

	receiver->callback(MakeSource(row, desc, NULL), receiver->arg);
}

/*
 * Hand each source that a statement finds to callback.
 */
void
ForEachRow(Statement statement, Datum *args, const char *nulls,
		   SourceCallback callback, void *arg)
{
	const Tables *tables = GetTables();
	SourceReceiver receiver = {callback, arg};
	Identity	caller;

	ConnectSpi();
	caller = BecomeWhoRuns(statement, tables);
	ForEachFetched(SPI_cursor_open(NULL, GetPlan(statement, tables), args, nulls, false),
				   ReceiveSource, &receiver);
	BecomeCaller(caller);
	SPI_finish();
}

typedef struct HeaderReceiver
{
	HeaderCallback callback;
	void	   *arg;
} HeaderReceiver;

static void
ReceiveHeader(HeapTuple row, TupleDesc desc, void *arg)
{
	HeaderReceiver *receiver = arg;
	bool		isnull;

	/* of what is stored out of line only the beginning is read */
	receiver->callback(DatumGetTextPSlice(heap_getattr(row, 1, desc, &isnull), 0, HEADER_LEN),
					   receiver->arg);
}

/*
 * Hand the beginning of each envelope of a table, with the protected header, to
 * callback.  This may be in a database where no function has been called.
 */
void
ForEachHeaderIn(Oid table, HeaderCallback callback, void *arg)
{
	HeaderReceiver receiver = {callback, arg};
	Identity	caller;
	char	   *statement;

	ConnectSpi();
	statement = psprintf("SELECT CAST(dbt_connection AS pg_catalog.text) FROM %s WHERE dbt_connection IS NOT NULL",
						 QualifiedName(table));
	/* nobody expects anything to run that changes something now */
	caller = BecomeOwner(TableOwner(table), SECURITY_RESTRICTED_OPERATION);
	ForEachFetched(SPI_cursor_open_with_args(NULL, statement, 0, NULL, NULL, NULL, false, 0),
				   ReceiveHeader, &receiver);
	BecomeCaller(caller);
	SPI_finish();
}
