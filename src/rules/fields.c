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

static Variant
VariantOf(JsonbContainer *object)
{
	JsonbValue	type;

	if (!JsonFindString(object, TYPE_PROPERTY, &type))
		return VARIANT_UNKNOWN;
	return VariantByName(type.val.string.val, type.val.string.len);
}

/*
 * Which variant a connection is of, or VARIANT_UNKNOWN.
 */
Variant
ConnectionVariant(Jsonb *connection)
{
	return JB_ROOT_IS_OBJECT(connection) ? VariantOf(&connection->root) : VARIANT_UNKNOWN;
}

/*
 * Whether the variables of an environment have a key and a value, and no more but
 * what an update removes.
 */
static bool
HasOnlyKnownVariables(const JsonbValue *environment, bool update)
{
	JsonMembers variables;
	JsonMember	variable;

	if (!JsonIsArray(environment))
		return false;
	variables = JsonMembersOf(environment->val.binary.data);
	while (NextJsonMember(&variables, &variable))
	{
		JsonMembers members;
		JsonMember	member;

		if (!JsonIsObject(&variable.value))
			return false;
		members = JsonMembersOf(variable.value.val.binary.data);
		while (NextJsonMember(&members, &member))
		{
			if (!JsonStringEquals(&member.key, "key") && !JsonStringEquals(&member.key, "value") &&
				!(update && member.value.type == jbvNull))
				return false;
		}
	}
	return true;
}

static void
SetField(ConnectionFields *fields, const Field *field, Origin origin, const JsonbValue *value)
{
	fields->origin[field - connection_fields] = origin;
	fields->values[field - connection_fields] = *value;
	if (field->type == FIELD_ENVIRONMENT &&
		!HasOnlyKnownVariables(value, fields->update && origin == ORIGIN_SENT))
		fields->only_known = false;
}

/*
 * Let an update have a field that it leaves out.
 */
void
KeepField(ConnectionFields *fields, const Field *field, const JsonbValue *value)
{
	SetField(fields, field, ORIGIN_KEPT, value);
}

static bool
IsOptionalSecret(const Field *field, Variant variant)
{
	return field->trait == TRAIT_SECRET && !FieldIsRequired(field, variant);
}

/*
 * The fields of a connection that its variant knows; none of an unknown variant.
 * update says that the connection is to replace a stored one.
 */
void
ReadFields(const JsonbValue *document, bool update, ConnectionFields *fields)
{
	JsonMembers members;
	JsonMember	member;

	fields->document = *document;
	fields->variant = JsonIsObject(document) ? VariantOf(document->val.binary.data) : VARIANT_UNKNOWN;
	fields->update = update;
	fields->only_known = fields->variant != VARIANT_UNKNOWN;
	memset(fields->origin, 0, sizeof(fields->origin));
	fields->stored = NULL;
	fields->counterparts = NULL;
	if (fields->variant == VARIANT_UNKNOWN)
		return;

	members = JsonMembersOf(document->val.binary.data);
	while (NextJsonMember(&members, &member))
	{
		const Field *field = FieldByName(fields->variant, member.key.val.string.val, member.key.val.string.len);

		bool		removes = update && member.value.type == jbvNull;

		if (field == NULL)
			fields->only_known = fields->only_known && removes;
		else
			SetField(fields, field, removes && IsOptionalSecret(field, fields->variant) ? ORIGIN_REMOVED : ORIGIN_SENT,
					 &member.value);
	}
}

/*
 * The same of a document that is not an update.
 */
void
ReadConnection(Jsonb *connection, ConnectionFields *fields)
{
	JsonbValue	document = JsonRoot(connection);

	ReadFields(&document, false, fields);
}

/*
 * The value of a field, or NULL if it isn't there.
 */
const JsonbValue *
FieldValue(const ConnectionFields *fields, const Field *field)
{
	int			i = field - connection_fields;

	return fields->origin[i] == ORIGIN_SENT || fields->origin[i] == ORIGIN_KEPT ? &fields->values[i] : NULL;
}

/*
 * The environment, whatever it is, or NULL if there is none.
 */
const JsonbValue *
EnvironmentOf(const ConnectionFields *fields)
{
	const Field *field = fields->variant == VARIANT_UNKNOWN ? NULL : EnvironmentField(fields->variant);

	return field == NULL ? NULL : FieldValue(fields, field);
}

/*
 * Whether nobody reads a field, because of what another one says.
 */
bool
IsUnused(const ConnectionFields *fields, const Field *field)
{
	const Field *other;
	const JsonbValue *value;

	if (field->unused == NULL)
		return false;
	other = FieldByName(fields->variant, field->unused->field, strlen(field->unused->field));
	value = other == NULL ? NULL : FieldValue(fields, other);
	return value != NULL && JsonStringEquals(value, field->unused->value);
}

/*
 * Whether the variable of that name holds a secret, by dbt's convention.
 */
bool
IsSecretVariable(const JsonbValue *key)
{
	return key->val.string.len >= (int) strlen(SECRET_VARIABLE_PREFIX) &&
		memcmp(key->val.string.val, SECRET_VARIABLE_PREFIX,
			   strlen(SECRET_VARIABLE_PREFIX)) == 0;
}
