/*-------------------------------------------------------------------------
 *
 * extension.h
 *		Where an installed extension is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_EXTENSION_H
#define DBT_SOURCES_EXTENSION_H

#include "postgres.h"

extern Oid	ExtensionSchema(const char *name, bool missing_ok);

#endif							/* DBT_SOURCES_EXTENSION_H */
