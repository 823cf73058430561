/*-------------------------------------------------------------------------
 *
 * path.c
 *		A path and what it is made of.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "utils/builtins.h"
#include "utils/uuid.h"

#include "functions/routes.h"

extern void path(const char *input, Size len);

#define UNRESERVED "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

static bool
SameTarget(const char *a, const char *b)
{
	Target		x = ParsePath(a);
	Target		y = ParsePath(b);

	return x.known == y.known && x.of_source == y.of_source && x.problems.count == y.problems.count &&
		memcmp(&x.project, &y.project, UUID_LEN) == 0 && memcmp(&x.source, &y.source, UUID_LEN) == 0;
}

/*
 * With the encoding of what needs none.  RFC 3986, section 2.3.
 */
static char *
Encoded(const char *path)
{
	StringInfoData encoded;

	initStringInfo(&encoded);
	for (; *path != '\0'; path++)
		appendStringInfo(&encoded, strchr(UNRESERVED, *path) != NULL ? "%%%02x" : "%c", (unsigned char) *path);
	return encoded.data;
}

static char *
UuidText(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/*
 * The path of a target that has no problems.
 */
static char *
PathOf(const Target *target)
{
	return JoinStrings("/api/v1/projects/", UuidText(&target->project), "/dbt-sources",
					   target->of_source ? "/" : NULL, UuidText(&target->source), NULL);
}

static void
SetVersion4(pg_uuid_t *uuid)
{
	uuid->data[6] = (uuid->data[6] & 0x0F) | 0x40;
	uuid->data[8] = (uuid->data[8] & 0x3F) | 0x80;
}

void
path(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *text = RestOf(&rest);
	Target		target = ParsePath(text);

	HOLDS(SameTarget(text, JoinStrings(text, "?", text, NULL)), "a query counts for nothing");
	if (len <= MAX_MATCHED && strpbrk(text, "%?") == NULL)
	{
		HOLDS(target.known == Matches(text, "^/api/v1/projects/[^/]*/dbt-sources(/[^/]*)?/?$"), "a path is known by its segments");
		HOLDS(SameTarget(text, Encoded(text)), "what needs no encoding means the same with one");
	}
	if (target.known && target.problems.count == 0)
	{
		HOLDS(SameTarget(text, PathOf(&target)), "a path is that of its uuids");
		HOLDS(strlen(text) >= strlen(PathOf(&target)), "and not shorter");
	}
	(void) FindRoute(text, &target);
	HOLDS(target.of_source == (strstr(AllowedMethods(&target), "PATCH") != NULL), "sources are changed");

	if (len >= 2 * UUID_LEN)
	{
		Target		joined = {.known = true,.of_source = len % 2 == 0};

		memcpy(&joined.project, input, UUID_LEN);
		SetVersion4(&joined.project);
		if (joined.of_source)
		{
			memcpy(&joined.source, input + UUID_LEN, UUID_LEN);
			SetVersion4(&joined.source);
		}
		target = ParsePath(PathOf(&joined));
		HOLDS(target.known && target.problems.count == 0 && target.of_source == joined.of_source &&
			  memcmp(&target.project, &joined.project, UUID_LEN) == 0 && memcmp(&target.source, &joined.source, UUID_LEN) == 0,
			  "what was joined comes apart");
	}
}
