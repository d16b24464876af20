/* The permanent guard: what keeps the kernel of a node silent and its plaintext in, with or without
 * a daemon. Installed at boot (or by deploy), never removed on a crash; the daemon verifies it
 * before it serves and refuses to serve without it.
 *
 *   sysctls           the kernel answers ARP only for addresses of the very interface, sends no
 *                     redirects, forwards from inside
 *   blackhole routes  a packet for a pool goes nowhere (and draws no ICMP) when no daemon's TUN
 *                     route stands; known by their metric (netlink.h)
 *   nftables          table inet holdfast_guard: drops what reaches a service address without a
 *                     bound socket, ICMP from it, pool traffic that does not go through the TUN,
 *                     whatever would be forwarded in or out of the outside interface, what comes
 *                     out of a tunnel for a node itself (ICMP too), and what comes to the port of
 *                     replication from another address than a node's
 */
#ifndef HF_IO_GUARD_H
#define HF_IO_GUARD_H

#include "io/error.h"
#include "io/netlink.h"

enum { GUARD_MAX_ADDRESSES = 256, GUARD_MAX_POOLS = 128, GUARD_MAX_NODES = 24 };

struct guard_config {
    const char *outside, *inside;    /* interfaces; must exist for install and verify */
    const char *tun;                 /* its name: need not exist */
    const struct ip_addr *addresses; /* every shard's outside and inside address */
    size_t n_addresses;
    const struct netlink_prefix *pools;
    size_t n_pools;
    const struct ip_addr *
        nodes; /* every node's own address, this one's too; none without peers. GUARD_MAX_NODES at most */
    size_t n_nodes;
    struct endpoint replication; /* where this node listens for them; family ADDR_NONE: nowhere */
};

/* Sets everything; safe to call again (the table is replaced in one transaction, blackhole routes
 * of pools that are configured no more go). Forwarding comes last, so what fails before has made no
 * router of the machine. Needs CAP_NET_ADMIN, `nft` in PATH's usual places and a writable
 * /proc/sys. */
HF_MUST_USE bool guard_install(const struct guard_config *config, struct io_error *error);

/* Asks the kernel for each part. False: the text names what is missing or differs (all of it, as
 * far as there is room) and the command that mends it. */
HF_MUST_USE bool guard_verify(const struct guard_config *config, struct io_error *error);

/* Makes these addresses (set, GUARD_MAX_NODES at most, one of them twice does no harm) those of the nodes,
 * and no others, in one transaction, and asks the kernel whether they are: the set follows the members,
 * the rules stay as they are. False: no table of the guard, no privilege, or the kernel says
 * otherwise. A millisecond; forks nothing. */
HF_MUST_USE bool guard_set_nodes(const struct ip_addr *nodes, size_t n, struct io_error *error);

/* Takes the table and every blackhole route with our mark away (sysctls stay as they are). For
 * tests and de-installation, never for a stop. */
HF_MUST_USE bool guard_remove(struct io_error *error);

#endif
