/*-------------------------------------------------------------------------
 *
 * enable.c
 *		Making the table of sources, for the application's table of projects.
 *
 * All that is done to the tables is done by statements, as the caller, so that
 * PostgreSQL checks their privileges.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/domain.h"
#include "base/searchpath.h"
#include "functions/call.h"
#include "storage/tables.h"

/* %1$s is the table, with its schema */
static const char *const create_statements[] = {
	"CREATE TABLE %1$s ("
	" project_uuid uuid NOT NULL,"
	" project_dbt_source_uuid uuid NOT NULL,"
	" name text NOT NULL,"
	" is_primary boolean NOT NULL GENERATED ALWAYS AS (project_uuid OPERATOR(pg_catalog.=) project_dbt_source_uuid) STORED,"
	" precedence integer NOT NULL,"
	" dbt_connection_type text,"
	" dbt_connection text,"
	" created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
	" updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
	" version bigint NOT NULL DEFAULT 1,"
	" PRIMARY KEY (project_uuid, project_dbt_source_uuid),"
	" UNIQUE (project_uuid, name))",
	/* ciphertext does not compress, so don't try */
	"ALTER TABLE %1$s ALTER COLUMN dbt_connection SET STORAGE EXTERNAL",
	"CREATE INDEX ON %1$s (project_uuid, precedence)",
	"COMMENT ON TABLE %1$s IS 'dbt sources of projects with their encrypted connections; use the functions, not the table'",
	"COMMENT ON COLUMN %1$s.project_uuid IS 'the project that the source belongs to'",
	"COMMENT ON COLUMN %1$s.project_dbt_source_uuid IS 'identifies the source; the primary source has the uuid of its project'",
	"COMMENT ON COLUMN %1$s.name IS 'name of the source, unique in its project'",
	"COMMENT ON COLUMN %1$s.is_primary IS 'whether this is the project''s own connection'",
	"COMMENT ON COLUMN %1$s.precedence IS 'order among the sources; 0 is the primary one'",
	"COMMENT ON COLUMN %1$s.dbt_connection_type IS 'type of the connection, for statistics; the encrypted connection is what counts'",
	"COMMENT ON COLUMN %1$s.dbt_connection IS 'the connection as JSON Web Encryption (RFC 7516), bound to this row'",
	"COMMENT ON COLUMN %1$s.created_at IS 'when the source was added'",
	"COMMENT ON COLUMN %1$s.updated_at IS 'when its name or connection was last changed'",
	"COMMENT ON COLUMN %1$s.version IS 'how often its name or connection was changed, from 1'",
};

/* who may do what with the table, besides its owner */
static const char grantees_statement[] =
"SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')"
" FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %s::regclass AND a.grantee <> c.relowner";

/* %2$s is the table of projects, %3$s its column */
static const char reference_statement[] =
"ALTER TABLE %1$s ADD FOREIGN KEY (project_uuid) REFERENCES %2$s (%3$s) ON DELETE CASCADE";

/*
 * What can't be the table of projects, and why.
 */
static const char *
WhyNotProjects(Relation projects)
{
	switch (projects->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			return "It is a view.";
		case RELKIND_MATVIEW:
			return "It is a materialized view.";
		case RELKIND_FOREIGN_TABLE:
			return "It is a foreign table.";
		default:
			return "It is not a table.";
	}
	switch (projects->rd_rel->relpersistence)
	{
		case RELPERSISTENCE_PERMANENT:
			return NULL;
		case RELPERSISTENCE_TEMP:
			return "It is a temporary table.";
		default:
			return "It is an unlogged table.";
	}
}

/*
 * Whether an index lets a foreign key reference the one column that it is on.
 */
static bool
IsUniqueOnOneColumn(HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

	return index->indisunique && index->indimmediate && index->indisvalid &&
		index->indnkeyatts == 1 && heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
}

/*
 * Whether a column of the table is unique by itself; or, if it is not given,
 * which one is the primary key.
 */
static bool
FindUniqueColumn(Relation projects, AttrNumber *column)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(projects))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (IsUniqueOnOneColumn(tuple) &&
			(*column == InvalidAttrNumber ? index->indisprimary : index->indkey.values[0] == *column))
		{
			*column = index->indkey.values[0];
			found = true;
		}
		ReleaseSysCache(tuple);
		if (found)
			break;
	}
	return found;
}

/*
 * The column that identifies a project: the one of that name, or if name is NULL
 * the primary key.
 *
 * Errors: 42703 if there is none of that name; 42830 if it isn't unique; 42804
 * if it is no uuid.
 */
static AttrNumber
ProjectColumn(Relation projects, const char *name)
{
	Oid			table = RelationGetRelid(projects);
	const char *qualified = QualifiedName(table);
	AttrNumber	column = name == NULL ? InvalidAttrNumber : get_attnum(table, name);
	bool		unique;

	if (name != NULL && column <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no column \"%s\"", qualified, name)));
	unique = FindUniqueColumn(projects, &column);
	if (unique && getBaseType(get_atttype(table, column)) == UUIDOID)
		return column;
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("the primary key of table %s is not one column of type uuid", qualified),
				 errhint("Name the column, if another one with a uuid is unique: enable_dbt_sources(projects, project_uuid => '...').")));
	if (getBaseType(get_atttype(table, column)) != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, and not uuid", name, qualified,
						format_type_be(get_atttype(table, column)))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_FOREIGN_KEY),
			 errmsg("column \"%s\" of table %s is not unique", name, qualified),
			 errhint("ALTER TABLE %s ADD UNIQUE (%s), which must not be deferrable.", qualified,
					 quote_identifier(name))));
	return InvalidAttrNumber;	/* keep compiler quiet */
}

