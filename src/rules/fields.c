/*-------------------------------------------------------------------------
 *
 * fields.c
 *		A connection taken apart by the table of facts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rules/fields.h"
#include "base/json.h"

/*
 * Which variant a connection is of, or VARIANT_UNKNOWN.
 */
Variant
ConnectionVariant(Jsonb *connection)
{
	JsonbValue	type;

	if (!JB_ROOT_IS_OBJECT(connection) ||
		!JsonFindString(&connection->root, TYPE_PROPERTY, &type))
		return VARIANT_UNKNOWN;
	return VariantByName(type.val.string.val, type.val.string.len);
}

static bool
HasOnlyKnownVariables(const JsonbValue *environment)
{
	JsonMembers variables;
	JsonMember	variable;

	if (!JsonIsArray(environment))
		return false;
	variables = JsonMembersOf(environment->val.binary.data);
	while (NextJsonMember(&variables, &variable))
	{
		JsonbContainer *object = variable.value.val.binary.data;
		JsonbValue	ignored;

		if (!JsonIsObject(&variable.value) ||
			(int) JsonContainerSize(object) != JsonFind(object, "key", &ignored) + JsonFind(object, "value", &ignored))
			return false;
	}
	return true;
}

/*
 * The fields of a connection that its variant knows; none of an unknown variant.
 * What is in *fields points into the connection.
 */
void
ReadFields(Jsonb *connection, ConnectionFields *fields)
{
	JsonMembers members;
	JsonMember	member;

	fields->variant = ConnectionVariant(connection);
	fields->only_known = fields->variant != VARIANT_UNKNOWN;
	memset(fields->present, false, sizeof(fields->present));
	if (fields->variant == VARIANT_UNKNOWN)
		return;

	members = JsonMembersOf(&connection->root);
	while (NextJsonMember(&members, &member))
	{
		const Field *field = FieldByName(fields->variant, member.key.val.string.val, member.key.val.string.len);

		if (field == NULL)
		{
			fields->only_known = false;
			continue;
		}
		fields->present[field - connection_fields] = true;
		fields->values[field - connection_fields] = member.value;
		if (field->type == FIELD_ENVIRONMENT && !HasOnlyKnownVariables(&member.value))
			fields->only_known = false;
	}
}
