/* Stands between the server under test and the C library (LD_PRELOAD): a sync that fails or takes long, a wall clock that is
 * elsewhere. FAULT_SHIM names a file of 64-bit numbers that both sides map; see shim.rs for their places. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { OFFSET_NS, FAIL, DELAY_MS, SYNCS, FAILED, DELAYED, SHIFTED, NUMBERS };

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

/* Only the store of the journal: the message log promises nothing. */
static int of_the_journal(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return strstr(path, "/journal/store-") != NULL;
}

static int injected(int fd) {
    volatile int64_t *at = page();
    if (!at || !of_the_journal(fd)) return 0;
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
    return injected(fd) ? -1 : real(fd);
}

int fsync(int fd) {
    NEXT("fsync", int, int);
    return injected(fd) ? -1 : real(fd);
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
