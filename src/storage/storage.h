/*-------------------------------------------------------------------------
 *
 * storage.h
 *		The table of sources: what is done to it as its owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_STORAGE_H
#define DBT_SOURCES_STORAGE_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/uuid.h"

/* a row of project_dbt_sources */
typedef struct Source
{
	pg_uuid_t	project;
	pg_uuid_t	source;
	text	   *name;
	int32		precedence;
	text	   *envelope;		/* as stored or to be; NULL as long as there is no
								 * connection */
	ItemPointerData tid;		/* where the row is; invalid if that isn't known */
} Source;

/* the key of such a row */
typedef struct SourceKey
{
	pg_uuid_t	project;
	pg_uuid_t	source;
} SourceKey;

typedef void (*SourceCallback) (Source *source, void *arg);

extern bool SameUuid(const pg_uuid_t *a, const pg_uuid_t *b);
extern bool IsPrimary(const Source *source);
extern Source *FetchSource(const pg_uuid_t *project, const pg_uuid_t *source);
extern Source *LockSource(const pg_uuid_t *project, const pg_uuid_t *source);
extern Source *LockPrimarySource(const pg_uuid_t *project);
extern void ForEachAdditionalSource(const pg_uuid_t *project, SourceCallback callback, void *arg);
extern void ForEachHeader(SourceCallback callback, void *arg);
extern void ForEachStaleSource(const SourceKey *after, text *prefix, int limit,
							   SourceCallback callback, void *arg);
extern Source *RenameSource(const pg_uuid_t *project, const pg_uuid_t *source, text *name);
extern void ReplaceSource(Source *source, const char *type);
extern bool ReencryptSource(const Source *source, text *envelope);
extern void InsertSource(Source *source, const char *type);
extern bool DeleteSource(const pg_uuid_t *project, const pg_uuid_t *source);

#endif							/* DBT_SOURCES_STORAGE_H */
