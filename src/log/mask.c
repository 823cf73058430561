/*-------------------------------------------------------------------------
 *
 * mask.c
 *		Whether a text may hold a connection, and hiding its values.
 *
 * A log line is no JSON document: it has SQL around it, one layer of quoting or
 * more, an excerpt's end in the middle of a string.  So values aren't looked
 * for.  If a name occurs that goes with connections, all is hidden that can be
 * a value: everything behind the first quote, whoever's quote that is.
 *
 * This is called while an error is reported, so it allocates nothing, raises
 * nothing, and takes time in proportion to the text, whatever is in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>

#include "port/pg_bitutils.h"

#include "log/mask.h"
#include "rules/variants.h"

/* what a name tells of the text that it's in, besides the others in there */
#define TELLS_CONNECTION 1
#define TELLS_COMMON 2			/* of a connection to dbt Cloud, if that is it */
#define TELLS_CLOUD 4

/* so many have this one that it alone tells nothing */
#define COMMON_FIELD "api_key"

typedef struct Telltale
{
	const char *name;			/* in lower case */
	int			tells;
	bool		value_follows;	/* even if no quote does */
} Telltale;

static const Telltale fixed_names[] = {
	/* parts of the names of our functions */
	{"project_dbt_source", TELLS_CONNECTION, false},
	{"dbt_connection", TELLS_CONNECTION, false},
	{"http_request", TELLS_CONNECTION, false},
	{"postgrest_request", TELLS_CONNECTION, false},
	{"enable_dbt_sources", TELLS_CONNECTION, false},
	{"encryption_keys", TELLS_CONNECTION, false},
	{"rotate_encryption_key", TELLS_CONNECTION, false},
	{"remove_encryption_key", TELLS_CONNECTION, false},
	/* of a body, besides its secrets */
	{"dbtconnection", TELLS_CONNECTION, true},
	{"dbt_env_secret", TELLS_CONNECTION, true},
	{"dbt_cloud_ide", TELLS_CLOUD, false},
	{"environment_id", TELLS_CLOUD, false},
	/* debug_print_plan and the like: what a constant is, byte by byte */
	{":constvalue", TELLS_CONNECTION, true},
	/* what PostgreSQL puts before the beginning of a value, or its middle */
	{"arameters:", 0, true},
	{", line ", 0, true},
};

#define MAX_NAMES 24

static Telltale names[MAX_NAMES];
static int	nnames = 0;

/*
 * By the byte that is first, second or third: the names that have it there, a
 * bit for each.  Most of a log is read by these only.
 */
#define LOOKAHEAD 3				/* no name is shorter */
#define FIRST_ESCAPED (UINT32_C(1) << 31)	/* whichever name that begins */
#define SECOND_ESCAPED (UINT32_C(1) << 30)

static uint32 having[LOOKAHEAD][UCHAR_MAX + 1];

static void
AddName(const char *name, int tells, bool value_follows)
{
	Telltale	telltale = {name, tells, value_follows};

	if (nnames == MAX_NAMES)
		elog(ERROR, "too many names");
	for (int i = 0; i < LOOKAHEAD; i++)
	{
		having[i][(unsigned char) name[i]] |= UINT32_C(1) << nnames;
		having[i][pg_ascii_toupper(name[i])] |= UINT32_C(1) << nnames;
	}
	having[0][(unsigned char) name[0]] |= SECOND_ESCAPED;
	having[0][pg_ascii_toupper(name[0])] |= SECOND_ESCAPED;
	names[nnames++] = telltale;
}

/*
 * To be called once, before all others.
 */
void
PrepareNames(void)
{
	for (size_t i = 0; i < lengthof(fixed_names); i++)
		AddName(fixed_names[i].name, fixed_names[i].tells, fixed_names[i].value_follows);
	foreach_field(field)
	{
		if (field->trait == TRAIT_SECRET)
			AddName(field->name,
					strcmp(field->name, COMMON_FIELD) == 0 ? TELLS_COMMON : TELLS_CONNECTION, true);
	}

	/* what stands for a letter may begin with a backslash, and go on anyhow */
	having[0]['\\'] = FIRST_ESCAPED;
	having[1]['\\'] = having[2]['\\'] = ~UINT32_C(0);
	for (int c = 0; c <= UCHAR_MAX; c++)
	{
		having[1][c] |= FIRST_ESCAPED;
		having[2][c] |= FIRST_ESCAPED | SECOND_ESCAPED;
	}
}

/* where one is in a text */
typedef struct Reader
{
	const char *s;
	const char *end;
	bool		hex;			/* in a bytea, as PostgreSQL writes it */
} Reader;

#define END_OF_TEXT (-1)

static int
DigitValue(int c, int base)
{
	int			value = c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 : base;

	return value < base ? value : -1;
}

static inline int
NextByte(Reader *r)
{
	if (r->hex)
	{
		int			high = r->end - r->s >= 2 ? DigitValue(r->s[0], 16) : -1;
		int			low = high >= 0 ? DigitValue(r->s[1], 16) : -1;

		if (low >= 0)
		{
			r->s += 2;
			return high * 16 + low;
		}
		r->hex = false;
	}
	return r->s < r->end ? (unsigned char) *r->s++ : END_OF_TEXT;
}

/* notations for a character by its number, after one or more backslashes */
static const struct
{
	char		lead;
	int			digits;
	int			base;
}			escapes[] = {
	{'u', 4, 16},				/* JSON, E'' */
	{'U', 8, 16},				/* E'' */
	{'x', 2, 16},				/* E'', and the beginning of a bytea */
	{'+', 6, 16},				/* U&'' */
	{'\0', 4, 16},				/* U&'' */
	{'\0', 3, 8},				/* E'', bytea */
};

