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

#include "storage/tables.h"

extern void RethrowWriteError(const Tables *tables) pg_attribute_noreturn();

#endif							/* DBT_SOURCES_CONSTRAINTS_H */
