/*-------------------------------------------------------------------------
 *
 * problems.h
 *		What is wrong with a body: every problem with its path.
 *
 * Neither path nor message ever holds a value from a connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_PROBLEMS_H
#define DBT_SOURCES_PROBLEMS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct Problem
{
	char	   *path;
	const char *message;
} Problem;

/* a List of Problem */
typedef List *Problems;

extern void AddProblem(Problems *problems, const char *path, const char *message);
extern char *PathOfMember(const char *path, const JsonbValue *key);
extern char *PathOfElement(const char *path, int index);
extern void RaiseProblems(Problems problems);
extern Problems TakeRaisedProblems(void);

#endif							/* DBT_SOURCES_PROBLEMS_H */
