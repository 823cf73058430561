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

#include "access/htup.h"
#include "access/tupdesc.h"

#include "storage/source.h"

typedef enum Statement
{
	SEE_PROJECT,
	LOCK_PROJECT,
	FETCH_SOURCE,
	LOCK_SOURCE,
	LOCK_PRIMARY,
	ADD_PRIMARY,
	LIST_ADDITIONAL,
	LIST_HEADERS,
	LIST_STALE,
	RENAME_SOURCE,
	REPLACE_SOURCE,
	REENCRYPT_SOURCE,
	INSERT_SOURCE,
	DELETE_SOURCE
} Statement;

#define PRIMARY_NAME "Project dbt connection"

/* columns of the table; what statements return begins in the same order */
#define ANUM_PROJECT 1
#define ANUM_SOURCE 2
#define ANUM_NAME 3
#define ANUM_PRECEDENCE 5
#define ANUM_TYPE 6
#define ANUM_ENVELOPE 7
#define ANUM_UPDATED_AT 9

typedef struct Identity
{
	Oid			userid;
	int			sec_context;
} Identity;

extern void UseSchema(Oid oid);
extern Oid	TableOid(const char *name);
extern Identity BecomeOwner(void);
extern void BecomeCaller(Identity caller);
extern void RethrowStorageError(MemoryContext cxt);
extern Source *MakeSource(HeapTuple tuple, TupleDesc desc);
extern uint64 RunStatement(Statement statement, Datum *args, const char *nulls, Source **result);
extern void ForEachRow(Statement statement, Datum *args, const char *nulls,
					   SourceCallback callback, void *arg);

#endif							/* DBT_SOURCES_STATEMENTS_H */
