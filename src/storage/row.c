/*-------------------------------------------------------------------------
 *
 * row.c
 *		Locking a row by its primary key, and updating it, without a statement.
 *
 * To start and end a plan costs more than to find and lock one row, or to update
 * it.  So here the index is asked, as for a row of a catalog, and the row updated
 * as logical replication does (execReplication.c).  This knows the plain case
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
#include "catalog/pg_am.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "storage/row.h"

/*
 * The index of the primary key, if that consists of the table's first columns,
 * and the table is stored as those of the catalog are; or else InvalidOid.
 */
static Oid
IndexOfFirstColumns(Relation rel)
{
	bool		is_heap = rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID;
	Oid			oid = is_heap ? PrimaryKeyIndex(rel) : InvalidOid;
	Relation	index;
	bool		fits;

	if (!OidIsValid(oid))
		return InvalidOid;
	index = index_open(oid, AccessShareLock);
	fits = IndexRelationGetNumberOfKeyAttributes(index) == ROW_KEYS;
	for (int i = 0; i < ROW_KEYS && fits; i++)
		fits = index->rd_index->indkey.values[i] == i + 1;
	index_close(index, NoLock);
	return fits ? oid : InvalidOid;
}

/*
 * Lock the row whose primary key, the table's first columns, is key, until the
 * end of the transaction, as SELECT ... FOR NO KEY UPDATE does under READ
 * COMMITTED.  The caller checks privileges and policies.
 *
 * Returns the row, in a slot to be dropped; or NULL if it isn't there, or not as
 * the calling statement sees it, so that a statement has to be run.
 */
TupleTableSlot *
LockRow(Oid table, const pg_uuid_t *const *key)
{
	Relation	rel;
	Oid			index;
	ScanKeyData keys[ROW_KEYS];
	SysScanDesc scan;
	HeapTuple	tuple;
	TM_FailureData failure;
	TupleTableSlot *row;
	bool		locked = false;

	if (IsolationUsesXactSnapshot())
		return NULL;
	rel = table_open(table, RowShareLock);
	index = IndexOfFirstColumns(rel);
	if (!OidIsValid(index))
	{
		table_close(rel, NoLock);
		return NULL;
	}

	for (int i = 0; i < ROW_KEYS; i++)
		ScanKeyInit(&keys[i], i + 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(key[i]));
	scan = systable_beginscan(rel, index, true, GetActiveSnapshot(), ROW_KEYS, keys);
	row = table_slot_create(rel, NULL);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
		locked = table_tuple_lock(rel, &tuple->t_self, GetActiveSnapshot(), row,
								  GetCurrentCommandId(false), LockTupleNoKeyExclusive,
								  LockWaitBlock, 0, &failure) == TM_Ok;
	systable_endscan(scan);
	table_close(rel, NoLock);

	if (locked)
		return row;
	ExecDropSingleTupleTableSlot(row);
	return NULL;
}

/*
 * Whether to update the table is no more than that: it has no rules, and no
 * triggers but those of constraints.
 */
static bool
UpdatesArePlain(Relation rel)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		if (!rel->trigdesc->triggers[i].tgisinternal)
			return false;
	}
	return rel->rd_rules == NULL;
}

/*
 * Give columns of the row at tid, which LockRow() has locked, new values.  The
 * caller checks privileges and policies.
 *
 * Returns false if a statement has to be run.
 */
bool
UpdateRow(Oid table, ItemPointer tid, const NewValue *columns, int ncolumns)
{
	Relation	rel = table_open(table, RowExclusiveLock);
	TupleTableSlot *old;
	TupleTableSlot *new;
	EState	   *estate;
	ResultRelInfo *info;
	Bitmapset  *updated = NULL;

	if (!UpdatesArePlain(rel))
	{
		table_close(rel, NoLock);
		return false;
	}

	/* as SPI does, so that a calling statement can tell its changes from ours */
	CommandCounterIncrement();
	estate = CreateExecutorState();
	old = table_slot_create(rel, &estate->es_tupleTable);
	new = table_slot_create(rel, &estate->es_tupleTable);
	if (!table_tuple_fetch_row_version(rel, tid, SnapshotAny, old))
		elog(ERROR, "a locked row is not there");

	slot_getallattrs(old);
	memcpy(new->tts_values, old->tts_values, old->tts_nvalid * sizeof(Datum));
	memcpy(new->tts_isnull, old->tts_isnull, old->tts_nvalid * sizeof(bool));
	for (int i = 0; i < ncolumns; i++)
	{
		new->tts_values[columns[i].attnum - 1] = columns[i].value;
		new->tts_isnull[columns[i].attnum - 1] = false;
		updated = bms_add_member(updated, columns[i].attnum - FirstLowInvalidHeapAttributeNumber);
	}
	ExecStoreVirtualTuple(new);

	InitRangeTable(estate, rel, updated);
	info = makeNode(ResultRelInfo);
	InitResultRelInfo(info, rel, 1, NULL, 0);
	estate->es_opened_result_relations = list_make1(info);
	AfterTriggerBeginQuery();
	ExecOpenIndices(info, false);
	ExecSimpleRelationUpdate(info, estate, NULL, old, new);
	ExecCloseIndices(info);
	AfterTriggerEndQuery(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	CommandCounterIncrement();
	table_close(rel, NoLock);
	return true;
}
