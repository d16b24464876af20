#include "base/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

bool process_is_foreign(const char *dir)
{
    struct stat st;

    return geteuid() == 0 && stat(dir, &st) == 0 && st.st_uid != 0;
}

/* Of root's rights the one that memory which is locked needs to grow. */
static bool keep_lock_alone(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{0}};
    uint32_t lock = 1u << CAP_IPC_LOCK;

    if (syscall(SYS_capget, &head, caps) != 0)
        return false;
    lock &= caps[0].permitted;
    caps[0] = (struct __user_cap_data_struct){.effective = lock, .permitted = lock};
    caps[1] = (struct __user_cap_data_struct){0};
    return syscall(SYS_capset, &head, caps) == 0;
}

bool process_become_owner(const char *dir, const char **what)
{
    struct stat st;

    if (!process_is_foreign(dir))
        return true;
    *what = dir;
    if (stat(dir, &st) != 0)
        return false;
    *what = "becoming the data directory's owner";
    return prctl(PR_SET_KEEPCAPS, 1) == 0 && setgroups(0, NULL) == 0 &&
           setresgid(st.st_gid, st.st_gid, st.st_gid) == 0 &&
           setresuid(st.st_uid, st.st_uid, st.st_uid) == 0 && keep_lock_alone();
}
