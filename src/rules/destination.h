/*-------------------------------------------------------------------------
 *
 * destination.h
 *		Where a secret of a connection ends up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_DESTINATION_H
#define DBT_SOURCES_DESTINATION_H

#include "rules/fields.h"

extern const Field *ChangedDestination(const ConnectionFields *from, const ConnectionFields *to,
									   Destination of);

#endif							/* DBT_SOURCES_DESTINATION_H */
