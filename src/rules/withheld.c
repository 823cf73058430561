/*-------------------------------------------------------------------------
 *
 * withheld.c
 *		What a view withholds, an update keeps.
 *
 * Withheld are secrets, properties that the variant doesn't know, and the
 * values of environment variables that dbt's convention declares secret.  Both
 * directions ask the same question, IsWithheld(), so that they can't disagree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rules/fields.h"
#include "base/json.h"
#include "rules/validate.h"
#include "rules/withheld.h"

/* an object with withheld members: a connection, or a variable of its own */
typedef struct Holder
{
	Variant		variant;		/* VARIANT_UNKNOWN in a variable */
	bool		secret_value;	/* in a variable: by its name */
	bool		host_changed;	/* keeping is a problem then */
	const Path *path;
} Holder;

/* an environment variable, where it stands in the array */
typedef struct Variable
{
	JsonbValue	key;
	JsonbContainer *object;
	int			index;
} Variable;

static bool
IsWithheld(const Holder *holder, const JsonbValue *key)
{
	const Field *field;

	if (holder->variant == VARIANT_UNKNOWN)
	{
		if (JsonStringEquals(key, "value"))
			return holder->secret_value;
		return !JsonStringEquals(key, "key");
	}
	field = FieldByName(holder->variant, key->val.string.val, key->val.string.len);
	return field == NULL || field->trait == TRAIT_SECRET;
}

static bool
IsSecretVariable(const JsonbValue *key)
{
	return key->val.string.len >= (int) strlen(SECRET_VARIABLE_PREFIX) &&
		memcmp(key->val.string.val, SECRET_VARIABLE_PREFIX,
			   strlen(SECRET_VARIABLE_PREFIX)) == 0;
}

static bool
IsEnvironment(const Holder *holder, const JsonbValue *key)
{
	const Field *field;

	if (holder->variant == VARIANT_UNKNOWN)
		return false;
	field = FieldByName(holder->variant, key->val.string.val, key->val.string.len);
	return field != NULL && field->type == FIELD_ENVIRONMENT;
}

/*
 * Whether an update leaves a member out or sends it empty, so that the stored
 * value is kept.
 */
static bool
IsLeftOut(JsonbContainer *fresh, const char *key, int len)
{
	JsonbValue	value;

	return getKeyJsonValueFromContainer(fresh, key, len, &value) == NULL ||
		JsonIsEmptyString(&value);
}

static bool
SendsSecretVariables(JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;

	while (NextJsonMember(&members, &member))
	{
		JsonbValue	key;

		if (JsonIsObject(&member.value) &&
			JsonFindString(member.value.val.binary.data, "key", &key) &&
			IsSecretVariable(&key) && IsLeftOut(member.value.val.binary.data, "value", strlen("value")))
			return false;
	}
	return true;
}

/*
 * Whether a new connection leaves no secret out, so that it keeps nothing of a
 * stored one that has known properties only.
 */
bool
SendsSecrets(const ConnectionFields *fresh)
{
	if (fresh->variant == VARIANT_UNKNOWN)
		return false;
	for (int i = 0; i < NUM_FIELDS; i++)
	{
		const Field *field = &connection_fields[i];
		const JsonbValue *value = &fresh->values[i];

		if (field->trait == TRAIT_SECRET && FieldIsKnown(field, fresh->variant) &&
			(!fresh->present[i] || JsonIsEmptyString(value)))
			return false;
		if (field->type == FIELD_ENVIRONMENT && fresh->present[i] && JsonIsArray(value) &&
			!SendsSecretVariables(value->val.binary.data))
			return false;
	}
	return true;
}

static int
CompareVariables(const void *a, const void *b)
{
	const Variable *left = a;
	const Variable *right = b;
	int			common = Min(left->key.val.string.len, right->key.val.string.len);
	int			order = memcmp(left->key.val.string.val, right->key.val.string.val, common);

	if (order == 0)
		order = left->key.val.string.len - right->key.val.string.len;
	return order != 0 ? order : left->index - right->index;
}

