/*-------------------------------------------------------------------------
 *
 * tables.c
 *		Which tables there are: that of the sources, and that of the projects,
 *		which its foreign key references.
 *
 * Both belong to users, who may alter them at any time.  What is assumed of them
 * is looked up when it is first needed, and again after whatever could have
 * changed it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "nodes/nodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/domain.h"
#include "storage/tables.h"

#define HINT_ENABLE "Call enable_dbt_sources() with the table of projects."

/* what the statements assume of the table of sources */
static const struct
{
	const char *name;
	Oid			type;
}			columns[] = {
	{"project_uuid", UUIDOID},
	{"project_dbt_source_uuid", UUIDOID},
	{"name", TEXTOID},
	{"precedence", INT4OID},
	{"dbt_connection_type", TEXTOID},
	{"dbt_connection", TEXTOID},
	{"updated_at", TIMESTAMPTZOID},
	{"version", INT8OID},
};

/* the schema that the extension is in */
static Oid	schema = InvalidOid;
static bool locked = false;		/* the tables, by the call that is running */

/* what was found there, in a context of its own; those before it go when the
 * transaction ends, as a statement that is running may still use them */
static Tables *current = NULL;
static MemoryContext current_cxt = NULL;
static bool current_valid = false;
static bool changed = false;	/* any table or function, since it was set */
static List *outdated = NIL;

static void
RaiseNotEnabled(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("dbt sources are not enabled in this database"),
			 errhint(HINT_ENABLE)));
}

char *
QualifiedName(Oid table)
{
	char	   *name = get_rel_name(table);
	char	   *namespace = get_namespace_name(get_rel_namespace(table));

	/* it may have been dropped */
	if (name == NULL || namespace == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", table)));
	return quote_qualified_identifier(namespace, name);
}

Oid
TableOwner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", table)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * The table of sources in a schema, or InvalidOid.
 */
Oid
SourcesTableIn(Oid namespace)
{
	Oid			table = get_relname_relid(SOURCES_TABLE, namespace);
	char		kind = OidIsValid(table) ? get_rel_relkind(table) : '\0';

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ? table : InvalidOid;
}

/*
 * Errors: 55000 if the table of sources isn't as enable_dbt_sources() makes it.
 */
void
RequireSourcesShape(Relation sources)
{
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		Oid			table = RelationGetRelid(sources);
		AttrNumber	attnum = get_attnum(table, columns[i].name);
		Oid			type = attnum == InvalidAttrNumber ? InvalidOid : get_atttype(table, attnum);

		if (type == columns[i].type)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not as enable_dbt_sources() makes it", QualifiedName(table)),
				 OidIsValid(type) ?
				 errdetail("Its column \"%s\" is of type %s, and not %s.", columns[i].name,
						   format_type_be(type), format_type_be(columns[i].type)) :
				 errdetail("It has no column \"%s\" of type %s.", columns[i].name,
						   format_type_be(columns[i].type)),
				 OidIsValid(type) ?
				 errhint("Change its type back with ALTER TABLE; rules of your own can be CHECK constraints.") :
				 errhint("If the library is newer than the extension: ALTER EXTENSION dbt_sources UPDATE.")));
	}
}

/*
 * The foreign keys that say which the projects are, as a List of ProjectsKey.
 * Those to the partitions of a table come with the one to the table.  One that
 * is NOT ENFORCED says nothing.
 */
List *
ProjectsKeys(Relation sources)
{
	AttrNumber	project = get_attnum(RelationGetRelid(sources), "project_uuid");
	List	   *keys = NIL;
	ListCell   *lc;

	/* a copy, as an invalidation may free it */
	foreach(lc, copyObject(RelationGetFKeyList(sources)))
	{
		ForeignKeyCacheInfo *info = lfirst(lc);
		ProjectsKey *key;
		HeapTuple	tuple;
		bool		is_part;

		if (info->nkeys != 1 || info->conkey[0] != project || !IsEnforced(info))
			continue;
		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(info->conoid));
		if (!HeapTupleIsValid(tuple))
			continue;
		is_part = OidIsValid(((Form_pg_constraint) GETSTRUCT(tuple))->conparentid);
		ReleaseSysCache(tuple);
		if (is_part)
			continue;
		key = palloc(sizeof(ProjectsKey));
		key->constraint = info->conoid;
		key->table = info->confrelid;
		key->column = info->confkey[0];
		keys = lappend(keys, key);
	}
	return keys;
}

static void
FindProjects(Relation sources, Tables *tables)
{
	List	   *keys = ProjectsKeys(sources);
	ProjectsKey *first;
	ListCell   *lc;

	if (keys == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("dbt sources are not enabled in this database"),
				 errdetail("Table %s has no foreign key to a table of projects.",
						   QualifiedName(tables->sources)),
				 errhint(HINT_ENABLE)));
	first = linitial(keys);
	foreach(lc, keys)
	{
		ProjectsKey *key = lfirst(lc);

		/* the table decides about rights: the user has to choose */
		if (key->table != first->table || key->column != first->column)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("it is not clear which table has the projects"),
					 errdetail("Column \"project_uuid\" of table %s references %s and %s.",
							   QualifiedName(tables->sources), QualifiedName(first->table),
							   QualifiedName(key->table)),
					 errhint("Drop one of the two foreign keys.")));
	}
	tables->projects = first->table;
	/* so that it keeps its name until the statements are parsed */
	LockRelationOid(first->table, AccessShareLock);
	tables->projects_name = QualifiedName(first->table);
	tables->project_uuid = pstrdup(quote_identifier(get_attname(first->table, first->column, false)));
}

