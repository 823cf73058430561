/*-------------------------------------------------------------------------
 *
 * limits.h
 *		What keeps a small body from becoming something large.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBT_SOURCES_LIMITS_H
#define DBT_SOURCES_LIMITS_H

#include "utils/jsonb.h"

#include "rules/problems.h"
#include "rules/variants.h"

/*
 * Parsing JSON recurses, so that what fits the stack of the call that stores it
 * might not fit that of a later one, and break the whole list for it.
 */
#define MAX_DEPTH 1000
#define TOO_DEEP "must not be nested deeper than 1000 levels"

/*
 * Numbers are stored as jsonb has them, whose few bytes can mean a hundred
 * thousand digits.
 */
#define MAX_DIGITS 400
#define NUMBER_OUT_OF_RANGE "must be a number in the range of a double (5e-324 to 1.8e308), of at most 400 digits"

extern bool NumberFits(Numeric number);
extern void ValidateLimits(JsonbContainer *connection, Variant variant, const char *path,
						   Problems *problems);

#endif							/* DBT_SOURCES_LIMITS_H */
