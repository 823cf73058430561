/*-------------------------------------------------------------------------
 *
 * base64url.h
 *		base64url without padding (RFC 7515, section 2).
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_BASE64URL_H
#define DBT_SOURCES_BASE64URL_H

#include "lib/stringinfo.h"

extern Size Base64UrlLen(Size len);
extern char *EncodeBase64Url(char *to, const void *bytes, Size len);
extern void AppendBase64Url(StringInfo out, const void *bytes, Size len);
extern bytea *DecodeBase64Url(const char *text, Size len);

#endif							/* DBT_SOURCES_BASE64URL_H */