/*
 * Whether the key of an index are two columns of a table, in whatever order.
 */
static bool
IsIndexOn(Form_pg_index index, AttrNumber a, AttrNumber b)
{
	int16	   *key = index->indkey.values;

	return index->indnkeyatts == 2 &&
		((key[0] == a && key[1] == b) || (key[0] == b && key[1] == a));
}

static void
FindConstraints(Relation rel, Tables *tables)
{
	Oid			table = RelationGetRelid(rel);
	AttrNumber	project = get_attnum(table, "project_uuid");
	AttrNumber	source = get_attnum(table, "project_dbt_source_uuid");
	AttrNumber	name = get_attnum(table, "name");
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisunique && heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		{
			if (IsIndexOn(index, project, name))
				tables->name_constraints = lappend(tables->name_constraints, get_rel_name(lfirst_oid(lc)));
			else if (IsIndexOn(index, project, source))
				tables->row_constraints = lappend(tables->row_constraints, get_rel_name(lfirst_oid(lc)));
		}
		ReleaseSysCache(tuple);
	}
}

static void
FindInTree(Relation sources, Tables *tables)
{
	List	   *tree = list_make1_oid(RelationGetRelid(sources));
	ListCell   *lc;

	tables->has_children = sources->rd_rel->relhassubclass;
	if (tables->has_children)
		tree = find_all_inheritors(RelationGetRelid(sources), AccessShareLock, NULL);
	foreach(lc, tree)
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);

		FindConstraints(rel, tables);
		if (tables->unsafe.part == NULL)
			tables->unsafe = FindUnsafePart(rel, TRIGGER_TYPE_EVENT_MASK);
		tables->has_domains = tables->has_domains || tables->unsafe.has_domains;
		table_close(rel, NoLock);
	}
}

/*
 * Look everything up, in the current memory context.
 */
static Tables *
FindTables(void)
{
	static uint64 generation = 0;
	Tables	   *tables = palloc0(sizeof(Tables));
	Relation	sources;

	tables->sources = SourcesTableIn(schema);
	sources = OidIsValid(tables->sources) ?
		try_relation_open(tables->sources, AccessShareLock) : NULL;
	if (sources == NULL)
		RaiseNotEnabled();
	RequireSourcesShape(sources);
	tables->owner = sources->rd_rel->relowner;
	tables->sources_name = QualifiedName(tables->sources);
	tables->schema_name = get_namespace_name(schema);
	FindProjects(sources, tables);
	FindInTree(sources, tables);
	tables->generation = ++generation;
	/* the lock stays until the end of the transaction */
	relation_close(sources, NoLock);
	return tables;
}

static void
ForgetTable(Datum arg pg_attribute_unused(), Oid table)
{
	changed = true;
	if (current != NULL &&
		(!OidIsValid(table) || current->has_children ||
		 table == current->sources || table == current->projects))
		current_valid = false;
}

static void
ForgetTables(Datum arg pg_attribute_unused(),
			 int cacheid pg_attribute_unused(),
			 uint32 hashvalue pg_attribute_unused())
{
	changed = true;
	current_valid = false;
}

/*
 * A domain's constraints have changed, perhaps: each new table has a type, too.
 */
static void
ForgetDomains(Datum arg pg_attribute_unused(),
			  int cacheid pg_attribute_unused(),
			  uint32 hashvalue pg_attribute_unused())
{
	changed = true;
	if (current != NULL && current->has_domains)
		current_valid = false;
}

static void
DropOutdated(XactEvent event pg_attribute_unused(), void *arg pg_attribute_unused())
{
	ListCell   *lc;

	foreach(lc, outdated)
		MemoryContextDelete(lfirst(lc));
	list_free(outdated);
	outdated = NIL;
}

static void
WatchForChanges(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterRelcacheCallback(ForgetTable, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetTables, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, ForgetTables, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, ForgetDomains, (Datum) 0);
	RegisterXactCallback(DropOutdated, NULL);
	watching = true;
}

/*
 * Use the tables of a schema from here on: the extension's.
 */
void
UseSchema(Oid oid)
{
	if (oid != schema)
		current_valid = false;
	schema = oid;
	locked = false;
}

/*
 * The tables as they are now; valid until the end of the transaction.
 *
 * Errors: 55000 if there are none, if they aren't as assumed, or if it isn't
 * clear which they are.
 */
const Tables *
GetTables(void)
{
	MemoryContext cxt;
	MemoryContext caller;
	Tables	   *found;

	WatchForChanges();
	if (current_valid && !locked)
	{
		/* so that they keep their names; sees what others have committed */
		LockRelationOid(current->sources, AccessShareLock);
		LockRelationOid(current->projects, AccessShareLock);
		locked = true;
	}
	if (current_valid)
		return current;

	cxt = AllocSetContextCreate(CurrentMemoryContext, "dbt sources tables", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(cxt);
	changed = false;
	found = FindTables();
	MemoryContextSwitchTo(TopMemoryContext);
	if (current_cxt != NULL)
		outdated = lappend(outdated, current_cxt);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(cxt, TopMemoryContext);
	current = found;
	current_cxt = cxt;
	current_valid = !changed;
	return current;
}
