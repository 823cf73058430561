/*-------------------------------------------------------------------------
 *
 * access.c
 *		What the caller may do to a project: what their rights on its row in
 *		the table of projects, row level security included, let them do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access.h"
#include "domain.h"
#include "storage.h"

/*
 * Errors: P0002 if the caller doesn't see the project; 42501 if they may not
 * read the table of projects at all.
 */
void
RequireView(const pg_uuid_t *project)
{
	if (!CanSeeProject(project))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("project not found")));
}

/*
 * Locks the project's row against deletion, so that what is written to its
 * sources stays.
 *
 * Errors: as above, and 42501 if the caller sees the project, but may not lock
 * it.
 */
void
RequireManage(const pg_uuid_t *project)
{
	if (CanLockProject(project))
		return;
	RequireView(project);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for project"),
			 errhint("Managing its dbt sources needs UPDATE on the project's row.")));
}

/*
 * What RequireManage() is to a source that is there: its project is there, too,
 * by the foreign key, so who manages every project needs no look at this one.
 * Where the source isn't found, RequireManage() tells whether its project is.
 *
 * Errors: as above.
 */
void
RequireManageOfSource(const pg_uuid_t *project)
{
	if (!CanLockAnyProject())
		RequireManage(project);
}
