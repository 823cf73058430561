/*-------------------------------------------------------------------------
 *
 * rowlock.c
 *		Locking a row by its primary key without a statement.
 *
 * To start and end the executor costs more than to find and lock one row.  So
 * here the index is asked, as for a row of a catalog.  This knows the plain case
 * only: whatever else may be true of the table or the row, the statement finds
 * out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "rowlock.h"

#define MAX_KEYS 2

/*
 * The index of the primary key, if that consists of the table's first nkeys
 * columns; or else InvalidOid.
 */
static Oid
IndexOfFirstColumns(Relation rel, int nkeys)
{
	Oid			oid = rel->rd_rel->relkind == RELKIND_RELATION ?
		PrimaryKeyIndex(rel) : InvalidOid;
	Relation	index;
	bool		fits;

	if (!OidIsValid(oid))
		return InvalidOid;
	index = index_open(oid, AccessShareLock);
	fits = IndexRelationGetNumberOfKeyAttributes(index) == nkeys;
	for (int i = 0; i < nkeys && fits; i++)
		fits = index->rd_index->indkey.values[i] == i + 1;
	index_close(index, NoLock);
	return fits ? oid : InvalidOid;
}

/*
 * Lock the row whose primary key, the table's first nkeys columns, is key, until
 * the end of the transaction, as SELECT ... FOR mode does under READ COMMITTED.
 * The caller checks privileges and policies.
 *
 * Returns the row, in a slot to be dropped; or NULL if it isn't there, or not as
 * the calling statement sees it, so that a statement has to be run.
 */
TupleTableSlot *
LockRow(Oid table, LockTupleMode mode, const pg_uuid_t *const *key, int nkeys)
{
	Relation	rel;
	Oid			index;
	ScanKeyData keys[MAX_KEYS];
	SysScanDesc scan;
	HeapTuple	tuple;
	TM_FailureData failure;
	TupleTableSlot *row;
	bool		locked = false;

	Assert(nkeys <= MAX_KEYS);
	if (IsolationUsesXactSnapshot())
		return NULL;
	rel = table_open(table, RowShareLock);
	index = IndexOfFirstColumns(rel, nkeys);
	if (!OidIsValid(index))
	{
		table_close(rel, NoLock);
		return NULL;
	}

	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&keys[i], i + 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(key[i]));
	scan = systable_beginscan(rel, index, true, GetActiveSnapshot(), nkeys, keys);
	row = table_slot_create(rel, NULL);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
		locked = table_tuple_lock(rel, &tuple->t_self, GetActiveSnapshot(), row,
								  GetCurrentCommandId(false), mode, LockWaitBlock, 0,
								  &failure) == TM_Ok;
	systable_endscan(scan);
	table_close(rel, NoLock);

	if (locked)
		return row;
	ExecDropSingleTupleTableSlot(row);
	return NULL;
}
