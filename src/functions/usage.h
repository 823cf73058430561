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

#include "storage/alltables.h"

/* a name with its schema, each of which may be quoted, and its quotes doubled */
#define QUALIFIED_LEN (4 * NAMEDATALEN + 2)

/* connections of a table */
typedef struct KeyUse
{
	int64		needing;		/* are encrypted with the key in question */
	int64		others;			/* are not, or may be: */
	int64		unreadable;		/* don't say with which they are */
	TableAccess access;			/* whether they could be counted */
	bool		in_use;			/* it is the functions' table */
	char		table[QUALIFIED_LEN];
} KeyUse;

extern KeyUse CountConnections(const SourcesTable *table, const char *kid);
extern bool FindUse(const char *kid, KeyUse *use);
extern const char *WhyUncounted(TableAccess access);

#endif							/* DBT_SOURCES_USAGE_H */
