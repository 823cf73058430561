/*-------------------------------------------------------------------------
 *
 * withheld.h
 *		What a view withholds, an update keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_WITHHELD_H
#define DBT_SOURCES_WITHHELD_H

#include "problems.h"
#include "variants.h"

extern bool HasOnlyKnown(Jsonb *connection);
extern bool SendsSecrets(Jsonb *connection);
extern Jsonb *KeepWithheld(Jsonb *fresh, Jsonb *stored, Problems *problems);
extern JsonbValue *RedactConnection(JsonbParseState **state, Jsonb *connection);

#endif							/* DBT_SOURCES_WITHHELD_H */
