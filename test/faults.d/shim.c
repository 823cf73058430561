/*
 * Makes system calls fail, and the clock go wrong, in a server that preloads it
 * (LD_PRELOAD).
 *
 * What is to fail stands in a file that all processes map, $FAULTS_CONTROL: see
 * struct Control, which Faults.pm writes.  A call on a file fails if the file's
 * path begins as the control says.  Calls are counted in each process by itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct Control
{
	int32_t		generation;		/* of what follows; 0 is nothing */
	int32_t		nth;			/* call that fails; 0 is each, -1 none */
	int32_t		error;			/* its errno; 0 is half a write */
	int32_t		pid;			/* of who makes it; 0 is anybody */
	int32_t		hits;			/* how many have failed */
	int32_t		calls;			/* how many there were, of the last who made
								 * one */
	int64_t		seconds;		/* that the clock is wrong by */
	char		calls_named[64];	/* which, each between spaces */
	char		path[PATH_MAX];
};

static struct Control nothing;
static struct Control *control = &nothing;

__attribute__((constructor)) static void
MapControl(void)
{
	const char *file = getenv("FAULTS_CONTROL");
	int			fd = file == NULL ? -1 : open(file, O_RDWR);
	void	   *map = fd < 0 ? MAP_FAILED :
		mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static int
IsNamed(const char *call)
{
	size_t		len = strlen(call);

	for (const char *found = control->calls_named; (found = strstr(found, call)) != NULL; found += len)
	{
		if (found[-1] == ' ' && found[len] == ' ')
			return 1;
	}
	return 0;
}

/*
 * Whether this call is the one.
 */
static int
Fails(const char *call)
{
	static int32_t generation;
	static int32_t seen;

	if (control->pid != 0 && control->pid != getpid())
		return 0;
	if (!IsNamed(call))
		return 0;
	if (generation != control->generation)
	{
		generation = control->generation;
		seen = 0;
	}
	control->calls = ++seen;
	if (control->nth != 0 && control->nth != seen)
		return 0;
	control->hits++;
	errno = control->error;
	return 1;
}

static int
IsArmed(void)
{
	return control->generation != 0;
}

static int
FailsOnPath(const char *call, const char *path)
{
	return IsArmed() && path != NULL &&
		strncmp(path, control->path, strlen(control->path)) == 0 && Fails(call);
}

/* looked up once, as that may need memory */
#define REAL(name) \
	({ static __typeof__(&name) real; if (real == NULL) real = (__typeof__(&name)) dlsym(RTLD_NEXT, #name); real; })

static int
FailsOnFile(const char *call, int fd)
{
	char		link[64];
	char		path[PATH_MAX];
	ssize_t		len;
	int			saved = errno;

	if (!IsArmed() || !IsNamed(call))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = REAL(readlink) (link, path, sizeof(path) - 1);
	errno = saved;
	if (len < 0)
		return 0;
	path[len] = '\0';
	return FailsOnPath(call, path);
}

#define ON_PATH(type, name, parameters, path, ...) \
	type name parameters { return FailsOnPath(#name, path) ? -1 : REAL(name) (__VA_ARGS__); }
#define ON_FILE(type, name, parameters, fd, ...) \
	type name parameters { return FailsOnFile(#name, fd) ? -1 : REAL(name) (__VA_ARGS__); }

ON_PATH(int, unlink, (const char *path), path, path)
ON_PATH(int, rename, (const char *from, const char *to), from, from, to)
ON_PATH(int, stat, (const char *path, struct stat *st), path, path, st)
ON_PATH(ssize_t, readlink, (const char *path, char *to, size_t len), path, path, to, len)
ON_FILE(int, fstat, (int fd, struct stat *st), fd, fd, st)
ON_FILE(int, fsync, (int fd), fd, fd)
ON_FILE(int, fdatasync, (int fd), fd, fd)
ON_FILE(ssize_t, read, (int fd, void *to, size_t len), fd, fd, to, len)
ON_FILE(ssize_t, pwrite, (int fd, const void *from, size_t len, off_t at), fd, fd, from, len, at)
ON_FILE(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), fd, fd, from, count, at)

/* this one returns what others have in errno */
int
posix_fallocate(int fd, off_t at, off_t len)
{
	return FailsOnFile("posix_fallocate", fd) ? errno : REAL(posix_fallocate) (fd, at, len);
}

int
close(int fd)
{
	int			fails = FailsOnFile("close", fd);
	int			error = errno;
	int			status = REAL(close) (fd);

	/* it's closed all the same */
	if (fails)
		errno = error;
	return fails ? -1 : status;
}

ssize_t
write(int fd, const void *from, size_t len)
{
	if (!FailsOnFile("write", fd))
		return REAL(write) (fd, from, len);
	return errno != 0 ? -1 : REAL(write) (fd, from, len / 2);
}

int
open(const char *path, int flags,...)
{
	va_list		args;
	mode_t		mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return FailsOnPath("open", path) ? -1 : REAL(open) (path, flags, mode);
}

/* what a distribution that fortifies makes of them */
int			__open_2(const char *path, int flags);
ssize_t		__read_chk(int fd, void *to, size_t len, size_t size);
ssize_t		__readlink_chk(const char *path, char *to, size_t len, size_t size);

int
__open_2(const char *path, int flags)
{
	return open(path, flags);
}

ssize_t
__read_chk(int fd, void *to, size_t len, size_t size)
{
	return len > size ? (abort(), -1) : read(fd, to, len);
}

ssize_t
__readlink_chk(const char *path, char *to, size_t len, size_t size)
{
	return len > size ? (abort(), -1) : readlink(path, to, len);
}

/* memory; dlsym() itself needs some */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

void *
malloc(size_t size)
{
	return IsArmed() && Fails("malloc") ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return IsArmed() && Fails("malloc") ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return IsArmed() && Fails("malloc") ? NULL : __libc_realloc(old, size);
}

/* the clock on the wall */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			status = REAL(clock_gettime) (clock, now);

	if (clock == CLOCK_REALTIME)
		now->tv_sec += control->seconds;
	return status;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int			status = REAL(gettimeofday) (now, zone);

	now->tv_sec += control->seconds;
	return status;
}

time_t
time(time_t *now)
{
	time_t		result = REAL(time) (NULL) + control->seconds;

	if (now != NULL)
		*now = result;
	return result;
}
