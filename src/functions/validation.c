/*-------------------------------------------------------------------------
 *
 * validation.c
 *		The problems of a connection, as a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "functions/call.h"
#include "rules/validate.h"

/*
 * validate_dbt_connection(dbt_connection jsonb) returns table (path, message)
 *
 * The problems of a connection by itself, without a stored one whose secrets it
 * could keep; no row if it is valid.  Contract: DbtProjectConfig.
 *
 * Errors: 22023 for a NULL argument.
 */
SILENT_FUNCTION(validate_dbt_connection)
{
	static const char *const argnames[] = {"dbt_connection"};
	FuncCallContext *funcctx;
	List	   *problems;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		TupleDesc	tupdesc;
		Problems	found = NO_PROBLEMS;
		ConnectionFields fields;

		RequireArguments(fcinfo, argnames, lengthof(argnames));
		funcctx = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		funcctx->tuple_desc = BlessTupleDesc(tupdesc);
		ReadConnection(PG_GETARG_JSONB_P(0), &fields);
		ValidateConnection(&fields, &found);
		funcctx->user_fctx = ListProblems(found);
		MemoryContextSwitchTo(caller);
	}

	funcctx = SRF_PERCALL_SETUP();
	problems = funcctx->user_fctx;
	if (funcctx->call_cntr < (uint64) list_length(problems))
	{
		Problem    *problem = list_nth(problems, funcctx->call_cntr);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		values[0] = CStringGetTextDatum(problem->path);
		values[1] = CStringGetTextDatum(problem->message);
		SRF_RETURN_NEXT(funcctx,
						HeapTupleGetDatum(heap_form_tuple(funcctx->tuple_desc, values, nulls)));
	}
	SRF_RETURN_DONE(funcctx);
}
