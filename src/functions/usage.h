/*-------------------------------------------------------------------------
 *
 * usage.h
 *		How many connections of this database a key still holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_USAGE_H
#define DBT_SOURCES_USAGE_H

#include "postgres.h"

extern int64 CountConnections(const char *kid);

#endif							/* DBT_SOURCES_USAGE_H */
