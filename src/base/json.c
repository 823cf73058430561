/*-------------------------------------------------------------------------
 *
 * json.c
 *		Small steps over jsonb that PostgreSQL's API leaves to its callers, and
 *		the wiping of what may hold secrets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/domain.h"
#include "base/json.h"

/*
 * Start a walk over the members of an object or the elements of an array.
 */
JsonMembers
JsonMembersOf(JsonbContainer *container)
{
	JsonMembers members;
	JsonbValue	ignored;

	members.it = JsonbIteratorInit(container);
	(void) JsonbIteratorNext(&members.it, &ignored, true);	/* WJB_BEGIN_* */
	return members;
}

/*
 * The next member, or false after the last.  Nested containers come as
 * jbvBinary.  A caller can have sent millions, so that interrupts are checked.
 */
bool
NextJsonMember(JsonMembers *members, JsonMember *member)
{
	JsonbIteratorToken token;

	CHECK_FOR_INTERRUPTS();
	token = JsonbIteratorNext(&members->it, &member->value, true);
	if (token == WJB_KEY)
	{
		member->key = member->value;
		token = JsonbIteratorNext(&members->it, &member->value, true);
	}
	return token == WJB_VALUE || token == WJB_ELEM;
}

/*
 * Look up a member of an object.
 */
bool
JsonFind(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL;
}

bool
JsonFindString(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return JsonFind(object, key, value) && value->type == jbvString;
}

/*
 * A document as a value.
 */
JsonbValue
JsonRoot(Jsonb *document)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(document))
		(void) JsonbExtractScalar(&document->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &document->root;
		value.val.binary.len = VARSIZE(document) - VARHDRSZ;
	}
	return value;
}

bool
JsonIsObject(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

bool
JsonIsArray(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data);
}

bool
JsonIsEmptyString(const JsonbValue *value)
{
	return value->type == jbvString && value->val.string.len == 0;
}

/*
 * Whether a string looks as if it has the text of an object or array in it.
 */
bool
JsonIsEncodedTwice(const JsonbValue *value)
{
	const char *start;
	int			len;

	if (value->type != jbvString)
		return false;
	start = value->val.string.val;
	len = value->val.string.len;
	while (len > 0 && isspace((unsigned char) start[0]))
	{
		start++;
		len--;
	}
	while (len > 0 && isspace((unsigned char) start[len - 1]))
		len--;
	return len >= 2 &&
		((start[0] == '{' && start[len - 1] == '}') ||
		 (start[0] == '[' && start[len - 1] == ']'));
}

bool
JsonStringEquals(const JsonbValue *value, const char *string)
{
	return value->type == jbvString &&
		(size_t) value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

void
JsonPushKey(JsonbParseState **state, const char *key)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, key);
	v.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &v);
}

/*
 * Push a member of the object under construction.
 */
void
JsonPushValue(JsonbParseState **state, const char *key, JsonbValue *value)
{
	JsonPushKey(state, key);
	(void) pushJsonbValue(state, WJB_VALUE, value);
}

void
JsonPushString(JsonbParseState **state, const char *key, const char *string)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, string);
	v.val.string.len = strlen(string);
	JsonPushValue(state, key, &v);
}

void
JsonPushNull(JsonbParseState **state, const char *key)
{
	JsonbValue	v;

	v.type = jbvNull;
	JsonPushValue(state, key, &v);
}

void
JsonPushBool(JsonbParseState **state, const char *key, bool value)
{
	JsonbValue	v;

	v.type = jbvBool;
	v.val.boolean = value;
	JsonPushValue(state, key, &v);
}

void
JsonPushInteger(JsonbParseState **state, const char *key, int64 value)
{
	JsonbValue	v;

	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(value);
	JsonPushValue(state, key, &v);
}

/*
 * Parse a terminated string, which is wiped and freed, in the database's
 * encoding.  NULL for what jsonb_in() refuses, then with its SQLSTATE.
 *
 * It would report that with the text in the error's context, and the text may
 * be a key or a connection.  Only parsing happens inside the PG_TRY, which
 * holds no lock, buffer or catalog reference, so nothing is left behind without
 * a subtransaction; and in a context of its own, so that of the copies that
 * parsing makes only the last stays.
 */
