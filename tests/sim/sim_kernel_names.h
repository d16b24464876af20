/* Before everything else in node/io/worker*.c when it is compiled for the simulator: what it asks
 * of the kernel is asked of sim_kernel.c. The system's own headers come first, so that only calls are
 * renamed. */
#ifndef HF_SIM_KERNEL_NAMES_H
#define HF_SIM_KERNEL_NAMES_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "esp/inbound.h"
#include "esp/outbound.h"
#include "io/clock.h"
#include "io/esp_socket.h"
#include "io/udp.h"
#include "sim/sim_kernel.h"

int sim_sys_epoll_create1(int flags);
int sim_sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int sim_sys_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms);
int sim_sys_eventfd(unsigned value, int flags);
int sim_sys_close(int fd);
int sim_sys_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
ssize_t sim_sys_read(int fd, void *out, size_t cap);
ssize_t sim_sys_write(int fd, const void *bytes, size_t n);
int sim_sys_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*start)(void *arg), void *arg);
int sim_sys_pthread_join(pthread_t thread, void **result);
int sim_sys_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
enum udp_result sim_sys_udp_recv(int fd, uint8_t *buf, size_t cap, size_t *len,
                                 struct endpoint *peer, struct endpoint *local);
enum udp_result sim_sys_udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                                 const struct span *parts, size_t n_parts);
enum udp_result sim_sys_esp_socket_recv(int fd, uint8_t *buf, size_t cap, struct span *esp,
                                        struct endpoint *peer);
enum udp_result sim_sys_esp_socket_send(int fd, const struct ip_addr *peer, struct span esp);
enum esp_drop sim_sys_esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                                   const struct esp_inner *decoded, struct span inner, uint8_t *out,
                                   size_t cap, struct esp_out_result *result);
enum esp_drop sim_sys_esp_inbound(struct esp_sa *sa, const struct esp_turn *turn,
                                  struct span packet, const struct endpoint *from, uint8_t *out,
                                  size_t cap, struct esp_in_result *result);
enum esp_drop sim_sys_esp_inbound_release(struct esp_sa *sa, const struct esp_turn *turn,
                                          uint64_t seq, struct span inner,
                                          struct esp_in_result *result);

#ifndef SIM_KERNEL_KEEPS_NAMES
#define esp_outbound(s, t, d, i, o, c, r) sim_sys_esp_outbound(s, t, d, i, o, c, r)
#define esp_inbound(s, t, p, f, o, c, r) sim_sys_esp_inbound(s, t, p, f, o, c, r)
#define esp_inbound_release(s, t, q, i, r) sim_sys_esp_inbound_release(s, t, q, i, r)
#define epoll_create1(flags) sim_sys_epoll_create1(flags)
#define epoll_ctl(e, op, fd, ev) sim_sys_epoll_ctl(e, op, fd, ev)
#define epoll_wait(e, ev, n, ms) sim_sys_epoll_wait(e, ev, n, ms)
#define eventfd(v, flags) sim_sys_eventfd(v, flags)
#define close(fd) sim_sys_close(fd)
#define poll(p, n, ms) sim_sys_poll(p, n, ms)
#define read(fd, p, n) sim_sys_read(fd, p, n)
#define write(fd, p, n) sim_sys_write(fd, p, n)
#define pthread_create(t, a, f, p) sim_sys_pthread_create(t, a, f, p)
#define pthread_join(t, r) sim_sys_pthread_join(t, r)
#define pthread_sigmask(h, s, o) sim_sys_pthread_sigmask(h, s, o)
#define io_boottime_ns() sim_kernel_now_ns()
#define udp_recv(fd, b, c, l, p, t) sim_sys_udp_recv(fd, b, c, l, p, t)
#define udp_send(fd, s, p, b, n) sim_sys_udp_send(fd, s, p, b, n)
#define esp_socket_recv(fd, b, c, e, p) sim_sys_esp_socket_recv(fd, b, c, e, p)
#define esp_socket_send(fd, p, e) sim_sys_esp_socket_send(fd, p, e)
#endif

#endif
