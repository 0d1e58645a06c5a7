/* A network file system's faults, put between a program and its disk by LD_PRELOAD.

   NETWORK_PREFIX names the directory that is on the network. NETWORK_RULES names a file, which is read at each call:
   one fault a line, `<what> <errno> <times> <milliseconds> [<part of the path>]`; a negative <times> is no limit, and
   each process counts for itself. The call waits so long, and then fails unless the errno is 0.

   open, create, stat, write, fsync, close, rename   that call, by its name
   cache   as a client with a cache: a write succeeds, and what the server refused is gone at the next fsync or close,
           which fails with the errno
   late    a name that this process made or moved shows what was there before, for so long

   Always as on NFS: a shared lock needs a handle for reading, and an exclusive one a handle for writing (man 2 flock).
   System calls are made directly: nothing here is asked twice. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096

struct used { char line[128]; int times; };
struct cached { dev_t device; ino_t inode; off_t stored; };
struct name { char path[MOST], before[MOST]; double since; };

static struct used used_rules[64];
static struct cached files[256];
static struct name names[64];
static unsigned next_file, next_name;
static pthread_mutex_t tables = PTHREAD_MUTEX_INITIALIZER;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int is_ours(const char *path) {
    const char *prefix = getenv("NETWORK_PREFIX");
    return prefix != NULL && path != NULL && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int path_of(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, MOST - 1);
    path[length > 0 ? length : 0] = 0;
    return is_ours(path);
}

/* Count one use of a rule; return whether it had one left. */
static int use(const char *line, int times) {
    int fresh = 1;
    if (times < 0) return 1;
    pthread_mutex_lock(&tables);
    for (unsigned i = 0; i < 64; i++) {
        if (!used_rules[i].line[0]) snprintf(used_rules[i].line, sizeof used_rules[i].line, "%s", line);
        if (strcmp(used_rules[i].line, line) == 0) {
            fresh = used_rules[i].times++ < times;
            break;
        }
    }
    pthread_mutex_unlock(&tables);
    return fresh;
}

/* Return the errno of the rule for a call, or -1 where there is none; *wait is its milliseconds. */
static int rule(const char *what, const char *path, int *wait) {
    char text[2048], *rest = NULL, kind[32], part[256];
    const char *rules = getenv("NETWORK_RULES");
    int handle = rules ? syscall(SYS_openat, AT_FDCWD, rules, O_RDONLY | O_CLOEXEC) : -1;
    if (handle < 0) return -1;
    ssize_t length = syscall(SYS_read, handle, text, sizeof text - 1);
    syscall(SYS_close, handle);
    text[length > 0 ? length : 0] = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int error = 0, times = 0;
        part[0] = 0;
        if (sscanf(line, "%31s %d %d %d %255s", kind, &error, &times, wait, part) < 4 || strcmp(kind, what)) continue;
        if (strstr(path, part) && use(line, times)) return error;
    }
    return -1;
}

/* Wait as the rule for a call says; return whether the call fails, with its errno set. */
static int fails(const char *what, const char *path) {
    int wait = 0, error = rule(what, path, &wait);
    if (error < 0) return 0;
    struct timespec time = {wait / 1000, wait % 1000 * 1000000L};
    nanosleep(&time, NULL);
    errno = error;
    return error != 0;
}

/* Return what a name shows: itself, what was there before, or NULL for nothing. */
static const char *shown(const char *path) {
    int wait = 0;
    if (rule("late", path, &wait) < 0) return path;
    for (unsigned i = 0; i < 64; i++)
        if (!strcmp(names[i].path, path) && now() < names[i].since + wait / 1e3)
            return names[i].before[0] ? names[i].before : NULL;
    return path;
}

static void is_new(const char *path, const char *before) {
    pthread_mutex_lock(&tables);
    struct name *name = &names[next_name++ % 64];
    for (unsigned i = 0; i < 64; i++)
        if (!strcmp(names[i].path, path)) names[i].path[0] = 0;
    snprintf(name->path, MOST, "%s", path);
    snprintf(name->before, MOST, "%s", before);
    name->since = now();
    pthread_mutex_unlock(&tables);
}

/* Return what is known of a file, whose bytes so far the server has. */
static struct cached *file_of(int handle) {
    struct stat stat;
    fstat(handle, &stat);
    struct cached *found = NULL;
    pthread_mutex_lock(&tables);
    for (unsigned i = 0; i < 256; i++)
        if (files[i].inode == stat.st_ino && files[i].device == stat.st_dev) found = &files[i];
    if (!found) {
        found = &files[next_file++ % 256];
        *found = (struct cached){stat.st_dev, stat.st_ino, stat.st_size};
    }
    pthread_mutex_unlock(&tables);
    return found;
}

