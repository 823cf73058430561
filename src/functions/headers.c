/*-------------------------------------------------------------------------
 *
 * headers.c
 *		What the headers of a request say.
 *
 * They are an object of strings, as in PostgREST's request.headers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/domain.h"
#include "base/json.h"
#include "functions/headers.h"

#define BLANKS " \t"

/*
 * Whether this is an object of strings.
 */
bool
AreHeaders(Jsonb *headers)
{
	JsonMembers members;
	JsonMember	member;

	if (!JB_ROOT_IS_OBJECT(headers))
		return false;
	members = JsonMembersOf(&headers->root);
	while (NextJsonMember(&members, &member))
	{
		if (member.value.type != jbvString)
			return false;
	}
	return true;
}

/*
 * The value of a header without the blanks around it, or NULL; also for headers
 * that are NULL.  Case doesn't matter, so that a precondition isn't overlooked.
 * RFC 9110, section 5.
 */
char *
FindHeader(Jsonb *headers, const char *name)
{
	JsonMembers members;
	JsonMember	member;

	if (headers == NULL)
		return NULL;
	members = JsonMembersOf(&headers->root);
	while (NextJsonMember(&members, &member))
	{
		if (member.key.val.string.len == strlen(name) &&
			pg_strncasecmp(member.key.val.string.val, name, member.key.val.string.len) == 0)
		{
			const char *value = member.value.val.string.val;
			int			len = member.value.val.string.len;

			for (; len > 0 && strchr(BLANKS, *value) != NULL; len--)
				value++;
			while (len > 0 && strchr(BLANKS, value[len - 1]) != NULL)
				len--;
			return pnstrdup(value, len);
		}
	}
	return NULL;
}

/* what a body may be; PostgREST passes on bytes only */
static const char *const json_types[] = {"application/json", "application/octet-stream"};

static const char json_suffix[] = "+json";

/*
 * Whether a Content-Type, or none, can be that of JSON.  RFC 8259, section 11;
 * RFC 6839, section 3.1.
 */
bool
IsJsonType(const char *content_type)
{
	char	   *type;
	size_t		len;

	if (content_type == NULL || *content_type == '\0')
		return true;
	len = strcspn(content_type, ";" BLANKS);
	type = pnstrdup(content_type, len);
	for (size_t i = 0; i < lengthof(json_types); i++)
	{
		if (pg_strcasecmp(type, json_types[i]) == 0)
			return true;
	}
	return len > strlen(json_suffix) &&
		pg_strcasecmp(type + len - strlen(json_suffix), json_suffix) == 0;
}

/*
 * Whether a Content-Encoding, or none, leaves the body as it is.  RFC 9110,
 * section 8.4.
 */
bool
IsIdentity(const char *content_encoding)
{
	return content_encoding == NULL || *content_encoding == '\0' ||
		pg_strcasecmp(content_encoding, "identity") == 0;
}

/*
 * Take If-Match apart: "*" or a list of entity tags, of which a weak one never
 * matches.  Returns false if it is something else.  RFC 9110, sections 8.8.3 and
 * 13.1.1.
 */
bool
ParseIfMatch(const char *if_match, Precondition *precondition)
{
	const char *p = if_match;
	bool		is_first = true;

	precondition->any = strcmp(if_match, "*") == 0;
	precondition->tags = NIL;
	if (precondition->any)
		return true;
	for (;;)
	{
		bool		separated = is_first;
		bool		is_weak;
		const char *tag;

		for (; *p == ',' || *p == ' ' || *p == '\t'; p++)
			separated = separated || *p == ',';
		if (*p == '\0')
			return !is_first;
		is_weak = strncmp(p, "W/", 2) == 0;
		if (is_weak)
			p += 2;
		if (!separated || *p++ != '"')
			return false;
		/* all but controls, the blank and quotes */
		for (tag = p; (unsigned char) *p > ' ' && *p != '"' && *p != 0x7F; p++)
			;
		if (*p != '"')
			return false;
		if (!is_weak)
			precondition->tags = lappend(precondition->tags, pnstrdup(tag, p - tag));
		p++;
		is_first = false;
	}
}

/*
 * A version as an entity tag.
 */
char *
EntityTag(int64 version)
{
	return psprintf("\"" INT64_FORMAT "\"", version);
}

/*
 * Errors: ERRCODE_PRECONDITION_FAILED if the version isn't one of those that
 * the precondition lists; a precondition that is NULL is always met.
 */
void
RequireVersion(const Precondition *precondition, int64 version)
{
	char	   *tag = psprintf(INT64_FORMAT, version);
	ListCell   *lc;

	if (precondition == NULL || precondition->any)
		return;
	foreach(lc, precondition->tags)
	{
		if (strcmp(lfirst(lc), tag) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_PRECONDITION_FAILED),
			 errmsg("dbt source has another version")));
}
