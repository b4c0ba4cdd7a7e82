/* Stands between the server under test and the C library (LD_PRELOAD): a sync that fails or takes long, a wall clock that is
 * elsewhere, a kill before or in the midst of a call that changes the journal's files. FAULT_SHIM names a file of 64-bit numbers that both sides map; see shim.rs for their places. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { OFFSET_NS, FAIL, DELAY_MS, SYNCS, FAILED, DELAYED, SHIFTED, STEPS, FALL_AT, MIDST };

static volatile int64_t *page(void) {
    static volatile int64_t *mapped;
    static int tried;
    if (!mapped && !tried) {
        tried = 1;
        const char *path = getenv("FAULT_SHIM");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0) {
            void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            close(fd);
            if (at != MAP_FAILED) mapped = at;
        }
    }
    return mapped;
}

/* Whether an open file's path has this in it. */
static int lies_in(int fd, const char *place) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return strstr(path, place) != NULL;
}

static void fall(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* A call that changes a file at this path, or that is open as this. It may be the process's last; gives whether half of it is to be done before. */
static int falls(const char *path, int fd) {
    volatile int64_t *at = page();
    if (!at || at[FALL_AT] == 0) return 0;
    if (path ? !strstr(path, "/journal/") : !lies_in(fd, "/journal/")) return 0;
    int64_t step = __atomic_add_fetch(&at[STEPS], 1, __ATOMIC_SEQ_CST);
    if (at[FALL_AT] < 0 || step < at[FALL_AT]) return 0;
    if (step == at[FALL_AT] && at[MIDST]) return 1;
    fall();
    return 0;
}

static int injected(int fd) {
    volatile int64_t *at = page();
    /* Only the store: the message log promises nothing. */
    if (!at || !lies_in(fd, "/journal/store-")) return 0;
    __atomic_add_fetch(&at[SYNCS], 1, __ATOMIC_SEQ_CST);
    int64_t ms = at[DELAY_MS];
    if (ms > 0) {
        struct timespec wait = {ms / 1000, (ms % 1000) * 1000000};
        nanosleep(&wait, NULL);
        __atomic_add_fetch(&at[DELAYED], 1, __ATOMIC_SEQ_CST);
    }
    if (at[FAIL] > 0 && __atomic_fetch_sub(&at[FAIL], 1, __ATOMIC_SEQ_CST) > 0) {
        __atomic_add_fetch(&at[FAILED], 1, __ATOMIC_SEQ_CST);
        errno = EIO;
        return -1;
    }
    return 0;
}

#define NEXT(name, result, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int fdatasync(int fd) {
    NEXT("fdatasync", int, int);
    falls(NULL, fd);
    return injected(fd) ? -1 : real(fd);
}

int fsync(int fd) {
    NEXT("fsync", int, int);
    falls(NULL, fd);
    return injected(fd) ? -1 : real(fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    NEXT("write", ssize_t, int, const void *, size_t);
    if (falls(NULL, fd)) {
        real(fd, bytes, count / 2);
        fall();
    }
    return real(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    NEXT("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    if (falls(NULL, fd)) {
        real(fd, bytes, count / 2, at);
        fall();
    }
    return real(fd, bytes, count, at);
}

int open64(const char *path, int flags, ...) {
    NEXT("open64", int, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT) falls(path, -1);
    return real(path, flags, mode);
}

int rename(const char *from, const char *to) {
    NEXT("rename", int, const char *, const char *);
    falls(from, -1);
    return real(from, to);
}

int unlink(const char *path) {
    NEXT("unlink", int, const char *);
    falls(path, -1);
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    NEXT("mkdir", int, const char *, mode_t);
    falls(path, -1);
    return real(path, mode);
}

int ftruncate64(int fd, off64_t length) {
    NEXT("ftruncate64", int, int, off64_t);
    falls(NULL, fd);
    return real(fd, length);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    NEXT("clock_gettime", int, clockid_t, struct timespec *);
    int result = real(clock, now);
    volatile int64_t *at = clock == CLOCK_REALTIME ? page() : NULL;
    if (result == 0 && at && at[OFFSET_NS] != 0) {
        int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + at[OFFSET_NS];
        now->tv_sec = ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
        __atomic_add_fetch(&at[SHIFTED], 1, __ATOMIC_SEQ_CST);
    }
    return result;
}
