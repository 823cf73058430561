/*-------------------------------------------------------------------------
 *
 * print.c
 *		A connection as JSON, to be stored.
 *
 * What an update keeps is printed from where it is; a document of both would be
 * made for nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/json.h"
#include "rules/print.h"
#include "rules/withheld.h"

/*
 * By the length of the key, then by its bytes.
 */
static int
CompareAsJsonb(const void *a, const void *b)
{
	const Field *left = *(const Field *const *) a;
	const Field *right = *(const Field *const *) b;

	return left->name_len != right->name_len ? left->name_len - right->name_len :
		memcmp(left->name, right->name, left->name_len);
}

/*
 * The fields as jsonb orders them: to parse what is in order is less work.
 */
static const Field *const *
FieldsAsJsonb(void)
{
	static const Field *fields[NUM_FIELDS] = {NULL};

	if (fields[0] == NULL)
	{
		for (int i = 0; i < NUM_FIELDS; i++)
			fields[i] = &connection_fields[i];
		qsort(fields, NUM_FIELDS, sizeof(fields[0]), CompareAsJsonb);
	}
	return fields;
}

/*
 * The members of an object, less those that are fields, with what it keeps.
 */
static void
PrintHolder(StringInfo out, const Holder *holder)
{
	JsonMembers members = JsonMembersOf(holder->sent);
	JsonMember	member;

	while (NextJsonMember(&members, &member))
	{
		if (!IsField(holder, &member.key) && IsSent(holder, &member))
			AppendJsonMember(out, &member);
	}
	if (holder->stored == NULL)
		return;
	members = JsonMembersOf(holder->stored);
	while (NextJsonMember(&members, &member))
	{
		if (IsKept(holder, &member))
			AppendJsonMember(out, &member);
	}
}

static void
PrintVariables(StringInfo out, const ConnectionFields *fields, JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;

	appendStringInfoChar(out, '[');
	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Holder		variable = VariableHolder(fields, i, member.value.val.binary.data);

		AppendJsonSeparator(out);
		appendStringInfoChar(out, '{');
		PrintHolder(out, &variable);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
PrintFields(StringInfo out, const void *what)
{
	const ConnectionFields *fields = what;
	const Field *const *in_order = FieldsAsJsonb();

	appendStringInfoChar(out, '{');
	for (int i = 0; i < NUM_FIELDS; i++)
	{
		const Field *field = in_order[i];
		const JsonbValue *value = FieldValue(fields, field);

		if (value == NULL)
			continue;
		AppendJsonKey(out, field->name);
		if (field->type == FIELD_ENVIRONMENT && fields->counterparts != NULL)
			PrintVariables(out, fields, value->val.binary.data);
		else
			AppendJsonValue(out, value);
	}
	if (!fields->only_known)
	{
		Holder		connection = ConnectionHolder(fields);

		PrintHolder(out, &connection);
	}
	appendStringInfoChar(out, '}');
}

/*
 * The JSON text of a connection that is valid, in UTF-8.
 *
 * Errors: 54000 if it exceeds what PostgreSQL can hold in one value.
 */
bytea *
PrintConnection(const ConnectionFields *fields)
{
	return PrintJson(fields->document.val.binary.len, PrintFields, fields);
}
