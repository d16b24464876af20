/* Raw sockets for ESP itself (IP protocol 50, RFC 4303), where no NAT calls for UDP around it. Bound to
 * a service address before the TUN that carries it exists (IP_FREEBIND), as the UDP sockets are.
 *
 * The kernel gives every raw socket of an address a copy of each packet: each worker's socket has a
 * filter that lets the SPIs of its own SAs through (SPI modulo workers, as worker_sa_install()
 * shares them out), so nothing is handed over, and nothing read twice.
 *
 * As long as a socket is bound the kernel takes what comes for handled and answers nothing; without a
 * daemon the guard keeps it silent. Fragments are put together by the kernel before they are seen here.
 * Outbound the kernel's path MTU discovery is in force (IPv4: DF is set on what fits, as for UDP; what
 * does not fit the path's MTU as learnt leaves in fragments, RFC 4303 3.3.4).
 */
#ifndef HF_IO_ESP_SOCKET_H
#define HF_IO_ESP_SOCKET_H

#include "io/udp.h"

/* Worker `index` of `n_workers`. A non-blocking, close-on-exec descriptor, or -1 with a text. */
HF_MUST_USE int esp_socket_open(const struct ip_addr *local, unsigned n_workers, unsigned index,
                                struct io_error *error);

/* One packet, its IP header taken off: *esp lies in buf; peer->port is 0. Call until UDP_AGAIN. */
HF_MUST_USE enum udp_result esp_socket_recv(int fd, uint8_t *buf, size_t cap, struct span *esp,
                                            struct endpoint *peer);

/* From the address that the socket is bound to. */
HF_MUST_USE enum udp_result esp_socket_send(int fd, const struct ip_addr *peer, struct span esp);

#endif
