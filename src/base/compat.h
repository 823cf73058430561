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
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "parser/parse_relation.h"
#include "utils/rel.h"

/*
 * PostgreSQL 16 hides what a library doesn't mark as exported.  So do we before
 * it, lest another library's function of the same name is called.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

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

/*
 * A lexer for JSON in the database's encoding.  PostgreSQL 17 can put it into
 * memory of the caller's.
 */
static inline JsonLexContext *
LexJson(char *text)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, strlen(text), GetDatabaseEncoding(), false);
#else
	return makeJsonLexContextCstringLen(text, strlen(text), GetDatabaseEncoding(), false);
#endif
}

/*
 * Let an executor state know one table, of which the given columns are updated.
 * PostgreSQL 16 has these with the permissions, and not with the table; 18 asks
 * which tables were not pruned.
 */
static inline void
InitRangeTable(EState *estate, Relation rel, Bitmapset *updated)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
#if PG_VERSION_NUM >= 160000
	List	   *perminfos = NIL;
#endif

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&perminfos, rte)->updatedCols = updated;
#else
	rte->updatedCols = updated;
#endif
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(rte), perminfos, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, list_make1(rte), perminfos);
#else
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

#endif							/* DBT_SOURCES_COMPAT_H */
