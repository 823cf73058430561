/*-------------------------------------------------------------------------
 *
 * statements.h
 *		The statements over the tables, and as whom they run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_STATEMENTS_H
#define DBT_SOURCES_STATEMENTS_H

#include "postgres.h"

#include "storage/source.h"

typedef enum Statement
{
	SEE_PROJECT,
	LOCK_PROJECT,
	FETCH_SOURCE,
	LOCK_SOURCE,
	LOCK_STALE_SOURCE,
	LOCK_PRIMARY,
	ADD_PRIMARY,
	LIST_ADDITIONAL,
	LIST_STALE,
	LAST_PRECEDENCE,
	RENAME_SOURCE,
	REPLACE_SOURCE,
	REPLACE_WHOLLY,
	REENCRYPT_SOURCE,
	INSERT_SOURCE,
	DELETE_SOURCE
} Statement;

#define PRIMARY_NAME "Project dbt connection"

/* gets the beginning of an envelope: one byte more than EnvelopeKid() looks at */
#define HEADER_LEN 4097
typedef void (*HeaderCallback) (text *header, void *arg);

extern uint64 RunStatement(Statement statement, Datum *args, const char *nulls, Source **result);
extern void ForEachRow(Statement statement, Datum *args, const char *nulls,
					   SourceCallback callback, void *arg);
extern void ForEachHeaderIn(Oid table, HeaderCallback callback, void *arg);

#endif							/* DBT_SOURCES_STATEMENTS_H */
