/*-------------------------------------------------------------------------
 *
 * jsontext.c
 *		Why a text can't be jsonb.
 *
 * PostgreSQL stops at the first thing that it doesn't like and says only what,
 * so a text that it has refused is read once more.  What is JSON and can't be
 * jsonb, a number or an escape, is a problem with its path.  No memory is taken
 * but for a step for each level, and nothing recurses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/jsonapi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/json.h"
#include "rules/jsontext.h"
#include "rules/limits.h"

#define BODY_PATH "body"

/* a body has one level more than the connection in it */
#define MAX_LEVELS (MAX_DEPTH + 1)

/* numeric takes whatever is written shorter and smaller than that */
#define MAX_NUMBER_LEN 10000
#define MAX_EXPONENT 1000

/* what may come next; "..._OR_END" of the object or array that has just begun */
typedef enum Want
{
	WANT_VALUE,
	WANT_VALUE_OR_END,
	WANT_NAME,
	WANT_NAME_OR_END,
	WANT_COLON,
	WANT_COMMA_OR_END
} Want;

typedef struct Level
{
	Path		step;			/* to the member or element that is being read */
	bool		is_object;
} Level;

static bool
NumberTextFits(const char *text, int len)
{
	char	   *number = pnstrdup(text, Min(len, MAX_NUMBER_LEN));
	char	   *exponent = strpbrk(number, "eE");
	bool		fits = false;

	if (len < MAX_NUMBER_LEN &&
		(exponent == NULL || labs(strtol(exponent + 1, NULL, 10)) <= MAX_EXPONENT))
		fits = NumberFits(DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(number),
															  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
	pfree(number);
	return fits;
}

/*
 * The code unit of the escape \uXXXX that a string has there, or -1.
 */
static int
EscapedUnit(const char *at, const char *end)
{
	char		digits[] = "0000";

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	memcpy(digits, at + 2, 4);
	return (int) strtol(digits, NULL, 16);
}

/*
 * What a string has, between its quotes, that jsonb can't hold, or NULL.
 */
static const char *
RefuseEscapes(const char *at, const char *end)
{
	while (at < end)
	{
		int			unit = EscapedUnit(at, end);

		CHECK_FOR_INTERRUPTS();
		if (unit == 0)
			return "must not contain \\u0000, which PostgreSQL's jsonb cannot hold";
		if (unit >= 0xD800 && unit <= 0xDFFF)
		{
			int			low = EscapedUnit(at + 6, end);

			if (unit >= 0xDC00 || low < 0xDC00 || low > 0xDFFF)
				return "must not contain a lone surrogate (\\ud800 to \\udfff), which PostgreSQL's jsonb cannot hold";
			at += 6;
		}
		at += unit >= 0 ? 6 : *at == '\\' ? 2 : 1;
	}
	return NULL;
}

/*
 * Read JSON text; returns whether it is JSON, up to where it is too deep.
 * RFC 8259.
 */
static bool
ReadJsonText(JsonLexContext *lex, Problems *problems)
{
	Level	   *levels = palloc(sizeof(Level) * (MAX_LEVELS + 1));
	int			depth = 0;
	Want		want = WANT_VALUE;

	levels[0].step = PathFrom("");
	for (;;)
	{
		Level	   *level = &levels[depth];
		const char *message = NULL;

		CHECK_FOR_INTERRUPTS();
		if (json_lex(lex) != JSON_SUCCESS)
			return false;
		switch (lex->token_type)
		{
			case JSON_TOKEN_OBJECT_START:
			case JSON_TOKEN_ARRAY_START:
				if (want > WANT_VALUE_OR_END)
					return false;
				if (depth == MAX_LEVELS)
				{
					AddProblem(problems, BODY_PATH, TOO_DEEP);
					return true;
				}
				depth++;
				levels[depth].step = PathOfElement(&level->step, 0);
				levels[depth].is_object = lex->token_type == JSON_TOKEN_OBJECT_START;
				want = levels[depth].is_object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
				continue;
			case JSON_TOKEN_OBJECT_END:
			case JSON_TOKEN_ARRAY_END:
				if (depth == 0 || level->is_object != (lex->token_type == JSON_TOKEN_OBJECT_END) ||
					want < WANT_VALUE_OR_END || want == WANT_NAME || want == WANT_COLON)
					return false;
				depth--;
				break;
			case JSON_TOKEN_COMMA:
				if (depth == 0 || want != WANT_COMMA_OR_END)
					return false;
				level->step.index++;
				want = level->is_object ? WANT_NAME : WANT_VALUE;
				continue;
			case JSON_TOKEN_COLON:
				if (want != WANT_COLON)
					return false;
				want = WANT_VALUE;
				continue;
			case JSON_TOKEN_STRING:
				message = RefuseEscapes(lex->token_start + 1, lex->token_terminator - 1);
				if (want == WANT_NAME || want == WANT_NAME_OR_END)
				{
					level->step = PathOfMember(level->step.outer, lex->token_start + 1,
											   lex->token_terminator - lex->token_start - 2);
					level->step.escaped = true;
					if (message != NULL)
						AddProblemAt(problems, &level->step, message);
					want = WANT_COLON;
					continue;
				}
				if (want > WANT_VALUE_OR_END)
					return false;
				break;
			case JSON_TOKEN_NUMBER:
				if (!NumberTextFits(lex->token_start, lex->token_terminator - lex->token_start))
					message = NUMBER_OUT_OF_RANGE;
				pg_fallthrough;
			case JSON_TOKEN_TRUE:
			case JSON_TOKEN_FALSE:
			case JSON_TOKEN_NULL:
				if (want > WANT_VALUE_OR_END)
					return false;
				break;
			case JSON_TOKEN_END:
				return depth == 0 && want == WANT_COMMA_OR_END;
			default:
				return false;
		}
		/* after a value */
		if (message != NULL && depth > 0)
			AddProblemAt(problems, &level->step, message);
		else if (message != NULL)
			AddProblem(problems, BODY_PATH, message);
		want = WANT_COMMA_OR_END;
	}
}

/*
 * The problems of a text that TryJsonFromUtf8() has refused with that SQLSTATE;
 * returns whether it is JSON all the same.
 */
bool
ExplainJsonText(const char *text, Size len, int sqlerrcode, Problems *problems)
{
	char	   *server;
	bool		is_json;

	if (sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX)
	{
		AddProblem(problems, BODY_PATH, TOO_DEEP);
		return true;
	}
	if (sqlerrcode == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE)
	{
		AddProblem(problems, BODY_PATH, "must be JSON in UTF-8");
		return false;
	}
	server = TextFromUtf8(text, len, &sqlerrcode);
	is_json = server == NULL || ReadJsonText(LexJson(server), problems);
	if (server != NULL)
	{
		explicit_bzero(server, strlen(server));
		pfree(server);
	}
	if (!is_json)
		AddProblem(problems, BODY_PATH, "must be JSON");
	else if (problems->count == 0)
		AddProblem(problems, BODY_PATH, "must not have characters that the encoding of the database lacks");
	return is_json;
}
