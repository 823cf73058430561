/*-------------------------------------------------------------------------
 *
 * problems.c
 *		What is wrong with a body: every problem with its path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/domain.h"
#include "rules/problems.h"

/* a body can have millions; whoever reads the error needs the first ones */
#define MAX_REPORTED 100

#define MAX_NAME_LEN 63

void
AddProblem(Problems *problems, const char *path, const char *message)
{
	Problem    *problem = palloc(sizeof(Problem));

	problem->path = pstrdup(path);
	problem->message = message;
	*problems = lappend(*problems, problem);
}

/*
 * path.key, where a key that the caller made up can't break the line.
 */
char *
PathOfMember(const char *path, const JsonbValue *key)
{
	int			len = pg_mbcliplen(key->val.string.val, key->val.string.len, MAX_NAME_LEN);
	char	   *name = pnstrdup(key->val.string.val, len);

	for (char *p = name; *p; p++)
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			*p = '?';
	}
	return psprintf("%s.%s", path, name);
}

char *
PathOfElement(const char *path, int index)
{
	return psprintf("%s[%d]", path, index);
}

/* those of the last error, in the memory of who raised it */
static Problems raised = NIL;

/*
 * Who has just caught an error of RaiseProblems() gets its problems, up to the
 * number that is reported; NIL for any other error.
 */
Problems
TakeRaisedProblems(void)
{
	Problems	problems = raised;

	raised = NIL;
	return problems;
}

/*
 * Raise the problems, if there are any, as a ParameterError: SQLSTATE 22023,
 * with a line "path: message" for each in DETAIL.
 */
void
RaiseProblems(Problems problems)
{
	StringInfoData detail;
	int			reported = 0;
	ListCell   *lc;

	if (problems == NIL)
		return;

	initStringInfo(&detail);
	foreach(lc, problems)
	{
		Problem    *problem = lfirst(lc);

		if (reported == MAX_REPORTED)
		{
			appendStringInfo(&detail, "\n... and %d more",
							 list_length(problems) - reported);
			break;
		}
		appendStringInfo(&detail, "%s%s: %s", reported++ > 0 ? "\n" : "",
						 problem->path, problem->message);
	}
	raised = list_truncate(problems, MAX_REPORTED);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid dbt source"),
			 errdetail_internal("%s", detail.data)));
}
