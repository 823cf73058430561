/*-------------------------------------------------------------------------
 *
 * test_log.c
 *		Another library that looks at each entry of the log, as one that sends
 *		them elsewhere does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/elog.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static void
SendElsewhere(ErrorData *edata)
{
	write_stderr("sent elsewhere: %s\n%s\n", edata->message, edata->detail != NULL ? edata->detail : "");
}

void
_PG_init(void)
{
	emit_log_hook = SendElsewhere;
}
