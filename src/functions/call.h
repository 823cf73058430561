/*-------------------------------------------------------------------------
 *
 * call.h
 *		What every SQL function does around its work: be silent, and refuse
 *		arguments that are NULL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_CALL_H
#define DBT_SOURCES_CALL_H

#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"

/*
 * Begins the definition of an SQL function, in place of PG_FUNCTION_INFO_V1 and
 * "Datum name(PG_FUNCTION_ARGS)"; or of a procedure.
 */
#define SILENT_FUNCTION(name) SILENT(name, "SELECT")
#define SILENT_PROCEDURE(name) SILENT(name, "CALL")

#define SILENT(name, verb) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	static Datum name##_silently(PG_FUNCTION_ARGS); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return CallSilently(fcinfo, name##_silently, verb " " #name "(...)"); \
	} \
	static Datum \
	name##_silently(PG_FUNCTION_ARGS)

extern Datum CallSilently(FunctionCallInfo fcinfo, PGFunction function,
						  const char *statement);
extern void RequireArguments(FunctionCallInfo fcinfo, const char *const *argnames,
							 int count);
extern Oid	CalledSchema(FunctionCallInfo fcinfo);
extern void BeginCall(FunctionCallInfo fcinfo, const char *const *argnames);
extern void ParameterError(const char *message);

#endif							/* DBT_SOURCES_CALL_H */
