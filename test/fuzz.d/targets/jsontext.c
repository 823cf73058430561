/*-------------------------------------------------------------------------
 *
 * jsontext.c
 *		Why a text can't be jsonb, against PostgreSQL's json.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "rules/characters.h"
#include "rules/jsontext.h"
#include "rules/limits.h"

extern void jsontext(const char *input, Size len);

/*
 * Whether PostgreSQL takes it for JSON.
 */
static bool
IsJson(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool is_json = true;

	PG_TRY();
	{
		(void) DirectFunctionCall1(json_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		is_json = false;
	}
	PG_END_TRY();
	return is_json;
}

/*
 * A path and a message are one line each that can be read.
 */
static void
CheckReadable(const char *string)
{
	Characters	walk = {string, string + strlen(string)};
	pg_wchar	c;

	HOLDS(pg_verify_mbstr(PG_UTF8, string, strlen(string), true), "a problem is text");
	while (NextCharacter(&walk, &c))
		HOLDS(!IsControl(c) && !IsInvisible(c), "a problem can be read");
}

static void
CheckProblems(const Problems *problems)
{
	ListCell   *lc;

	HOLDS(problems->count > 0, "there is a reason");
	foreach(lc, ListProblems(*problems))
	{
		Problem    *problem = lfirst(lc);

		CheckReadable(problem->path);
		CheckReadable(problem->message);
	}
}

static bool
IsTooDeep(const Problems *problems)
{
	ListCell   *lc;

	foreach(lc, problems->kept)
	{
		if (strcmp(((Problem *) lfirst(lc))->message, TOO_DEEP) == 0)
			return true;
	}
	return false;
}

void
jsontext(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *text = RestOf(&rest);
	Problems	problems = NO_PROBLEMS;
	int			sqlerrcode;
	Jsonb	   *json = TryJsonFromUtf8(input, len, &sqlerrcode);
	bool		is_json;

	if (json == NULL)
	{
		is_json = ExplainJsonText(input, len, sqlerrcode, &problems);
		CheckProblems(&problems);
		if (sqlerrcode != ERRCODE_CHARACTER_NOT_IN_REPERTOIRE && !IsTooDeep(&problems))
			HOLDS(is_json == IsJson(text), "JSON is what PostgreSQL takes for it");
	}
	else
	{
		Jsonb	   *again = JsonFromBytea(JsonToBytea(json));

		HOLDS(again != NULL && compareJsonbContainers(&json->root, &again->root) == 0, "what is printed means the same");
		if (JB_ROOT_IS_OBJECT(json))
			ValidateLimits(&json->root, VARIANT_NONE, "dbtConnection", &problems);
		if (problems.count > 0)
			CheckProblems(&problems);
	}
	if (pg_verify_mbstr(PG_UTF8, text, strlen(text), true))
	{
		StringInfoData quoted;
		JsonbValue	value;

		initStringInfo(&quoted);
		AppendJsonString(&quoted, text, strlen(text));
		json = JsonFromUtf8(quoted.data, quoted.len);
		HOLDS(json != NULL, "any text can be a string");
		value = JsonRoot(json);
		HOLDS(JsonStringEquals(&value, text), "and is that string");
	}
}
