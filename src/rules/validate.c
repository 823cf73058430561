/*-------------------------------------------------------------------------
 *
 * validate.c
 *		The contract's rules for a name and for a connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "rules/characters.h"
#include "rules/limits.h"
#include "rules/validate.h"
#include "rules/variables.h"
#include "rules/withheld.h"

#define MAX_NAME_CHARS 255

/*
 * A source's name: a string that isn't blank, of at most 255 characters, none
 * of them a control character.
 */
void
ValidateName(const JsonbValue *name, Problems *problems)
{
	Characters	characters = {name->val.string.val, name->val.string.val + name->val.string.len};
	pg_wchar	c;
	int			length = 0;
	bool		blank = true;
	bool		control = false;

	if (name->type == jbvNull)
	{
		AddProblem(problems, "name", "must not be null");
		return;
	}
	if (name->type != jbvString)
	{
		AddProblem(problems, "name", "must be a string");
		return;
	}

	while (length <= MAX_NAME_CHARS && NextCharacter(&characters, &c))
	{
		blank = blank && IsBlank(c);
		control = control || IsControl(c);
		length++;
	}
	if (length > MAX_NAME_CHARS)
		AddProblem(problems, "name", "must not be longer than 255 characters");
	else if (blank)
		AddProblem(problems, "name", "must not be blank");
	if (control)
		AddProblem(problems, "name", "must not contain control characters");
}

static bool
StringInList(const JsonbValue *string, const char *const *list)
{
	for (; *list != NULL; list++)
	{
		if (JsonStringEquals(string, *list))
			return true;
	}
	return false;
}

/*
 * "must be one of a, b, c"
 */
static const char *
MustBeOneOf(const char *const *list)
{
	StringInfoData message;

	initStringInfo(&message);
	appendStringInfoString(&message, "must be one of ");
	for (int i = 0; list[i] != NULL; i++)
		appendStringInfo(&message, "%s%s", i > 0 ? ", " : "", list[i]);
	return message.data;
}

static void
ValidateVariable(const ConnectionFields *fields, const JsonbValue *variable, const Path *path,
				 Problems *problems)
{
	static const char *const required[] = {"key", "value"};
	JsonbValue	value;

	if (!JsonIsObject(variable))
	{
		AddProblemAt(problems, path, MUST_BE(variable, "an object with key and value"));
		return;
	}
	for (size_t i = 0; i < lengthof(required); i++)
	{
		const char *message = NULL;

		if (i == 1 && KeepsValue(fields, path->index, variable->val.binary.data))
			continue;
		if (!JsonFind(variable->val.binary.data, required[i], &value))
			message = "is required";
		else if (value.type != jbvString)
			message = "must be a string";
		else if (i == 0)
			message = RefuseVariable(&value);
		if (message != NULL)
		{
			Path		member = PathOfMember(path, required[i], strlen(required[i]));

			AddProblemAt(problems, &member, message);
		}
	}
}

static char *
FieldPath(const Field *field)
{
	return psprintf("%s.%s", CONNECTION_PATH, field->name);
}

static void
ValidateElements(const ConnectionFields *fields, const Field *field, const JsonbValue *array,
				 Problems *problems)
{
	Path		path = PathFrom(FieldPath(field));
	JsonMembers members = JsonMembersOf(array->val.binary.data);
	JsonMember	member;

	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Path		element = PathOfElement(&path, i);

		if (field->type == FIELD_ENVIRONMENT)
			ValidateVariable(fields, &member.value, &element, problems);
		else if (member.value.type != jbvString)
			AddProblemAt(problems, &element, "must be a string");
	}
}

/*
 * Why a token, a user name or a host won't work, though it may look as if: it
 * was pasted with what stood around it.  NULL if it may, and for an empty one,
 * which stands for the stored.
 */
static const char *
RefuseText(FieldText kind, const JsonbValue *value)
{
	Characters	characters = {value->val.string.val, value->val.string.val + value->val.string.len};
	bool		begins_blank = false;
	bool		ends_blank = false;
	bool		has_blank = false;
	pg_wchar	c;

	for (bool first = true; NextCharacter(&characters, &c); first = false)
	{
		/* most are: an ASCII character that is seen */
		ends_blank = false;
		if (c > ' ' && c < 0x7F)
			continue;
		if (IsControl(c) || IsInvisible(c))
			return "must not contain control or invisible characters";
		ends_blank = IsBlank(c);
		begins_blank = begins_blank || (first && ends_blank);
		has_blank = has_blank || ends_blank;
	}
	if (has_blank && kind == TEXT_HOST)
		return "must not contain blanks";
	return begins_blank || ends_blank ? "must not begin or end with a blank" : NULL;
}

static void
ValidateField(const ConnectionFields *fields, const Field *field, const JsonbValue *value,
			  Problems *problems)
{
	const char *message = NULL;

	switch (field->type)
	{
		case FIELD_STRING:
			if (value->type != jbvString)
				message = "must be a string";
			else if (field->allowed != NULL && !StringInList(value, field->allowed))
				message = MustBeOneOf(field->allowed);
			else if (field->kind != TEXT_ANY)
				message = RefuseText(field->kind, value);
			break;
		case FIELD_BOOLEAN:
			if (value->type != jbvBool)
				message = "must be true or false";
			break;
		case FIELD_STRINGS:
			if (!JsonIsArray(value))
				message = MUST_BE(value, "an array of strings");
			break;
		case FIELD_ENVIRONMENT:
			if (!JsonIsArray(value))
				message = MUST_BE(value, "an array of objects with key and value");
			break;
	}
	if (message != NULL)
		AddProblem(problems, FieldPath(field), message);
	else if (field->type == FIELD_STRINGS || field->type == FIELD_ENVIRONMENT)
		ValidateElements(fields, field, value, problems);
}

/*
 * A connection: one of the variants of DbtProjectConfig.  Properties that the
 * variant doesn't know are allowed.  What an update keeps was validated when it
 * was sent.
 */
void
ValidateConnection(const ConnectionFields *fields, Problems *problems)
{
	const JsonbValue *document = &fields->document;

	if (!JsonIsObject(document))
	{
		AddProblem(problems, CONNECTION_PATH,
				   document->type == jbvNull ? "must not be null" : MUST_BE(document, "an object"));
		return;
	}
	if (fields->variant == VARIANT_UNKNOWN)
	{
		JsonbValue	ignored;
		bool		present = JsonFind(document->val.binary.data, TYPE_PROPERTY, &ignored);

		AddProblem(problems, CONNECTION_PATH "." TYPE_PROPERTY,
				   psprintf("%s%s", present ? "" : "is required and ",
							MustBeOneOf(variant_names)));
		return;
	}
	/* what is known is neither deep nor a number, or not valid */
	if (!fields->only_known)
		ValidateLimits(document->val.binary.data, fields->variant, CONNECTION_PATH, problems);
	foreach_field(field)
	{
		Origin		origin = fields->origin[field - connection_fields];

		if (origin == ORIGIN_SENT)
			ValidateField(fields, field, FieldValue(fields, field), problems);
		else if (origin != ORIGIN_KEPT && FieldIsRequired(field, fields->variant))
			AddProblem(problems, FieldPath(field), "is required");
	}
}
