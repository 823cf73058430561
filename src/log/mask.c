/*-------------------------------------------------------------------------
 *
 * mask.c
 *		Finding secrets in a text that quotes a connection in whatever way.
 *
 * A log line is no JSON document: it has SQL around it, one layer of quoting
 * or more, an excerpt's end in the middle of a string.  So nothing is parsed
 * here.  The name of a secret field is looked for, however its letters are
 * escaped; after it come quotes, a colon or the like, and then the value, which
 * ends with the quote that it began with.  Where that is in doubt, too much is
 * masked rather than too little.
 *
 * This is called while an error is reported, so it allocates nothing and raises
 * nothing; what is masked keeps its length, and positions in the text stay
 * right.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>

#include "log/mask.h"
#include "base/compat.h"
#include "rules/variants.h"

#define MASK '*'

/* notations for a character by its number, after one or more backslashes */
static const struct
{
	const char *lead;
	int			digits;
	int			base;
}			escapes[] = {
	{"u", 4, 16},				/* JSON, E'' */
	{"U", 8, 16},				/* E'' */
	{"+", 6, 16},				/* U&'' */
	{"", 4, 16},				/* U&'' */
	{"x", 2, 16},				/* E'' */
	{"", 3, 8},					/* E'' */
};

static int
DigitValue(char c, int base)
{
	int			value = c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 : base;

	return value < base ? value : -1;
}

/*
 * How many bytes at s stand for the character c; 0 if they stand for another.
 */
static int
SpelledLen(const char *s, char c)
{
	const char *p = s;

	if (*s == c)
		return 1;
	if (*s != '\\')
		return 0;
	while (*p == '\\')
		p++;
	for (size_t i = 0; i < lengthof(escapes); i++)
	{
		const char *digit = p + strlen(escapes[i].lead);
		const char *end = digit + escapes[i].digits;
		int			value = 0;

		if (strncmp(p, escapes[i].lead, strlen(escapes[i].lead)) != 0)
			continue;
		while (digit < end && DigitValue(*digit, escapes[i].base) >= 0 && value <= 0x7F)
			value = value * escapes[i].base + DigitValue(*digit++, escapes[i].base);
		if (digit == end && value == c)
			return end - s;
	}
	return *p == c ? p + 1 - s : 0;
}

/*
 * What follows the name, if that is what s begins with; else NULL.
 */
static char *
SkipName(char *s, const char *name)
{
	for (; *name != '\0'; name++)
	{
		int			len = SpelledLen(s, *name);

		if (len == 0)
			return NULL;
		s += len;
	}
	return s;
}

