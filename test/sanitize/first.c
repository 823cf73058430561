/*-------------------------------------------------------------------------
 *
 * first.c
 *		Lets a preloaded AddressSanitizer begin before any library does.
 *
 * It begins when memory is first asked for, and looks up names then, whose
 * absence glibc puts into words.  A library that PostgreSQL uses (libp11-kit) asks
 * first from within newlocale(), which has the lock of those words: the process
 * stands still for ever.  Linked with -z initfirst.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

__attribute__((constructor)) static void
AskForMemory(void)
{
	free(malloc(1));
}
