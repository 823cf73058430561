/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *		libFuzzer within a server.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test) (const uint8 *input, size_t len));

extern PGDLLEXPORT Datum fuzz(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(fuzz);

static const FuzzTarget *target;

static int
TestInput(const uint8 *input, size_t len)
{
	RunInput(target, (const char *) input, len);
	return 0;
}

/*
 * fuzz(target text, VARIADIC args text[]) returns integer
 *
 * Call libFuzzer with these arguments.  It ends the process when it is done.
 */
Datum
fuzz(PG_FUNCTION_ARGS)
{
	Datum	   *args;
	int			nargs;
	int			argc = 1;
	char	  **argv;

	target = FindTarget(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &args, NULL, &nargs);
	argv = palloc0((nargs + 2) * sizeof(char *));
	argv[0] = pstrdup("fuzz");
	for (int i = 0; i < nargs; i++)
		argv[argc++] = TextDatumGetCString(args[i]);
	PG_RETURN_INT32(LLVMFuzzerRunDriver(&argc, &argv, TestInput));
}
