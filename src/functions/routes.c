/*-------------------------------------------------------------------------
 *
 * routes.c
 *		Which operation a method and a path ask for.
 *
 * Contract: paths, and for its siblings the same resource.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "functions/routes.h"
#include "functions/sources.h"

#define PROJECTS_PATH "/api/v1/projects/"
#define SOURCES_PATH "/dbt-sources"

static const Route routes[] = {
	{"GET", false, false, 200, list_project_dbt_sources},
	{"POST", false, true, 201, create_project_dbt_source},
	{"GET", true, false, 200, get_project_dbt_source},
	{"PATCH", true, true, 200, update_project_dbt_source},
	{"DELETE", true, false, 200, delete_project_dbt_source},
};

/* 'x' is a hexadecimal digit, 'v' one of 8, 9, a, b (contract: UUID) */
static const char uuid_pattern[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";

static bool
MatchesUuidPattern(const char *segment, Size len)
{
	if (len != strlen(uuid_pattern))
		return false;
	for (Size i = 0; i < len; i++)
	{
		char		wanted = uuid_pattern[i];
		unsigned char c = segment[i];

		if (wanted == 'x' ? !isxdigit(c) :
			wanted == 'v' ? c == '\0' || strchr("89ABab", c) == NULL :
			c != (unsigned char) wanted)
			return false;
	}
	return true;
}

/*
 * Take the next segment of a path for a uuid; returns what follows it.
 */
static const char *
ParseUuidSegment(const char *path, const char *name, pg_uuid_t *uuid, Problems *problems)
{
	Size		len = strcspn(path, "/?");

	if (MatchesUuidPattern(path, len))
		*uuid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in,
												   CStringGetDatum(pnstrdup(path, len))));
	else
		AddProblem(problems, name, "must be a UUIDv4");
	return path + len;
}

static bool
SkipPrefix(const char **path, const char *prefix)
{
	if (strncmp(*path, prefix, strlen(prefix)) != 0)
		return false;
	*path += strlen(prefix);
	return true;
}

/*
 * Take a path apart; a query string is ignored.
 */
Target
ParsePath(const char *path)
{
	Target		target = {0};

	if (!SkipPrefix(&path, PROJECTS_PATH))
		return target;
	path = ParseUuidSegment(path, "projectUuid", &target.project, &target.problems);
	if (!SkipPrefix(&path, SOURCES_PATH))
		return target;
	if (*path == '/')
	{
		target.of_source = true;
		path = ParseUuidSegment(path + 1, "projectDbtSourceUuid", &target.source, &target.problems);
	}
	target.known = *path == '\0' || *path == '?';
	return target;
}

/*
 * The route of a method and a known path, or NULL.  A HEAD is a GET whose body
 * the server leaves out.
 */
const Route *
FindRoute(const char *method, const Target *target)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < lengthof(routes); i++)
	{
		if (routes[i].of_source == target->of_source && strcmp(routes[i].method, method) == 0)
			return &routes[i];
	}
	return NULL;
}

/*
 * The methods of a known path, as the header Allow lists them.  RFC 9110,
 * section 10.2.1.
 */
char *
AllowedMethods(const Target *target)
{
	StringInfoData methods;

	initStringInfo(&methods);
	appendStringInfoString(&methods, "HEAD");
	for (size_t i = 0; i < lengthof(routes); i++)
	{
		if (routes[i].of_source == target->of_source)
			appendStringInfo(&methods, ", %s", routes[i].method);
	}
	return methods.data;
}
