/*-------------------------------------------------------------------------
 *
 * withheld.c
 *		What a view withholds, an update keeps.
 *
 * Withheld are secrets, properties that the variant doesn't know, and the
 * values of environment variables that dbt's convention declares secret; and the
 * environment as a whole from some.  An update keeps what it leaves out of these,
 * or sends empty, and removes what it sends as null, where that may be missing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rules/destination.h"
#include "rules/validate.h"
#include "rules/withheld.h"

/* an environment variable, where it stands in the array */
typedef struct Variable
{
	JsonbValue	key;
	JsonbContainer *object;
	int			index;
} Variable;

/*
 * A new connection, less the fields that its variant knows.
 */
Holder
ConnectionHolder(const ConnectionFields *fields)
{
	Holder		holder = {fields->variant, fields->update, fields->document.val.binary.data, fields->stored};

	return holder;
}

/*
 * A variable of the environment that was sent, where it stands there.
 */
Holder
VariableHolder(const ConnectionFields *fields, int index, JsonbContainer *variable)
{
	Holder		holder = {VARIANT_UNKNOWN, fields->update, variable, fields->counterparts[index]};
	JsonbValue	key;

	holder.secret_value = JsonFindString(variable, "key", &key) && IsSecretVariable(&key);
	return holder;
}

/*
 * Whether a member of a connection is a field, which its ConnectionFields have.
 */
bool
IsField(const Holder *holder, const JsonbValue *key)
{
	return holder->variant != VARIANT_UNKNOWN &&
		FieldByName(holder->variant, key->val.string.val, key->val.string.len) != NULL;
}

static bool
IsWithheld(const Holder *holder, const JsonbValue *key)
{
	if (holder->variant != VARIANT_UNKNOWN)
		return !IsField(holder, key);
	if (JsonStringEquals(key, "value"))
		return holder->secret_value;
	return !JsonStringEquals(key, "key");
}

static bool
IsRequired(const Holder *holder, const JsonbValue *key)
{
	return holder->variant == VARIANT_UNKNOWN && JsonStringEquals(key, "value");
}

/*
 * Whether an object leaves a member out or sends it empty, so that the stored
 * value is kept.
 */
static bool
LeavesOut(JsonbContainer *sent, const JsonbValue *key)
{
	JsonbValue	value;

	return getKeyJsonValueFromContainer(sent, key->val.string.val, key->val.string.len, &value) == NULL ||
		JsonIsEmptyString(&value);
}

/*
 * Whether a member of the stored counterpart is kept.
 */
bool
IsKept(const Holder *holder, const JsonMember *member)
{
	return IsWithheld(holder, &member->key) && LeavesOut(holder->sent, &member->key);
}

/*
 * Whether a member of what was sent is stored.  Where null isn't valid, there is
 * none.
 */
bool
IsSent(const Holder *holder, const JsonMember *member)
{
	JsonbValue	stored;

	if (holder->update && member->value.type == jbvNull)
		return false;
	return holder->stored == NULL || !JsonIsEmptyString(&member->value) ||
		!IsWithheld(holder, &member->key) ||
		getKeyJsonValueFromContainer(holder->stored, member->key.val.string.val,
									 member->key.val.string.len, &stored) == NULL;
}

/*
 * Whether a variable that was sent gets its value from its stored counterpart.
 */
bool
KeepsValue(const ConnectionFields *fields, int index, JsonbContainer *variable)
{
	Holder		holder;
	JsonMember	value;

	if (fields->counterparts == NULL || fields->counterparts[index] == NULL)
		return false;
	holder = VariableHolder(fields, index, variable);
	value.key.type = jbvString;
	value.key.val.string.val = "value";
	value.key.val.string.len = strlen("value");
	return JsonFind(holder.stored, "value", &value.value) && IsKept(&holder, &value);
}

static bool
SendsSecretVariables(JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;

	while (NextJsonMember(&members, &member))
	{
		JsonbValue	key;
		JsonbValue	value;

		if (JsonIsObject(&member.value) &&
			JsonFindString(member.value.val.binary.data, "key", &key) && IsSecretVariable(&key) &&
			(!JsonFind(member.value.val.binary.data, "value", &value) || JsonIsEmptyString(&value)))
			return false;
	}
	return true;
}

/*
 * Whether an update keeps a secret of its variant, should there be one.
 */
