/*-------------------------------------------------------------------------
 *
 * hooks.c
 *		Hiding connections in what PostgreSQL says of statements before, or
 *		without, calling us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/elog.h"
#include "utils/portal.h"

#include "base/compat.h"
#include "base/domain.h"
#include "base/statement.h"
#include "log/hooks.h"
#include "log/mask.h"

static emit_log_hook_type previous_emit_log = NULL;
static post_parse_analyze_hook_type previous_post_parse_analyze = NULL;
static ExecutorRun_hook_type previous_executor_run = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;

/* what is shown of the statement that is running, if not all of it */
static char shown_statement[1024];

/*
 * The log shows debug_query_string, which is also what will be parsed, so what
 * is to be read of it is copied, to where a critical section allows it, too.
 */
static void
HideStatement(void)
{
	if (debug_query_string == NULL || debug_query_string == shown_statement)
		return;
	strlcpy(shown_statement, debug_query_string, sizeof(shown_statement));
	HideValues(shown_statement);
	if (strcmp(shown_statement, debug_query_string) != 0)
		ShowInPlaceOfClients(shown_statement);
}

/*
 * What the names in the client's statement tell.  It is read once, however many
 * statements and entries there are while it runs.
 *
 * If it may hold a connection, pg_stat_activity shows no more of it than the
 * log does: the server's own process takes it from there after a crash, and it
 * may be cut before the name that would tell.
 */
static int
ReadStatement(void)
{
	static const char *statement = NULL;
	static TimestampTz since;
	static int	names = 0;

	if (debug_query_string == NULL)
		return 0;
	if (debug_query_string != shown_statement &&
		(debug_query_string != statement || GetCurrentStatementStartTimestamp() != since))
	{
		statement = debug_query_string;
		since = GetCurrentStatementStartTimestamp();
		names = NamesIn(statement, strlen(statement));
		if (MayHoldConnection(names))
			HideStatement();
	}
	return names;
}

/*
 * Whether a text may begin in the middle of a value, so that no quote precedes
 * it: the excerpt of JSON that can't be parsed, whatever the language of the
 * words before it; and what RAISE or the like was given to say, while a statement
 * runs of which something is hidden.
 */
static bool
MayBeginInValue(const ErrorData *edata, const char *text)
{
	if (text == edata->context)
		return edata->filename != NULL && strstr(edata->filename, "jsonfuncs.c") != NULL;
	return debug_query_string == shown_statement && edata->message_id != NULL &&
		strcmp(edata->message_id, "%s") == 0;
}

/*
 * Every entry of the log passes here before it is written, and before it is
 * sent to the client.
 *
 * Our own entries hold no values, and name what is wrong with a connection.
 */
static void
SilenceLogEntry(ErrorData *edata)
{
	char	   *texts[] = {
		edata->message, edata->detail, edata->detail_log,
		edata->hint, edata->context, edata->internalquery
	};
	int			ntexts = IsOurs(edata) ? 0 : lengthof(texts);
	int			names = ReadStatement();

	for (int i = 0; i < ntexts; i++)
	{
		if (texts[i] != NULL)
			names |= NamesIn(texts[i], strlen(texts[i]));
	}
	if (MayHoldConnection(names))
	{
		HideStatement();
		for (int i = 0; i < ntexts; i++)
		{
			if (texts[i] == NULL)
				continue;
			else if (MayBeginInValue(edata, texts[i]))
				HideText(texts[i], 0);
			else
				HideValues(texts[i]);
		}
	}
	if (previous_emit_log != NULL)
		previous_emit_log(edata);
}

/*
 * Where a comment begins that doesn't end, or else the end of the text.  The mark
 * behind what is cut off may begin one, too.
 */
static Size
OpenComment(const char *text)
{
	const char *begins = NULL;
	int			depth = 0;
	const char *s;

	for (s = text; *s != '\0'; s++)
	{
		if (s[0] == '/' && s[1] == '*')
		{
			if (depth++ == 0)
				begins = s;
			s++;
		}
		else if (s[0] == '*' && s[1] == '/' && depth > 0)
		{
			depth--;
			s++;
		}
	}
	return (depth > 0 ? begins : s) - text;
}

