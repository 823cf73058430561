/*-------------------------------------------------------------------------
 *
 * withheld.h
 *		What a view withholds, an update keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_WITHHELD_H
#define DBT_SOURCES_WITHHELD_H

#include "rules/fields.h"
#include "rules/problems.h"

extern bool SendsSecrets(const ConnectionFields *fresh);
extern Jsonb *KeepWithheld(Jsonb *fresh, const ConnectionFields *fields, Jsonb *stored,
						   Problems *problems);
extern JsonbValue *RedactConnection(JsonbParseState **state, Jsonb *connection);

#endif							/* DBT_SOURCES_WITHHELD_H */
