/*-------------------------------------------------------------------------
 *
 * headers.h
 *		What the headers of a request say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_HEADERS_H
#define DBT_SOURCES_HEADERS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* SQLSTATE of a precondition that isn't met; HTTP's only, named as PostgREST does */
#define ERRCODE_PRECONDITION_FAILED MAKE_SQLSTATE('P','T','4','1','2')

/* the header If-Match */
typedef struct Precondition
{
	bool		any;			/* whatever version there is */
	List	   *tags;			/* or one of these: the text of versions */
} Precondition;

extern bool AreHeaders(Jsonb *headers);
extern char *FindHeader(Jsonb *headers, const char *name);
extern bool IsJsonType(const char *content_type);
extern bool ParseIfMatch(const char *if_match, Precondition *precondition);
extern void RequireVersion(const Precondition *precondition, int64 version);
extern char *EntityTag(int64 version);
extern bool IsIdentity(const char *content_encoding);

#endif							/* DBT_SOURCES_HEADERS_H */
