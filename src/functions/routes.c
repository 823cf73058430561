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
	{"GET", false, false, false, 200, ListSources},
	{"POST", false, true, false, 201, CreateSource},
	{"GET", true, false, false, 200, GetSource},
	{"PATCH", true, true, true, 200, UpdateSource},
	{"DELETE", true, false, true, 200, RemoveSource},
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
	Size		len = strcspn(path, "/");

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

static int
HexValue(unsigned char c)
{
	return isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/*
 * A path without its query string, and without the percent-encoding of what
 * needs none (%2D is a hyphen).  RFC 3986, section 6.2.2.2.
 */
static char *
NormalizePath(const char *path)
{
	char	   *normalized = palloc(strlen(path) + 1);
	char	   *end = normalized;

	for (; *path != '\0' && *path != '?'; path++)
	{
		*end = *path;
		if (path[0] == '%' && isxdigit((unsigned char) path[1]) && isxdigit((unsigned char) path[2]))
		{
			unsigned char c = HexValue(path[1]) << 4 | HexValue(path[2]);

			if (c < 0x80 && (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL)))
			{
				*end = c;
				path += 2;
			}
		}
		end++;
	}
	*end = '\0';
	return normalized;
}

/*
 * Take a path apart; a query string is ignored, and so is a slash at the end.
 */
Target
ParsePath(const char *path)
{
	Target		target = {0};

	path = NormalizePath(path);
	if (!SkipPrefix(&path, PROJECTS_PATH))
		return target;
	path = ParseUuidSegment(path, "projectUuid", &target.project, &target.problems);
	if (!SkipPrefix(&path, SOURCES_PATH))
		return target;
	if (path[0] == '/' && path[1] != '\0')
	{
		target.of_source = true;
		path = ParseUuidSegment(path + 1, "projectDbtSourceUuid", &target.source, &target.problems);
	}
	if (*path == '/')
		path++;
	target.known = *path == '\0';
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
