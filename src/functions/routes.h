/*-------------------------------------------------------------------------
 *
 * routes.h
 *		Which operation a method and a path ask for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_ROUTES_H
#define DBT_SOURCES_ROUTES_H

#include "postgres.h"

#include "utils/uuid.h"

#include "functions/sources.h"
#include "rules/problems.h"

/* an operation of the API */
typedef struct Route
{
	const char *method;
	bool		of_source;		/* of one source, not of all of a project */
	bool		takes_body;
	bool		is_conditional; /* If-Match counts */
	int			status;			/* of a success */
	Jsonb	   *(*operation) (SourceCall *call);
} Route;

/* what a path leads to */
typedef struct Target
{
	bool		known;			/* there is a route with that path */
	bool		of_source;
	pg_uuid_t	project;
	pg_uuid_t	source;
	Problems	problems;		/* of the uuids in it */
} Target;

extern Target ParsePath(const char *path);
extern const Route *FindRoute(const char *method, const Target *target);
extern char *AllowedMethods(const Target *target);

#endif							/* DBT_SOURCES_ROUTES_H */
