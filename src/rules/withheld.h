/*-------------------------------------------------------------------------
 *
 * withheld.h
 *		What a view withholds, an update keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_WITHHELD_H
#define DBT_SOURCES_WITHHELD_H

#include "base/json.h"
#include "rules/fields.h"
#include "rules/problems.h"

/*
 * An object that has members which a view withholds, as an update sends it: a
 * connection, of which that is what its variant doesn't know, or a variable.
 */
typedef struct Holder
{
	Variant		variant;		/* VARIANT_UNKNOWN for a variable */
	bool		update;			/* null removes what is withheld */
	JsonbContainer *sent;
	JsonbContainer *stored;		/* its stored counterpart, or NULL */
	bool		secret_value;	/* of a variable: by its name */
} Holder;

extern bool SendsSecrets(const ConnectionFields *fields);
extern bool SendsEnvironment(const ConnectionFields *fields);
extern void KeepWithheld(ConnectionFields *fields, Jsonb *stored, Problems *problems);

extern Holder ConnectionHolder(const ConnectionFields *fields);
extern Holder VariableHolder(const ConnectionFields *fields, int index, JsonbContainer *variable);
extern bool IsField(const Holder *holder, const JsonbValue *key);
extern bool IsSent(const Holder *holder, const JsonMember *member);
extern bool IsKept(const Holder *holder, const JsonMember *member);
extern bool KeepsValue(const ConnectionFields *fields, int index, JsonbContainer *variable);

extern JsonbValue *RedactConnection(JsonbParseState **state, const ConnectionFields *fields,
									bool with_environment);

#endif							/* DBT_SOURCES_WITHHELD_H */
