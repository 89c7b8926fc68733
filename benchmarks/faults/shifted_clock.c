/* A wall clock of its own for one process and its children: the system's, shifted by what a file says.
 *
 * cc -shared -fPIC -O2 -o shifted_clock.so shifted_clock.c; LD_PRELOAD=shifted_clock.so SHIFTED_CLOCK=FILE command
 * FILE holds three int64: offset [ns], drift [ns per s], and the monotonic instant [ns] from which on it drifts.
 * The monotonic clock and sleeping stay the system's. (libfaketime 0.9.10 breaks absolute sleeps, and so Python's.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

struct shift { int64_t offset_ns, drift_ns_s, since_ns; };
static const volatile struct shift *shift;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIFTED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        shift = map;
}

static int64_t now_ns(clockid_t which)
{
    struct timespec t;
    syscall(SYS_clock_gettime, which, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static int64_t wall_ns(void)
{
    int64_t wall = now_ns(CLOCK_REALTIME);
    if (!shift)
        return wall;
    int64_t drifted_ns = shift->drift_ns_s ? (now_ns(CLOCK_MONOTONIC) - shift->since_ns) / 1000 * shift->drift_ns_s / 1000000 : 0;
    return wall + shift->offset_ns + drifted_ns;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    if (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE)
        return syscall(SYS_clock_gettime, which, t);
    int64_t wall = wall_ns();
    t->tv_sec = wall / SECOND;
    t->tv_nsec = wall % SECOND;
    return 0;
}

int gettimeofday(struct timeval *t, void *zone)
{
    int64_t wall = wall_ns();
    (void)zone;
    t->tv_sec = wall / SECOND;
    t->tv_usec = wall % SECOND / 1000;
    return 0;
}

time_t time(time_t *t)
{
    time_t seconds = wall_ns() / SECOND;
    if (t)
        *t = seconds;
    return seconds;
}
