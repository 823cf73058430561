/*-------------------------------------------------------------------------
 *
 * headers.c
 *		Headers are found whatever the case of their names.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "functions/headers.h"

extern void headers(const char *input, Size len);

#define BLANKS " \t"

/*
 * The value of the first header of that name, in the order of jsonb.
 */
static char *
ReferenceHeader(Jsonb *headers, const char *name)
{
	JsonMembers members = JsonMembersOf(&headers->root);
	JsonMember	member;

	while (NextJsonMember(&members, &member))
	{
		char	   *key = pnstrdup(member.key.val.string.val, member.key.val.string.len);
		char	   *value = pnstrdup(member.value.val.string.val, member.value.val.string.len);

		if (pg_strcasecmp(key, name) != 0)
			continue;
		value += strspn(value, BLANKS);
		for (char *end = value + strlen(value); end > value && strchr(BLANKS, end[-1]) != NULL; *--end = '\0')
			;
		return value;
	}
	return NULL;
}

void
headers(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *name = NextLine(&rest);
	Jsonb	   *object = NextJson(&rest);
	char	   *found;
	char	   *expected;

	if (object != NULL && AreHeaders(object))
	{
		found = FindHeader(object, name);
		expected = ReferenceHeader(object, name);
		HOLDS((found == NULL) == (expected == NULL) && (found == NULL || strcmp(found, expected) == 0), "a header is found, without blanks around it");
		for (char *p = name; *p != '\0'; p++)
			*p = pg_ascii_toupper(*p);
		found = FindHeader(object, name);
		HOLDS((found == NULL) == (expected == NULL), "whatever its case");
	}
	HOLDS(FindHeader(NULL, name) == NULL, "nothing is found where there are none");

	if (strlen(name) > MAX_MATCHED)
		return;
	HOLDS(IsJsonType(name) == IsJsonType(JoinStrings(name, "; charset=utf-8", NULL)) || name[0] == '\0', "a parameter counts for nothing");
	/* RFC 6838, section 4.2.8 */
	HOLDS(IsJsonType(name) ==
		  Matches(name, "^$|^([Aa][Pp][Pp][Ll][Ii][Cc][Aa][Tt][Ii][Oo][Nn]/([Jj][Ss][Oo][Nn]|[Oo][Cc][Tt][Ee][Tt]-[Ss][Tt][Rr][Ee][Aa][Mm])"
				  "|[^; \t]+\\+[Jj][Ss][Oo][Nn])($|[; \t])"), "a type of JSON is one");
	HOLDS(IsIdentity(name) == Matches(name, "^([Ii][Dd][Ee][Nn][Tt][Ii][Tt][Yy])?$"), "identity is no encoding");
}
