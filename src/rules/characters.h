/*-------------------------------------------------------------------------
 *
 * characters.h
 *		Characters that nobody sees.
 *
 * A code point is known in a UTF-8 database; elsewhere only ASCII is told from
 * the rest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_CHARACTERS_H
#define DBT_SOURCES_CHARACTERS_H

#include "postgres.h"

#include "mb/pg_wchar.h"

/* Walks a string in the database's encoding. */
typedef struct Characters
{
	const char *next;
	const char *end;
} Characters;

extern bool NextCharacter(Characters *characters, pg_wchar *c);
extern bool IsControl(pg_wchar c);
extern bool IsBlank(pg_wchar c);
extern bool IsInvisible(pg_wchar c);

#endif							/* DBT_SOURCES_CHARACTERS_H */