static bool
IsWordChar(char c)
{
	return isalnum((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

/*
 * White space, as it is or escaped.
 */
static char *
SkipSpace(char *s)
{
	for (;;)
	{
		char	   *p = s;

		while (*p == '\\')
			p++;
		if (p > s && (*p == 'n' || *p == 't' || *p == 'r'))
			s = p + 1;
		else if (*s != '\0' && isspace((unsigned char) *s))
			s++;
		else
			return s;
	}
}

/*
 * From the end of a field's name to its value, or NULL if none follows.
 *
 * In JSON the name is quoted and a colon follows.  As an argument of an SQL
 * function, and at the end of a path, it is in single quotes and a comma
 * follows.  Otherwise there is an equals sign.
 */
static char *
SkipToValue(char *s)
{
	bool		in_quotes = false;
	bool		in_single_quotes = false;

	if (IsWordChar(*s))
		return NULL;
	for (;;)
	{
		s = SkipSpace(s);
		switch (*s)
		{
			case '\'':
				in_single_quotes = true;
				pg_fallthrough;
			case '"':
				in_quotes = true;
				pg_fallthrough;
			case '\\':
			case '}':
			case ']':
			case ')':
				s++;
				break;
			case ':':
				if (s[1] != ':')
					return in_quotes ? SkipSpace(s + 1) : NULL;
				/* a cast */
				for (s += 2; IsWordChar(*s) || *s == '.' || *s == '"'; s++)
					;
				break;
			case ',':
				return in_single_quotes ? SkipSpace(s + 1) : NULL;
			case '=':
				return SkipSpace(s + (s[1] == '>' ? 2 : 1));
			default:
				return NULL;
		}
	}
}

static int
RunLen(const char *s, char c)
{
	int			len = 0;

	while (s[len] == c)
		len++;
	return len;
}

/*
 * The end of a value that a double quote began after some backslashes.  Inside
 * it a quote has more of them.
 */
static char *
EndOfDoubleQuoted(char *s, int backslashes)
{
	int			run = 0;

	for (; *s != '\0'; s++)
	{
		if (*s == '"' && run <= backslashes)
			return s - run;
		run = *s == '\\' ? run + 1 : 0;
	}
	return s;
}

/*
 * The end of a value that some single quotes began.  Inside it a quote is
 * doubled, or has a backslash.
 */
static char *
EndOfSingleQuoted(char *s, int quotes)
{
	while (*s != '\0')
	{
		int			run = RunLen(s, '\'');

		if (run > 0 && s[-1] != '\\' && run % (2 * quotes) >= quotes)
			return s;
		s += Max(run, 1);
	}
	return s;
}

/*
 * The end of a value that $tag$ began, which is opening_len bytes long.
 */
static char *
EndOfDollarQuoted(char *s, const char *opening, int opening_len)
{
	while (*s != '\0' && strncmp(s, opening, opening_len) != 0)
		s++;
	return s;
}

/*
 * Where the value at *s ends; *s moves behind the quote that it begins with.
 */
static char *
FindValueEnd(char **s)
{
	char	   *p = *s;

	/* up to a quote, if there is one: E'', to_jsonb('' and the like */
	for (; *p != '\0'; p++)
	{
		int			backslashes = RunLen(p, '\\');
		char	   *tag_end;

		if (p[backslashes] == '"')
		{
			*s = p + backslashes + 1;
			return EndOfDoubleQuoted(*s, backslashes);
		}
		switch (*p)
		{
			case '\'':
				*s = p + RunLen(p, '\'');
				return EndOfSingleQuoted(*s, *s - p);
			case '$':
				for (tag_end = p + 1; IsWordChar(*tag_end); tag_end++)
					;
				if (*tag_end != '$')
					break;
				*s = tag_end + 1;
				return EndOfDollarQuoted(*s, p, *s - p);
			case '{':
			case '[':
				/* not what the field should be: all that follows may be it */
				return p + strlen(p);
			case ',':
			case '}':
			case ']':
			case ')':
			case ';':
			case '&':
				return p;
			default:
				if (isspace((unsigned char) *p))
					return p;
		}
	}
	return p;
}

/*
 * Look for the value of a field; masks it if there is one and masking is asked
 * for.  Returns where to go on, or NULL if s doesn't begin with such a field.
 */
static char *
MaskField(char *s, const char *name, bool mask, bool *found)
{
	char	   *value = SkipName(s, name);
	char	   *end;

	if (value != NULL)
		value = SkipToValue(value);
	if (value == NULL)
		return NULL;
	end = FindValueEnd(&value);
	*found = *found || end > value;
	if (mask)
		memset(value, MASK, end - value);
	return end;
}

/*
 * The values of environment variables are masked if one of them is a secret:
 * its name may come before or after its value.
 */
static bool
ScanEnvironment(char *text, bool mask)
{
	bool		found = false;

	for (char *s = text; *s != '\0'; s++)
	{
		char	   *end;

		if (*s != 'v' && *s != '\\')
			continue;
		end = MaskField(s, "value", mask, &found);
		if (end != NULL)
			s = Max(end - 1, s);
	}
	return found;
}

/*
 * The characters that what is looked for can begin with.  Most of a log is
 * lines without secrets, and of these little more is read than this tells.
 */
static const bool *
Beginnings(void)
{
	static bool beginnings[UCHAR_MAX + 1];

	if (!beginnings['\\'])
	{
		beginnings['\\'] = true;
		beginnings[(unsigned char) SECRET_VARIABLE_PREFIX[0]] = true;
		for (const Field *field = connection_fields; field < connection_fields + NUM_FIELDS; field++)
		{
			if (field->trait == TRAIT_SECRET)
				beginnings[(unsigned char) field->name[0]] = true;
		}
	}
	return beginnings;
}

static bool
ScanText(char *text, bool mask)
{
	const bool *beginnings = Beginnings();
	bool		found = false;
	bool		environment = false;

	for (char *s = text; *s != '\0'; s++)
	{
		if (!beginnings[(unsigned char) *s])
			continue;
		if (*s == '\\' || *s == SECRET_VARIABLE_PREFIX[0])
			environment = environment || SkipName(s, SECRET_VARIABLE_PREFIX) != NULL;
		for (const Field *field = connection_fields; field < connection_fields + NUM_FIELDS; field++)
		{
			char	   *end;

			if (field->trait != TRAIT_SECRET || (*s != '\\' && *s != field->name[0]))
				continue;
			end = MaskField(s, field->name, mask, &found);
			if (end != NULL)
			{
				s = Max(end - 1, s);
				break;
			}
		}
	}
	if (environment && ScanEnvironment(text, mask))
		found = true;
	return found;
}

/*
 * Whether there is what MaskSecrets() would mask.
 */
bool
HasSecrets(const char *text)
{
	return ScanText(unconstify(char *, text), false);
}

/*
 * Overwrite the values of secret fields, in place.
 */
void
MaskSecrets(char *text)
{
	(void) ScanText(text, true);
}
