/*-------------------------------------------------------------------------
 *
 * characters.c
 *		Characters that nobody sees.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rules/characters.h"

typedef struct Range
{
	pg_wchar	first;
	pg_wchar	last;
} Range;

/* White_Space in Unicode, less the control characters */
static const Range blanks[] = {
	{' ', ' '},
	{0x00A0, 0x00A0},
	{0x1680, 0x1680},
	{0x2000, 0x200A},
	{0x2028, 0x2029},
	{0x202F, 0x202F},
	{0x205F, 0x205F},
	{0x3000, 0x3000},
};

/* Cc in Unicode */
static const Range controls[] = {
	{0x0000, 0x001F},
	{0x007F, 0x009F},
};

/*
 * Default_Ignorable_Code_Point in Unicode, where the zero-width characters, the
 * byte order mark and the bidirectional controls are, and what breaks a line.
 */
static const Range invisibles[] = {
	{0x00AD, 0x00AD},
	{0x034F, 0x034F},
	{0x061C, 0x061C},
	{0x115F, 0x1160},
	{0x17B4, 0x17B5},
	{0x180B, 0x180F},
	{0x200B, 0x200F},
	{0x2028, 0x202E},
	{0x2060, 0x206F},
	{0x3164, 0x3164},
	{0xFE00, 0xFE0F},
	{0xFEFF, 0xFEFF},
	{0xFFA0, 0xFFA0},
	{0xFFF0, 0xFFFB},
	{0x1BCA0, 0x1BCA3},
	{0x1D173, 0x1D17A},
	{0xE0000, 0xE0FFF},
};

/*
 * The next character, or false after the last.
 */
bool
NextCharacter(Characters *characters, pg_wchar *c)
{
	const unsigned char *next = (const unsigned char *) characters->next;

	CHECK_FOR_INTERRUPTS();
	if (characters->next >= characters->end)
		return false;
	if (!IS_HIGHBIT_SET(*next))
	{
		*c = *next;
		characters->next++;
		return true;
	}
	/* 0xFFFD stands for what Unicode can't tell */
	*c = GetDatabaseEncoding() == PG_UTF8 ? utf8_to_unicode(next) : 0xFFFD;
	characters->next += pg_encoding_mblen(GetDatabaseEncoding(), characters->next);
	return true;
}

static bool
InRanges(pg_wchar c, const Range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	}
	return false;
}

bool
IsControl(pg_wchar c)
{
	return InRanges(c, controls, lengthof(controls));
}

bool
IsBlank(pg_wchar c)
{
	return InRanges(c, blanks, lengthof(blanks));
}

bool
IsInvisible(pg_wchar c)
{
	return InRanges(c, invisibles, lengthof(invisibles));
}
