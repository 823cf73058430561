/*-------------------------------------------------------------------------
 *
 * http.h
 *		The HTTP API: a request in, status and body out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_HTTP_H
#define DBT_SOURCES_HTTP_H

extern int	http_body_limit;	/* dbt_sources.http_body_limit */

#endif							/* DBT_SOURCES_HTTP_H */
