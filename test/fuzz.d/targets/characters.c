/*-------------------------------------------------------------------------
 *
 * characters.c
 *		Text, character by character.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "rules/characters.h"
#include "rules/validate.h"
#include "rules/variables.h"

extern void characters(const char *input, Size len);

#define MAX_NAME_CHARS 255

static bool
NameIsValid(const JsonbValue *name)
{
	Problems	problems = NO_PROBLEMS;

	ValidateName(name, &problems);
	return problems.count == 0;
}

void
characters(const char *input, Size len)
{
	Input		rest = {input, input + len};
	char	   *string = RestOf(&rest);
	Size		text_len = strlen(string);
	Characters	walk = {string, string + text_len};
	const char *before = string;
	int			count = 0;
	bool		seen = false;
	bool		controls = false;
	pg_wchar	c;
	JsonbValue	name;
	const char *refused;

	/* nothing else gets that far */
	if (!pg_verify_mbstr(PG_UTF8, string, text_len, true))
		return;
	while (NextCharacter(&walk, &c))
	{
		unsigned char bytes[MAX_MULTIBYTE_CHAR_LEN + 1] = {0};

		unicode_to_utf8(c, bytes);
		HOLDS(walk.next - before == pg_utf_mblen(bytes) && memcmp(bytes, before, walk.next - before) == 0, "each character is what its bytes say");
		before = walk.next;
		count++;
		seen = seen || !(IsBlank(c) || c == ' ');
		controls = controls || c < ' ' || (c >= 0x7F && c < 0xA0);
		HOLDS(IsControl(c) == (c < ' ' || (c >= 0x7F && c < 0xA0)), "controls are those of Unicode");
	}
	HOLDS(before == string + text_len && count == pg_mbstrlen(string), "all are seen");

	name.type = jbvString;
	name.val.string.val = string;
	name.val.string.len = text_len;
	HOLDS(NameIsValid(&name) == (count <= MAX_NAME_CHARS && seen && !controls), "a name is short, and not blank");

	refused = RefuseVariable(&name);
	HOLDS(text_len > MAX_MATCHED || Matches(string, "^([A-Za-z_][A-Za-z0-9_]*)?$") == (refused == NULL || strstr(refused, "must not name") != NULL),
		  "a variable has a name for a shell");
	if (text_len <= MAX_MATCHED && Matches(string, "^(PATH|HOME|LD_PRELOAD|GIT_[A-Z_]*|PYTHON[A-Z]*)$"))
		HOLDS(refused != NULL, "and none that changes how dbt runs");
}
