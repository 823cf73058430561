/*-------------------------------------------------------------------------
 *
 * mask.h
 *		Whether a text may hold a connection, and hiding its values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_MASK_H
#define DBT_SOURCES_MASK_H

#include "postgres.h"

extern void PrepareNames(void);
extern int	NamesIn(const char *text, Size len);
extern bool MayHoldConnection(int names);
extern void HideText(char *text, Size readable);
extern void HideValues(char *text);

#endif							/* DBT_SOURCES_MASK_H */
