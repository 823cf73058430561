/*-------------------------------------------------------------------------
 *
 * palloc.h
 *		palloc() whose end sanitizers see.
 *
 * Included before each source file (-include).  AddressSanitizer and valgrind
 * know of what malloc() gives, and PostgreSQL takes that in blocks, of which many
 * pieces are cut: one that is read beyond its end is in the next piece.  So each
 * piece is made large enough to get a block of its own, and what nobody asked for
 * is out of bounds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANITIZE_PALLOC_H
#define SANITIZE_PALLOC_H

#include "postgres.h"

#ifdef USE_VALGRIND
#include <valgrind/memcheck.h>
#define FORBID(from, len) VALGRIND_MAKE_MEM_NOACCESS(from, len)
#else
#include <sanitizer/asan_interface.h>
#define FORBID(from, len) ASAN_POISON_MEMORY_REGION(from, len)
#endif

/* one byte more than ALLOC_CHUNK_LIMIT of aset.c */
#define OWN_BLOCK_LEN (8 * 1024 + 1)

static inline void *
SanitizedAlloc(Size len, int flags)
{
	char	   *piece = palloc_extended(Max(len, OWN_BLOCK_LEN), flags);

	/*
	 * a server with assertions looks for writes there itself, and wipes it
	 * all
	 */
#ifndef MEMORY_CONTEXT_CHECKING
	if (piece != NULL && len < OWN_BLOCK_LEN)
		FORBID(piece + len, OWN_BLOCK_LEN - len);
#endif
	return piece;
}

static inline char *
SanitizedCopy(const char *string, Size len)
{
	char	   *copy = memcpy(SanitizedAlloc(len + 1, 0), string, len);

	copy[len] = '\0';
	return copy;
}

#define palloc(len) SanitizedAlloc(len, 0)
#define palloc0(len) SanitizedAlloc(len, MCXT_ALLOC_ZERO)
#define palloc_extended(len, flags) SanitizedAlloc(len, flags)
#define pnstrdup(string, len) SanitizedCopy(string, strnlen(string, len))
#define pstrdup(string) SanitizedCopy(string, strlen(string))

#endif							/* SANITIZE_PALLOC_H */
