/*-------------------------------------------------------------------------
 *
 * mask.c
 *		No secret stays readable where a name tells that there is one.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "log/mask.h"

extern void mask(const char *input, Size len);

#define SECRET "sesame"

/* how a secret may be written behind what tells of it, the first letter of an input */
static const struct
{
	char		letter;
	const char *before;
	const char *after;
}			places[] = {
	{'j', "{\"personal_access_token\": \"", "\"}"},
	{'q', "'{\\\"webhook_hmac_secret\\\":\\\"", "\\\"}'"},
	{'e', "{\"\\u0070ersonal_access_token\": \"", "\"}"},
	{'s', "SELECT update_project_dbt_source(id, '", "')"},
	{'d', "$$create_project_dbt_source(", "$$"},
	{'p', "postgrest_request, parameters: $1 = '", "'"},
	{'f', "personal_access_token=", ""},
	{'v', "DBT_ENV_SECRET_A: ", ""},
	{'l', "COPY dbt_connection, line 1: \"", "\""},
	{'a', "{dbtConnection,", "}"},
};

static char *
Shown(const char *text)
{
	char	   *shown = pstrdup(text);

	HideValues(shown);
	return shown;
}

/*
 * What the log shows of a text is its beginning, and what it shows of that is
 * the same.
 */
static void
CheckShown(const char *text)
{
	char	   *shown = Shown(text);
	Size		len = strlen(shown);

	HOLDS(strcmp(shown, text) == 0 || (len > 0 && len <= strlen(text) && shown[len - 1] == '*' && memcmp(shown, text, len - 1) == 0),
		  "a beginning is shown");
	HOLDS(strcmp(Shown(shown), shown) == 0, "what is shown is shown as it is");
}

/*
 * A secret is hidden between any texts, and if the text ends within it.
 */
static void
CheckSecret(const char *first, const char *last, size_t place)
{
	char	   *start = JoinStrings(first, " ", places[place].before, NULL);
	char	   *text = JoinStrings(start, SECRET, places[place].after, last, NULL);
	Size		readable = strlen(start);

	HOLDS(MayHoldConnection(NamesIn(text, strlen(text))), "a secret is seen");
	HOLDS(strlen(Shown(text)) <= readable + 1, "a secret is hidden");
	text[		readable + strlen(SECRET) / 2] = '\0';

	HOLDS(strlen(Shown(text)) <= readable + 1, "half a secret is hidden");
}

void
mask(const char *input, Size len)
{
	static bool prepared = false;
	Input		rest = {input, input + len};
	Input		all = rest;
	char	   *text = RestOf(&all);
	char	   *first;
	char	   *last;
	char	   *both;
	int			names;

	if (!prepared)
		PrepareNames();
	prepared = true;

	names = NamesIn(input, len);
	HOLDS(memchr(input, '\0', len) != NULL || NamesIn(text, len) == names, "what follows a text doesn't count");
	CheckShown(text);

	first = NextLine(&rest);
	last = RestOf(&rest);
	both = JoinStrings(first, " ", last, NULL);
	names = NamesIn(first, strlen(first)) | NamesIn(last, strlen(last));
	HOLDS((NamesIn(both, strlen(both)) & names) == names, "what surrounds a name doesn't hide it");

	for (size_t i = 0; i < lengthof(places); i++)
	{
		if (first[0] == places[i].letter)
			CheckSecret(first + 1, last, i);
	}
}
