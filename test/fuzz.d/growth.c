/*-------------------------------------------------------------------------
 *
 * growth.c
 *		How much longer a target takes for a longer input that repeats itself.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <math.h>
#include <time.h>
#include <valgrind/callgrind.h>

#include "lib/stringinfo.h"
#include "utils/builtins.h"

extern PGDLLEXPORT Datum growth(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(growth);

#define KILOBYTE 1024

/* a number in what is repeated, which is then another one each time */
#define NUMBER "%d"

static const int sizes[] = {256 * KILOBYTE, 1024 * KILOBYTE};

/*
 * An input of about that size.
 */
static void
Repeat(StringInfo input, bytea *before, bytea *repeated, bytea *after, int size)
{
	char	   *unit = text_to_cstring(repeated);
	char	   *number = strstr(unit, NUMBER);

	if (*unit == '\0')
		elog(ERROR, "there is nothing to repeat");
	resetStringInfo(input);
	appendBinaryStringInfo(input, VARDATA_ANY(before), VARSIZE_ANY_EXHDR(before));
	for (int i = 0; input->len < size; i++)
	{
		if (number == NULL)
			appendBinaryStringInfo(input, VARDATA_ANY(repeated), VARSIZE_ANY_EXHDR(repeated));
		else
			appendStringInfo(input, "%.*s%08d%s", (int) (number - unit), unit, i, number + strlen(NUMBER));
	}
	appendBinaryStringInfo(input, VARDATA_ANY(after), VARSIZE_ANY_EXHDR(after));
}

/*
 * The least seconds of CPU time that it takes, of some times; once below callgrind,
 * whose count is the same each time.
 */
static double
Measure(const FuzzTarget *target, const StringInfoData *input)
{
	double		least = INFINITY;
	double		spent = 0;

	for (int round = RUNNING_ON_VALGRIND ? 5 : 1; round <= 5 && spent < 1; round++)
	{
		double		seconds;
		struct timespec before;
		struct timespec after;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		RunInput(target, input->data, input->len);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		seconds = after.tv_sec - before.tv_sec + (after.tv_nsec - before.tv_nsec) / 1e9;
		spent += seconds;
		least = Min(least, seconds);
	}
	return least;
}

/*
 * growth(target, name text, before, repeated, after bytea) returns float8
 *
 * How many times as long an input of 1 MB takes as one of 256 kB.  Below callgrind
 * what that counts for each is also dumped under the name.
 */
Datum
growth(PG_FUNCTION_ARGS)
{
	const FuzzTarget *target = FindTarget(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	StringInfoData input;
	double		seconds[lengthof(sizes)];

	initStringInfo(&input);
	for (size_t i = 0; i < lengthof(seconds); i++)
	{
		Repeat(&input, PG_GETARG_BYTEA_PP(2), PG_GETARG_BYTEA_PP(3), PG_GETARG_BYTEA_PP(4), sizes[i]);
		/* the first time also does what is done once in a session */
		if (i == 0)
			(void) Measure(target, &input);
		CALLGRIND_ZERO_STATS;
		seconds[i] = Measure(target, &input);
		CALLGRIND_DUMP_STATS_AT(name);
	}
	PG_RETURN_FLOAT8(seconds[1] / seconds[0]);
}
