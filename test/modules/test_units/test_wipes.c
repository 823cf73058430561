/*-------------------------------------------------------------------------
 *
 * test_wipes.c
 *		Writes down what is wiped.
 *
 * Loaded into a server before the C library (LD_PRELOAD), whose function it
 * replaces: what was in the memory goes, a line in hexadecimal for each call, to
 * the file that the environment variable WIPES names.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* from 16 on PGXS hides what isn't exported by name */
#define EXPORTED __attribute__((visibility("default")))

extern EXPORTED void explicit_bzero(void *memory, size_t len);
extern EXPORTED void __explicit_bzero_chk(void *memory, size_t len, size_t room);

/* which the compiler can't leave out */
static void *(*volatile fill) (void *, int, size_t) = memset;

void
explicit_bzero(void *memory, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = memory;
	const char *path = getenv("WIPES");
	char	   *line = malloc(2 * len + 1);
	int			fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (line != NULL && fd >= 0)
	{
		for (size_t i = 0; i < len; i++)
		{
			line[2 * i] = digits[bytes[i] >> 4];
			line[2 * i + 1] = digits[bytes[i] & 0xF];
		}
		line[2 * len] = '\n';
		if (write(fd, line, 2 * len + 1) < 0)
			abort();
	}
	if (fd >= 0)
		close(fd);
	free(line);
	fill(memory, 0, len);
}

/* what the other one is called where its memory's size is known */
void
__explicit_bzero_chk(void *memory, size_t len, size_t room)
{
	if (len > room)
		abort();
	explicit_bzero(memory, len);
}
