/*-------------------------------------------------------------------------
 *
 * print.h
 *		A connection as JSON, to be stored.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_PRINT_H
#define DBT_SOURCES_PRINT_H

#include "rules/fields.h"

extern bytea *PrintConnection(const ConnectionFields *fields);

#endif							/* DBT_SOURCES_PRINT_H */
