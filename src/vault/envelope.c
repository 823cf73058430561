/*-------------------------------------------------------------------------
 *
 * envelope.c
 *		A connection at rest: JWE compact serialization (RFC 7516) with "alg"
 *		= "dir" and "enc" = "A256CBC-HS512" (RFC 7518, sections 4.5 and 5.2.5).
 *
 * The protected header names the key ("kid") and the row ("sub"), so that a
 * ciphertext which is moved to another row does not decrypt there.  Two private
 * members (RFC 7516, section 4.3) tell what an update can't have to keep: "known"
 * is true, or else absent, if its type knows each property of the connection, and
 * "environment" is false, or else absent, if it has none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "vault/base64url.h"
#include "base/domain.h"
#include "vault/envelope.h"
#include "base/json.h"

#define ALG "dir"
#define ENC "A256CBC-HS512"
#define KNOWN ",\"known\":true"
#define NO_ENVIRONMENT ",\"environment\":false"

/* what the header has after the subject, by what the connection lacks */
static const char *const header_ends[] = {
	[0] = "}",
	[LACKS_UNKNOWN] = KNOWN "}",
	[LACKS_ENVIRONMENT] = NO_ENVIRONMENT "}",
	[LACKS_UNKNOWN | LACKS_ENVIRONMENT] = KNOWN NO_ENVIRONMENT "}",
};

/* ours have about 200 bytes; don't parse more of what nobody vouches for */
#define MAX_HEADER_LEN 4096

/* what a text can hold in base64, less header, IV and tag */
#define MAX_PLAINTEXT_LEN (MaxAllocSize / 4 * 3 - 2 * MAX_HEADER_LEN)

/* header, encrypted key (empty with "dir"), IV, ciphertext, tag */
#define NUM_PARTS 5

typedef struct Part
{
	const char *text;
	Size		len;
} Part;

static void
AppendHeaderUpToKid(StringInfo header, const char *kid)
{
	appendStringInfoString(header, "{\"alg\":\"" ALG "\",\"enc\":\"" ENC "\",\"kid\":");
	AppendJsonString(header, kid, strlen(kid));
	appendStringInfoString(header, ",\"sub\":");
}

static void
AppendHeaderUpToSubject(StringInfo header, const char *kid, const char *subject)
{
	AppendHeaderUpToKid(header, kid);
	AppendJsonString(header, subject, strlen(subject));
}

static void
AppendHeader(StringInfo out, const char *kid, const char *subject, int lacks)
{
	StringInfoData header;

	initStringInfo(&header);
	AppendHeaderUpToSubject(&header, kid, subject);
	appendStringInfoString(&header, header_ends[lacks]);
	AppendBase64Url(out, header.data, header.len);
	pfree(header.data);
}

/*
 * What every envelope begins with whose header begins like that.  Three bytes make
 * four letters, so up to two bytes are cut off.
 */
static text *
PrefixOfHeader(const StringInfoData *header)
{
	StringInfoData prefix;

	initStringInfo(&prefix);
	AppendBase64Url(&prefix, header->data, header->len - header->len % 3);
	return cstring_to_text_with_len(prefix.data, prefix.len);
}

/*
 * What every envelope begins with that SealEnvelope() made with the key of
 * that kid, and none that it made with another.
 */
text *
EnvelopePrefix(const char *kid)
{
	StringInfoData header;

	initStringInfo(&header);
	AppendHeaderUpToKid(&header, kid);
	return PrefixOfHeader(&header);
}

/*
 * What every envelope begins with that SealEnvelope() made with that key for that
 * row of a connection which lacks as much, or more; LACKS_UNKNOWN is among it.
 */
text *
EnvelopePrefixLacking(const Key *key, const char *subject, int lacks)
{
	StringInfoData header;

	Assert(lacks & LACKS_UNKNOWN);
	initStringInfo(&header);
	AppendHeaderUpToSubject(&header, key->kid, subject);
	/* the longer one begins with the shorter one */
	appendStringInfoString(&header, lacks & LACKS_ENVIRONMENT ? KNOWN NO_ENVIRONMENT : KNOWN);
	return PrefixOfHeader(&header);
}

/*
 * Encrypt plaintext, which is wiped and freed, with key for the row that subject
 * names.  RFC 7516, section 5.1.
 *
 * Errors: 54000 if the text would exceed PostgreSQL's limit for a value.
 */
