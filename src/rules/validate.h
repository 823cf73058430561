/*-------------------------------------------------------------------------
 *
 * validate.h
 *		The contract's rules for a name and for a connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_VALIDATE_H
#define DBT_SOURCES_VALIDATE_H

#include "base/json.h"
#include "rules/fields.h"
#include "rules/problems.h"

#define CONNECTION_PATH "dbtConnection"
#define ENVIRONMENT_PATH CONNECTION_PATH ".environment"

/* a driver that encodes what is JSON already sends a string with JSON in it */
#define MUST_BE(value, what) \
	(JsonIsEncodedTwice(value) ? \
	 "must be " what ", not a string with JSON in it (was it encoded twice?)" : \
	 "must be " what)

extern void ValidateName(const JsonbValue *name, Problems *problems);
extern void ValidateConnection(const ConnectionFields *fields, Problems *problems);

#endif							/* DBT_SOURCES_VALIDATE_H */
