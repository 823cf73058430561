/*-------------------------------------------------------------------------
 *
 * sources.h
 *		The SQL functions over the dbt sources of a project, for who calls them
 *		from C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_SOURCES_H
#define DBT_SOURCES_SOURCES_H

#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"

extern PGDLLEXPORT Datum update_project_dbt_source(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum create_project_dbt_source(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum list_project_dbt_sources(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum get_project_dbt_source(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum delete_project_dbt_source(PG_FUNCTION_ARGS);

#endif							/* DBT_SOURCES_SOURCES_H */
