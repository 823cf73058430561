/*-------------------------------------------------------------------------
 *
 * statement.h
 *		What others see as the statement that is running.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_STATEMENT_H
#define DBT_SOURCES_STATEMENT_H

#include "postgres.h"

extern void ShowStatement(const char *statement);

#endif							/* DBT_SOURCES_STATEMENT_H */