static bool
KeepsSecret(const ConnectionFields *fields, const Field *field)
{
	const JsonbValue *value = FieldValue(fields, field);

	return field->trait == TRAIT_SECRET && FieldIsKnown(field, fields->variant) &&
		!IsUnused(fields, field) &&
		fields->origin[field - connection_fields] != ORIGIN_REMOVED &&
		(value == NULL || JsonIsEmptyString(value));
}

/*
 * Whether an update leaves no secret out, so that it keeps nothing of a stored
 * connection that has known properties only, but its environment.
 */
bool
SendsSecrets(const ConnectionFields *fields)
{
	const JsonbValue *environment = EnvironmentOf(fields);

	if (fields->variant == VARIANT_UNKNOWN)
		return false;
	foreach_field(field)
	{
		if (KeepsSecret(fields, field))
			return false;
	}
	return environment == NULL || !JsonIsArray(environment) ||
		SendsSecretVariables(environment->val.binary.data);
}

/*
 * Whether an update doesn't keep the stored environment as a whole.
 */
bool
SendsEnvironment(const ConnectionFields *fields)
{
	return fields->variant == VARIANT_UNKNOWN || EnvironmentField(fields->variant) == NULL ||
		EnvironmentOf(fields) != NULL;
}

static int
CompareVariables(const void *a, const void *b)
{
	const Variable *left = a;
	const Variable *right = b;
	int			common = Min(left->key.val.string.len, right->key.val.string.len);
	int			order = memcmp(left->key.val.string.val, right->key.val.string.val, common);

	CHECK_FOR_INTERRUPTS();
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
	Variable   *variables = palloc_extended(JsonContainerSize(environment) * sizeof(Variable), MCXT_ALLOC_HUGE);
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
 * Find for each variable of fresh the stored one of the same name; the n-th of a
 * name goes with the n-th.
 */
static void
PairVariables(JsonbContainer *fresh, JsonbContainer *stored, JsonbContainer **counterparts)
{
	int			nfresh;
	int			nstored;
	Variable   *a = SortedVariables(fresh, &nfresh);
	Variable   *b = SortedVariables(stored, &nstored);
	int			i = 0;
	int			j = 0;

	while (i < nfresh && j < nstored)
	{
		if (SameName(&a[i], &b[j]))
			counterparts[a[i++].index] = b[j++].object;
		else if (CompareVariables(&a[i], &b[j]) < 0)
			i++;
		else
			j++;
	}
	pfree(a);
	pfree(b);
}

/*
 * Why what is kept has to be sent again, as it doesn't go where it went; NULL if
 * it does.
 */
static const char *
WhySendAgain(const ConnectionFields *from, const ConnectionFields *to, Destination of)
{
	const Field *changed = ChangedDestination(from, to, of);

	return changed == NULL ? NULL :
		psprintf("must be sent again, because %s changes, which decides where it goes", changed->name);
}

/*
 * Whether there is nothing in a value that could go anywhere.
 */
static bool
HoldsNothing(const JsonbValue *value)
{
	return value->type == jbvNull || JsonIsEmptyString(value) ||
		(JsonIsArray(value) && JsonContainerSize(value->val.binary.data) == 0);
}

/*
 * Keep what is withheld of a holder's counterpart; send_again says why that is a
 * problem, if it is.  Returns whether any of it isn't known, as the value of a
 * variable is.
 */
static bool
KeepMembers(const Holder *holder, const char *send_again, const Path *path, Problems *problems)
{
	JsonMembers members = JsonMembersOf(holder->stored);
	JsonMember	member;
	bool		unknown = false;

	while (NextJsonMember(&members, &member))
	{
		if (!IsKept(holder, &member))
			continue;
		if (send_again != NULL && !HoldsNothing(&member.value))
		{
			Path		kept = PathOfMember(path, member.key.val.string.val, member.key.val.string.len);

			AddProblemAt(problems, &kept, send_again);
		}
		unknown = unknown || !IsRequired(holder, &member.key);
	}
	return unknown;
}

/*
 * Keep what is withheld of the stored counterpart of a variable, if it has one.
 * What is to be kept must exist.
 */
static void
KeepVariable(ConnectionFields *fields, int index, JsonbContainer *object, const char *send_again,
			 const Path *path, Problems *problems)
{
	Holder		variable = VariableHolder(fields, index, object);
	JsonbValue	value;

	if (variable.stored != NULL && KeepMembers(&variable, send_again, path, problems))
		fields->only_known = false;
	if (variable.secret_value && JsonFind(object, "value", &value) && JsonIsEmptyString(&value) &&
		!KeepsValue(fields, index, object))
	{
		Path		member = PathOfMember(path, "value", strlen("value"));

		AddProblemAt(problems, &member, "must not be empty, because there is no stored value to keep");
	}
}

/*
 * Keep what is withheld of the variables that are sent; only_known says that the
 * stored ones have a key and a value, and no more.
 */
static void
KeepVariables(ConnectionFields *fields, JsonbContainer *sent, const JsonbValue *stored, bool only_known,
			  const char *send_again, Problems *problems)
{
	JsonMembers members = JsonMembersOf(sent);
	JsonMember	member;
	Path		environment = PathFrom(ENVIRONMENT_PATH);

	fields->counterparts = palloc_extended(JsonContainerSize(sent) * sizeof(JsonbContainer *),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	/* mostly there is nothing that could be kept */
	if (stored != NULL && JsonIsArray(stored) && !(only_known && SendsSecretVariables(sent)))
		PairVariables(sent, stored->val.binary.data, fields->counterparts);
	for (int i = 0; NextJsonMember(&members, &member); i++)
	{
		Path		path = PathOfElement(&environment, i);

		if (JsonIsObject(&member.value))
			KeepVariable(fields, i, member.value.val.binary.data, send_again, &path, problems);
	}
}

/*
 * Keep what is withheld of the environment, as a whole if it is left out.
 */
static void
KeepEnvironment(ConnectionFields *fields, const ConnectionFields *stored, const char *send_again,
				Problems *problems)
{
	const JsonbValue *sent = EnvironmentOf(fields);
	const JsonbValue *kept = stored == NULL ? NULL : EnvironmentOf(stored);

	if (sent != NULL && JsonIsArray(sent))
		KeepVariables(fields, sent->val.binary.data, kept, stored != NULL && stored->only_known,
					  send_again, problems);
	else if (sent == NULL && kept != NULL)
	{
		KeepField(fields, EnvironmentField(fields->variant), kept);
		if (send_again != NULL && !HoldsNothing(kept))
			AddProblem(problems, ENVIRONMENT_PATH, send_again);
	}
}

/*
 * Fill in what an update keeps of the stored connection, which is NULL if there
 * is none, or nothing that would be kept.
 *
 * Only within a variant, and only what still goes where it went: otherwise each
 * value that would be kept is a problem, and so is a variable whose secret can't
 * be, as there is none.
 */
void
KeepWithheld(ConnectionFields *fields, Jsonb *stored, Problems *problems)
{
	ConnectionFields old;
	const char *send_again;
	Path		path = PathFrom(CONNECTION_PATH);
	Holder		holder;

	if (fields->variant == VARIANT_UNKNOWN)
		return;
	if (stored != NULL)
		ReadConnection(stored, &old);
	if (stored == NULL || old.variant != fields->variant)
	{
		KeepEnvironment(fields, NULL, NULL, problems);
		return;
	}

	send_again = WhySendAgain(&old, fields, DESTINATION_OF_SECRETS);
	foreach_field(field)
	{
		const JsonbValue *kept = FieldValue(&old, field);

		if (kept == NULL || !KeepsSecret(fields, field))
			continue;
		KeepField(fields, field, kept);
		if (send_again != NULL && !HoldsNothing(kept))
		{
			Path		member = PathOfMember(&path, field->name, field->name_len);

			AddProblemAt(problems, &member, send_again);
		}
	}
	if (!old.only_known)
	{
		fields->stored = &stored->root;
		holder = ConnectionHolder(fields);
		if (KeepMembers(&holder, send_again, &path, problems))
			fields->only_known = false;
	}
	KeepEnvironment(fields, &old, WhySendAgain(&old, fields, DESTINATION_OF_ENVIRONMENT), problems);
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
RedactConnection(JsonbParseState **state, const ConnectionFields *fields, bool with_environment)
{
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	foreach_field(field)
	{
		const JsonbValue *value = FieldValue(fields, field);
		JsonbValue	shown;

		if (value == NULL || field->trait == TRAIT_SECRET)
			continue;
		if (field->type != FIELD_ENVIRONMENT)
		{
			shown = *value;
			JsonPushValue(state, field->name, &shown);
		}
		else if (with_environment && JsonIsArray(value))
		{
			JsonPushKey(state, field->name);
			RedactEnvironment(state, value->val.binary.data);
		}
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}
