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

#include "io/netlink.h"

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
 * begin without. And no link-local address is made up for it, so the kernel has nothing to announce or
 * to ask into the tunnels (RFC 4862 5.3, RFC 4861 6.3.7); where there is no IPv6 there is nothing to
 * say. Not by /proc/sys, which a service's sandbox has read-only. */
static bool settle(const char *name, struct io_error *error)
{
    struct netlink *n = netlink_open(error);
    bool ok;

    if (n == NULL)
        return false;
    (void)netlink_link_no_autoconf(n, name);
    ok = netlink_link_forward(n, name, error);
    netlink_close(n);
    return ok;
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
    if (settle(name, error))
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
