/*-------------------------------------------------------------------------
 *
 * unsafe.c
 *		What of a table must not run as its owner.
 *
 * Whoever calls has a statement run as the owner of the table, and with it what
 * users have put on the table: triggers, constraints, defaults, expressions of
 * indexes, rules.  What the caller has made in pg_temp must not stand in for a
 * table or a type in there (PostgreSQL: "Writing SECURITY DEFINER Functions
 * Safely").  The statement's search_path has pg_temp last, so it comes down to
 * functions that have one of their own.
 *
 * What these functions call in turn isn't looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/domain.h"
#include "base/searchpath.h"
#include "storage/unsafe.h"

/* the search_path that a function sets for itself */
typedef enum OwnPath
{
	NO_PATH,
	SAFE_PATH,
	UNSAFE_PATH
} OwnPath;

/*
 * Whether a search_path names pg_temp last.  Where it isn't named it comes first,
 * before pg_catalog, and in an empty path, too: a domain of the name "text" is
 * enough.
 */
static bool
IsSafePath(const char *path)
{
	List	   *names;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(path), ',', &names))
		return false;
	foreach(lc, names)
	{
		/* named twice, it is where it is named first */
		if (strcmp(lfirst(lc), "pg_temp") == 0)
			return lnext(names, lc) == NULL;
	}
	return false;
}

static OwnPath
PathInSettings(Datum config)
{
	static const char setting[] = "search_path=";
	Datum	   *settings;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT,
					  &settings, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *config_text = TextDatumGetCString(settings[i]);

		if (strncmp(config_text, setting, strlen(setting)) == 0)
			return IsSafePath(config_text + strlen(setting)) ? SAFE_PATH : UNSAFE_PATH;
	}
	return NO_PATH;
}

/*
 * What PostgreSQL itself brings looks up no names, whatever the path is.
 */
static bool
IsBuiltIn(Form_pg_proc function)
{
	return function->prolang == INTERNALlanguageId &&
		function->pronamespace == PG_CATALOG_NAMESPACE &&
		function->proowner == BOOTSTRAP_SUPERUSERID;
}

static OwnPath
PathOf(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	OwnPath		path = NO_PATH;
	bool		isnull;
	Datum		config;

	if (!HeapTupleIsValid(tuple))
		return NO_PATH;
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
		path = PathInSettings(config);
	else if (IsBuiltIn((Form_pg_proc) GETSTRUCT(tuple)))
		path = SAFE_PATH;
	ReleaseSysCache(tuple);
	return path;
}

static Oid	UnsafeFunctionOf(Oid class, Oid object);

/* whether FindUnsafePart() has come to a domain */
static bool has_domains;

/*
 * Constraints of a domain depend on it, and not the other way round.
 */
