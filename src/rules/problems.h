/*-------------------------------------------------------------------------
 *
 * problems.h
 *		What is wrong with a body: every problem with its path.
 *
 * Neither path nor message ever holds a value from a connection.  The first 100
 * problems are kept, the others counted, so a body can't make many of them into
 * much memory: a path is written out only for what is kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_PROBLEMS_H
#define DBT_SOURCES_PROBLEMS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* A place in a body, from the inside out; in the memory of who walks there. */
typedef struct Path
{
	const struct Path *outer;	/* NULL where the path begins */
	const char *name;			/* of a member, or NULL for an element */
	int			len;			/* of the name */
	int			index;			/* of an element */
	bool		escaped;		/* the name is as JSON text has it */
} Path;

typedef struct Problem
{
	const char *path;
	const char *message;
} Problem;

/* begins as {0} */
typedef struct Problems
{
	int			count;
	List	   *kept;			/* of Problem */
} Problems;

#define NO_PROBLEMS ((Problems) {0, NIL})

extern Path PathFrom(const char *path);
extern Path PathOfMember(const Path *outer, const char *name, int len);
extern Path PathOfElement(const Path *outer, int index);

extern void AddProblem(Problems *problems, const char *path, const char *message);
extern void AddProblemAt(Problems *problems, const Path *path, const char *message);
extern List *ListProblems(Problems problems);
extern void RaiseProblems(Problems problems);
extern List *ProblemsOfError(const ErrorData *error);

extern void AppendName(StringInfo buf, const char *name, int len);

#endif							/* DBT_SOURCES_PROBLEMS_H */
