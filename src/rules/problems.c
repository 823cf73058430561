/*-------------------------------------------------------------------------
 *
 * problems.c
 *		What is wrong with a body: every problem with its path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/domain.h"
#include "rules/characters.h"
#include "rules/problems.h"

/* a body can have millions; whoever reads the error needs the first ones */
#define MAX_KEPT 100

/* where a name is clipped, and after which a path has no more names; in bytes */
#define MAX_NAME_LEN 63
#define MAX_PATH_LEN 200

/* stands for the path of what is only counted, and the rest of a clipped one */
#define ELLIPSIS "..."

/*
 * Where a path begins, written as it is shown; "" for a body as a whole.
 */
Path
PathFrom(const char *path)
{
	Path		start = {NULL, path};

	return start;
}

Path
PathOfMember(const Path *outer, const char *name, int len)
{
	Path		member = {outer, name, len};

	return member;
}

Path
PathOfElement(const Path *outer, int index)
{
	Path		element = {outer};

	element.index = index;
	return element;
}

/*
 * How much of a name is shown, in bytes: whole characters, and whole escapes of
 * one that has them already.
 */
static int
ClipName(const char *name, int len, bool escaped)
{
	int			clipped = pg_mbcliplen(name, len, MAX_NAME_LEN);
	int			step;

	for (int i = 0; escaped && i < clipped; i += step)
	{
		step = name[i] != '\\' ? 1 : name[i + 1] == 'u' ? strlen("\\u0000") : strlen("\\n");
		if (i + step > clipped)
			return i;
	}
	return clipped;
}

static void
WriteName(StringInfo buf, const char *name, int len, bool escaped)
{
	int			clipped = ClipName(name, len, escaped);
	Characters	characters = {name, name + clipped};
	pg_wchar	c;
	bool		plain = len > 0;

	for (int i = 0; i < clipped && plain; i++)
		plain = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
			(name[i] >= '0' && name[i] <= '9') || name[i] == '_' || name[i] == '-';
	if (plain)
		appendBinaryStringInfo(buf, name, clipped);
	else
	{
		appendStringInfoChar(buf, '"');
		for (const char *from = name; NextCharacter(&characters, &c); from = characters.next)
		{
			if (!escaped && (c == '"' || c == '\\'))
				appendStringInfo(buf, "\\%c", (char) c);
			else if (!IsControl(c) && !IsInvisible(c))
				appendBinaryStringInfo(buf, from, characters.next - from);
			else if (c < 0x10000)
				appendStringInfo(buf, "\\u%04x", c);
			else
				appendStringInfo(buf, "\\u%04x\\u%04x",
								 0xD800 + ((c - 0x10000) >> 10),
								 0xDC00 + ((c - 0x10000) & 0x3FF));
		}
		appendStringInfoChar(buf, '"');
	}
	if (clipped < len)
		appendStringInfoString(buf, ELLIPSIS);
}

/*
 * Append a name that the caller made up: as it is if that is plain, otherwise
 * as a JSON string, in which nothing is invisible.  A long one is clipped.
 */
void
AppendName(StringInfo buf, const char *name, int len)
{
	WriteName(buf, name, len, false);
}

/*
 * A path as it is shown, from where it begins up to where it gets long.
 */
static char *
WritePath(const Path *path)
{
	const Path *step = path;
	int			depth = 0;
	int			written = 0;
	StringInfoData buf;

	for (; step->outer != NULL; step = step->outer)
		depth++;
	initStringInfo(&buf);
	appendStringInfoString(&buf, step->name);
	while (written < depth && buf.len < MAX_PATH_LEN)
	{
		step = path;
		written++;
		for (int inner = depth; inner > written; inner--)
			step = step->outer;
		if (step->name == NULL)
			appendStringInfo(&buf, "[%d]", step->index);
		else
		{
			if (buf.len > 0)
				appendStringInfoChar(&buf, '.');
			WriteName(&buf, step->name, step->len, step->escaped);
		}
	}
	if (written < depth)
		appendStringInfoString(&buf, ELLIPSIS);
	return buf.data;
}

static void
Keep(List **problems, const char *path, const char *message)
{
	Problem    *problem = palloc(sizeof(Problem));

	problem->path = path;
	problem->message = message;
	*problems = lappend(*problems, problem);
}

/*
 * Add a problem at a path that is written out; neither string is copied.
 */
void
AddProblem(Problems *problems, const char *path, const char *message)
{
	if (problems->count++ < MAX_KEPT)
		Keep(&problems->kept, path, message);
}

void
AddProblemAt(Problems *problems, const Path *path, const char *message)
{
	AddProblem(problems, problems->count < MAX_KEPT ? WritePath(path) : NULL, message);
}

/*
 * A List of Problem: those that are kept, and how many more there are.
 */
List *
ListProblems(Problems problems)
{
	List	   *listed = list_copy(problems.kept);
	int			more = problems.count - list_length(listed);

	if (more > 0)
		Keep(&listed, ELLIPSIS, psprintf("%d more", more));
	return listed;
}

/* tells an error with problems from others of ours, see ProblemsOfError() */
static const char invalid_source[] = "invalid dbt source";

/*
 * Raise the problems, if there are any, as a ParameterError: SQLSTATE 22023,
 * with a line "path: message" for each in DETAIL.
 */
void
RaiseProblems(Problems problems)
{
	StringInfoData detail;
	ListCell   *lc;

	if (problems.count == 0)
		return;

	initStringInfo(&detail);
	foreach(lc, ListProblems(problems))
	{
		Problem    *problem = lfirst(lc);

		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? "\n" : "",
						 problem->path, problem->message);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg(invalid_source),
			 errdetail_internal("%s", detail.data)));
}

/*
 * The end of a path, where names that are quoted may hold anything.
 */
static char *
EndOfPath(char *line)
{
	bool		quoted = false;

	for (; *line != '\0'; line++)
	{
		if (quoted && *line == '\\' && line[1] != '\0')
			line++;
		else if (*line == '"')
			quoted = !quoted;
		else if (!quoted && *line == ':')
			break;
	}
	return line;
}

/*
 * The List of Problem of an error that RaiseProblems() has raised; NIL for any
 * other.  An error is all that gets out of a subtransaction that it aborts, so
 * its lines are taken apart again.
 */
List *
ProblemsOfError(const ErrorData *error)
{
	List	   *problems = NIL;
	char	   *next;

	if (!IsOurs(error) || error->detail == NULL ||
		strcmp(error->message_id, invalid_source) != 0)
		return NIL;
	next = pstrdup(error->detail);
	while (next != NULL)
	{
		char	   *path = next;
		char	   *colon = EndOfPath(path);
		char	   *message;

		next = strchr(colon, '\n');
		if (next != NULL)
			*next++ = '\0';
		message = *colon == '\0' ? colon : colon + strlen(": ");
		*colon = '\0';
		Keep(&problems, path, message);
	}
	return problems;
}
