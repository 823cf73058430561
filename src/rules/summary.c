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

#include "base/json.h"
#include "rules/summary.h"

/*
 * Push the nine members of a summary into the object under construction.
 *
 * fields is NULL if the source has no connection, or one that can't be decrypted;
 * the contract has hasCredentialError false for a primary source even then.
 */
void
PushSummary(JsonbParseState **state, const Source *source, const ConnectionFields *fields)
{
	JsonPushString(state, "projectDbtSourceUuid",
				   DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->source))));
	JsonPushString(state, "name", text_to_cstring(source->name));
	JsonPushBool(state, "isPrimary", IsPrimary(source));
	JsonPushInteger(state, "precedence", source->precedence);
	JsonPushBool(state, "hasCredentialError", fields == NULL && !IsPrimary(source));
	if (fields == NULL)
		JsonPushNull(state, "type");
	else
		JsonPushString(state, "type", variant_names[fields->variant]);

	foreach_field(field)
	{
		const JsonbValue *value;
		JsonbValue	identity;

		if (field->trait != TRAIT_IDENTITY)
			continue;
		value = fields == NULL ? NULL : FieldValue(fields, field);
		if (value == NULL || value->type != jbvString)
			JsonPushNull(state, field->summary_key);
		else
		{
			identity = *value;
			JsonPushValue(state, field->summary_key, &identity);
		}
	}
}

/*
 * The summary as a document of its own.
 */
Jsonb *
MakeSummary(const Source *source, const ConnectionFields *fields)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	PushSummary(&state, source, fields);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
