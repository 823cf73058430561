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
#include "storage/statements.h"

/* what became of an attempt to re-encrypt a source */
typedef enum Reencryption
{
	REENCRYPTED,
	REENCRYPTION_SKIPPED,		/* it is locked, changed or gone */
	REENCRYPTION_REFUSED		/* by a trigger or a rule */
} Reencryption;

extern Source *FetchSource(const pg_uuid_t *project, const pg_uuid_t *source);
extern Source *LockSource(const pg_uuid_t *project, const pg_uuid_t *source);
extern Source *LockOrAddSource(const pg_uuid_t *project, const pg_uuid_t *source);
extern void LockForCreation(const pg_uuid_t *project);
extern void ForEachAdditionalSource(const pg_uuid_t *project, SourceCallback callback, void *arg);
extern void ForEachStaleSource(const SourceKey *after, text *prefix, int limit,
							   SourceCallback callback, void *arg);
extern Source *RenameSource(const pg_uuid_t *project, const pg_uuid_t *source, text *name);
extern Source *ReplaceSource(const Source *source, const char *type);
extern Source *ReplaceWholly(const Source *source, const char *type, text *prefix);
extern Reencryption ReencryptSource(const Source *source, text *envelope);
extern int32 LastPrecedence(const pg_uuid_t *project);
extern int32 NextPrecedence(int32 precedence);
extern Source *InsertSource(const Source *source, const char *type);
extern bool DeleteSource(const pg_uuid_t *project, const pg_uuid_t *source);

#endif							/* DBT_SOURCES_STORAGE_H */