/* Send what is cached to the server; return whether it refused, and what it refused is gone. */
static int refused(int handle, const char *path) {
    struct stat stat;
    struct cached *file = file_of(handle);
    int wait = 0, kept_errno = errno;
    fstat(handle, &stat);
    int error = stat.st_size > file->stored ? rule("cache", path, &wait) : -1;
    if (error <= 0) {
        file->stored = stat.st_size;
        errno = kept_errno;
        return 0;
    }
    if (ftruncate(handle, file->stored)) abort();
    errno = error;
    return 1;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    if (folder != AT_FDCWD || !is_ours(path)) return syscall(SYS_openat, folder, path, flags, mode);
    int creates = flags & O_CREAT && syscall(SYS_faccessat, AT_FDCWD, path, F_OK);
    if (fails(creates ? "create" : "open", path)) return -1;
    const char *real = flags & O_CREAT ? path : shown(path);
    if (!real) { errno = ENOENT; return -1; }
    int handle = syscall(SYS_openat, AT_FDCWD, real, flags, mode);
    if (handle >= 0 && creates) is_new(path, "");
    if (handle >= 0 && (flags & O_ACCMODE) != O_RDONLY) file_of(handle);
    return handle;
}

#define OPEN(NAME) \
    int NAME(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return open_at(AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(NAME) \
    int NAME(int folder, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return open_at(folder, path, flags, mode); \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

static int stat_at(int folder, const char *path, struct stat *into, int flags) {
    if (folder == AT_FDCWD && is_ours(path)) {
        if (fails("stat", path)) return -1;
        if (!(path = shown(path))) { errno = ENOENT; return -1; }
    }
    return syscall(SYS_newfstatat, folder, path, into, flags);
}

int stat(const char *path, struct stat *into) { return stat_at(AT_FDCWD, path, into, 0); }
int lstat(const char *path, struct stat *into) { return stat_at(AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW); }
int fstatat(int folder, const char *path, struct stat *into, int flags) { return stat_at(folder, path, into, flags); }
int stat64(const char *path, struct stat64 *into) { return stat_at(AT_FDCWD, path, (struct stat *)into, 0); }
int lstat64(const char *path, struct stat64 *into) {
    return stat_at(AT_FDCWD, path, (struct stat *)into, AT_SYMLINK_NOFOLLOW);
}
int fstatat64(int folder, const char *path, struct stat64 *into, int flags) {
    return stat_at(folder, path, (struct stat *)into, flags);
}
/* Of programs built against a C library before 2.33. */
int __xstat(int version, const char *path, struct stat *into) { (void)version; return stat(path, into); }
int __lxstat(int version, const char *path, struct stat *into) { (void)version; return lstat(path, into); }
int __xstat64(int version, const char *path, struct stat64 *into) { (void)version; return stat64(path, into); }
int __lxstat64(int version, const char *path, struct stat64 *into) { (void)version; return lstat64(path, into); }

ssize_t write(int handle, const void *data, size_t size) {
    char path[MOST];
    if (path_of(handle, path) && fails("write", path)) return -1;
    return syscall(SYS_write, handle, data, size);
}

ssize_t pwrite64(int handle, const void *data, size_t size, off64_t at) {
    char path[MOST];
    if (path_of(handle, path) && fails("write", path)) return -1;
    return syscall(SYS_pwrite64, handle, data, size, at);
}
ssize_t pwrite(int handle, const void *data, size_t size, off_t at) { return pwrite64(handle, data, size, at); }

static int sync_file(int handle, long call) {
    char path[MOST];
    if (path_of(handle, path) && (fails("fsync", path) || refused(handle, path))) return -1;
    return syscall(call, handle);
}
int fsync(int handle) { return sync_file(handle, SYS_fsync); }
int fdatasync(int handle) { return sync_file(handle, SYS_fdatasync); }

int close(int handle) {
    char path[MOST];
    int error = 0;
    if (path_of(handle, path) && (fcntl(handle, F_GETFL) & O_ACCMODE) != O_RDONLY)
        error = fails("close", path) || refused(handle, path) ? errno : 0;
    int answer = syscall(SYS_close, handle); /* the handle is gone whatever the answer */
    if (!error) return answer;
    errno = error;
    return -1;
}

int rename(const char *from, const char *to) {
    static int number;
    char before[MOST] = "";
    int wait = 0;
    if (is_ours(to)) {
        if (fails("rename", to)) return -1;
        if (rule("late", to, &wait) >= 0) {
            const char *name = strrchr(to, '/');
            snprintf(before, MOST, "%.*s/.before-%d-%d", (int)(name - to), to, getpid(), number++);
            if (syscall(SYS_linkat, AT_FDCWD, to, AT_FDCWD, before, 0)) before[0] = 0;
        }
    }
    int answer = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!answer && is_ours(to)) is_new(to, before);
    return answer;
}

int flock(int handle, int operation) {
    char path[MOST];
    int mode = fcntl(handle, F_GETFL) & O_ACCMODE;
    if (path_of(handle, path) &&
        ((operation & LOCK_EX && mode == O_RDONLY) || (operation & LOCK_SH && mode == O_WRONLY))) {
        errno = EBADF;
        return -1;
    }
    return syscall(SYS_flock, handle, operation);
}
