/* What the kernel has already: lists of routes and addresses, asked for anew each time. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/netlink_internal.h"

/* A dump is gathered whole before anybody acts on it: deleting while the kernel walks its table
 * would skip entries. */
struct prefixes {
    unsigned char family; /* AF_INET, AF_INET6 */
    struct netlink_prefix *at;
    size_t n, room;
};

static void keep(struct prefixes *l, const struct netlink_prefix *p)
{
    if (l->n == l->room) {
        l->room = l->room == 0 ? 16 : 2 * l->room;
        l->at = realloc(l->at, l->room * sizeof *l->at);
        HF_ASSERT(l->at != NULL);
    }
    l->at[l->n++] = *p;
}

static bool take_ip(const struct nlattr *attribute, struct ip_addr *ip)
{
    size_t n = addr_len(ip);

    if (attribute == NULL || mnl_attr_get_payload_len(attribute) != n)
        return false;
    memcpy(ip->bytes, mnl_attr_get_payload(attribute), n);
    return true;
}

static struct ip_addr empty_of(unsigned char family)
{
    return (struct ip_addr){.family = family == AF_INET6 ? ADDR_V6 : ADDR_V4};
}

/* `header_bytes`: of struct rtmsg or struct ifaddrmsg; the family comes first in both. */
static int dump(struct netlink *n, uint16_t type, size_t header_bytes, unsigned char family,
                mnl_cb_t each, void *arg)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    *(unsigned char *)mnl_nlmsg_put_extra_header(h, header_bytes) = family;
    return netlink_talk(n, h, each, arg);
}

/* False: not a route of the main table in that family, or one without a destination (default). */
static bool parse_route(const struct nlmsghdr *message, unsigned char family,
                        struct netlink_prefix *dst,
                        const struct nlattr *table[NETLINK_ATTRIBUTES_MAX + 1])
{
    const struct rtmsg *m = mnl_nlmsg_get_payload(message);

    *dst = (struct netlink_prefix){empty_of(family), m->rtm_dst_len};
    return m->rtm_family == family && m->rtm_table == RT_TABLE_MAIN && m->rtm_dst_len > 0 &&
           mnl_attr_parse(message, sizeof *m, netlink_attribute, table) >= 0 &&
           take_ip(table[RTA_DST], &dst->ip);
}

static int collect_blackhole(const struct nlmsghdr *message, void *arg)
{
    struct prefixes *l = arg;
    const struct rtmsg *m = mnl_nlmsg_get_payload(message);
    const struct nlattr *table[NETLINK_ATTRIBUTES_MAX + 1] = {NULL};
    uint32_t metric =
        l->family == AF_INET6 ? NETLINK_BLACKHOLE_METRIC_V6 : NETLINK_BLACKHOLE_METRIC_V4;
    struct netlink_prefix dst;

    if (parse_route(message, l->family, &dst, table) && m->rtm_type == RTN_BLACKHOLE &&
        table[RTA_PRIORITY] != NULL && mnl_attr_get_u32(table[RTA_PRIORITY]) == metric)
        keep(l, &dst);
    return MNL_CB_OK;
}

bool netlink_blackhole_each(struct netlink *n, uint8_t family,
                            void (*fn)(void *self, const struct netlink_prefix *dst), void *self,
                            struct io_error *error)
{
    struct prefixes l = {.family = family == ADDR_V6 ? AF_INET6 : AF_INET};
    int code = dump(n, RTM_GETROUTE, sizeof(struct rtmsg), l.family, collect_blackhole, &l);

    for (size_t i = 0; code == 0 && i < l.n; i++)
        fn(self, &l.at[i]);
    free(l.at);
    return code == 0 || io_fail(error, code, "cannot list the routes: %s", strerror(code));
}

/* Its interface in the namespace of the calling thread, which is the socket's (netlink_open). */
static void name_of(unsigned ifindex, char name[16])
{
    if (ifindex == 0 || if_indextoname(ifindex, name) == NULL)
        (void)snprintf(name, 16, "?");
}

struct route_search {
    struct netlink_prefix within, found; /* family ADDR_NONE: not found */
    unsigned ifindex;                    /* 0: several, or none */
};

static bool inside(const struct netlink_prefix *p, const struct netlink_prefix *outer)
{
    unsigned bytes = outer->length / 8, rest = outer->length % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    return p->ip.family == outer->ip.family && p->length >= outer->length &&
           memcmp(p->ip.bytes, outer->ip.bytes, bytes) == 0 &&
           (rest == 0 || ((p->ip.bytes[bytes] ^ outer->ip.bytes[bytes]) & mask) == 0);
}

static int look_at_route(const struct nlmsghdr *message, void *arg)
{
    struct route_search *s = arg;
    const struct rtmsg *m = mnl_nlmsg_get_payload(message);
    const struct nlattr *table[NETLINK_ATTRIBUTES_MAX + 1] = {NULL};
    struct netlink_prefix dst;

    if (s->found.ip.family == ADDR_NONE && m->rtm_type == RTN_UNICAST &&
        parse_route(message, netlink_family(&s->within.ip), &dst, table) &&
        inside(&dst, &s->within)) {
        s->found = dst;
        s->ifindex = table[RTA_OIF] != NULL ? mnl_attr_get_u32(table[RTA_OIF]) : 0;
    }
    return MNL_CB_OK;
}

bool netlink_route_find(struct netlink *n, const struct netlink_prefix *dst,
                        struct netlink_prefix *found, char name[16], struct io_error *error)
{
    struct route_search s = {.within = *dst, .found = {.ip = {.family = ADDR_NONE}}};
    int code =
        dump(n, RTM_GETROUTE, sizeof(struct rtmsg), netlink_family(&dst->ip), look_at_route, &s);

    if (code != 0)
        return io_fail(error, code, "cannot list the routes: %s", strerror(code));
    *found = s.found;
    name_of(s.ifindex, name);
    return true;
}

struct addr_search {
    struct ip_addr wanted;
    unsigned ifindex; /* 0: not found */
};

static int look_at_addr(const struct nlmsghdr *message, void *arg)
{
    struct addr_search *s = arg;
    const struct ifaddrmsg *a = mnl_nlmsg_get_payload(message);
    const struct nlattr *table[NETLINK_ATTRIBUTES_MAX + 1] = {NULL};
    struct ip_addr ip = {.family = s->wanted.family};

    /* IFA_ADDRESS of a point-to-point interface is its peer's; IFA_LOCAL then is its own. */
    if (a->ifa_family == netlink_family(&s->wanted) &&
        mnl_attr_parse(message, sizeof *a, netlink_attribute, table) >= 0 &&
        take_ip(table[table[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS], &ip) &&
        addr_equal(&ip, &s->wanted))
        s->ifindex = a->ifa_index;
    return MNL_CB_OK;
}

bool netlink_addr_find(struct netlink *n, const struct ip_addr *ip, char name[16],
                       struct io_error *error)
{
    struct addr_search s = {.wanted = *ip};
    int code = dump(n, RTM_GETADDR, sizeof(struct ifaddrmsg), netlink_family(ip), look_at_addr, &s);

    if (code != 0)
        return io_fail(error, code, "cannot list the addresses: %s", strerror(code));
    name[0] = '\0';
    if (s.ifindex != 0)
        name_of(s.ifindex, name);
    return true;
}
