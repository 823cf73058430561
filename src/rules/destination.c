/*-------------------------------------------------------------------------
 *
 * destination.c
 *		Where a secret of a connection ends up.
 *
 * Two ways to write one host are the same destination, so that nobody has to send
 * a token again for a capital letter.  But only what every program reads in the
 * same way is compared like this: for anything else (a user part, percent signs,
 * a backslash, control characters, anything beyond ASCII) another text is another
 * destination, as what one program takes for part of a path is the host to the
 * next.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rules/destination.h"
#include "base/json.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/*
 * Whether a path ends the host before it for every program.
 */
static bool
IsPlainPath(const char *path)
{
	if (*path != '/' && *path != '\0')
		return false;
	for (; *path != '\0'; path++)
	{
		if (*path <= ' ' || *path >= 0x7F || *path == '\\')
			return false;
	}
	return true;
}

/*
 * host, host:port, or the origin of an URL, as they are compared: in lower case,
 * without spaces around it and without the dot that may end a host.  A text that
 * is none of these comes back as it is, but for the spaces.
 */
static char *
NormalHost(const char *start, int len)
{
	char	   *host;
	char	   *name;
	char	   *port;
	char	   *path;
	Size		name_len;
	bool		dot;

	for (; len > 0 && start[0] == ' '; len--)
		start++;
	for (; len > 0 && start[len - 1] == ' '; len--)
		;
	host = pnstrdup(start, len);

	name = host + strspn(host, LETTERS);
	name = name > host && strncmp(name, "://", 3) == 0 ? name + 3 : host;
	name_len = strspn(name, LETTERS DIGITS "-._");
	port = name + name_len;
	path = *port == ':' ? port + 1 + strspn(port + 1, DIGITS) : port;
	if (name_len == 0 || path == port + 1 ||
		!(name == host ? *path == '\0' : IsPlainPath(path)))
		return host;

	*path = '\0';
	for (char *p = host; *p != '\0'; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	dot = name_len > 1 && port[-1] == '.';
	if (dot)
		memmove(port - 1, port, path - port + 1);
	return host;
}

/*
 * The host in a field, or the service's own where there is none but spaces; NULL if
 * it has none either.
 */
static char *
HostIn(const JsonbValue *value, Variant variant)
{
	const char *own = service_hosts[variant];
	char	   *host = value == NULL ? NULL : NormalHost(value->val.string.val, value->val.string.len);

	if (host != NULL && *host != '\0')
		return host;
	return own == NULL ? NULL : NormalHost(own, strlen(own));
}

static bool
SameHost(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/*
 * Whether two values of a field are the same destination; NULL for one that is
 * left out or empty.
 */
static bool
SameDestination(const Field *field, Variant variant, const JsonbValue *a, const JsonbValue *b)
{
	if (a == NULL && b == NULL)
		return true;
	if ((a != NULL && a->type != jbvString) || (b != NULL && b->type != jbvString))
		return false;
	if (a != NULL && b != NULL && a->val.string.len == b->val.string.len &&
		memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0)
		return true;
	return field->trait == TRAIT_HOST && SameHost(HostIn(a, variant), HostIn(b, variant));
}

static const JsonbValue *
NonEmptyValue(const ConnectionFields *fields, const Field *field)
{
	const JsonbValue *value = FieldValue(fields, field);

	return value == NULL || JsonIsEmptyString(value) ? NULL : value;
}

/*
 * The first field that decides where secrets of that kind end up, and is not the
 * same in two connections of one variant; NULL if they end up where they did.
 */
const Field *
ChangedDestination(const ConnectionFields *from, const ConnectionFields *to, Destination of)
{
	foreach_field(field)
	{
		if (FieldIsDestination(field, to->variant, of) &&
			!SameDestination(field, to->variant, NonEmptyValue(from, field), NonEmptyValue(to, field)))
			return field;
	}
	return NULL;
}
