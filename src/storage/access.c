/*-------------------------------------------------------------------------
 *
 * access.c
 *		What the caller may do to a project: what their rights on its row in
 *		the table of projects, row level security included, let them do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rls.h"

#include "storage/access.h"
#include "base/domain.h"
#include "storage/statements.h"
#include "storage/tables.h"

/*
 * Whether the caller sees the project.
 *
 * Errors: 42501 if they may not read the table at all.
 */
static bool
CanSeeProject(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	return RunStatement(SEE_PROJECT, args, NULL, NULL) > 0;
}

static bool
MayUpdate(Oid table)
{
	return pg_class_aclcheck(table, GetUserId(), ACL_UPDATE) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_UPDATE, ACLMASK_ANY) == ACLCHECK_OK;
}

/*
 * Whether the caller may lock the project, which needs UPDATE on any column of
 * the table, and to pass its policies; if so, it is locked.
 *
 * Errors: 42501 if they may not read the table at all.
 */
static bool
CanLockProject(const pg_uuid_t *project)
{
	Datum		args[] = {UUIDPGetDatum(project)};

	/* asked first, as the statement itself would raise an error */
	return MayUpdate(GetTables()->projects) && RunStatement(LOCK_PROJECT, args, NULL, NULL) > 0;
}

/*
 * Whether no policy restricts which projects the caller may lock.
 */
static bool
NoPolicyApplies(void)
{
	return check_enable_rls(GetTables()->projects, InvalidOid, true) != RLS_ENABLED;
}

/*
 * Whether the caller may lock whatever project there is, and owns its sources.
 */
static bool
OwnsAllSources(void)
{
	const Tables *tables = GetTables();

	return tables->owner == GetUserId() &&
		pg_class_aclcheck(tables->projects, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		MayUpdate(tables->projects) && NoPolicyApplies();
}

/*
 * Whether the caller may manage a project that they see, as far as can be asked:
 * a transaction that can't write can't take the lock that tells.
 */
bool
MayManage(const pg_uuid_t *project)
{
	return !XactReadOnly && CanLockProject(project);
}

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
	while (!CanLockProject(project))
	{
		RequireView(project);
		/* or else it was deleted, and what was seen is another row */
		if (!MayUpdate(GetTables()->projects) || !NoPolicyApplies())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for project"),
					 errhint("Managing its dbt sources needs UPDATE on the project's row.")));
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * What RequireManage() is to a source that is there: its project is there, too,
 * by the foreign key, so who owns all sources needs no look at this one.
 * Where the source isn't found, RequireManageOfAbsent() makes up for that.
 * The primary source may have no row, and so needs that of its project.
 *
 * Errors: as above.
 */
void
RequireManageOfSource(const pg_uuid_t *project, const pg_uuid_t *source)
{
	if (SameUuid(project, source) || !OwnsAllSources())
		RequireManage(project);
}

/*
 * After RequireManageOfSource(), where the source isn't found: whether its
 * project is there.
 *
 * Who was asked before isn't asked again: in a distributed database nobody but
 * the owner can look at anything after the owner's statement has written.
 */
void
RequireManageOfAbsent(const pg_uuid_t *project)
{
	if (OwnsAllSources())
		RequireManage(project);
}
