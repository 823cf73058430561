/*-------------------------------------------------------------------------
 *
 * rowlock.h
 *		Locking a row by its primary key without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ROWLOCK_H
#define DBT_SOURCES_ROWLOCK_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "utils/uuid.h"

extern TupleTableSlot *LockRow(Oid table, LockTupleMode mode,
							   const pg_uuid_t *const *key, int nkeys);

#endif							/* DBT_SOURCES_ROWLOCK_H */
