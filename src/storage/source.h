/*-------------------------------------------------------------------------
 *
 * source.h
 *		A dbt source, as a row of the table of sources has it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_SOURCE_H
#define DBT_SOURCES_SOURCE_H

#include "postgres.h"

#include "utils/uuid.h"

/* a row of project_dbt_sources */
typedef struct Source
{
	pg_uuid_t	project;
	pg_uuid_t	source;
	text	   *name;
	int32		precedence;
	int64		version;		/* counts the changes of name and connection */
	char	   *type;			/* of the connection as stored, or NULL */
	text	   *envelope;		/* as stored or to be; NULL as long as there
								 * is no connection */
	bool		as_sent;		/* after it was written: the connection that
								 * was sent is what is stored */
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
extern char *SourceLabel(const Source *source);

#endif							/* DBT_SOURCES_SOURCE_H */
