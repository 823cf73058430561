/*-------------------------------------------------------------------------
 *
 * unsafe.h
 *		What of a table must not run as its owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_UNSAFE_H
#define DBT_SOURCES_UNSAFE_H

#include "postgres.h"

#include "utils/rel.h"

/* a part of a table, in words, and the function in it; or both are NULL */
typedef struct UnsafePart
{
	char	   *part;
	char	   *function;
	bool		has_domains;	/* another type may change what is found */
} UnsafePart;

extern UnsafePart FindUnsafePart(Relation rel, int events);
extern UnsafePart FindUnsafePartOfDelete(Oid table);

#endif							/* DBT_SOURCES_UNSAFE_H */
