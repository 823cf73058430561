/*-------------------------------------------------------------------------
 *
 * sources.h
 *		The SQL functions over the dbt sources of a project, for who calls them
 *		from C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_SOURCES_H
#define DBT_SOURCES_SOURCES_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "functions/headers.h"

/* what an operation is asked for, and the version of what it returns */
typedef struct SourceCall
{
	const pg_uuid_t *project;
	const pg_uuid_t *source;
	Jsonb	   *body;
	const Precondition *precondition;	/* or NULL */
	int64		version;		/* set by those on one source; else 0 */
} SourceCall;

extern Jsonb *ListSources(SourceCall *call);
extern Jsonb *CreateSource(SourceCall *call);
extern Jsonb *GetSource(SourceCall *call);
extern Jsonb *UpdateSource(SourceCall *call);
extern Jsonb *RemoveSource(SourceCall *call);

#endif							/* DBT_SOURCES_SOURCES_H */
