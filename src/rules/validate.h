/*-------------------------------------------------------------------------
 *
 * validate.h
 *		The contract's rules for a name and for a connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_VALIDATE_H
#define DBT_SOURCES_VALIDATE_H

#include "rules/fields.h"
#include "rules/problems.h"

#define CONNECTION_PATH "dbtConnection"
#define ENVIRONMENT_PATH CONNECTION_PATH ".environment"

extern void ValidateName(const JsonbValue *name, Problems *problems);
extern void ValidateConnection(Jsonb *connection, const ConnectionFields *fields,
							   Problems *problems);

#endif							/* DBT_SOURCES_VALIDATE_H */
