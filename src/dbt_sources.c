/*-------------------------------------------------------------------------
 *
 * dbt_sources.c
 *		Entry point of the library: its settings and hooks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "log/hooks.h"
#include "functions/http.h"
#include "vault/keyring.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomStringVariable("dbt_sources.keyring_file",
							   "File with the keys that dbt connections are encrypted with.",
							   "A JWK Set that only the server may read; relative to the data directory.",
							   &keyring_file,
							   "dbt_sources.jwks",
							   PGC_SUSET,
							   GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("dbt_sources.http_body_limit",
							"Largest body of a request that http_request() accepts.",
							NULL,
							&http_body_limit,
							100 * 1024, 1, MAX_KILOBYTES,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
	MarkGUCPrefixReserved("dbt_sources");

	/* only if the library is preloaded, when no statement is running yet */
	if (debug_query_string == NULL)
		InstallHooks();
}
