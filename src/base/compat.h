/*-------------------------------------------------------------------------
 *
 * compat.h
 *		What differs between PostgreSQL 14 and 19, and nowhere else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_COMPAT_H
#define DBT_SOURCES_COMPAT_H

#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "common/jsonapi.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "parser/analyze.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

/*
 * PostgreSQL 16 hides what a library doesn't mark as exported.  So do we before
 * it, lest another library's function of the same name is called.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

/* PostgreSQL 19 has a word for what compilers no longer take a comment for. */
#ifndef pg_fallthrough
#if defined(__has_attribute)
#if __has_attribute(fallthrough)
#define pg_fallthrough __attribute__((fallthrough))
#endif
#endif
#endif
#ifndef pg_fallthrough
#define pg_fallthrough
#endif

/* PostgreSQL 18 wants that word first, where C23 has it, too. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
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

/* PostgreSQL 18 shows which plan is running, if an extension identifies it. */
#if PG_VERSION_NUM < 180000
#define pgstat_get_my_plan_id() 0
#define pgstat_report_plan_id(plan_id, force) ((void) (plan_id))
#endif

/* PostgreSQL 18 doesn't ask any more whether a portal is run once. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMETERS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count
#else
#define EXECUTOR_RUN_PARAMETERS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count, execute_once
#endif

/* PostgreSQL 18 has foreign keys that are only a comment. */
#if PG_VERSION_NUM >= 180000
#define IsEnforced(key) ((key)->conenforced)
#else
#define IsEnforced(key) true
#endif

/* PostgreSQL 19 wants to know what else there is to a scan: nothing. */
#if PG_VERSION_NUM >= 190000
#define BeginTableScan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL, 0)
#else
#define BeginTableScan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#endif

/* PostgreSQL 19 lets nobody change what it knows of a statement's constants. */
#if PG_VERSION_NUM >= 190000
typedef const JumbleState *JumbleStateArg;
#else
typedef JumbleState *JumbleStateArg;
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
 * PostgreSQL 19 has what is being built, and then the result, in one struct.
 * Its memory is that of the state's stack, so this carries the stack over.
 */
#if PG_VERSION_NUM >= 190000
static inline JsonbValue *
PushJsonbValue(JsonbParseState **state, JsonbIteratorToken seq, JsonbValue *value)
{
	JsonbInState whole = {.parseState = *state};

	pushJsonbValue(&whole, seq, value);
	*state = whole.parseState;
	return whole.result;
}
#define pushJsonbValue(state, seq, value) PushJsonbValue(state, seq, value)
#endif

/* PostgreSQL 15 begins a transaction after the one that a procedure commits. */
static inline void
CommitProcedure(void)
{
	SPI_commit();
#if PG_VERSION_NUM < 150000
	SPI_start_transaction();
#endif
}

#endif							/* DBT_SOURCES_COMPAT_H */