text *
SealEnvelope(const Key *key, const char *subject, int lacks, bytea *plaintext)
{
	StringInfoData header;
	bytea	   *iv;
	bytea	   *ciphertext;
	uint8		tag[AEAD_TAG_LEN];
	text	   *envelope;
	Size		size;
	char	   *p;

	if (VARSIZE_ANY_EXHDR(plaintext) > MAX_PLAINTEXT_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("dbtConnection is too large to be stored")));

	initStringInfo(&header);
	AppendHeader(&header, key->kid, subject, lacks);
	iv = RandomIv();
	ciphertext = AeadEncrypt(key->bytes, iv, header.data, header.len, plaintext, tag);

	size = VARHDRSZ + header.len + NUM_PARTS - 1 + Base64UrlLen(AEAD_IV_LEN) +
		Base64UrlLen(VARSIZE_ANY_EXHDR(ciphertext)) + Base64UrlLen(AEAD_TAG_LEN);
	envelope = palloc(size);
	SET_VARSIZE(envelope, size);
	p = VARDATA(envelope);
	memcpy(p, header.data, header.len);
	p += header.len;
	*p++ = '.';
	*p++ = '.';
	p = EncodeBase64Url(p, VARDATA_ANY(iv), AEAD_IV_LEN);
	*p++ = '.';
	p = EncodeBase64Url(p, VARDATA_ANY(ciphertext), VARSIZE_ANY_EXHDR(ciphertext));
	*p++ = '.';
	p = EncodeBase64Url(p, tag, AEAD_TAG_LEN);
	Assert(p == (char *) envelope + size);
	pfree(ciphertext);
	pfree(header.data);
	return envelope;
}

static bool
SplitEnvelope(text *envelope, Part *parts)
{
	const char *p = VARDATA_ANY(envelope);
	const char *end = p + VARSIZE_ANY_EXHDR(envelope);

	for (int i = 0; i < NUM_PARTS; i++)
	{
		const char *dot = memchr(p, '.', end - p);

		if ((dot == NULL) != (i == NUM_PARTS - 1))
			return false;
		parts[i].text = p;
		parts[i].len = (dot == NULL ? end : dot) - p;
		p = dot == NULL ? end : dot + 1;
	}
	return parts[1].len == 0;
}

static bool
HeaderSays(Jsonb *header, const char *name, const char *expected)
{
	JsonbValue	value;

	return JsonFind(&header->root, name, &value) &&
		JsonStringEquals(&value, expected);
}

/*
 * A protected header, an object, or NULL.
 */
