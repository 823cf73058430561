/*-------------------------------------------------------------------------
 *
 * alltables.c
 *		All tables of this database that may hold connections, for who wants to
 *		know which keys are needed.
 *
 * The table that the functions use is read by a statement, like all that is done
 * to it.  An extension that was dropped, or is elsewhere now, has left another
 * one, in whatever schema.  Whose that is nobody knows, and anybody can make one
 * that looks the same.  So it is read without running anything of it: neither a
 * plan, which evaluates expressions of indexes and constraints, nor a foreign
 * table; and nobody waits for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/domain.h"
#include "storage/extension.h"
#include "storage/alltables.h"
#include "storage/tables.h"

#define ENVELOPES "dbt_connection"

/*
 * Whether a table has a column that can have envelopes.  Of what type it has
 * become doesn't matter: until it is changed back, they are still there.  But not
 * every string is a text with a length before it ("name" is none).
 */
static bool
HasEnvelopes(Oid table)
{
	AttrNumber	attnum = get_attnum(table, ENVELOPES);
	char		category;
	bool		ignored;
	Oid			type;

	if (attnum == InvalidAttrNumber)
		return false;
	type = get_atttype(table, attnum);
	get_type_category_preferred(type, &category, &ignored);
	return category == TYPCATEGORY_STRING && get_typlen(type) == -1;
}

/*
 * Whether enable_dbt_sources() may have made a table: a foreign key says which
 * the projects are.  It isn't locked, so its relation isn't opened.
 */
static bool
ReferencesProjects(Oid table)
{
	AttrNumber	project = get_attnum(table, "project_uuid");
	bool		found = false;
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN && IsEnforced(form))
		{
			bool		isnull;
			Datum		columns = heap_getattr(tuple, Anum_pg_constraint_conkey,
											   RelationGetDescr(rel), &isnull);
			ArrayType  *array = DatumGetArrayTypeP(columns);

			found = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 1 &&
				*(AttrNumber *) ARR_DATA_PTR(array) == project;
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The tables of this database that may hold connections, as a List of
 * SourcesTable: the one in the extension's schema, and those that
 * enable_dbt_sources() has made in others.
 */
List *
AllSourcesTables(void)
{
	Oid			schema = ExtensionSchema("dbt_sources", true);
	List	   *tables = NIL;
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_relname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(SOURCES_TABLE));
	scan = systable_beginscan(rel, ClassNameNspIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		bool		in_use = form->relnamespace == schema;
		SourcesTable *table;

		/* another session's temporary table can't be read */
		if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_PARTITIONED_TABLE) ||
			form->relpersistence == RELPERSISTENCE_TEMP ||
			!HasEnvelopes(form->oid) || (!in_use && !ReferencesProjects(form->oid)))
			continue;
		table = palloc(sizeof(SourcesTable));
		table->oid = form->oid;
		table->in_use = in_use;
		tables = lappend(tables, table);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tables;
}

/*
 * Whether the owner may read the envelopes of a table, as whom the statement runs.
 */
static bool
OwnerMayRead(Oid table)
{
	Datum		owner = ObjectIdGetDatum(TableOwner(table));

	return DatumGetBool(DirectFunctionCall3(has_schema_privilege_id_id, owner,
											ObjectIdGetDatum(get_rel_namespace(table)),
											CStringGetTextDatum("USAGE"))) &&
		DatumGetBool(DirectFunctionCall4(has_column_privilege_id_id_attnum, owner,
										 ObjectIdGetDatum(table),
										 Int16GetDatum(get_attnum(table, ENVELOPES)),
										 CStringGetTextDatum("SELECT")));
}

/*
 * Hand the headers of one table that is locked, without its children, to callback.
 */
static void
ScanTable(Relation rel, HeaderCallback callback, void *arg)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), ENVELOPES);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "dbt source",
												  ALLOCSET_DEFAULT_SIZES);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = BeginTableScan(rel, snapshot);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(per_row);
		bool		isnull;
		Datum		envelope = slot_getattr(slot, attnum, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			callback(DatumGetTextPSlice(envelope, 0, HEADER_LEN), arg);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_row);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(per_row);
}

/*
 * Whether this session can read a table at all: not another's temporary one, nor
 * one on a standby that isn't in the write-ahead log, and so has nothing there.
 */
static bool
IsReadableHere(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION && !RELATION_IS_OTHER_TEMP(rel) &&
		!(rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress());
}

static TableAccess
ScanTree(Oid table, HeaderCallback callback, void *arg)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(table, NoLock, NULL))
	{
		Oid			member = lfirst_oid(lc);
		Relation	rel;

		if (!ConditionalLockRelationOid(member, AccessShareLock))
			return TABLE_LOCKED;
		rel = try_relation_open(member, NoLock);
		if (rel == NULL)
		{
			UnlockRelationOid(member, AccessShareLock);
			continue;			/* it has been dropped */
		}
		if (IsReadableHere(rel) && HasEnvelopes(member))
			ScanTable(rel, callback, arg);
		relation_close(rel, AccessShareLock);
	}
	return TABLE_READABLE;
}

/*
 * Hand the beginning of each envelope of a table, with the protected header, to
 * callback.  If the table can't be read, the reason is returned.
 */
TableAccess
ForEachHeader(const SourcesTable *table, HeaderCallback callback, void *arg)
{
	if (!table->in_use)
		return ScanTree(table->oid, callback, arg);
	if (!OwnerMayRead(table->oid))
		return TABLE_DENIED;
	ForEachHeaderIn(table->oid, callback, arg);
	return TABLE_READABLE;
}
