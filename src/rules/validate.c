/*-------------------------------------------------------------------------
 *
 * validate.c
 *		The contract's rules for a name and for a connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/json.h"
#include "rules/characters.h"
#include "rules/validate.h"

#define MAX_NAME_CHARS 255

/*
 * Parsing JSON recurses, so that what fits the stack of the call that stores it
 * might not fit that of a later one, and break the whole list for it.
 */
#define MAX_DEPTH 1000

/*
 * Environment variables that change how dbt or its child processes run.
 */
static const char *const refused_variables[] = {
	"GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "LD_AUDIT", "LD_LIBRARY_PATH",
	"LD_PRELOAD", "NODE_OPTIONS", "NODE_PATH", "PATH", "PERL5OPT", "PYTHONHOME",
	"PYTHONPATH", "RUBYOPT", "SHELL", "SSH_ASKPASS", NULL
};

static const char *const refused_prefixes[] = {
	"LIGHTDASH_DBT_PROFILE_VAR_", "DYLD_", "GIT_CONFIG_", NULL
};

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

/*
 * Whether dbt may be started with a variable of that name: a shell's
 * identifier, or nothing, and none of the refused ones.
 */
static const char *
RefuseVariable(const JsonbValue *key)
{
	const char *name = key->val.string.val;
	int			len = key->val.string.len;

	for (int i = 0; i < len; i++)
	{
		char		c = name[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
			  (i > 0 && c >= '0' && c <= '9')))
			return "must consist of letters, digits and underscores, and not begin with a digit";
	}
	for (const char *const *prefix = refused_prefixes; *prefix != NULL; prefix++)
	{
		if ((size_t) len >= strlen(*prefix) &&
			memcmp(name, *prefix, strlen(*prefix)) == 0)
			return "must not name a variable that changes how dbt runs";
	}
	if (StringInList(key, refused_variables))
		return "must not name a variable that changes how dbt runs";
	return NULL;
}

static void
ValidateVariable(const JsonbValue *variable, const Path *path, Problems *problems)
{
	static const char *const required[] = {"key", "value"};
	JsonbValue	value;

	if (!JsonIsObject(variable))
	{
		AddProblemAt(problems, path, "must be an object with key and value");
		return;
	}
	for (size_t i = 0; i < lengthof(required); i++)
	{
		const char *message = NULL;

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
ValidateElements(const Field *field, const JsonbValue *array, Problems *problems)
{
	Path		path = PathFrom(FieldPath(field));
	JsonMembers members = JsonMembersOf(array->val.binary.data);
	JsonMember	member;

	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Path		element = PathOfElement(&path, i);

		if (field->type == FIELD_ENVIRONMENT)
			ValidateVariable(&member.value, &element, problems);
		else if (member.value.type != jbvString)
			AddProblemAt(problems, &element, "must be a string");
	}
}

static void
ValidateField(const Field *field, const JsonbValue *value, Problems *problems)
{
	const char *message = NULL;

	switch (field->type)
	{
		case FIELD_STRING:
			if (value->type != jbvString)
				message = "must be a string";
			else if (field->allowed != NULL && !StringInList(value, field->allowed))
				message = MustBeOneOf(field->allowed);
			break;
		case FIELD_BOOLEAN:
			if (value->type != jbvBool)
				message = "must be true or false";
			break;
		case FIELD_STRINGS:
			if (!JsonIsArray(value))
				message = "must be an array of strings";
			break;
		case FIELD_ENVIRONMENT:
			if (!JsonIsArray(value))
				message = "must be an array of objects with key and value";
			break;
	}
	if (message != NULL)
		AddProblem(problems, FieldPath(field), message);
	else if (field->type == FIELD_STRINGS || field->type == FIELD_ENVIRONMENT)
		ValidateElements(field, value, problems);
}

static bool
IsTooDeep(Jsonb *document)
{
	JsonbIterator *it = JsonbIteratorInit(&document->root);
	JsonbIteratorToken token;
	JsonbValue	ignored;
	int			depth = 0;

	while (depth <= MAX_DEPTH &&
		   (token = JsonbIteratorNext(&it, &ignored, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT)
			depth++;
		else if (token == WJB_END_ARRAY || token == WJB_END_OBJECT)
			depth--;
	}
	return depth > MAX_DEPTH;
}

/*
 * A connection, whose fields are given: one of the variants of DbtProjectConfig.
 * Properties that the variant doesn't know are allowed.
 */
void
ValidateConnection(Jsonb *connection, const ConnectionFields *fields, Problems *problems)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(connection))
	{
		bool		is_null = JB_ROOT_IS_SCALAR(connection) &&
			JsonbExtractScalar(&connection->root, &value) && value.type == jbvNull;

		AddProblem(problems, CONNECTION_PATH,
				   is_null ? "must not be null" : "must be an object");
		return;
	}
	if (fields->variant == VARIANT_UNKNOWN)
	{
		bool		present = JsonFind(&connection->root, TYPE_PROPERTY, &value);

		AddProblem(problems, CONNECTION_PATH "." TYPE_PROPERTY,
				   psprintf("%s%s", present ? "" : "is required and ",
							MustBeOneOf(variant_names)));
		return;
	}
	/* what is known isn't deep, or not valid */
	if (!fields->only_known && IsTooDeep(connection))
		AddProblem(problems, CONNECTION_PATH,
				   "must not be nested deeper than 1000 levels");
	for (int i = 0; i < NUM_FIELDS; i++)
	{
		if (fields->present[i])
			ValidateField(&connection_fields[i], &fields->values[i], problems);
		else if (FieldIsRequired(&connection_fields[i], fields->variant))
			AddProblem(problems, FieldPath(&connection_fields[i]), "is required");
	}
}
