#include "io/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UDP_BUFFER_BYTES = 4 << 20 };

union any_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t to_sockaddr(const struct ip_addr *ip, uint16_t port, union any_address *out)
{
    memset(out, 0, sizeof *out);
    if (ip->family == ADDR_V6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        memcpy(&out->v6.sin6_addr, ip->bytes, 16);
        return sizeof out->v6;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    memcpy(&out->v4.sin_addr, ip->bytes, 4);
    return sizeof out->v4;
}

static void from_sockaddr(const union any_address *a, struct endpoint *out)
{
    memset(out, 0, sizeof *out);
    if (a->sa.sa_family == AF_INET6) {
        out->ip.family = ADDR_V6;
        memcpy(out->ip.bytes, &a->v6.sin6_addr, 16);
        out->port = ntohs(a->v6.sin6_port);
        return;
    }
    out->ip.family = ADDR_V4;
    memcpy(out->ip.bytes, &a->v4.sin_addr, 4);
    out->port = ntohs(a->v4.sin_port);
}

static const char *fix_for(int code)
{
    switch (code) {
    case EADDRINUSE:
        return "another program has the port (see: ss -ulpn): stop it, or another holdfastd";
    case EACCES:
    case EPERM:
        return "no privilege: run as root, or grant CAP_NET_BIND_SERVICE and CAP_NET_ADMIN";
    case EADDRNOTAVAIL:
        return "the address cannot be bound here";
    default:
        return "see the system's log";
    }
}

/* An address that comes later: the sockets are bound before the TUN that carries it. */
static bool set_freebind(int fd, int family)
{
    int one = 1;

    if (family == ADDR_V6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0 &&
               setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one) == 0;
    return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) == 0;
}

/* Receive address by packet (the service address), many sockets per port. */
static bool set_options(int fd, int family)
{
    int one = 1, zero = 0, size = UDP_BUFFER_BYTES;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0;

    if (family == ADDR_V6)
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one) == 0 &&
             setsockopt(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, &zero, sizeof zero) == 0;
    else
        ok = ok && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) == 0;
    /* Larger buffers are welcome, not needed: FORCE takes privilege. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return ok;
}

static int bind_to(const struct endpoint *local, bool shared, struct io_error *error)
{
    union any_address address;
    socklen_t len = to_sockaddr(&local->ip, local->port, &address);
    char text[INET6_ADDRSTRLEN] = "?";
    int fd = socket(address.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int code;

    (void)inet_ntop(address.sa.sa_family, local->ip.bytes, text, sizeof text);
    if (fd >= 0 && set_freebind(fd, local->ip.family) &&
        (!shared || set_options(fd, local->ip.family)) && bind(fd, &address.sa, len) == 0)
        return fd;
    code = errno;
    (void)io_fail(error, code, "cannot bind UDP %s port %u: %s (%s)", text, (unsigned)local->port,
                  strerror(code), fix_for(code));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool udp_port_free(const struct endpoint *local, struct io_error *error)
{
    int fd = bind_to(local, false, error);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

int udp_open(const struct endpoint *local, struct io_error *error)
{
    return bind_to(local, true, error);
}

/* The address that the datagram came to; the port is the socket's. */
static bool local_of(int fd, struct msghdr *msg, struct endpoint *local)
{
    union any_address bound = {.v6 = {0}};
    socklen_t len = sizeof bound;

    if (getsockname(fd, &bound.sa, &len) != 0)
        return false;
    from_sockaddr(&bound, local);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(local->ip.bytes, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(local->ip.bytes, &info.ipi6_addr, 16);
        }
    }
    return true;
}

enum udp_result udp_recv(int fd, uint8_t *buf, size_t cap, size_t *len, struct endpoint *peer,
                         struct endpoint *local)
{
    _Alignas(struct cmsghdr) char control[256];
    union any_address from = {.v6 = {0}};
    struct iovec iov = {buf, cap};
    struct msghdr msg = {.msg_name = &from,
                         .msg_namelen = sizeof from,
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof control};
    ssize_t n;

    do {
        n = recvmsg(fd, &msg, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? UDP_AGAIN : UDP_FAILED;
    if ((msg.msg_flags & MSG_TRUNC) != 0)
        return UDP_TRUNCATED;
    from_sockaddr(&from, peer);
    if (!local_of(fd, &msg, local))
        return UDP_FAILED;
    *len = (size_t)n;
    return UDP_OK;
}

static void set_source(struct msghdr *msg, const struct ip_addr *source)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);

    if (source->family == ADDR_V6) {
        struct in6_pktinfo info = {0};

        memcpy(&info.ipi6_addr, source->bytes, 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        msg->msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        struct in_pktinfo info = {0};

        memcpy(&info.ipi_spec_dst, source->bytes, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        msg->msg_controllen = CMSG_SPACE(sizeof info);
    }
}

enum udp_result udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                         const struct span *parts, size_t n_parts)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    union any_address to;
    struct iovec iov[4];
    struct msghdr msg = {.msg_name = &to, .msg_iov = iov, .msg_iovlen = n_parts};
    ssize_t n;

    HF_ASSERT(n_parts <= sizeof iov / sizeof iov[0]);
    msg.msg_namelen = to_sockaddr(&peer->ip, peer->port, &to);
    for (size_t i = 0; i < n_parts; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].len};
    if (source->family != ADDR_NONE) {
        memset(control, 0, sizeof control);
        msg.msg_control = control;
        msg.msg_controllen = sizeof control;
        set_source(&msg, source);
    }
    do {
        n = sendmsg(fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return UDP_OK;
    return errno == EAGAIN || errno == EWOULDBLOCK ? UDP_AGAIN : UDP_FAILED;
}

uint64_t udp_dropped(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
        return 0;
    return info[SK_MEMINFO_DROPS];
}
