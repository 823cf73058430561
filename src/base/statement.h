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
extern void ShowInPlaceOfClients(const char *statement);
extern void ShowClientsAgain(void);

#endif							/* DBT_SOURCES_STATEMENT_H */
