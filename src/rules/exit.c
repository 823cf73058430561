/*-------------------------------------------------------------------------
 *
 * exit.c
 *		What the worker that runs dbt doesn't get.
 *
 * The list of variables that dbt may not be started with grows, and what was
 * stored before it did stays stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/domain.h"
#include "base/json.h"
#include "rules/exit.h"
#include "rules/fields.h"
#include "rules/problems.h"
#include "rules/variables.h"

#define MAX_SHOWN 10

/*
 * Whether an element of an environment is a variable that dbt may not be started
 * with; if so, that is its name.
 */
static bool
IsRefused(const JsonbValue *element, JsonbValue *name)
{
	return JsonIsObject(element) && JsonFindString(element->val.binary.data, "key", name) &&
		RefuseVariable(name) != NULL;
}

/*
 * One WARNING for all that is left out of an environment.  Returns how many that
 * are.
 */
static int
ReportRefused(JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;
	JsonbValue	name;
	StringInfoData shown;
	int			refused = 0;

	initStringInfo(&shown);
	while (NextJsonMember(&members, &member))
	{
		if (!IsRefused(&member.value, &name))
			continue;
		if (refused < MAX_SHOWN)
		{
			appendStringInfoString(&shown, refused == 0 ? "" : ", ");
			AppendName(&shown, name.val.string.val, name.val.string.len);
		}
		refused++;
	}
	if (refused > 0)
		ereport(WARNING,
				(errmsg_plural("left out %d environment variable that changes how dbt runs: %s%s",
							   "left out %d environment variables that change how dbt runs: %s%s",
							   refused, refused, shown.data, refused > MAX_SHOWN ? ", ..." : ""),
				 errhint("Update the connection without it.")));
	pfree(shown.data);
	return refused;
}

static void
PushAllowed(JsonbParseState **state, JsonbContainer *environment)
{
	JsonMembers members = JsonMembersOf(environment);
	JsonMember	member;
	JsonbValue	name;

	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	while (NextJsonMember(&members, &member))
	{
		if (!IsRefused(&member.value, &name))
			(void) pushJsonbValue(state, WJB_ELEM, &member.value);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * The connection without the variables of its environment that dbt may not be
 * started with.  If there are such, a WARNING names them, and what was given is
 * wiped and freed.
 */
Jsonb *
LeaveOutRefused(Jsonb *connection)
{
	ConnectionFields fields;
	const JsonbValue *environment;
	JsonbParseState *state = NULL;
	JsonMembers members;
	JsonMember	member;
	Jsonb	   *allowed;

	ReadConnection(connection, &fields);
	environment = EnvironmentOf(&fields);
	if (environment == NULL || !JsonIsArray(environment) || ReportRefused(environment->val.binary.data) == 0)
		return connection;

	members = JsonMembersOf(&connection->root);
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	while (NextJsonMember(&members, &member))
	{
		(void) pushJsonbValue(&state, WJB_KEY, &member.key);
		if (JsonStringEquals(&member.key, EnvironmentField(fields.variant)->name))
			PushAllowed(&state, environment->val.binary.data);
		else
			(void) pushJsonbValue(&state, WJB_VALUE, &member.value);
	}
	allowed = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	WipeJsonb(connection);
	return allowed;
}
