/*-------------------------------------------------------------------------
 *
 * domain.h
 *		Marks the errors that are raised below its inclusion as ours.
 *
 * Errors of the API are told from others with the same SQLSTATE by that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_DOMAIN_H
#define DBT_SOURCES_DOMAIN_H

#include "utils/elog.h"

#undef TEXTDOMAIN
#define TEXTDOMAIN "dbt_sources"

static inline bool
IsOurs(const ErrorData *error)
{
	return error->domain != NULL && strcmp(error->domain, TEXTDOMAIN) == 0;
}

#endif							/* DBT_SOURCES_DOMAIN_H */
