/*-------------------------------------------------------------------------
 *
 * statement.c
 *		What others see as the statement that is running.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"

#include "base/compat.h"
#include "base/statement.h"

/* what is shown of the client's statement, and since when that runs */
static const char *clients = NULL;
static TimestampTz clients_since;

/*
 * Have the log and pg_stat_activity show a text in place of the statement that
 * the client sent, until the next one.  The text must stay where it is.
 *
 * To PostgreSQL that is a new statement, whose identifiers aren't known yet and
 * will be those of the first statement that runs inside.  They are reported
 * again: it's the client's statement that runs.
 */
void
ShowStatement(const char *statement)
{
	int64		query_id = pgstat_get_my_query_id();
	int64		plan_id = pgstat_get_my_plan_id();

	debug_query_string = statement;
	pgstat_report_activity(STATE_RUNNING, statement);
	pgstat_report_query_id(query_id, true);
	pgstat_report_plan_id(plan_id, true);
}

/*
 * The same for a text that is what may be seen of the client's statement.
 */
void
ShowInPlaceOfClients(const char *statement)
{
	clients = statement;
	clients_since = GetCurrentStatementStartTimestamp();
	ShowStatement(statement);
}

/*
 * Have it shown again in place of what was shown meanwhile, if there is such a text.
 */
void
ShowClientsAgain(void)
{
	if (clients != NULL && debug_query_string != NULL && debug_query_string != clients &&
		clients_since == GetCurrentStatementStartTimestamp())
		ShowStatement(clients);
}
