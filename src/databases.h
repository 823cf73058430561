/*-------------------------------------------------------------------------
 *
 * databases.h
 *		Asking the other databases of the cluster.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_DATABASES_H
#define DBT_SOURCES_DATABASES_H

#include "postgres.h"

typedef void (*DatabaseCallback) (Oid database, const char *name, void *arg);

extern void ForEachDatabase(DatabaseCallback callback, void *arg);
extern int64 CountConnectionsIn(Oid database, const char *name, const char *kid);

#endif							/* DBT_SOURCES_DATABASES_H */
