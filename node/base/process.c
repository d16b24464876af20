#include "base/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

bool process_standard(void)
{
    int fd;

    do { /* the lowest that is free, each time */
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

bool process_close(const char **what)
{
    struct rlimit none = {0, 0};
    int filter = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC); /* later it is root's */
    bool left_out = filter >= 0 && write(filter, "0", 1) == 1;

    if (filter >= 0)
        (void)close(filter);
    *what = "/proc/self/coredump_filter";
    if (!left_out)
        return false;
    *what = "PR_SET_DUMPABLE";
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return false;
    *what = "RLIMIT_CORE";
    return setrlimit(RLIMIT_CORE, &none) == 0;
}

bool process_lock(const char **what)
{
    *what = "mlockall (raise LimitMEMLOCK or grant CAP_IPC_LOCK)";
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}
