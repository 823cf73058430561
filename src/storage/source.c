/*-------------------------------------------------------------------------
 *
 * source.c
 *		A dbt source, as a row of the table of sources has it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

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

/*
 * How messages name a source: by its name, and by its uuid.
 */
char *
SourceLabel(const Source *source)
{
	char	   *uuid = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->source)));

	return source->name == NULL ? uuid :
		psprintf("\"%s\" (%s)", text_to_cstring(source->name), uuid);
}
