/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *		What a target gets, and how it says that something isn't so.
 *
 * A target is given any bytes, and has to come back.  What it takes is freed
 * after each input; an error that it lets through is a finding.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "postgres.h"

#include "base/compat.h"
#include "base/json.h"

typedef struct FuzzTarget
{
	const char *name;
	void		(*test) (const char *input, Size len);
} FuzzTarget;

extern const FuzzTarget *FindTarget(const char *name);
extern void RunInput(const FuzzTarget *target, const char *input, Size len);

/* the rest of an input that is taken apart line by line */
typedef struct Input
{
	const char *at;
	const char *end;
} Input;

extern char *RestOf(Input *input);
extern char *NextLine(Input *input);
extern Jsonb *NextJson(Input *input);
extern char *JoinStrings(const char *first,...) __attribute__((sentinel));

/* the C library's matching takes its time */
#define MAX_MATCHED 4000

extern bool Matches(const char *text, const char *regex);

pg_noreturn extern void NotSo(const char *what);

/* a property that holds for every input */
#define HOLDS(property, what) ((property) ? (void) 0 : NotSo(what))

#endif							/* FUZZ_H */
