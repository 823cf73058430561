/*-------------------------------------------------------------------------
 *
 * base64url.c
 *		base64url against PostgreSQL's base64.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "common/base64.h"
#include "vault/base64url.h"

extern void base64url(const char *input, Size len);

static void
Translate(char *text, const char *from, const char *to)
{
	for (; *text !='\0'; text ++)
	{
		const char *letter = strchr(from, *text);

		if (letter != NULL)
			*text = to[letter - from];
	}
}

/*
 * What PostgreSQL's encoding is in base64url.
 */
static char *
ReferenceEncoding(const char *bytes, Size len)
{
	int			size = pg_b64_enc_len(len) + 1;
	char	   *text = palloc0(size);

	HOLDS(pg_b64_encode((const void *) bytes, len, text, size) >= 0, "PostgreSQL encodes everything");
	Translate(text, "+/", "-_");
	text[		strcspn(text, "=")] = '\0';
	return text;
}

/*
 * What PostgreSQL decodes, if that is encoded like this again; else NULL.
 */
static char *
ReferenceDecoding(const char *text, int *len)
{
	char	   *padded = JoinStrings(text, &"==="[strlen(text) % 4 == 0 ? 3 : strlen(text) % 4 - 1], NULL);
	int			size = pg_b64_dec_len(strlen(padded)) + 1;
	char	   *bytes = palloc(size);

	/* has another meaning in base64 */
	if (strpbrk(text, "+/=") != NULL)
		return NULL;
	Translate(padded, "-_", "+/");
	*len = pg_b64_decode(padded, strlen(padded), (void *) bytes, size);
	return *len >= 0 && strcmp(ReferenceEncoding(bytes, *len), text) == 0 ? bytes : NULL;
}

void
base64url(const char *input, Size len)
{
	Size		encoded_len = Base64UrlLen(len);
	char	   *encoded = palloc(encoded_len + 1);
	Input		rest = {input, input + len};
	bytea	   *decoded;
	char	   *text;
	char	   *expected;
	int			expected_len;

	HOLDS(EncodeBase64Url(encoded, input, len) == encoded + encoded_len, "the encoding is as long as it was said");
	encoded[encoded_len] = '\0';
	HOLDS(strcmp(encoded, ReferenceEncoding(input, len)) == 0, "it is that of base64 in other letters");
	decoded = DecodeBase64Url(encoded, encoded_len);
	HOLDS(decoded != NULL && VARSIZE_ANY_EXHDR(decoded) == len && memcmp(VARDATA_ANY(decoded), input, len) == 0,
		  "what is encoded is decoded again");

	decoded = DecodeBase64Url(input, len);
	text = RestOf(&rest);

	expected = ReferenceDecoding(text, &expected_len);
	HOLDS((decoded == NULL) == (expected == NULL), "one encoding of each is taken, and nothing else");
	HOLDS(decoded == NULL ||
		  (VARSIZE_ANY_EXHDR(decoded) == expected_len && memcmp(VARDATA_ANY(decoded), expected, expected_len) == 0),
		  "it means the same");
}
