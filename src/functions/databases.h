/*-------------------------------------------------------------------------
 *
 * databases.h
 *		Whether any database of the cluster still needs a key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_DATABASES_H
#define DBT_SOURCES_DATABASES_H

#include "postgres.h"

extern void RefuseKeyInUse(const char *kid);

#endif							/* DBT_SOURCES_DATABASES_H */