/*
 * The text without what may be a value, if there are names in the one statement
 * that is there at that place, of all that it may have (see PlannedStmt); else
 * the text itself.  What is hidden becomes blanks, so that positions stay right,
 * and so does a comment that is cut: pg_stat_statements takes it apart again.
 */
static const char *
SilentText(const char *whole, int location, int len)
{
	char	   *copy;
	char	   *statement;
	Size		readable;

	location = Max(location, 0);
	if (len <= 0)
		len = strlen(whole + location);
	if (!MayHoldConnection(NamesIn(whole + location, len)))
		return whole;
	copy = palloc(location + len + 1);
	memset(copy, ' ', location);
	statement = copy + location;
	memcpy(statement, whole + location, len);
	statement[len] = '\0';
	HideValues(statement);
	readable = OpenComment(statement);
	memset(statement + readable, ' ', len - readable);
	return copy;
}

/*
 * The same of a utility command.  Citus sends the text of some to its workers as
 * it is; what they say of a table is no value.
 */
static const char *
SilentCommand(const Node *command, const char *whole, int location, int len)
{
	switch (nodeTag(command))
	{
		case T_IndexStmt:
		case T_AlterTableStmt:
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_DropStmt:
			return whole;
		default:
			return SilentText(whole, location, len);
	}
}

/*
 * The extended protocol shows the text of a portal again each time that rows are
 * fetched from it; if they are there already, nothing runs that would hide it.
 */
static void
HidePortal(void)
{
	static const char *hidden = NULL;
	static TimestampTz since;
	Portal		portal = ActivePortal;
	MemoryContext caller;

	if (portal == NULL || portal->sourceText == NULL ||
		(portal->sourceText == hidden && portal->creation_time == since))
		return;
	caller = MemoryContextSwitchTo(portal->portalContext);
	portal->sourceText = SilentText(portal->sourceText, 0, 0);
	MemoryContextSwitchTo(caller);
	hidden = portal->sourceText;
	since = portal->creation_time;
}

/*
 * This is the first that is heard of a statement.  From PostgreSQL 16 on
 * pg_stat_statements keeps the text of a utility command here.
 */
static void
SilenceAnalysis(ParseState *pstate, Query *query, JumbleStateArg jstate)
{
	const char *whole = pstate->p_sourcetext;

	(void) ReadStatement();
	if (previous_post_parse_analyze == NULL)
		return;
	if (query->utilityStmt != NULL && whole != NULL)
		pstate->p_sourcetext = SilentCommand(query->utilityStmt, whole,
											 query->stmt_location, query->stmt_len);
	previous_post_parse_analyze(pstate, query, jstate);
	pstate->p_sourcetext = whole;
}

/*
 * In the extended protocol a statement is shown again whenever it is executed.
 */
static void
SilenceExecution(EXECUTOR_RUN_PARAMETERS)
{
	ExecutorRun_hook_type next = previous_executor_run != NULL ?
		previous_executor_run : standard_ExecutorRun;

	if (MayHoldConnection(ReadStatement()))
		HidePortal();
	next(EXECUTOR_RUN_ARGUMENTS);
}

/*
 * What pg_stat_statements keeps of a utility command is its text, as it is.
 */
static void
SilenceUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = previous_process_utility != NULL ?
		previous_process_utility : standard_ProcessUtility;

	if (MayHoldConnection(ReadStatement()))
		HidePortal();
	next(pstmt, SilentCommand(pstmt->utilityStmt, query_string,
							  pstmt->stmt_location, pstmt->stmt_len),
		 read_only_tree, context, params, query_env, dest, qc);
}

/*
 * An error of one of our functions was caught.
 */
static void
SilenceHandler(SubXactEvent event, SubTransactionId sub pg_attribute_unused(),
			   SubTransactionId parent pg_attribute_unused(), void *arg pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		ShowClientsAgain();
}

void
InstallHooks(void)
{
	PrepareNames();
	previous_emit_log = emit_log_hook;
	emit_log_hook = SilenceLogEntry;
	previous_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = SilenceAnalysis;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = SilenceExecution;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = SilenceUtility;
	RegisterSubXactCallback(SilenceHandler, NULL);
}
