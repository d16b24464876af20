#include "io/esp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20, PASS = 0x40000, FILTER_STEPS = 5 };

union any_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The port of a raw socket's address is 0 (raw(7), ipv6(7)). */
static socklen_t to_sockaddr(const struct ip_addr *ip, union any_address *out)
{
    memset(out, 0, sizeof *out);
    if (ip->family == ADDR_V6) {
        out->v6.sin6_family = AF_INET6;
        memcpy(&out->v6.sin6_addr, ip->bytes, 16);
        return sizeof out->v6;
    }
    out->v4.sin_family = AF_INET;
    memcpy(&out->v4.sin_addr, ip->bytes, 4);
    return sizeof out->v4;
}

/* Passes ESP whose SPI is this worker's. An IPv4 raw socket sees the IP header, an IPv6 one does not.
 * n_workers 0: passes nothing. */
static bool set_filter(int fd, uint8_t family, unsigned n_workers, unsigned index)
{
    struct sock_filter none[1] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_filter code[FILTER_STEPS + 1] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X: bytes of the IPv4 header */
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n_workers),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, index, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, PASS),
        BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog program = {.len = FILTER_STEPS + 1, .filter = code};

    if (family == ADDR_V6)
        code[0] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0);
    if (n_workers == 0)
        program = (struct sock_fprog){.len = 1, .filter = none};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

static bool set_options(int fd, uint8_t family)
{
    int one = 1, zero = 0, size = BUFFER_BYTES;
    bool ok = family == ADDR_V6
                  ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one) == 0 &&
                        setsockopt(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, &zero, sizeof zero) == 0
                  : setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) == 0;

    /* Larger buffers are welcome, not needed: FORCE takes privilege. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return ok;
}

int esp_socket_open(const struct ip_addr *local, unsigned n_workers, unsigned index,
                    struct io_error *error)
{
    union any_address address;
    socklen_t len = to_sockaddr(local, &address);
    char text[INET6_ADDRSTRLEN] = "?";
    int fd = socket(address.sa.sa_family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ESP);
    int code;

    HF_ASSERT(n_workers > 0 && index < n_workers);
    /* Before it is bound a raw socket gets the whole machine's ESP: nothing, so long. */
    if (fd >= 0 && set_filter(fd, local->family, 0, 0) && set_options(fd, local->family) &&
        bind(fd, &address.sa, len) == 0 && set_filter(fd, local->family, n_workers, index))
        return fd;
    code = errno;
    (void)inet_ntop(address.sa.sa_family, local->bytes, text, sizeof text);
    (void)io_fail(error, code, "cannot open a raw socket for ESP on %s: %s (%s)", text,
                  strerror(code),
                  code == EPERM || code == EACCES ? "run as root, or grant CAP_NET_RAW"
                                                  : "see the system's log");
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Takes the IPv4 header off. False: shorter than it says. */
static bool strip_header(const uint8_t *buf, size_t n, struct span *esp)
{
    size_t header = n > 0 ? (size_t)(buf[0] & 0x0f) * 4 : 0;

    if (header < 20 || header > n)
        return false;
    *esp = span_of(buf + header, n - header);
    return true;
}

enum udp_result esp_socket_recv(int fd, uint8_t *buf, size_t cap, struct span *esp,
                                struct endpoint *peer)
{
    union any_address from;
    struct iovec iov = {buf, cap};
    struct msghdr msg = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    memset(&from, 0, sizeof from);
    do {
        n = recvmsg(fd, &msg, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? UDP_AGAIN : UDP_FAILED;
    if ((msg.msg_flags & MSG_TRUNC) != 0)
        return UDP_TRUNCATED;
    memset(peer, 0, sizeof *peer);
    if (from.sa.sa_family == AF_INET6) {
        peer->ip = addr_v6(from.v6.sin6_addr.s6_addr);
        *esp = span_of(buf, (size_t)n);
        return UDP_OK;
    }
    peer->ip = addr_v4(ntohl(from.v4.sin_addr.s_addr));
    return strip_header(buf, (size_t)n, esp) ? UDP_OK : UDP_TRUNCATED;
}

enum udp_result esp_socket_send(int fd, const struct ip_addr *peer, struct span esp)
{
    union any_address to;
    socklen_t len = to_sockaddr(peer, &to);
    ssize_t n;

    do {
        n = sendto(fd, esp.data, esp.len, MSG_NOSIGNAL, &to.sa, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return UDP_OK;
    return errno == EAGAIN || errno == EWOULDBLOCK ? UDP_AGAIN : UDP_FAILED;
}
