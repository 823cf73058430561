/*-------------------------------------------------------------------------
 *
 * variables.h
 *		Which environment variables dbt may be started with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_VARIABLES_H
#define DBT_SOURCES_VARIABLES_H

#include "postgres.h"

#include "utils/jsonb.h"

extern const char *RefuseVariable(const JsonbValue *name);

#endif							/* DBT_SOURCES_VARIABLES_H */