/*
 * Whether the table of sources references a column of the projects.
 *
 * Errors: 55000 if it references another.
 */
static bool
IsEnabledFor(Oid sources, Oid projects, AttrNumber column)
{
	Relation	rel = relation_open(sources, AccessShareLock);
	ListCell   *lc;
	bool		enabled = false;

	RequireSourcesShape(rel);
	foreach(lc, ProjectsKeys(rel))
	{
		ProjectsKey *key = lfirst(lc);

		if (key->table != projects || key->column != column)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("dbt sources are already enabled for table %s, by its column \"%s\"",
							QualifiedName(key->table), get_attname(key->table, key->column, false)),
					 errhint("To move them to another table, which needs to have the same projects: ALTER TABLE %s DROP CONSTRAINT %s, and call enable_dbt_sources() again.",
							 QualifiedName(sources),
							 quote_identifier(get_constraint_name(key->constraint)))));
		enabled = true;
	}
	relation_close(rel, NoLock);
	return enabled;
}

static void
RunStatementText(const char *text)
{
	int			code = SPI_execute(text, false, 0);

	if (code < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
}

/*
 * Take from everybody but the owner what the owner's default privileges gave
 * them on a new table.
 */
static void
CloseToOthers(const char *table)
{
	char	   *grantees;

	RunStatementText(psprintf(grantees_statement, quote_literal_cstr(table)));
	grantees = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (grantees != NULL)
		RunStatementText(psprintf("REVOKE ALL ON %s FROM %s", table, grantees));
}

/*
 * Make the table of sources in a schema, unless it is there, and let it
 * reference the projects.
 */
static void
CreateSources(Oid schema, bool exists, Oid projects, AttrNumber column)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(schema), SOURCES_TABLE);
	int			nestlevel = BeginSafePath();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (size_t i = 0; !exists && i < lengthof(create_statements); i++)
		RunStatementText(psprintf(create_statements[i], table));
	if (!exists)
		CloseToOthers(table);
	RunStatementText(psprintf(reference_statement, table, QualifiedName(projects),
							  quote_identifier(get_attname(projects, column, false))));
	SPI_finish();
	AtEOXact_GUC(true, nestlevel);
}

/*
 * enable_dbt_sources(projects regclass, project_uuid name default null) returns regclass
 *
 * Make the table of sources in the schema of the extension, as the caller's own:
 * its foreign key references projects, the application's table, by the column
 * project_uuid, or its primary key.  Whose rights on a row of that table are
 * whose rights on the sources of that project.  Where the table is there without
 * the foreign key, it gets that.  Returns the table.
 *
 * Called again for the same table and column it does nothing but a NOTICE.
 *
 * Errors: 22023 if projects is NULL; 42809 for a view, a foreign table and
 * whatever else is no table, 42P16 for a temporary or unlogged one; 42703, 42804
 * and 42830 for a column that isn't there, that is no uuid, that isn't unique;
 * 42501 without CREATE on the schema or REFERENCES on the table; 55000 if dbt
 * sources are enabled for another table, if what is there isn't as this makes it,
 * and in an extension's script; 25006 in a read-only transaction.
 */
SILENT_FUNCTION(enable_dbt_sources)
{
	static const char *const argnames[] = {"projects"};
	Oid			projects;
	Oid			sources;
	Oid			schema;
	Relation	rel;
	AttrNumber	column;
	const char *why;

	RequireArguments(fcinfo, argnames, lengthof(argnames));
	schema = CalledSchema(fcinfo);
	PreventCommandIfReadOnly("enable_dbt_sources()");
	if (creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("enable_dbt_sources() cannot be called by the script of an extension"),
				 errdetail("The table would belong to the extension, and so not be dumped as a whole.")));

	projects = PG_GETARG_OID(0);
	rel = try_relation_open(projects, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", projects)));
	why = WhyNotProjects(rel);
	if (why != NULL)
		ereport(ERROR,
				(errcode(rel->rd_rel->relkind == RELKIND_RELATION ?
						 ERRCODE_INVALID_TABLE_DEFINITION : ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("dbt sources cannot be enabled for \"%s\"", RelationGetRelationName(rel)),
				 errdetail_internal("%s", why),
				 errhint("Name the table that has a row for each project.")));
	column = ProjectColumn(rel, PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1)));

	/* one at a time, also of those who see no table yet */
	LockDatabaseObject(NamespaceRelationId, schema, 0, ShareUpdateExclusiveLock);
	sources = get_relname_relid(SOURCES_TABLE, schema);
	if (OidIsValid(sources) && !OidIsValid(SourcesTableIn(schema)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", QualifiedName(sources)),
				 errhint("Rename it: that is where the dbt sources are to be kept.")));
	if (OidIsValid(sources) && IsEnabledFor(sources, projects, column))
		ereport(NOTICE,
				(errmsg("dbt sources are already enabled for table %s, skipping",
						QualifiedName(projects))));
	else
		CreateSources(schema, OidIsValid(sources), projects, column);
	relation_close(rel, NoLock);
	PG_RETURN_OID(get_relname_relid(SOURCES_TABLE, schema));
}