static bool
SameName(const Variable *a, const Variable *b)
{
	return a->key.val.string.len == b->key.val.string.len &&
		memcmp(a->key.val.string.val, b->key.val.string.val, a->key.val.string.len) == 0;
}

/*
 * The variables of an environment by name, those of one name in order.
 */
static Variable *
SortedVariables(JsonbContainer *environment, int *count)
{
	Variable   *variables = palloc0((JsonContainerSize(environment) + 1) * sizeof(Variable));
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;

	*count = 0;
	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Variable   *variable = &variables[*count];

		if (JsonIsObject(&member.value) &&
			JsonFindString(member.value.val.binary.data, "key", &variable->key))
		{
			variable->object = member.value.val.binary.data;
			variable->index = i;
			(*count)++;
		}
	}
	qsort(variables, *count, sizeof(Variable), CompareVariables);
	return variables;
}

/*
 * For each element of fresh the stored variable of the same name, or NULL; the
 * n-th of a name goes with the n-th.
 */
static JsonbContainer **
PairVariables(JsonbContainer *fresh, JsonbContainer *stored)
{
	JsonbContainer **pairs = palloc0((JsonContainerSize(fresh) + 1) * sizeof(JsonbContainer *));
	int			nfresh;
	int			nstored;
	Variable   *a = SortedVariables(fresh, &nfresh);
	Variable   *b = SortedVariables(stored, &nstored);
	int			i = 0;
	int			j = 0;

	while (i < nfresh && j < nstored)
	{
		Variable	by_name = b[j];

		by_name.index = a[i].index;
		if (SameName(&a[i], &b[j]))
			pairs[a[i++].index] = b[j++].object;
		else if (CompareVariables(&a[i], &by_name) < 0)
			i++;
		else
			j++;
	}
	pfree(a);
	pfree(b);
	return pairs;
}

static void MergeEnvironment(JsonbParseState **state, const Holder *holder,
							 JsonbContainer *fresh, JsonbContainer *stored,
							 Problems *problems);

/*
 * Push the members of fresh, and of stored the withheld ones that fresh leaves
 * out.
 */
static void
MergeMembers(JsonbParseState **state, const Holder *holder,
			 JsonbContainer *fresh, JsonbContainer *stored, Problems *problems)
{
	JsonMembers members = JsonMembersOf(fresh);
	JsonMember	member;

	while (NextJsonMember(&members, &member))
	{
		JsonbValue	old;

		(void) pushJsonbValue(state, WJB_KEY, &member.key);
		if (IsEnvironment(holder, &member.key) && JsonIsArray(&member.value) &&
			JsonFind(stored, "environment", &old) && JsonIsArray(&old))
			MergeEnvironment(state, holder, member.value.val.binary.data,
							 old.val.binary.data, problems);
		else
			(void) pushJsonbValue(state, WJB_VALUE, &member.value);
	}

	members = JsonMembersOf(stored);
	while (NextJsonMember(&members, &member))
	{
		if (!IsWithheld(holder, &member.key) || JsonIsEmptyString(&member.value) ||
			!IsLeftOut(fresh, member.key.val.string.val, member.key.val.string.len))
			continue;
		if (holder->host_changed)
		{
			Path		path = PathOfMember(holder->path, member.key.val.string.val, member.key.val.string.len);

			AddProblemAt(problems, &path, "must be sent again, because the host that it is sent to changes");
		}
		/* the last of two equal keys wins */
		(void) pushJsonbValue(state, WJB_KEY, &member.key);
		(void) pushJsonbValue(state, WJB_VALUE, &member.value);
	}
}

