/*-------------------------------------------------------------------------
 *
 * json.h
 *		Small steps over jsonb that PostgreSQL's API leaves to its callers, and
 *		the wiping of what may hold secrets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_JSON_H
#define DBT_SOURCES_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "base/compat.h"

/* One member of an object, or one element of an array (then key is unset). */
typedef struct JsonMember
{
	JsonbValue	key;
	JsonbValue	value;
} JsonMember;

/* Walks the direct members of a container, without descending into them. */
typedef struct JsonMembers
{
	JsonbIterator *it;
} JsonMembers;

extern JsonMembers JsonMembersOf(JsonbContainer *container);
extern bool NextJsonMember(JsonMembers *members, JsonMember *member);

extern bool JsonFind(JsonbContainer *object, const char *key, JsonbValue *value);
extern bool JsonFindString(JsonbContainer *object, const char *key, JsonbValue *value);

extern JsonbValue JsonRoot(Jsonb *document);
extern bool JsonIsObject(const JsonbValue *value);
extern bool JsonIsArray(const JsonbValue *value);
extern bool JsonIsEmptyString(const JsonbValue *value);
extern bool JsonIsEncodedTwice(const JsonbValue *value);
extern bool JsonStringEquals(const JsonbValue *value, const char *string);

extern void JsonPushKey(JsonbParseState **state, const char *key);
extern void JsonPushString(JsonbParseState **state, const char *key, const char *string);
extern void JsonPushValue(JsonbParseState **state, const char *key, JsonbValue *value);
extern void JsonPushNull(JsonbParseState **state, const char *key);
extern void JsonPushBool(JsonbParseState **state, const char *key, bool value);
extern void JsonPushInteger(JsonbParseState **state, const char *key, int64 value);

extern char *TextFromUtf8(const char *text, Size len, int *sqlerrcode);
extern char *TextToUtf8(const char *text, Size len);
extern Jsonb *TryJsonFromUtf8(const char *text, Size len, int *sqlerrcode);
extern Jsonb *JsonFromUtf8(const char *text, Size len);
extern Jsonb *JsonFromBytea(bytea *utf8);

/* Appends JSON text in the database's encoding. */
typedef void (*JsonPrinter) (StringInfo out, const void *what);

extern void AppendJsonString(StringInfo out, const char *string, int len);
extern void AppendJsonSeparator(StringInfo out);
extern void AppendJsonKey(StringInfo out, const char *key);
extern void AppendJsonMember(StringInfo out, const JsonMember *member);
extern void AppendJsonValue(StringInfo out, const JsonbValue *value);
extern bytea *PrintJson(Size expected, JsonPrinter print, const void *what);
extern bytea *JsonToBytea(Jsonb *json);
extern void WipeBytea(bytea *bytes);
extern void WipeJsonb(Jsonb *json);

#endif							/* DBT_SOURCES_JSON_H */
