/* Loaded into the program by tests/io_faults.rs: from the outside it looks as if a disk failed, filled up or was made
 * read-only, or as if somebody else changed a file, at a chosen call of the C library below a chosen folder.
 *
 *   IO_FAULT_BELOW    calls on paths with this prefix count
 *   IO_FAULT_CALLS    kinds of calls that count, a letter each (see the functions below)
 *   IO_FAULT_AT       which of them fails, from 1
 *   IO_FAULT_LASTING  if set, all that follow fail, too
 *   IO_FAULT_ERRNO    with what they fail
 *   IO_FAULT_COMMAND  instead of failing, this is run by the shell, once, and the call goes on
 *   IO_FAULT_REPORT   a file that is made when the call was met
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long met;

/* Whether a call fails; errno is then set. */
static int fails(char kind, const char *path) {
    const char *below = getenv("IO_FAULT_BELOW"), *calls = getenv("IO_FAULT_CALLS"), *at = getenv("IO_FAULT_AT");
    if (!below || !calls || !at || strncmp(path, below, strlen(below)) != 0 || !strchr(calls, kind)) return 0;
    long number = atomic_fetch_add(&met, 1) + 1, first = atol(at);
    if (number < first || (number > first && !getenv("IO_FAULT_LASTING"))) return 0;
    if (number == first && getenv("IO_FAULT_REPORT"))
        close(syscall(SYS_openat, AT_FDCWD, getenv("IO_FAULT_REPORT"), O_CREAT | O_WRONLY, 0600));
    const char *command = getenv("IO_FAULT_COMMAND");
    if (command) {
        if (number > first) return 0;
        unsetenv("LD_PRELOAD");
        if (system(command) != 0) abort();
        return 0;
    }
    errno = atoi(getenv("IO_FAULT_ERRNO"));
    return 1;
}

/* The same for a name in an open folder, or for an open file if there is no name. */
static int fails_at(char kind, int fd, const char *name) {
    char link[64], path[2 * PATH_MAX];
    if (name && (name[0] == '/' || fd == AT_FDCWD)) return fails(kind, name);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    if (len < 0) return 0;
    path[len] = 0;
    if (name && name[0]) snprintf(path + len, sizeof path - len, "/%s", name);
    return fails(kind, path);
}

#define NEXT(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

/* o: open, c: create */
static mode_t mode_of(int flags, va_list more) { return flags & O_CREAT ? va_arg(more, mode_t) : 0; }
#define OPEN(name)                                                                 \
    int name(const char *path, int flags, ...) {                                   \
        va_list more;                                                              \
        va_start(more, flags);                                                     \
        mode_t mode = mode_of(flags, more);                                        \
        va_end(more);                                                              \
        if (fails(flags & O_CREAT ? 'c' : 'o', path)) return -1;                   \
        return NEXT(int, #name, const char *, int, mode_t)(path, flags, mode);     \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                               \
    int name(int fd, const char *path, int flags, ...) {                           \
        va_list more;                                                              \
        va_start(more, flags);                                                     \
        mode_t mode = mode_of(flags, more);                                        \
        va_end(more);                                                              \
        if (fails_at(flags & O_CREAT ? 'c' : 'o', fd, path)) return -1;            \
        return NEXT(int, #name, int, const char *, int, mode_t)(fd, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

/* r: read */
ssize_t read(int fd, void *buffer, size_t size) {
    return fails_at('r', fd, NULL) ? -1 : NEXT(ssize_t, "read", int, void *, size_t)(fd, buffer, size);
}
ssize_t readv(int fd, const struct iovec *parts, int count) {
    return fails_at('r', fd, NULL) ? -1 : NEXT(ssize_t, "readv", int, const struct iovec *, int)(fd, parts, count);
}
ssize_t pread64(int fd, void *buffer, size_t size, off64_t at) {
    return fails_at('r', fd, NULL) ? -1 : NEXT(ssize_t, "pread64", int, void *, size_t, off64_t)(fd, buffer, size, at);
}

/* w: write */
ssize_t write(int fd, const void *buffer, size_t size) {
    return fails_at('w', fd, NULL) ? -1 : NEXT(ssize_t, "write", int, const void *, size_t)(fd, buffer, size);
}
ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t at) {
    return fails_at('w', fd, NULL) ? -1 : NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(fd, buffer, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_at('w', fd, NULL) ? -1 : NEXT(ssize_t, "writev", int, const struct iovec *, int)(fd, parts, count);
}

/* y: sync */
int fsync(int fd) { return fails_at('y', fd, NULL) ? -1 : NEXT(int, "fsync", int)(fd); }

/* t: truncate */
int ftruncate64(int fd, off64_t size) {
    return fails_at('t', fd, NULL) ? -1 : NEXT(int, "ftruncate64", int, off64_t)(fd, size);
}

/* n: rename */
int rename(const char *from, const char *to) {
    return fails('n', to) ? -1 : NEXT(int, "rename", const char *, const char *)(from, to);
}

/* u: unlink */
int unlink(const char *path) { return fails('u', path) ? -1 : NEXT(int, "unlink", const char *)(path); }
int unlinkat(int fd, const char *path, int flags) {
    return fails_at('u', fd, path) ? -1 : NEXT(int, "unlinkat", int, const char *, int)(fd, path, flags);
}

/* m: mkdir */
int mkdir(const char *path, mode_t mode) {
    return fails('m', path) ? -1 : NEXT(int, "mkdir", const char *, mode_t)(path, mode);
}

/* l: list */
DIR *opendir(const char *path) { return fails('l', path) ? NULL : NEXT(DIR *, "opendir", const char *)(path); }
struct dirent64 *readdir64(DIR *folder) {
    return fails_at('l', dirfd(folder), NULL) ? NULL : NEXT(struct dirent64 *, "readdir64", DIR *)(folder);
}

/* s: look at */
int stat64(const char *path, struct stat64 *found) {
    return fails('s', path) ? -1 : NEXT(int, "stat64", const char *, struct stat64 *)(path, found);
}
int lstat64(const char *path, struct stat64 *found) {
    return fails('s', path) ? -1 : NEXT(int, "lstat64", const char *, struct stat64 *)(path, found);
}
int fstat64(int fd, struct stat64 *found) {
    return fails_at('s', fd, NULL) ? -1 : NEXT(int, "fstat64", int, struct stat64 *)(fd, found);
}
int fstatat64(int fd, const char *path, struct stat64 *found, int flags) {
    if (fails_at('s', fd, path)) return -1;
    return NEXT(int, "fstatat64", int, const char *, struct stat64 *, int)(fd, path, found, flags);
}
int statx(int fd, const char *path, int flags, unsigned mask, struct statx *found) {
    if (fails_at('s', fd, path)) return -1;
    return NEXT(int, "statx", int, const char *, int, unsigned, struct statx *)(fd, path, flags, mask, found);
}

/* k: lock */
int flock(int fd, int operation) {
    return fails_at('k', fd, NULL) ? -1 : NEXT(int, "flock", int, int)(fd, operation);
}
