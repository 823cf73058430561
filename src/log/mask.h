/*-------------------------------------------------------------------------
 *
 * mask.h
 *		Finding secrets in a text that quotes a connection in whatever way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_MASK_H
#define DBT_SOURCES_MASK_H

#include "postgres.h"

extern bool HasSecrets(const char *text);
extern void MaskSecrets(char *text);

#endif							/* DBT_SOURCES_MASK_H */
