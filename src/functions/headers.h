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

#include "utils/jsonb.h"

extern bool AreHeaders(Jsonb *headers);
extern char *FindHeader(Jsonb *headers, const char *name);
extern bool IsJsonType(const char *content_type);
extern bool IsIdentity(const char *content_encoding);

#endif							/* DBT_SOURCES_HEADERS_H */
