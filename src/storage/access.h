/*-------------------------------------------------------------------------
 *
 * access.h
 *		What the caller may do to a project.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ACCESS_H
#define DBT_SOURCES_ACCESS_H

#include "postgres.h"

#include "utils/uuid.h"

extern bool MayManage(const pg_uuid_t *project);
extern void RequireView(const pg_uuid_t *project);
extern void RequireManage(const pg_uuid_t *project);
extern void RequireManageOfAbsent(const pg_uuid_t *project);
extern void RequireManageOfSource(const pg_uuid_t *project, const pg_uuid_t *source);

#endif							/* DBT_SOURCES_ACCESS_H */
