/*-------------------------------------------------------------------------
 *
 * constraints.c
 *		What a caller is told when the table refuses a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/domain.h"
#include "storage/constraints.h"

/*
 * Whether s begins with a name, and ends there or after the number that a
 * distributed database gives to its part of a table.
 */
static bool
IsNameOf(const char *s, const char *name, char end)
{
	Size		len = strlen(name);

	if (s == NULL || strncmp(s, name, len) != 0)
		return false;
	s += len;
	if (*s == '_')
		s += 1 + strspn(s + 1, "0123456789");
	return *s == end;
}

static bool
IsOfTable(const ErrorData *error, const Tables *tables)
{
	/* partitions have names of their own, and so have their constraints */
	return tables->has_children ||
		(IsNameOf(error->table_name, SOURCES_TABLE, '\0') &&
		 error->schema_name != NULL && strcmp(error->schema_name, tables->schema_name) == 0);
}

/*
 * Whether one of the constraints of the table is violated.  An error that another
 * node has sent has its name in the message only.
 */
static bool
IsViolated(const ErrorData *error, const Tables *tables, List *constraints)
{
	const char *quote = error->message == NULL ? NULL : strchr(error->message, '"');
	ListCell   *lc;

	foreach(lc, constraints)
	{
		if (error->constraint_name != NULL ?
			IsNameOf(error->constraint_name, lfirst(lc), '\0') && IsOfTable(error, tables) :
			quote != NULL && IsNameOf(quote + 1, lfirst(lc), '"'))
			return true;
	}
	return false;
}

/*
 * Raise the error that was caught while the table was written.
 *
 * A name that is taken, in words of our own.  Where a row violates another
 * constraint, PostgreSQL shows it to who may read the table: the owner, whom
 * the statement ran as.  The caller isn't told, but the log is.
 */
void
RethrowWriteError(const Tables *tables)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
	{
		if (IsViolated(error, tables, tables->name_constraints))
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("project already has a dbt source of that name")));
		/* two can only add the same row at once if it is the primary source's */
		if (IsViolated(error, tables, tables->row_constraints))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent creation of a dbt source")));
	}
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
		error->table_name != NULL && error->detail != NULL)
	{
		if (error->detail_log == NULL)
			error->detail_log = error->detail;
		error->detail = NULL;
	}
	ReThrowError(error);
	pg_unreachable();
}
