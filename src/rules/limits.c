/*-------------------------------------------------------------------------
 *
 * limits.c
 *		What keeps a small body from becoming something large.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "rules/limits.h"
#include "base/compat.h"

/* no number in the range of a double has more digits before the point */
#define MAX_DOUBLE_DIGITS 309

/* a number to compare with, which is read once in a session */
typedef struct Bound
{
	const char *text;
	Numeric		number;
} Bound;

static Bound zero = {"0", NULL};
static Bound smallest = {"4.9e-324", NULL};
static Bound largest = {"1.7976931348623158e308", NULL};

static int
Compare(Numeric number, Bound *bound)
{
	if (bound->number == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		bound->number = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(bound->text),
															ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		MemoryContextSwitchTo(caller);
	}
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(number),
											 NumericGetDatum(bound->number)));
}

static int
CountDigits(Numeric number)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	int			digits = 0;

	for (char *c = text; *c != '\0'; c++)
	{
		if (*c >= '0' && *c <= '9')
			digits++;
	}
	pfree(text);
	return digits;
}

/*
 * Whether a number may be stored: what a double holds, or zero, in at most
 * MAX_DIGITS digits.  Never prints a long one.
 */
bool
NumberFits(Numeric number)
{
	int			scale = DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number)));
	Numeric		size;
	bool		fits;

	if (scale > MAX_DIGITS)
		return false;
	size = DatumGetNumeric(DirectFunctionCall1(numeric_abs, NumericGetDatum(number)));
	fits = Compare(size, &largest) <= 0 &&
		(Compare(size, &smallest) >= 0 || Compare(size, &zero) == 0) &&
		(scale + MAX_DOUBLE_DIGITS <= MAX_DIGITS || CountDigits(size) <= MAX_DIGITS);
	pfree(size);
	return fits;
}

/*
 * Whether a member of a connection is a field that has neither numbers nor levels,
 * unless it is of a wrong type, which is a problem by itself.
 */
static bool
IsFlat(Variant variant, const JsonbValue *key)
{
	const Field *field = FieldByName(variant, key->val.string.val, key->val.string.len);

	return field != NULL && field->type != FIELD_ENVIRONMENT;
}

/*
 * Whether a place that is walked is in the environment, where no number is right
 * and the variables' own rules say so.  A variable has a key and a value; what else
 * is in it isn't known.
 */
static bool
IsInEnvironment(Variant variant, const Path *steps, int depth)
{
	if (FieldByName(variant, steps[1].name, steps[1].len) == NULL)
		return false;
	return depth < 3 || steps[2].name != NULL || steps[3].name == NULL ||
		(steps[3].len == 3 && memcmp(steps[3].name, "key", 3) == 0) ||
		(steps[3].len == 5 && memcmp(steps[3].name, "value", 5) == 0);
}

/*
 * The depth of a connection, and its numbers, in what its variant doesn't know.
 *
 * steps has the way from its path to where the walk is; an element's index is
 * that of the last one, and an object's step gets the name of each member.
 */
void
ValidateLimits(JsonbContainer *connection, Variant variant, const char *path, Problems *problems)
{
	JsonbIterator *it = JsonbIteratorInit(connection);
	Path	   *steps = palloc((MAX_DEPTH + 1) * sizeof(Path));
	int			depth = 0;
	JsonbIteratorToken token;
	JsonbValue	value;

	steps[0] = PathFrom(path);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		Path	   *step = &steps[depth];

		CHECK_FOR_INTERRUPTS();
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				if (step->name == NULL)
					step->index++;
				if (depth == MAX_DEPTH)
				{
					AddProblem(problems, path, TOO_DEEP);
					return;
				}
				depth++;
				steps[depth] = PathOfElement(step, -1);
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				depth--;
				break;
			case WJB_KEY:
				*step = PathOfMember(step->outer, value.val.string.val, value.val.string.len);
				if (depth == 1 && IsFlat(variant, &value))
					(void) JsonbIteratorNext(&it, &value, true);
				break;
			case WJB_ELEM:
				step->index++;
				pg_fallthrough;
			default:			/* WJB_VALUE */
				if (value.type == jbvNumeric && !NumberFits(value.val.numeric) && !IsInEnvironment(variant, steps, depth))
					AddProblemAt(problems, step, NUMBER_OUT_OF_RANGE);
		}
	}
	pfree(steps);
}
