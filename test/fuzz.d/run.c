/*-------------------------------------------------------------------------
 *
 * run.c
 *		Running a target on an input, within a server.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <regex.h>

#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

#define TARGET(name) extern void name(const char *input, Size len);
#include "targets.h"
#undef TARGET

static const FuzzTarget targets[] = {
#define TARGET(name) {#name, name},
#include "targets.h"
#undef TARGET
};

/*
 * The target of that name; what it calls may recurse as far as in any server,
 * though one in single-user mode doesn't see to that itself.
 */
const FuzzTarget *
FindTarget(const char *name)
{
	(void) set_stack_base();
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		if (strcmp(targets[i].name, name) == 0)
			return &targets[i];
	}
	elog(ERROR, "there is no target \"%s\"", name);
	return NULL;
}

void
RunInput(const FuzzTarget *target, const char *input, Size len)
{
	static MemoryContext cxt = NULL;
	MemoryContext caller = CurrentMemoryContext;

	if (cxt == NULL)
		cxt = AllocSetContextCreate(TopMemoryContext, "input", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		target->test(input, len);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		NotSo("an error is raised");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(cxt);
}

/*
 * End in a way that libFuzzer takes for a finding.
 */
void
NotSo(const char *what)
{
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

/*
 * The rest of an input as a string; a blank stands for a byte that can't be in
 * one.
 */
char *
RestOf(Input *input)
{
	Size		len = input->end - input->at;
	char	   *string = palloc(len + 1);

	memcpy(string, input->at, len);
	for (Size i = 0; i < len; i++)
	{
		if (string[i] == '\0')
			string[i] = ' ';
	}
	string[len] = '\0';
	input->at = input->end;
	return string;
}

/*
 * The next line as a string, without its end.
 */
char *
NextLine(Input *input)
{
	const char *newline = memchr(input->at, '\n', input->end - input->at);
	Input		line = {input->at, newline == NULL ? input->end : newline};

	input->at = newline == NULL ? input->end : newline + 1;
	return RestOf(&line);
}

/*
 * The next line as a document, or NULL if it is none.
 */
Jsonb *
NextJson(Input *input)
{
	char	   *line = NextLine(input);

	return JsonFromUtf8(line, strlen(line));
}

/*
 * The arguments up to a NULL, one behind the other.
 */
char *
JoinStrings(const char *first,...)
{
	StringInfoData joined;
	va_list		args;

	initStringInfo(&joined);
	va_start(args, first);
	for (const char *string = first; string != NULL; string = va_arg(args, const char *))
		appendStringInfoString(&joined, string);
	va_end(args);
	/* of exactly that length */
	return pstrdup(joined.data);
}

/*
 * Whether the whole text matches a POSIX extended regular expression of the C
 * library, which is what targets compare with.
 */
bool
Matches(const char *text, const char *regex)
{
	static struct
	{
		const char *regex;
		regex_t		compiled;
	}			known[16];
	size_t		i = 0;

	/* each is a constant, and takes much longer to compile than to match */
	while (known[i].regex != NULL && known[i].regex != regex)
		i++;
	if (known[i].regex == NULL)
	{
		if (i == lengthof(known) - 1 || regcomp(&known[i].compiled, regex, REG_EXTENDED | REG_NOSUB) != 0)
			elog(ERROR, "can't compile the regular expression %s", regex);
		known[i].regex = regex;
	}
	return regexec(&known[i].compiled, text, 0, NULL, 0) == 0;
}
