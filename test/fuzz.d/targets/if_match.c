/*-------------------------------------------------------------------------
 *
 * if_match.c
 *		If-Match against the grammar of RFC 9110.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "functions/headers.h"

extern void if_match(const char *input, Size len);

#define VERSION 42

/* sections 5.6.1 and 8.8.3: a list may have empty elements */
#define TAG "(W/)?\"[^\x01-\x20\"\x7F]*\""
#define GRAMMAR "^[, \t]*" TAG "([ \t]*,[, \t]*" TAG ")*[, \t]*$"

static bool
Meets(const Precondition *precondition)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool meets = true;

	PG_TRY();
	{
		RequireVersion(precondition, VERSION);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		HOLDS(geterrcode() == ERRCODE_PRECONDITION_FAILED, "another version is a precondition that isn't met");
		FlushErrorState();
		meets = false;
	}
	PG_END_TRY();
	return meets;
}

static char *
JoinTags(List *tags)
{
	StringInfoData joined;
	ListCell   *lc;

	initStringInfo(&joined);
	foreach(lc, tags)
		appendStringInfo(&joined, "%s\"%s\"", joined.len > 0 ? ", " : "", (char *) lfirst(lc));
	return joined.data;
}

void
if_match(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *text = RestOf(&rest);
	Precondition precondition;
	bool		valid = ParseIfMatch(text, &precondition);
	char	   *joined;

	HOLDS(len > MAX_MATCHED || valid == (strcmp(text, "*") == 0 || Matches(text, GRAMMAR)), "what is valid is in the grammar");
	if (!valid)
		return;
	HOLDS(precondition.any == (strcmp(text, "*") == 0), "a star is any");
	HOLDS(len > MAX_MATCHED || Meets(&precondition) == (precondition.any || Matches(text, "(^|[, \t])\"42\"")), "a version is among the tags, or not");
	if (precondition.tags == NIL)
		return;
	joined = JoinTags(precondition.tags);
	HOLDS(ParseIfMatch(joined, &precondition) && strcmp(JoinTags(precondition.tags), joined) == 0, "what was joined comes apart");
}
