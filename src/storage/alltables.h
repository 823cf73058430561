/*-------------------------------------------------------------------------
 *
 * alltables.h
 *		All tables of this database that may hold connections.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ALLTABLES_H
#define DBT_SOURCES_ALLTABLES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/statements.h"

/* a table that may hold connections */
typedef struct SourcesTable
{
	Oid			oid;
	bool		in_use;			/* it is the one of the extension's functions */
} SourcesTable;

/* whether its rows can be read */
typedef enum TableAccess
{
	TABLE_READABLE,
	TABLE_LOCKED,
	TABLE_DENIED
} TableAccess;

extern List *AllSourcesTables(void);
extern TableAccess ForEachHeader(const SourcesTable *table, HeaderCallback callback, void *arg);

#endif							/* DBT_SOURCES_ALLTABLES_H */