static Oid
UnsafeFunctionOfDomain(Oid type)
{
	Oid			function = UnsafeFunctionOf(TypeRelationId, type);
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	has_domains = true;
	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (!OidIsValid(function) && HeapTupleIsValid(tuple = systable_getnext(scan)))
		function = UnsafeFunctionOf(ConstraintRelationId,
									((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return function;
}

static Oid
UnsafeFunctionIn(Oid class, Oid object)
{
	if (class == OperatorRelationId)
		object = get_opcode(object);
	else if (class == TypeRelationId)
		return get_typtype(object) == TYPTYPE_DOMAIN ? UnsafeFunctionOfDomain(object) : InvalidOid;
	else if (class != ProcedureRelationId)
		return InvalidOid;
	return PathOf(object) == UNSAFE_PATH ? object : InvalidOid;
}

/*
 * A function that an object's expressions call with a search_path of its own that
 * isn't safe, or InvalidOid: PostgreSQL keeps what they depend on.
 */
static Oid
UnsafeFunctionOf(Oid class, Oid object)
{
	Oid			function = InvalidOid;
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, key);
	while (!OidIsValid(function) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dependency = (Form_pg_depend) GETSTRUCT(tuple);

		/* before 15 a generated column itself depends on what it calls */
		if (dependency->deptype == DEPENDENCY_NORMAL ||
			(dependency->deptype == DEPENDENCY_AUTO && dependency->objsubid != 0))
			function = UnsafeFunctionIn(dependency->refclassid, dependency->refobjid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return function;
}

static bool
CheckPart(Oid class, Oid object, Oid function, UnsafePart *unsafe)
{
	ObjectAddress address;
	int			nestlevel;

	if (!OidIsValid(function))
		return true;
	ObjectAddressSet(address, class, object);
	/* so that it is named with its schema */
	nestlevel = BeginSafePath();
	unsafe->part = getObjectDescription(&address, false);
	AtEOXact_GUC(true, nestlevel);
	unsafe->function = format_procedure_qualified(function);
	return false;
}

/*
 * The triggers of some events (as in tgtype).  Their function has to have a path: a
 * deferred one runs at the commit, when that of our statements is gone.
 */
static bool
CheckTriggers(Relation rel, int events, UnsafePart *unsafe)
{
	/* a copy, as an invalidation may free it */
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	bool		safe = true;

	for (int i = 0; safe && triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (trigger->tgisinternal || trigger->tgenabled == TRIGGER_DISABLED ||
			(trigger->tgtype & events) == 0)
			continue;
		safe = CheckPart(TriggerRelationId, trigger->tgoid,
						 PathOf(trigger->tgfoid) == SAFE_PATH ?
						 UnsafeFunctionOf(TriggerRelationId, trigger->tgoid) : trigger->tgfoid,
						 unsafe);
	}
	return safe;
}

static bool
CheckIndexes(Relation rel, UnsafePart *unsafe)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		if (!CheckPart(RelationRelationId, lfirst_oid(lc),
					   UnsafeFunctionOf(RelationRelationId, lfirst_oid(lc)), unsafe))
			return false;
	}
	return true;
}

/*
 * Constraints, defaults, generated columns and rules.
 */
static bool
CheckDependents(Oid table, UnsafePart *unsafe)
{
	bool		safe = true;
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, key);
	while (safe && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend part = (Form_pg_depend) GETSTRUCT(tuple);

		/* views, and other tables' foreign keys, aren't parts of the table */
		if ((part->deptype == DEPENDENCY_AUTO || part->deptype == DEPENDENCY_INTERNAL) &&
			(part->classid == ConstraintRelationId || part->classid == AttrDefaultRelationId ||
			 part->classid == RewriteRelationId))
			safe = CheckPart(part->classid, part->objid,
							 UnsafeFunctionOf(part->classid, part->objid), unsafe);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return safe;
}

/*
 * The first part of a table that calls a function with a search_path that a
 * caller could lead astray; of the triggers those of some events count.
 */
UnsafePart
FindUnsafePart(Relation rel, int events)
{
	Oid			table = RelationGetRelid(rel);
	UnsafePart	unsafe = {0};

	has_domains = false;
	/* the last: the types of its columns, and how it is partitioned */
	(void) (CheckTriggers(rel, events, &unsafe) && CheckIndexes(rel, &unsafe) &&
			CheckDependents(table, &unsafe) &&
			CheckPart(RelationRelationId, table, UnsafeFunctionOf(RelationRelationId, table),
					  &unsafe));
	unsafe.has_domains = has_domains;
	return unsafe;
}

/* what a foreign key does to the rows that reference one that is gone, or has changed */
static const struct
{
	Oid			function;
	int			event;
	int			causes;
}			referential_actions[] = {
	{F_RI_FKEY_CASCADE_DEL, TRIGGER_TYPE_DELETE, TRIGGER_TYPE_DELETE},
	{F_RI_FKEY_SETNULL_DEL, TRIGGER_TYPE_DELETE, TRIGGER_TYPE_UPDATE},
	{F_RI_FKEY_SETDEFAULT_DEL, TRIGGER_TYPE_DELETE, TRIGGER_TYPE_UPDATE},
	{F_RI_FKEY_CASCADE_UPD, TRIGGER_TYPE_UPDATE, TRIGGER_TYPE_UPDATE},
	{F_RI_FKEY_SETNULL_UPD, TRIGGER_TYPE_UPDATE, TRIGGER_TYPE_UPDATE},
	{F_RI_FKEY_SETDEFAULT_UPD, TRIGGER_TYPE_UPDATE, TRIGGER_TYPE_UPDATE}
};

/* rows of a table are deleted, or updated */
typedef struct Change
{
	Oid			table;
	int			event;
} Change;

static void
AddChange(List **changes, Oid table, int event)
{
	Change	   *change;
	ListCell   *lc;

	foreach(lc, *changes)
	{
		change = lfirst(lc);
		if (change->table == table && change->event == event)
			return;
	}
	change = palloc(sizeof(Change));
	change->table = table;
	change->event = event;
	*changes = lappend(*changes, change);
}

/*
 * Add the change of a table, and of all that the rows may be in.
 */
static void
AddChangeOfTree(List **changes, Oid table, int event)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(table, AccessShareLock, NULL))
		AddChange(changes, lfirst_oid(lc), event);
}

static void
AddChangesOfReferencing(List **changes, Relation rel, int event)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		for (size_t j = 0; j < lengthof(referential_actions); j++)
		{
			if (triggers->triggers[i].tgfoid == referential_actions[j].function &&
				referential_actions[j].event == event)
				AddChangeOfTree(changes, triggers->triggers[i].tgconstrrelid, referential_actions[j].causes);
		}
	}
}

/*
 * The same of all that the deletion of a row causes in other tables: those that
 * reference it, and those that reference these.
 */
UnsafePart
FindUnsafePartOfDelete(Oid table)
{
	UnsafePart	unsafe = {0};
	List	   *changes = NIL;
	int			own;

	AddChangeOfTree(&changes, table, TRIGGER_TYPE_DELETE);
	own = list_length(changes);
	for (int i = 0; unsafe.part == NULL && i < list_length(changes); i++)
	{
		const Change *change = list_nth(changes, i);
		Relation	rel = table_open(change->table, AccessShareLock);

		if (i >= own)
			unsafe = FindUnsafePart(rel, change->event);
		AddChangesOfReferencing(&changes, rel, change->event);
		table_close(rel, NoLock);
	}
	return unsafe;
}
