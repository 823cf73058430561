/*-------------------------------------------------------------------------
 *
 * searchpath.c
 *		A search_path that isn't the caller's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "base/searchpath.h"

/*
 * A search_path for what is done to the tables, until AtEOXact_GUC() of the nest
 * level that is returned, or an error.
 */
int
BeginSafePath(void)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}
