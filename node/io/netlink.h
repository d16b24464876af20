/* rtnetlink, as far as the gateway needs it: links, addresses, routes, and news of links. Each
 * request is acknowledged by the kernel before the call returns. "Exists already" on add (but for
 * routes through a device) and "not there" on delete count as success.
 */
#ifndef HF_IO_NETLINK_H
#define HF_IO_NETLINK_H

#include <uv.h>

#include "base/addr.h"
#include "io/error.h"

/* Of the blackhole routes under the pools: worse than any real route (IPv4 4278198272, IPv6 the
 * largest that lets a real one win). */
#define NETLINK_BLACKHOLE_METRIC_V4 4278198272u
#define NETLINK_BLACKHOLE_METRIC_V6 2147483647u

struct netlink;

struct netlink_prefix {
    struct ip_addr ip; /* network address */
    uint8_t length;    /* bits */
};

/* "10.99.0.0/24"; returns `out`. */
const char *netlink_prefix_text(const struct netlink_prefix *p, char out[64]);

struct netlink_link {
    int ifindex;
    char name[16];
    bool up;      /* administratively */
    bool running; /* and with carrier */
    bool loopback;
    uint8_t mac[6];
    uint32_t mtu;
};

/* NULL with a text. Belongs to the network namespace of the calling thread at that moment. */
HF_MUST_USE struct netlink *netlink_open(struct io_error *error);
void netlink_close(struct netlink *n);

HF_MUST_USE bool netlink_link_get(struct netlink *n, const char *name, struct netlink_link *out,
                                  struct io_error *error);
HF_MUST_USE bool netlink_link_set_up(struct netlink *n, const char *name, bool up,
                                     struct io_error *error);
HF_MUST_USE bool netlink_link_set_mtu(struct netlink *n, const char *name, uint32_t mtu,
                                      struct io_error *error);

/* The kernel forwards IPv4 that comes in there (net.ipv4.conf.NAME.forwarding, without /proc/sys). */
HF_MUST_USE bool netlink_link_forward(struct netlink *n, const char *name, struct io_error *error);
/* It makes no IPv6 link-local address up for it (addr_gen_mode none). False: there is no IPv6 there. */
bool netlink_link_no_autoconf(struct netlink *n, const char *name);

/* The name of the interface on which `ip` stands; "" when it stands on none. */
HF_MUST_USE bool netlink_addr_find(struct netlink *n, const struct ip_addr *ip, char name[16],
                                   struct io_error *error);
/* IPv6 addresses are added without duplicate address detection. */
HF_MUST_USE bool netlink_addr_add(struct netlink *n, const char *name,
                                  const struct netlink_prefix *p, struct io_error *error);
HF_MUST_USE bool netlink_addr_del(struct netlink *n, const char *name,
                                  const struct netlink_prefix *p, struct io_error *error);

/* A route to `dst` through device `name`, metric 0. Another route to the same destination that has
 * no worse metric is an error: it may lead elsewhere. */
HF_MUST_USE bool netlink_route_add(struct netlink *n, const struct netlink_prefix *dst,
                                   const char *name, struct io_error *error);
HF_MUST_USE bool netlink_route_del(struct netlink *n, const struct netlink_prefix *dst,
                                   const char *name, struct io_error *error);
/* A route of the main table that leads `dst` or a part of it somewhere: *found, and in *name the
 * interface ("?" when there are several). Family ADDR_NONE: there is none. */
HF_MUST_USE bool netlink_route_find(struct netlink *n, const struct netlink_prefix *dst,
                                    struct netlink_prefix *found, char name[16],
                                    struct io_error *error);
HF_MUST_USE bool netlink_blackhole_add(struct netlink *n, const struct netlink_prefix *dst,
                                       struct io_error *error);
HF_MUST_USE bool netlink_blackhole_del(struct netlink *n, const struct netlink_prefix *dst,
                                       struct io_error *error);
/* Every blackhole route of the main table that bears our mark, the metric above; whoever added it.
 * The list is complete before the first call, so `fn` may delete. */
HF_MUST_USE bool netlink_blackhole_each(struct netlink *n, uint8_t family,
                                        void (*fn)(void *self, const struct netlink_prefix *dst),
                                        void *self, struct io_error *error);

/* For drills in mode `machine`: every link of this namespace but the loopback goes down. Returns
 * how many could not be. */
int netlink_all_links_down(struct netlink *n);

struct netlink_watch;

/* Tells `changed` of each named link at once, and then whenever its state changes (also when it
 * vanishes: ifindex 0), on the loop. Lost messages are made good by asking anew. NULL with a text.
 */
HF_MUST_USE struct netlink_watch *
netlink_watch_open(uv_loop_t *loop, const char *const *names, size_t n_names,
                   void (*changed)(void *self, const struct netlink_link *link), void *self,
                   struct io_error *error);
/* Handles close as the loop runs. */
void netlink_watch_close(struct netlink_watch *w);

#endif
