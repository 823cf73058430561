/*-------------------------------------------------------------------------
 *
 * tables.h
 *		Which tables there are: that of the sources, and that of the projects,
 *		which its foreign key references.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_TABLES_H
#define DBT_SOURCES_TABLES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/unsafe.h"
#include "utils/rel.h"

#define SOURCES_TABLE "project_dbt_sources"

typedef struct Tables
{
	Oid			sources;
	Oid			owner;			/* of that */
	char	   *sources_name;	/* quoted, with its schema */
	char	   *schema_name;	/* that, as it is */
	Oid			projects;
	char	   *projects_name;	/* likewise */
	char	   *project_uuid;	/* the column of the projects, quoted */
	List	   *row_constraints;	/* names of what keeps the keys unique, */
	List	   *name_constraints;	/* and the names in a project */
	bool		has_children;	/* partitions, or tables that inherit */
	UnsafePart	unsafe;			/* what must not run as the owner, if anything */
	bool		has_domains;	/* whose constraints were looked at */
	uint64		generation;		/* tells these from those found before */
} Tables;

/* a foreign key of the table of sources that says which the projects are */
typedef struct ProjectsKey
{
	Oid			constraint;
	Oid			table;
	AttrNumber	column;
} ProjectsKey;

extern void UseSchema(Oid schema);
extern const Tables *GetTables(void);
extern Oid	SourcesTableIn(Oid schema);
extern List *ProjectsKeys(Relation sources);
extern void RequireSourcesShape(Relation sources);
extern char *QualifiedName(Oid table);
extern Oid	TableOwner(Oid table);

#endif							/* DBT_SOURCES_TABLES_H */
