/* Shared by netlink.c and netlink_watch.c. */
#ifndef HF_IO_NETLINK_INTERNAL_H
#define HF_IO_NETLINK_INTERNAL_H

#include <linux/netlink.h>

#include "io/netlink.h"

enum { NETLINK_ATTRIBUTES_MAX = 63 };

/* False: without a name, or malformed. */
bool netlink_parse_link(const struct nlmsghdr *message, struct netlink_link *out);

#endif