static Jsonb *
ParseJson(char *text, int *sqlerrcode)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext parsing = AllocSetContextCreate(caller, "dbt connection", ALLOCSET_DEFAULT_SIZES);
	Jsonb	   *volatile json = NULL;

	MemoryContextSwitchTo(parsing);
	PG_TRY();
	{
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		*sqlerrcode = geterrcode();
		/* more elements than fit one allocation, which nobody expected */
		if (*sqlerrcode == ERRCODE_INTERNAL_ERROR)
			*sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		/* malformed, nested too deeply, too long a string */
		if (ERRCODE_TO_CATEGORY(*sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(*sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		json = NULL;
	}
	PG_END_TRY();

	explicit_bzero(text, strlen(text));
	pfree(text);
	MemoryContextSwitchTo(caller);
	if (json != NULL)
	{
		Jsonb	   *copy = memcpy(palloc(VARSIZE(json)), json, VARSIZE(json));

		WipeJsonb(json);
		json = copy;
	}
	MemoryContextDelete(parsing);
	return json;
}

typedef char *(*Conversion) (const char *text, int len, int encoding);

/*
 * Text from or to UTF-8, which is the text itself, or terminated.  NULL with the
 * SQLSTATE for what can't be converted; PostgreSQL would name some bytes of it.
 */
static char *
TryToConvert(Conversion convert, const char *text, Size len, int *sqlerrcode)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *volatile converted = NULL;

	PG_TRY();
	{
		converted = convert(text, len, PG_UTF8);
	}
	PG_CATCH();
	{
		*sqlerrcode = geterrcode();
		if (ERRCODE_TO_CATEGORY(*sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		converted = NULL;
	}
	PG_END_TRY();
	return converted;
}

/*
 * The terminated string in the database's encoding, or NULL with 22021 for what
 * is not text in UTF-8, and 22P05 for characters that the database's encoding
 * lacks.
 */
char *
TextFromUtf8(const char *text, Size len, int *sqlerrcode)
{
	char	   *terminated;
	char	   *server;

	if (memchr(text, '\0', len) != NULL ||
		!pg_verify_mbstr(PG_UTF8, text, len, true))
	{
		*sqlerrcode = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		return NULL;
	}
	terminated = MemoryContextAllocHuge(CurrentMemoryContext, len + 1);
	memcpy(terminated, text, len);
	terminated[len] = '\0';
	if (GetDatabaseEncoding() == PG_UTF8)
		return terminated;

	server = TryToConvert(pg_any_to_server, terminated, len, sqlerrcode);
	if (server != terminated)
	{
		explicit_bzero(terminated, len);
		pfree(terminated);
	}
	return server;
}

/*
 * The other way round: text of the database as UTF-8, which is the text itself, or
 * terminated.  NULL if that can't be, as where SQL_ASCII takes any bytes.
 */
char *
TextToUtf8(const char *text, Size len)
{
	int			sqlerrcode;

	return TryToConvert(pg_server_to_any, text, len, &sqlerrcode);
}

/*
 * Parse JSON text in UTF-8, whatever the database's encoding is.
 *
 * Returns NULL for what is not JSON or can't be jsonb here, and the SQLSTATE that
 * says which: 54001 if it is nested too deeply, 54000 if it is too large, 22021
 * if it is not UTF-8; the others of class 22 are PostgreSQL's.
 */
Jsonb *
TryJsonFromUtf8(const char *text, Size len, int *sqlerrcode)
{
	char	   *server = TextFromUtf8(text, len, sqlerrcode);

	return server == NULL ? NULL : ParseJson(server, sqlerrcode);
}

/*
 * The same for who doesn't ask why.
 */
Jsonb *
JsonFromUtf8(const char *text, Size len)
{
	int			sqlerrcode;

	return TryJsonFromUtf8(text, len, &sqlerrcode);
}

/*
 * The same of a bytea, which is wiped and freed before it is parsed.
 */
Jsonb *
JsonFromBytea(bytea *utf8)
{
	int			sqlerrcode;
	char	   *server = TextFromUtf8(VARDATA_ANY(utf8), VARSIZE_ANY_EXHDR(utf8), &sqlerrcode);

	WipeBytea(utf8);
	return server == NULL ? NULL : ParseJson(server, &sqlerrcode);
}

/*
 * Append a string with its quotes.  PostgreSQL's escape_json() takes a character at
 * a time, and before 18 a copy that is terminated.
 */
void
AppendJsonString(StringInfo out, const char *string, int len)
{
	static const char escapes[] = {
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['"'] = '"',
		['\\'] = '\\'
	};
	static const char hex_digits[] = "0123456789abcdef";
	const char *end = string + len;

	appendStringInfoChar(out, '"');
	for (;;)
	{
		const char *plain = string;
		unsigned char c;

		while (string < end && (unsigned char) *string >= ' ' && *string != '"' && *string != '\\')
			string++;
		appendBinaryStringInfo(out, plain, string - plain);
		if (string == end)
			break;
		c = *string++;
		if (escapes[c] == '\0')
		{
			appendStringInfoString(out, "\\u00");
			appendStringInfoChar(out, hex_digits[c >> 4]);
			appendStringInfoChar(out, hex_digits[c & 0xF]);
		}
		else
		{
			appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, escapes[c]);
		}
	}
	appendStringInfoChar(out, '"');
}

/*
 * What goes between two members or elements.
 */
void
AppendJsonSeparator(StringInfo out)
{
	char		last = out->data[out->len - 1];

	if (last != '{' && last != '[')
		appendStringInfoString(out, ", ");
}

/*
 * Append a key that needs no escapes, and what stands between it and its value.
 */
void
AppendJsonKey(StringInfo out, const char *key)
{
	AppendJsonSeparator(out);
	appendStringInfoChar(out, '"');
	appendStringInfoString(out, key);
	appendStringInfoString(out, "\": ");
}

/*
 * Append a member of an object.
 */
void
AppendJsonMember(StringInfo out, const JsonMember *member)
{
	AppendJsonSeparator(out);
	AppendJsonValue(out, &member->key);
	appendStringInfoString(out, ": ");
	AppendJsonValue(out, &member->value);
}

void
AppendJsonValue(StringInfo out, const JsonbValue *value)
{
	if (value->type == jbvString)
		AppendJsonString(out, value->val.string.val, value->val.string.len);
	else if (value->type == jbvBinary)
		(void) JsonbToCString(out, value->val.binary.data, value->val.binary.len);
	else
	{
		JsonbValue	scalar = *value;
		Jsonb	   *document = JsonbValueToJsonb(&scalar);

		(void) JsonbToCString(out, &document->root, VARSIZE(document));
	}
}

/*
 * The JSON text that print makes of something, in UTF-8; expected is about how
 * long it gets.  Printing copies strings, so it has a memory context of its own.
 *
 * Errors: 54000 if the text exceeds what PostgreSQL can hold in one value; 22021 if
 * it has bytes that are no characters.
 */
bytea *
PrintJson(Size expected, JsonPrinter print, const void *what)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext printing = AllocSetContextCreate(caller, "dbt connection", ALLOCSET_DEFAULT_SIZES);
	StringInfoData text;
	char	   *utf8;

	initStringInfo(&text);
	/* rarely longer; a buffer that grows leaves others behind */
	enlargeStringInfo(&text, expected / 3 * 4);
	appendStringInfoSpaces(&text, VARHDRSZ);
	MemoryContextSwitchTo(printing);
	PG_TRY();
	{
		print(&text, what);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("dbtConnection is too large to be stored")));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(printing);

	SET_VARSIZE(text.data, text.len);
	utf8 = TextToUtf8(text.data + VARHDRSZ, text.len - VARHDRSZ);
	if (utf8 == NULL)
	{
		WipeBytea((bytea *) text.data);
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("dbtConnection has bytes that are not characters of UTF-8")));
	}
	if (utf8 != text.data + VARHDRSZ)
	{
		int			len = strlen(utf8);

		explicit_bzero(text.data, text.len);
		resetStringInfo(&text);
		appendStringInfoSpaces(&text, VARHDRSZ);
		appendBinaryStringInfo(&text, utf8, len);
		SET_VARSIZE(text.data, text.len);
		explicit_bzero(utf8, len);
		pfree(utf8);
	}
	return (bytea *) text.data;
}

static void
PrintDocument(StringInfo out, const void *what)
{
	JsonbValue	value = JsonRoot(unconstify(Jsonb *, (const Jsonb *) what));

	AppendJsonValue(out, &value);
}

/*
 * The JSON text of a document in UTF-8.  Errors as above.
 */
bytea *
JsonToBytea(Jsonb *json)
{
	return PrintJson(VARSIZE(json), PrintDocument, json);
}

/*
 * Wipe and free.
 */
void
WipeBytea(bytea *bytes)
{
	explicit_bzero(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	pfree(bytes);
}

/*
 * Wipe and free a document that may hold secrets; NULL is allowed.
 *
 * What this can't reach: the copies of strings that PostgreSQL makes while it
 * parses and builds jsonb, and the smaller buffers that a growing StringInfo
 * leaves behind.  They are freed with their memory context, unwiped, and so
 * stay in the backend's memory until that is used again.
 */
void
WipeJsonb(Jsonb *json)
{
	if (json == NULL)
		return;
	explicit_bzero(json, VARSIZE(json));
	pfree(json);
}
