/*-------------------------------------------------------------------------
 *
 * compat.h
 *		What differs between PostgreSQL 14 and 18, and nowhere else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_COMPAT_H
#define DBT_SOURCES_COMPAT_H

#include "postgres.h"

#include "catalog/pg_database.h"

/* Early minor releases have no mark for an interrupted DROP DATABASE. */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB -2
#endif

/* PostgreSQL 16 took what handles varlena values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 15 made the check for unknown settings into a reservation. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* PostgreSQL 18 asks whether a deferrable primary key will do. */
#if PG_VERSION_NUM >= 180000
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex(rel)
#endif

#endif							/* DBT_SOURCES_COMPAT_H */
