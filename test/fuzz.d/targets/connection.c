/*-------------------------------------------------------------------------
 *
 * connection.c
 *		What a view withholds, an update keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "rules/exit.h"
#include "rules/limits.h"
#include "rules/print.h"
#include "rules/validate.h"
#include "rules/variants.h"
#include "rules/withheld.h"

extern void connection(const char *input, Size len);

static bool
IsValid(const ConnectionFields *fields, Problems problems)
{
	ValidateConnection(fields, &problems);
	(void) ListProblems(problems);
	return problems.count == 0;
}

static Jsonb *
Stored(const ConnectionFields *fields)
{
	return JsonFromBytea(PrintConnection(fields));
}

static bool
Same(Jsonb *a, Jsonb *b)
{
	return compareJsonbContainers(&a->root, &b->root) == 0;
}

/*
 * What is stored once an update is made; NULL if it is refused.
 */
static Jsonb *
Updated(Jsonb *stored, Jsonb *update)
{
	ConnectionFields fields;
	Problems	problems = NO_PROBLEMS;
	JsonbValue	document = JsonRoot(update);

	ReadFields(&document, true, &fields);
	(void) SendsSecrets(&fields);
	(void) SendsEnvironment(&fields);
	KeepWithheld(&fields, stored, &problems);
	return IsValid(&fields, problems) ? Stored(&fields) : NULL;
}

/*
 * An unused token isn't kept.
 */
static bool
HasUnused(const ConnectionFields *fields)
{
	foreach_field(field)
	{
		if (FieldValue(fields, field) != NULL && IsUnused(fields, field))
			return true;
	}
	return false;
}

/*
 * The view of a connection, sent as an update, changes nothing.
 */
static void
CheckView(Jsonb *stored)
{
	ConnectionFields fields;
	JsonbParseState *state = NULL;
	Jsonb	   *view;
	Jsonb	   *updated;

	ReadConnection(stored, &fields);
	view = JsonbValueToJsonb(RedactConnection(&state, &fields, true));
	updated = Updated(stored, view);
	if (HasUnused(&fields))
		return;
	HOLDS(updated != NULL && Same(updated, stored), "a view that is sent back changes nothing");
	state = NULL;
	ReadConnection(updated, &fields);
	HOLDS(Same(JsonbValueToJsonb(RedactConnection(&state, &fields, true)), view), "and is what is seen again");
}

/*
 * What is valid once is stored as it is.  Returns that, or NULL if it isn't.
 */
static Jsonb *
Created(Jsonb *document)
{
	ConnectionFields fields;
	Jsonb	   *stored;

	ReadConnection(document, &fields);
	if (!IsValid(&fields, NO_PROBLEMS))
		return NULL;
	stored = Stored(&fields);
	HOLDS(Same(stored, document), "a connection is stored as it is");
	ReadConnection(stored, &fields);
	HOLDS(IsValid(&fields, NO_PROBLEMS), "and is valid again");
	return stored;
}

void
connection(const char *input, Size len)
{
	Input		rest = {input, input + len};
	Jsonb	   *first = NextJson(&rest);
	Jsonb	   *second = NextJson(&rest);
	Jsonb	   *stored = first == NULL ? NULL : Created(first);
	Jsonb	   *updated = NULL;

	if (stored != NULL)
		CheckView(stored);
	if (second != NULL)
		updated = Updated(stored, second);
	if (updated != NULL)
	{
		HOLDS(Created(updated) != NULL, "what an update makes is valid");
		CheckView(updated);
		(void) LeaveOutRefused(updated);
	}
}