static Jsonb *
ParseHeader(const char *text, Size len)
{
	bytea	   *bytes = NULL;
	Jsonb	   *header = NULL;

	if (len <= MAX_HEADER_LEN)
		bytes = DecodeBase64Url(text, len);
	if (bytes != NULL)
		header = JsonFromUtf8(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	return header != NULL && JB_ROOT_IS_OBJECT(header) ? header : NULL;
}

/*
 * The kid that an envelope, or a beginning of it with the whole protected
 * header, names; NULL if it names none.
 */
char *
EnvelopeKid(text *envelope)
{
	const char *text = VARDATA_ANY(envelope);
	Size		len = VARSIZE_ANY_EXHDR(envelope);
	const char *dot = memchr(text, '.', len);
	Jsonb	   *header = ParseHeader(text, dot == NULL ? len : (Size) (dot - text));
	JsonbValue	kid;

	if (header == NULL || !JsonFindString(&header->root, "kid", &kid))
		return NULL;
	return pnstrdup(kid.val.string.val, kid.val.string.len);
}

/*
 * Whether a header ends like that.
 */
static bool
EndsWith(const char *header, Size len, const char *end)
{
	return len >= strlen(end) && memcmp(header + len - strlen(end), end, strlen(end)) == 0;
}

/*
 * What the connection in an envelope was said to lack, as far as its header tells
 * that nobody has authenticated yet.  What isn't an envelope at all, and never
 * will be, has nothing.
 */
int
EnvelopeLacks(text *envelope)
{
	/* with the dot after the longest header */
	text	   *start = DatumGetTextPSlice(PointerGetDatum(envelope), 0, MAX_HEADER_LEN + 1);
	const char *encoded = VARDATA_ANY(start);
	const char *dot = memchr(encoded, '.', VARSIZE_ANY_EXHDR(start));
	bytea	   *header = dot == NULL ? NULL : DecodeBase64Url(encoded, dot - encoded);

	/* the last are the longest */
	for (int lacks = lengthof(header_ends) - 1; header != NULL && lacks > 0; lacks--)
	{
		if (EndsWith(VARDATA_ANY(header), VARSIZE_ANY_EXHDR(header), header_ends[lacks]))
			return lacks;
	}
	return header != NULL && ParseHeader(encoded, dot - encoded) != NULL ? 0 : LACKS_UNKNOWN | LACKS_ENVIRONMENT;
}

/*
 * Whether a header is what SealEnvelope() would write.
 */
static bool
IsOurHeader(const Part *part, const Key *key, const char *subject)
{
	bytea	   *decoded = DecodeBase64Url(part->text, part->len);
	const char *header;
	Size		len;
	StringInfoData ours;
	bool		same = false;

	if (decoded == NULL)
		return false;
	header = VARDATA_ANY(decoded);
	len = VARSIZE_ANY_EXHDR(decoded);
	initStringInfo(&ours);
	AppendHeaderUpToSubject(&ours, key->kid, subject);
	for (size_t i = 0; i < lengthof(header_ends) && !same; i++)
		same = len == ours.len + strlen(header_ends[i]) &&
			memcmp(header, ours.data, ours.len) == 0 && EndsWith(header, len, header_ends[i]);
	pfree(ours.data);
	pfree(decoded);
	return same;
}

/*
 * The key of an envelope whose header is for us and for this row, or NULL.
 */
static const Key *
KeyForHeader(const Keyring *keyring, const char *subject, Part *part,
			 const char **why)
{
	const Key  *key = &keyring->keys[0];
	Jsonb	   *header;
	JsonbValue	value;

	/* most have been written with the active key, and needn't be parsed */
	if (part->len <= MAX_HEADER_LEN && IsOurHeader(part, key, subject))
		return key;

	key = NULL;
	header = ParseHeader(part->text, part->len);
	if (header == NULL ||
		!HeaderSays(header, "alg", ALG) || !HeaderSays(header, "enc", ENC) ||
		JsonFind(&header->root, "crit", &value) ||
		JsonFind(&header->root, "zip", &value))
		*why = "It is not a JSON Web Encryption of the expected kind.";
	else if (!HeaderSays(header, "sub", subject))
		*why = "It was encrypted for another row.";
	else if (!JsonFindString(&header->root, "kid", &value) ||
			 (key = FindKey(keyring, value.val.string.val, value.val.string.len)) == NULL)
		*why = "The keyring does not have its key.";
	return key;
}

/*
 * What AeadDecrypt() needs of an envelope; false if it doesn't have that.
 */
static bool
DecodeParts(const Part *parts, bytea **iv, bytea **ciphertext, bytea **tag)
{
	*iv = DecodeBase64Url(parts[2].text, parts[2].len);
	*ciphertext = DecodeBase64Url(parts[3].text, parts[3].len);
	*tag = DecodeBase64Url(parts[4].text, parts[4].len);
	return *iv != NULL && *ciphertext != NULL && *tag != NULL &&
		VARSIZE(*tag) - VARHDRSZ == AEAD_TAG_LEN;
}

/*
 * The plaintext, or NULL and in *why a sentence that tells the reason, for
 * whatever bytes the envelope consists of.  Unless it is to be kept, the
 * envelope is freed as soon as it is decoded.  RFC 7516, section 5.2.
 */
bytea *
OpenEnvelope(const Keyring *keyring, const char *subject, text *envelope, bool keep,
			 const char **why)
{
	Part		parts[NUM_PARTS];
	const Key  *key = NULL;
	char	   *header;
	bytea	   *iv;
	bytea	   *ciphertext;
	bytea	   *tag;
	bytea	   *plaintext = NULL;
	bool		decoded;

	if (SplitEnvelope(envelope, parts))
		key = KeyForHeader(keyring, subject, &parts[0], why);
	else
		*why = "It is not a JSON Web Encryption of the expected kind.";
	if (key == NULL)
		return NULL;

	header = pnstrdup(parts[0].text, parts[0].len);
	decoded = DecodeParts(parts, &iv, &ciphertext, &tag);
	if (!keep)
		pfree(envelope);
	if (decoded)
		plaintext = AeadDecrypt(key->bytes, iv, header, parts[0].len, ciphertext,
								(uint8 *) VARDATA(tag));
	if (ciphertext != NULL)
		pfree(ciphertext);
	if (plaintext == NULL)
		*why = "Its authentication tag does not match.";
	return plaintext;
}
