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

#include "storage/source.h"

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
