/*-------------------------------------------------------------------------
 *
 * hooks.c
 *		Masking secrets in what PostgreSQL says of statements before, or
 *		without, calling us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/elog.h"

#include "log/hooks.h"
#include "log/mask.h"

static emit_log_hook_type previous_emit_log = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;

/* a masked copy of the statement that is running, for debug_query_string */
static char *masked_statement = NULL;

/* the last statement that there was nothing to mask in, by place and time */
static const char *clean_statement = NULL;
static TimestampTz clean_since;

/*
 * The log shows debug_query_string, which is also what will be parsed, so it
 * gets a masked copy instead.  This may happen in a critical section, where
 * palloc() isn't allowed; without memory the statement isn't shown.
 */
static void
MaskStatement(ErrorData *edata)
{
	char	   *copy;

	if (debug_query_string == NULL || debug_query_string == masked_statement ||
		(debug_query_string == clean_statement &&
		 GetCurrentStatementStartTimestamp() == clean_since))
		return;
	if (!HasSecrets(debug_query_string))
	{
		clean_statement = debug_query_string;
		clean_since = GetCurrentStatementStartTimestamp();
		return;
	}
	copy = strdup(debug_query_string);
	if (copy == NULL)
	{
		edata->hide_stmt = true;
		return;
	}
	MaskSecrets(copy);
	free(masked_statement);
	masked_statement = copy;
	debug_query_string = copy;
	/* which shows it until the next one, even if it never gets as far as us */
	pgstat_report_activity(STATE_RUNNING, copy);
}

/*
 * Where JSON can't be parsed, the error quotes it: the token in its detail, and
 * in the first line of its context an excerpt that may begin in the middle of
 * a secret, so that no name tells.
 */
static void
MaskJsonExcerpt(ErrorData *edata)
{
	const char *file = edata->filename == NULL ? NULL : strrchr(edata->filename, '/');

	file = file != NULL ? file + 1 : edata->filename;
	if (file == NULL || strcmp(file, "jsonfuncs.c") != 0 ||
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		return;
	if (edata->detail != NULL)
	{
		char	   *first = strchr(edata->detail, '"');
		char	   *last = strrchr(edata->detail, '"');

		if (first != last)
			memset(first + 1, '*', last - first - 1);
		else
			memset(edata->detail, '*', strlen(edata->detail));
	}
	if (edata->context != NULL)
	{
		Size		len = strcspn(edata->context, "\n");
		char	   *colon = memchr(edata->context, ':', len);
		char	   *excerpt = colon != NULL ? colon + 1 : edata->context;

		memset(excerpt, '*', edata->context + len - excerpt);
	}
}

/*
 * Every entry of the log passes here before it is written, and before it is
 * sent to the client.
 */
static void
MaskLogEntry(ErrorData *edata)
{
	char	   *texts[] = {edata->message, edata->detail, edata->detail_log,
		edata->hint, edata->context, edata->internalquery};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		if (texts[i] != NULL)
			MaskSecrets(texts[i]);
	}
	MaskJsonExcerpt(edata);
	MaskStatement(edata);
	if (previous_emit_log != NULL)
		previous_emit_log(edata);
}

/*
 * Whether there are secrets in the one statement that is to be run, of all that
 * the text may have.
 */
static bool
StatementHasSecrets(const PlannedStmt *pstmt, const char *query_string)
{
	char	   *statement;
	bool		found;

	if (pstmt->stmt_location < 0 || pstmt->stmt_len <= 0)
		return HasSecrets(query_string);
	statement = pnstrdup(query_string + pstmt->stmt_location, pstmt->stmt_len);
	found = HasSecrets(statement);
	pfree(statement);
	return found;
}

/*
 * What pg_stat_statements keeps of a utility command is its text, as it is.
 * Nobody below here parses the text again, and positions in it stay right.
 */
static void
MaskUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = previous_process_utility != NULL ?
		previous_process_utility : standard_ProcessUtility;

	if (StatementHasSecrets(pstmt, query_string))
	{
		char	   *copy = pstrdup(query_string);

		MaskSecrets(copy);
		query_string = copy;
	}
	next(pstmt, query_string, read_only_tree, context, params, query_env, dest, qc);
}

void
InstallHooks(void)
{
	previous_emit_log = emit_log_hook;
	emit_log_hook = MaskLogEntry;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = MaskUtility;
}
