/*-------------------------------------------------------------------------
 *
 * summary.c
 *		The non-sensitive view of a source (contract: ProjectDbtSourceSummary).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "rules/fields.h"
#include "base/json.h"
#include "rules/summary.h"

/*
 * Push the nine members of a summary into the object under construction.
 *
 * connection is NULL if the source has none, or one that can't be decrypted;
 * the contract has hasCredentialError false for a primary source even then.
 */
void
PushSummary(JsonbParseState **state, const Source *source, Jsonb *connection)
{
	Variant		variant = connection ? ConnectionVariant(connection) : VARIANT_UNKNOWN;

	JsonPushString(state, "projectDbtSourceUuid",
				   DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->source))));
	JsonPushString(state, "name", text_to_cstring(source->name));
	JsonPushBool(state, "isPrimary", IsPrimary(source));
	JsonPushInteger(state, "precedence", source->precedence);
	JsonPushBool(state, "hasCredentialError", connection == NULL && !IsPrimary(source));
	if (variant == VARIANT_UNKNOWN)
		JsonPushNull(state, "type");
	else
		JsonPushString(state, "type", variant_names[variant]);

	for (const Field *field = connection_fields; field < connection_fields + NUM_FIELDS; field++)
	{
		JsonbValue	value;

		if (field->trait != TRAIT_IDENTITY)
			continue;
		if (variant != VARIANT_UNKNOWN && FieldIsKnown(field, variant) &&
			JsonFindString(&connection->root, field->name, &value))
			JsonPushValue(state, field->summary_key, &value);
		else
			JsonPushNull(state, field->summary_key);
	}
}

/*
 * The summary as a document of its own.
 */
Jsonb *
MakeSummary(const Source *source, Jsonb *connection)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	PushSummary(&state, source, connection);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
