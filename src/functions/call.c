/*-------------------------------------------------------------------------
 *
 * call.c
 *		What every SQL function does around its work: be silent, and refuse
 *		arguments that are NULL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/lsyscache.h"

#include "functions/call.h"
#include "base/domain.h"
#include "base/statement.h"
#include "storage/tables.h"

/*
 * Call a function so that nobody quotes the statement that called it, which may
 * hold secrets as literals.
 *
 * PostgreSQL shows that statement in the log with whatever error or message
 * comes up, ours or of what we call, up to the commit; in pg_stat_activity, and
 * from there in the log of a deadlock.  All of them see a constant instead,
 * until the next statement; or, if the hooks have hidden what is in that one, until
 * the call is over.  The contexts of our callers (PL/pgSQL, SPI, the
 * parameters of a portal) quote it too, so no message that is raised below here
 * reaches them.  An error puts error_context_stack back by itself.
 */
Datum
CallSilently(FunctionCallInfo fcinfo, PGFunction function, const char *statement)
{
	ErrorContextCallback *callers = error_context_stack;
	Datum		result;

	if (debug_query_string != NULL && debug_query_string != statement)
		ShowStatement(statement);
	error_context_stack = NULL;
	result = function(fcinfo);
	error_context_stack = callers;
	ShowClientsAgain();
	return result;
}

/*
 * Raise a ParameterError: SQLSTATE 22023.
 */
void
ParameterError(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", message)));
}

/*
 * The first count arguments may not be NULL.
 */
void
RequireArguments(FunctionCallInfo fcinfo, const char *const *argnames, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (PG_ARGISNULL(i))
			ParameterError(psprintf("%s must not be null", argnames[i]));
	}
}

/*
 * The schema that the extension is in: that of the function that was called.
 *
 * Errors: 42883 if that was dropped after the statement had been parsed.
 */
Oid
CalledSchema(FunctionCallInfo fcinfo)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("the function that was called has been dropped")));
	return schema;
}

/*
 * No argument may be NULL; and the tables are in the schema of the function that
 * was called.
 */
void
BeginCall(FunctionCallInfo fcinfo, const char *const *argnames)
{
	RequireArguments(fcinfo, argnames, PG_NARGS());
	UseSchema(CalledSchema(fcinfo));
}
