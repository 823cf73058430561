/*-------------------------------------------------------------------------
 *
 * problems.c
 *		An error's lines are the problems that it was made of.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "rules/problems.h"

extern void problems(const char *input, Size len);

/* see problems.c */
#define MAX_KEPT 100

static List *
RaisedProblems(Problems problems)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *volatile raised = NIL;

	PG_TRY();
	{
		RaiseProblems(problems);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		raised = ProblemsOfError(CopyErrorData());
		FlushErrorState();
	}
	PG_END_TRY();
	return raised;
}

/*
 * Each line of the input is a step of a path: an element if it is empty, and the
 * path's end if it is a dot, else a member of that name.
 */
void
problems(const char *input, Size len)
{
	Input		rest = {input, input + len};
	Path		steps[8];
	int			depth = 0;
	Problems	found = NO_PROBLEMS;
	List	   *made;
	List	   *raised;
	ListCell   *a;
	ListCell   *b;

	if (memchr(input, '\0', len) != NULL || !pg_verify_mbstr(PG_UTF8, input, len, true))
		return;
	steps[0] = PathFrom("dbtConnection");
	while (rest.at < rest.end)
	{
		char	   *line = NextLine(&rest);

		if (strcmp(line, ".") == 0 || depth == lengthof(steps) - 1)
		{
			AddProblemAt(&found, &steps[depth], "must be a string");
			depth = 0;
		}
		else if (*line == '\0')
		{
			steps[depth + 1] = PathOfElement(&steps[depth], depth);
			depth++;
		}
		else
		{
			steps[depth + 1] = PathOfMember(&steps[depth], line, strlen(line));
			depth++;
		}
	}
	AddProblemAt(&found, &steps[depth], "is required");

	made = ListProblems(found);
	raised = RaisedProblems(found);
	HOLDS(list_length(raised) == list_length(made) && list_length(made) == Min(found.count, MAX_KEPT + 1), "none is lost");
	forboth(a, made, b, raised)
	{
		Problem    *x = lfirst(a);
		Problem    *y = lfirst(b);

		HOLDS(strcmp(x->path, y->path) == 0 && strcmp(x->message, y->message) == 0, "each comes apart as it was joined");
	}
}
