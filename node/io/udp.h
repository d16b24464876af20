/* UDP sockets on a service address. They are bound before the TUN that carries the address exists
 * (IP_FREEBIND), one per worker and port (SO_REUSEPORT). IPv4 and IPv6 alike, one family a socket; an
 * IPv6 datagram bears no flow label (a label that changes with the owner would be news to the path).
 */
#ifndef HF_IO_UDP_H
#define HF_IO_UDP_H

#include <sys/types.h>

#include "base/addr.h"
#include "io/error.h"

enum { UDP_IKE_PORT = 500, UDP_NAT_PORT = 4500, UDP_MAX_DATAGRAM = 65535 };

enum udp_result {
    UDP_OK,
    UDP_AGAIN,     /* nothing there, or the send buffer is full */
    UDP_TRUNCATED, /* the datagram was longer than the buffer; dropped */
    UDP_FAILED     /* errno says why (unreachable and the like: count it and go on) */
};

/* Opens a non-blocking, close-on-exec socket bound to `local`. Returns the descriptor or -1; the
 * text names address, port, reason (port in use, no privilege) and fix. */
HF_MUST_USE int udp_open(const struct endpoint *local, struct io_error *error);

/* Whether nobody has the port, also no socket with SO_REUSEPORT (udp_open() alone would share it
 * with a second daemon of the same user). Ask once per endpoint before the first udp_open(). False:
 * the text names address, port and fix. */
HF_MUST_USE bool udp_port_free(const struct endpoint *local, struct io_error *error);

/* One datagram: *len its bytes, *peer its source, *local the address and port that it came to. For
 * uv_poll: call until UDP_AGAIN. */
HF_MUST_USE enum udp_result udp_recv(int fd, uint8_t *buf, size_t cap, size_t *len,
                                     struct endpoint *peer, struct endpoint *local);

/* Sends the parts as one datagram from `source` (the service address; family ADDR_NONE: the
 * socket's own) to `peer`. */
HF_MUST_USE enum udp_result udp_send(int fd, const struct ip_addr *source,
                                     const struct endpoint *peer, const struct span *parts,
                                     size_t n_parts);

/* Datagrams that the kernel dropped since the socket was opened because its receive buffer was
 * full. */
uint64_t udp_dropped(int fd);

#endif
