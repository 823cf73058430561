/*-------------------------------------------------------------------------
 *
 * base64url.c
 *		base64url without padding (RFC 7515, section 2), over PostgreSQL's
 *		base64.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/base64.h"

#include "base64url.h"
#include "compat.h"

static const char alphabet[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/*
 * Append the encoding of len bytes.
 */
void
AppendBase64Url(StringInfo out, const void *bytes, Size len)
{
	int			room = pg_b64_enc_len(len);
	char	   *start;
	int			encoded;

	enlargeStringInfo(out, room);
	start = out->data + out->len;
	encoded = pg_b64_encode(BASE64_BYTES(bytes), len, start, room);
	while (encoded > 0 && start[encoded - 1] == '=')
		encoded--;
	for (int i = 0; i < encoded; i++)
	{
		if (start[i] == '+')
			start[i] = '-';
		else if (start[i] == '/')
			start[i] = '_';
	}
	out->len += encoded;
	out->data[out->len] = '\0';
}

/*
 * The bytes that text encodes, or NULL if it isn't the one encoding of any.
 *
 * Strict, because PostgreSQL's decoder skips white space and ignores the bits
 * that a last character has to spare, so that a changed ciphertext could
 * decode to the same bytes.
 */
bytea *
DecodeBase64Url(const char *text, Size len)
{
	static const uint8 spare_bits[4] = {0, 0, 0x0F, 0x03};
	int			tail = len % 4;
	char	   *padded;
	bytea	   *bytes;
	int			decoded;

	if (tail == 1)
		return NULL;

	padded = palloc(len + 4);
	for (Size i = 0; i < len; i++)
	{
		char		c = text[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			  (c >= '0' && c <= '9') || c == '-' || c == '_'))
		{
			pfree(padded);
			return NULL;
		}
		padded[i] = c == '-' ? '+' : c == '_' ? '/' : c;
	}
	if (tail != 0 &&
		((strchr(alphabet, text[len - 1]) - alphabet) & spare_bits[tail]) != 0)
	{
		pfree(padded);
		return NULL;
	}
	for (int i = tail; tail != 0 && i < 4; i++)
		padded[len++] = '=';

	bytes = palloc(VARHDRSZ + pg_b64_dec_len(len));
	decoded = pg_b64_decode(padded, len, BASE64_BYTES(VARDATA(bytes)), pg_b64_dec_len(len));
	explicit_bzero(padded, len);
	pfree(padded);
	if (decoded < 0)
		return NULL;
	SET_VARSIZE(bytes, VARHDRSZ + decoded);
	return bytes;
}
