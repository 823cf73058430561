/*-------------------------------------------------------------------------
 *
 * dbt_sources.c
 *		Entry point of the library: its settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "compat.h"
#include "keyring.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

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
	MarkGUCPrefixReserved("dbt_sources");
}
