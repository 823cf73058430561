/*-------------------------------------------------------------------------
 *
 * constraints.h
 *		What a caller is told when the table refuses a row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_CONSTRAINTS_H
#define DBT_SOURCES_CONSTRAINTS_H

#include "postgres.h"

#include "base/compat.h"
#include "storage/tables.h"

pg_noreturn extern void RethrowWriteError(const Tables *tables);

#endif							/* DBT_SOURCES_CONSTRAINTS_H */
