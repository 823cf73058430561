/*-------------------------------------------------------------------------
 *
 * jsontext.h
 *		Why a text can't be jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_JSONTEXT_H
#define DBT_SOURCES_JSONTEXT_H

#include "rules/problems.h"

extern bool ExplainJsonText(const char *text, Size len, int sqlerrcode, Problems *problems);

#endif							/* DBT_SOURCES_JSONTEXT_H */