static int	NextEscaped(Reader *r, int layers);

/*
 * The next character, in whatever way it is escaped, and that again for each
 * layer.
 */
static inline int
NextChar(Reader *r, int layers)
{
	if (layers == 0 || (!r->hex && r->s < r->end && *r->s != '\\'))
		return NextByte(r);
	return NextEscaped(r, layers);
}

static int
NextEscaped(Reader *r, int layers)
{
	int			c = NextChar(r, layers - 1);

	if (c != '\\')
		return c;
	while (c == '\\')
		c = NextChar(r, layers - 1);
	for (size_t i = 0; i < lengthof(escapes); i++)
	{
		Reader		ahead;
		int			value = 0;
		int			digits = 0;

		if (escapes[i].lead != (c >= '0' && c <= '3' ? '\0' : c))
			continue;
		ahead = *r;
		for (int digit = escapes[i].lead == '\0' ? c : NextChar(&ahead, layers - 1);
			 DigitValue(digit, escapes[i].base) >= 0 && value <= UCHAR_MAX;
			 digit = NextChar(&ahead, layers - 1))
		{
			value = value * escapes[i].base + DigitValue(digit, escapes[i].base);
			if (++digits == escapes[i].digits)
				break;
		}
		if (digits == escapes[i].digits && value <= UCHAR_MAX)
		{
			*r = ahead;
			r->hex = r->hex || c == 'x';
			return value;
		}
	}
	return c;
}

/* JSON with such letters may be in a string of SQL, or in a bytea */
#define LAYERS 2

static bool
SkipName(Reader *r, const char *name)
{
	for (; *name != '\0'; name++)
	{
		int			c = NextChar(r, LAYERS);

		if (c == END_OF_TEXT || pg_ascii_tolower(c) != (unsigned char) *name)
			return false;
	}
	return true;
}

/*
 * Move on to what may be the beginning of a name; false if there's none.
 */
static bool
SkipOthers(Reader *r)
{
	const unsigned char *s = (const unsigned char *) r->s;
	const unsigned char *end = (const unsigned char *) r->end;

	while (!r->hex && end - s >= LOOKAHEAD &&
		   (having[0][s[0]] & having[1][s[1]] & having[2][s[2]]) == 0)
		s++;
	r->s = (const char *) s;
	return end - s >= LOOKAHEAD;
}

/*
 * Move on by a character, and say what the names tell that begin with it, and
 * where the first of the values begins that may follow one (else *value stays).
 */
static int
ScanNames(Reader *r, const char **value)
{
	int			first = NextChar(r, LAYERS);
	Reader		behind = *r;
	int			second = first == END_OF_TEXT || having[0][first] == 0 ? END_OF_TEXT :
		NextChar(&behind, LAYERS);
	uint32		candidates = second == END_OF_TEXT ? 0 :
		having[0][first] & having[1][second] & ~(FIRST_ESCAPED | SECOND_ESCAPED);
	int			tells = 0;

	for (; candidates != 0; candidates &= candidates - 1)
	{
		int			i = pg_rightmost_one_pos32(candidates);
		Reader		ahead = behind;

		if (!SkipName(&ahead, names[i].name + 2))
			continue;
		tells |= names[i].tells;
		if (names[i].value_follows && *value == NULL)
			*value = ahead.s;
	}
	return tells;
}

/*
 * The same of a whole text.
 */
static int
ScanText(const char *start, const char *end, const char **value)
{
	Reader		r = {start, end, false};
	int			tells = 0;

	while (SkipOthers(&r))
	{
		/* the digits behind E'\x7b' may be letters */
		for (int i = 0; i < 2 && r.hex; i++)
		{
			Reader		letters = {r.s + i, end, false};

			if (DigitValue(r.s[i], 16) >= 10)
				tells |= ScanNames(&letters, value);
		}
		tells |= ScanNames(&r, value);
	}
	return tells;
}

/*
 * What the names in a text tell; those of several texts are to be joined by |.
 */
int
NamesIn(const char *s, Size len)
{
	const char *value = NULL;

	return ScanText(s, s + len, &value);
}

/*
 * Whether texts with these names in them may hold a connection.
 */
bool
MayHoldConnection(int tells)
{
	return (tells & TELLS_CONNECTION) != 0 ||
		((tells & TELLS_COMMON) != 0 && (tells & TELLS_CLOUD) != 0);
}

/*
 * Where a value may begin: with a quote of SQL or JSON, or of another language
 * (any byte that isn't ASCII), with the brace of an array or object, with the
 * parenthesis of a row (but not that of a function), with a bytea's backslash.
 */
static Size
ReadableLen(const char *s)
{
	const char *end = s;
	const char *value = NULL;

	while (*end != '\0' && strchr("'\"$\\{", *end) == NULL && !IS_HIGHBIT_SET(*end) &&
		   !(*end == '(' && (end == s || (!isalnum((unsigned char) end[-1]) && end[-1] != '_'))))
		end++;
	(void) ScanText(s, end, &value);
	return (value != NULL ? value : end) - s;
}

/*
 * Cut off what comes after so many bytes, and leave a mark if that is something.
 */
void
HideText(char *s, Size readable)
{
	if (s[readable] != '\0')
	{
		s[readable] = '*';
		s[readable + 1] = '\0';
	}
}

/*
 * Cut off everything that may be a value.
 */
void
HideValues(char *text)
{
	HideText(text, ReadableLen(text));
}
