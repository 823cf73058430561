/*-------------------------------------------------------------------------
 *
 * usage.h
 *		How many connections of this database need a key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_USAGE_H
#define DBT_SOURCES_USAGE_H

#include "postgres.h"

/* connections of a database */
typedef struct KeyUse
{
	int64		needing;		/* are encrypted with the key in question */
	int64		others;			/* are not, or may be: */
	int64		unreadable;		/* don't say with which they are */
} KeyUse;

extern KeyUse CountConnections(const char *kid);

#endif							/* DBT_SOURCES_USAGE_H */
