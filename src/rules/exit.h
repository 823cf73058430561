/*-------------------------------------------------------------------------
 *
 * exit.h
 *		What the worker that runs dbt doesn't get.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_EXIT_H
#define DBT_SOURCES_EXIT_H

#include "postgres.h"

#include "utils/jsonb.h"

extern Jsonb *LeaveOutRefused(Jsonb *connection);

#endif							/* DBT_SOURCES_EXIT_H */
