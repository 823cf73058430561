/*-------------------------------------------------------------------------
 *
 * row.h
 *		Locking a row by its primary key, and updating it, without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ROW_H
#define DBT_SOURCES_ROW_H

#include "postgres.h"

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "utils/uuid.h"

/* how many columns the primary key has */
#define ROW_KEYS 2

/* a column of a row, and its new value, which is not NULL */
typedef struct NewValue
{
	AttrNumber	attnum;
	Datum		value;
} NewValue;

extern TupleTableSlot *LockRow(Oid table, const pg_uuid_t *const *key);
extern bool UpdateRow(Oid table, ItemPointer tid, const NewValue *columns, int ncolumns);

#endif							/* DBT_SOURCES_ROW_H */
