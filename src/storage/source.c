/*-------------------------------------------------------------------------
 *
 * source.c
 *		A dbt source, as a row of the table of sources has it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/source.h"

bool
SameUuid(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

bool
IsPrimary(const Source *source)
{
	return SameUuid(&source->project, &source->source);
}
