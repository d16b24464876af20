#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int attach(const char *name, short flags, struct io_error *error)
{
    struct ifreq request;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    int code;

    if (fd < 0) {
        code = errno;
        (void)io_fail(error, code, "cannot open /dev/net/tun: %s (%s)", strerror(code),
                      code == ENOENT || code == ENODEV
                          ? "load the kernel module tun, or make the device node"
                          : "run as root, or grant CAP_NET_ADMIN");
        return -1;
    }
    memset(&request, 0, sizeof request);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    request.ifr_flags = flags;
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    code = errno;
    (void)io_fail(
        error, code, "cannot make the TUN interface %s: %s (%s)", name, strerror(code),
        code == EBUSY
            ? "another process has it: a second holdfastd? choose another `interfaces.tun`"
            : "run as root, or grant CAP_NET_ADMIN");
    (void)close(fd);
    return -1;
}

static int index_of(const char *name)
{
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), index = 0;

    memset(&request, 0, sizeof request);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd >= 0 && ioctl(fd, SIOCGIFINDEX, &request) == 0)
        index = request.ifr_ifindex;
    if (fd >= 0)
        (void)close(fd);
    return index;
}

/* The kernel forwards what comes out of the tunnel; the guard says where it may go. New interfaces
 * begin without. */
static bool allow_forwarding(const char *name, struct io_error *error)
{
    char path[96];
    int fd, code = 0;

    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/forwarding", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        code = errno;
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ||
           io_fail(error, code, "cannot set %s to 1: %s (run as root, with a writable /proc/sys)",
                   path, strerror(code));
}

/* No link-local address is made up for it, so the kernel has nothing to announce or to ask into the
 * tunnels (RFC 4862 5.3, RFC 4861 6.3.7). Where there is no IPv6 there is no such setting. */
static void silence_ipv6(const char *name)
{
    char path[96];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/addr_gen_mode", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "1", 1);
    (void)close(fd);
}

bool tun_open(struct tun *tun, const char *name, bool multi_queue, struct io_error *error)
{
    short flags = (short)(IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL | (multi_queue ? IFF_MULTI_QUEUE : 0));

    *tun = (struct tun){.fd = -1};
    if (strlen(name) >= sizeof tun->name)
        return io_fail(error, ENAMETOOLONG, "the TUN interface's name %s is longer than 15 bytes",
                       name);
    tun->fd = attach(name, flags, error);
    if (tun->fd < 0)
        return false;
    memcpy(tun->name, name, strlen(name) + 1);
    tun->ifindex = index_of(name);
    silence_ipv6(name);
    if (allow_forwarding(name, error))
        return true;
    tun_close(tun);
    return false;
}

int tun_open_queue(const struct tun *tun, struct io_error *error)
{
    return attach(tun->name, (short)(IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE), error);
}

void tun_close(struct tun *tun)
{
    if (tun->fd >= 0)
        (void)close(tun->fd);
    tun->fd = -1;
}
