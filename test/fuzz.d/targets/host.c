/*-------------------------------------------------------------------------
 *
 * host.c
 *		Which hosts are one, against regular expressions.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <regex.h>

#include "rules/destination.h"
#include "rules/fields.h"

extern void host(const char *input, Size len);

/* scheme, name, port */
#define PLAIN "^()([a-z0-9._-]+)(:[0-9]+)?$"
#define ORIGIN "^([a-z]+://)([a-z0-9._-]+)(:[0-9]+)?(/[]!-[^-~]*)?$"

/*
 * Between the blanks around it.
 */
static char *
Trimmed(const char *text)
{
	char	   *trimmed = pstrdup(text +strspn(text, " "));

	for (char *end = trimmed + strlen(trimmed); end > trimmed && end[-1] == ' '; *--end = '\0')
		;
	return trimmed;
}

static char *
Part(const char *text, const regmatch_t *match)
{
	return match->rm_so < 0 ? "" : pnstrdup(text +match->rm_so, match->rm_eo - match->rm_so);
}

/*
 * A host as it is compared: in lower case, without a dot at its end, or a path;
 * what isn't plain is another whatever differs.  Nothing but spaces is the service's.
 */
static char *
ReferenceHost(const char *text)
{
	char	   *trimmed = Trimmed(text);
	regmatch_t	parts[4];
	regex_t		compiled;
	bool		plain = false;
	char	   *name;
	const char *const kinds[] = {PLAIN, ORIGIN};

	if (*trimmed == '\0')
		return "gitlab.com";
	for (size_t i = 0; i < lengthof(kinds) && !plain; i++)
	{
		if (regcomp(&compiled, kinds[i], REG_EXTENDED | REG_ICASE) != 0)
			elog(ERROR, "invalid regular expression: %s", kinds[i]);
		plain = regexec(&compiled, trimmed, lengthof(parts), parts, 0) == 0;
		regfree(&compiled);
	}
	if (!plain)
		return trimmed;
	name = Part (trimmed, &parts[2]);

	if (strlen(name) > 1 && name[strlen(name) - 1] == '.')
		name[strlen(name) - 1] = '\0';
	name = JoinStrings(Part (trimmed, &parts[1]), name, Part (trimmed, &parts[3]), NULL);
	for (char *p = name; *p != '\0'; p++)
		*p = pg_ascii_tolower(*p);
	return name;
}

static ConnectionFields
ConnectionTo(const char *host)
{
	ConnectionFields fields;
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonPushString(&state, "type", "gitlab");
	JsonPushString(&state, "host_domain", host);
	ReadConnection(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)), &fields);
	return fields;
}

static bool
SameDestination(const char *a, const char *b)
{
	ConnectionFields x = ConnectionTo(a);
	ConnectionFields y = ConnectionTo(b);

	return ChangedDestination(&x, &y, DESTINATION_OF_SECRETS) == NULL;
}

void
host(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *a = NextLine(&rest);
	char	   *b = NextLine(&rest);
	bool		same;

	/* what is left out is the service's own */
	if (*a == '\0' || *b == '\0')
		return;
	same = SameDestination(a, b);
	HOLDS(SameDestination(a, a), "a host is itself");
	HOLDS(SameDestination(b, a) == same, "and the other's, if that is its");
	if (len <= MAX_MATCHED)
		HOLDS(same == (strcmp(ReferenceHost(a), ReferenceHost(b)) == 0), "hosts are one if they are written alike");
}
