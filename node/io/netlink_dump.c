/* What the kernel has already: lists of routes and addresses, asked for anew each time. */
#include <errno.h>
#include <linux/rtnetlink.h>
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
