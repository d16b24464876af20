/* Shared by netlink.c, netlink_dump.c and netlink_watch.c. */
#ifndef HF_IO_NETLINK_INTERNAL_H
#define HF_IO_NETLINK_INTERNAL_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include "io/netlink.h"

enum { NETLINK_ATTRIBUTES_MAX = 63, NETLINK_REQUEST_BYTES = 512 };

/* Sends one request and hands every answer to `each` until the kernel's acknowledgement. 0 or an
 * errno. */
int netlink_talk(struct netlink *n, struct nlmsghdr *request, mnl_cb_t each, void *arg);

/* For mnl_attr_parse(): `arg` is a table of NETLINK_ATTRIBUTES_MAX + 1 pointers. */
int netlink_attribute(const struct nlattr *attribute, void *arg);

/* AF_INET or AF_INET6. */
unsigned char netlink_family(const struct ip_addr *ip);

/* False: without a name, or malformed. */
bool netlink_parse_link(const struct nlmsghdr *message, struct netlink_link *out);

#endif