static void
MergeEnvironment(JsonbParseState **state, const Holder *holder,
				 JsonbContainer *fresh, JsonbContainer *stored, Problems *problems)
{
	JsonbContainer **pairs = PairVariables(fresh, stored);
	JsonMembers members = JsonMembersOf(fresh);
	JsonMember	member;
	Path		environment = PathFrom(ENVIRONMENT_PATH);

	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Path		path = PathOfElement(&environment, i);
		Holder		variable = {VARIANT_UNKNOWN, false, holder->host_changed, &path};
		JsonbValue	key;

		if (pairs[i] == NULL)
		{
			(void) pushJsonbValue(state, WJB_ELEM, &member.value);
			continue;
		}
		variable.secret_value = JsonFindString(pairs[i], "key", &key) && IsSecretVariable(&key);
		(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		MergeMembers(state, &variable, member.value.val.binary.data, pairs[i], problems);
		(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
	pfree(pairs);
}

/*
 * Whether both send their secrets to the same host.  No host and an empty one
 * both mean the service's own.
 */
static bool
SameHost(const ConnectionFields *a, const ConnectionFields *b)
{
	for (int i = 0; i < NUM_FIELDS; i++)
	{
		const JsonbValue *left = &a->values[i];
		const JsonbValue *right = &b->values[i];
		bool		no_left = !a->present[i] || JsonIsEmptyString(left);
		bool		no_right = !b->present[i] || JsonIsEmptyString(right);

		if (connection_fields[i].trait != TRAIT_HOST || (no_left && no_right))
			continue;
		if (no_left || no_right ||
			left->type != jbvString || right->type != jbvString ||
			left->val.string.len != right->val.string.len ||
			memcmp(left->val.string.val, right->val.string.val, left->val.string.len) != 0)
			return false;
	}
	return true;
}

/*
 * The new connection, whose fields are given, with what is withheld from views
 * of the stored one filled in where the new one leaves it out.
 *
 * Only within a type, and only if secrets still go to the same host: otherwise
 * each value that would be kept is a problem.  Shares memory with both.
 */
Jsonb *
KeepWithheld(Jsonb *fresh, const ConnectionFields *fields, Jsonb *stored, Problems *problems)
{
	Path		path = PathFrom(CONNECTION_PATH);
	Holder		holder = {fields->variant, false, false, &path};
	ConnectionFields stored_fields;
	JsonbParseState *state = NULL;

	ReadFields(stored, &stored_fields);
	if (fields->variant == VARIANT_UNKNOWN || fields->variant != stored_fields.variant)
		return fresh;

	holder.host_changed = !SameHost(fields, &stored_fields);
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	MergeMembers(&state, &holder, &fresh->root, &stored->root, problems);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
RedactEnvironment(JsonbParseState **state, JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;

	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	while (NextJsonMember(&members, &member))
	{
		JsonbValue	key;
		JsonbValue	value;

		if (!JsonIsObject(&member.value) ||
			!JsonFindString(member.value.val.binary.data, "key", &key) ||
			!JsonFindString(member.value.val.binary.data, "value", &value))
			continue;
		if (IsSecretVariable(&key))
			value.val.string.len = 0;
		(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		JsonPushValue(state, "key", &key);
		JsonPushValue(state, "value", &value);
		(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * Push an object: the connection without what is withheld.
 */
JsonbValue *
RedactConnection(JsonbParseState **state, Jsonb *connection)
{
	Holder		holder = {ConnectionVariant(connection), false, false, NULL};
	JsonMembers members = JsonMembersOf(&connection->root);
	JsonMember	member;

	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (NextJsonMember(&members, &member))
	{
		if (IsWithheld(&holder, &member.key))
			continue;
		if (IsEnvironment(&holder, &member.key) && !JsonIsArray(&member.value))
			continue;
		(void) pushJsonbValue(state, WJB_KEY, &member.key);
		if (IsEnvironment(&holder, &member.key))
			RedactEnvironment(state, member.value.val.binary.data);
		else
			(void) pushJsonbValue(state, WJB_VALUE, &member.value);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}
