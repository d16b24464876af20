#include "io/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/netlink_internal.h"

struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
};

enum { REPLY_BYTES = 32 << 10 };

struct netlink *netlink_open(struct io_error *error)
{
    struct netlink *n = calloc(1, sizeof *n);

    HF_ASSERT(n != NULL);
    n->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (n->socket != NULL && mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) == 0)
        return n;
    (void)io_fail(error, errno, "cannot open a netlink socket: %s", strerror(errno));
    netlink_close(n);
    return NULL;
}

void netlink_close(struct netlink *n)
{
    if (n->socket != NULL)
        (void)mnl_socket_close(n->socket);
    free(n);
}

int netlink_talk(struct netlink *n, struct nlmsghdr *request, mnl_cb_t each, void *arg)
{
    char *reply = malloc(REPLY_BYTES);
    unsigned port = mnl_socket_get_portid(n->socket);
    int r;

    HF_ASSERT(reply != NULL);
    request->nlmsg_seq = ++n->sequence;
    if (mnl_socket_sendto(n->socket, request, request->nlmsg_len) < 0) {
        r = errno;
        free(reply);
        return r;
    }
    do {
        ssize_t got = mnl_socket_recvfrom(n->socket, reply, REPLY_BYTES);

        r = got < 0 ? -1 : mnl_cb_run(reply, (size_t)got, n->sequence, port, each, arg);
        /* An answer to an earlier request that was given up: not ours. */
        if (r < 0 && (errno == ESRCH || errno == EPROTO) && got > 0 &&
            ((struct nlmsghdr *)reply)->nlmsg_seq != n->sequence)
            r = 1;
    } while (r > 0);
    r = r < 0 ? errno : 0;
    free(reply);
    return r;
}

static const char *privilege(int code)
{
    return code == EPERM || code == EACCES ? " (run as root, or grant CAP_NET_ADMIN)" : "";
}

const char *netlink_prefix_text(const struct netlink_prefix *p, char out[64])
{
    char ip[INET6_ADDRSTRLEN] = "?";

    (void)inet_ntop(p->ip.family == ADDR_V6 ? AF_INET6 : AF_INET, p->ip.bytes, ip, sizeof ip);
    (void)snprintf(out, 64, "%s/%u", ip, p->length);
    return out;
}

int netlink_attribute(const struct nlattr *attribute, void *arg)
{
    const struct nlattr **table = arg;
    uint16_t type = mnl_attr_get_type(attribute);

    if (type <= NETLINK_ATTRIBUTES_MAX)
        table[type] = attribute;
    return MNL_CB_OK;
}

bool netlink_parse_link(const struct nlmsghdr *message, struct netlink_link *out)
{
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
    const struct nlattr *table[NETLINK_ATTRIBUTES_MAX + 1] = {NULL};

    if (mnl_attr_parse(message, sizeof *info, netlink_attribute, table) < 0 ||
        table[IFLA_IFNAME] == NULL)
        return false;
    *out = (struct netlink_link){.ifindex = info->ifi_index,
                                 .up = (info->ifi_flags & IFF_UP) != 0,
                                 .running = (info->ifi_flags & IFF_LOWER_UP) != 0 &&
                                            (info->ifi_flags & IFF_RUNNING) != 0,
                                 .loopback = (info->ifi_flags & IFF_LOOPBACK) != 0};
    (void)snprintf(out->name, sizeof out->name, "%s", mnl_attr_get_str(table[IFLA_IFNAME]));
    if (table[IFLA_ADDRESS] != NULL && mnl_attr_get_payload_len(table[IFLA_ADDRESS]) == 6)
        memcpy(out->mac, mnl_attr_get_payload(table[IFLA_ADDRESS]), 6);
    if (table[IFLA_MTU] != NULL)
        out->mtu = mnl_attr_get_u32(table[IFLA_MTU]);
    return true;
}

static int take_link(const struct nlmsghdr *message, void *arg)
{
    (void)netlink_parse_link(message, arg);
    return MNL_CB_OK;
}

static struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, int ifindex,
                                     struct ifinfomsg **info)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    *info = mnl_nlmsg_put_extra_header(h, sizeof **info);
    (*info)->ifi_family = AF_UNSPEC;
    (*info)->ifi_index = ifindex;
    return h;
}

bool netlink_link_get(struct netlink *n, const char *name, struct netlink_link *out,
                      struct io_error *error)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct ifinfomsg *info;
    struct nlmsghdr *h = link_request(buf, RTM_GETLINK, NLM_F_ACK, 0, &info);
    struct netlink_link found = {.ifindex = 0};
    int code;

    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    code = netlink_talk(n, h, take_link, &found);
    if (code != 0 || found.ifindex == 0)
        return io_fail(error, code == 0 ? ENODEV : code, "there is no network interface %s: %s",
                       name, strerror(code == 0 ? ENODEV : code));
    *out = found;
    return true;
}

bool netlink_link_set_up(struct netlink *n, const char *name, bool up, struct io_error *error)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct netlink_link link;
    struct ifinfomsg *info;
    struct nlmsghdr *h;
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    h = link_request(buf, RTM_NEWLINK, NLM_F_ACK, link.ifindex, &info);
    info->ifi_change = IFF_UP;
    info->ifi_flags = up ? IFF_UP : 0;
    code = netlink_talk(n, h, NULL, NULL);
    return code == 0 || io_fail(error, code, "cannot set interface %s %s: %s%s", name,
                                up ? "up" : "down", strerror(code), privilege(code));
}

bool netlink_link_set_mtu(struct netlink *n, const char *name, uint32_t mtu, struct io_error *error)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct netlink_link link;
    struct ifinfomsg *info;
    struct nlmsghdr *h;
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    h = link_request(buf, RTM_NEWLINK, NLM_F_ACK, link.ifindex, &info);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    code = netlink_talk(n, h, NULL, NULL);
    return code == 0 || io_fail(error, code, "cannot set the MTU of interface %s to %u: %s%s", name,
                                mtu, strerror(code), privilege(code));
}

/* A setting of one family: IFLA_AF_SPEC { family { type { value } } }. */
bool netlink_link_forward(struct netlink *n, const char *name, struct io_error *error)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct netlink_link link;
    struct ifinfomsg *info;
    struct nlmsghdr *h;
    struct nlattr *spec, *family, *conf;
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    h = link_request(buf, RTM_SETLINK, NLM_F_ACK, link.ifindex, &info);
    spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
    family = mnl_attr_nest_start(h, AF_INET);
    conf = mnl_attr_nest_start(h, IFLA_INET_CONF);
    mnl_attr_put_u32(h, IPV4_DEVCONF_FORWARDING, 1);
    mnl_attr_nest_end(h, conf);
    mnl_attr_nest_end(h, family);
    mnl_attr_nest_end(h, spec);
    code = netlink_talk(n, h, NULL, NULL);
    return code == 0 || io_fail(error, code, "cannot set forwarding on interface %s: %s%s", name,
                                strerror(code), privilege(code));
}

bool netlink_link_no_autoconf(struct netlink *n, const char *name)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct netlink_link link;
    struct io_error unsaid;
    struct ifinfomsg *info;
    struct nlmsghdr *h;
    struct nlattr *spec, *family;

    if (!netlink_link_get(n, name, &link, &unsaid))
        return false;
    h = link_request(buf, RTM_SETLINK, NLM_F_ACK, link.ifindex, &info);
    spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
    family = mnl_attr_nest_start(h, AF_INET6);
    mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(h, family);
    mnl_attr_nest_end(h, spec);
    return netlink_talk(n, h, NULL, NULL) == 0;
}

unsigned char netlink_family(const struct ip_addr *ip)
{
    return ip->family == ADDR_V6 ? AF_INET6 : AF_INET;
}

static int change_addr(struct netlink *n, uint16_t type, uint16_t flags, int ifindex,
                       const struct netlink_prefix *p)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    struct ifaddrmsg *a;

    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    a = mnl_nlmsg_put_extra_header(h, sizeof *a);
    a->ifa_family = netlink_family(&p->ip);
    a->ifa_prefixlen = p->length;
    a->ifa_index = (uint32_t)ifindex;
    a->ifa_flags = p->ip.family == ADDR_V6 ? IFA_F_NODAD : 0;
    mnl_attr_put(h, IFA_LOCAL, addr_len(&p->ip), p->ip.bytes);
    mnl_attr_put(h, IFA_ADDRESS, addr_len(&p->ip), p->ip.bytes);
    return netlink_talk(n, h, NULL, NULL);
}

bool netlink_addr_add(struct netlink *n, const char *name, const struct netlink_prefix *p,
                      struct io_error *error)
{
    struct netlink_link link;
    char text[64];
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    code = change_addr(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link.ifindex, p);
    return code == 0 || code == EEXIST ||
           io_fail(error, code, "cannot add address %s to interface %s: %s%s",
                   netlink_prefix_text(p, text), name, strerror(code), privilege(code));
}

bool netlink_addr_del(struct netlink *n, const char *name, const struct netlink_prefix *p,
                      struct io_error *error)
{
    struct netlink_link link;
    char text[64];
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    code = change_addr(n, RTM_DELADDR, 0, link.ifindex, p);
    return code == 0 || code == EADDRNOTAVAIL ||
           io_fail(error, code, "cannot remove address %s from interface %s: %s%s",
                   netlink_prefix_text(p, text), name, strerror(code), privilege(code));
}

struct route {
    const struct netlink_prefix *dst;
    uint8_t type; /* RTN_UNICAST, RTN_BLACKHOLE */
    int ifindex;  /* 0: none */
    uint32_t metric;
};

static struct nlmsghdr *route_request(char *buf, uint16_t type, uint16_t flags,
                                      const struct route *r)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    struct rtmsg *m;

    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = netlink_family(&r->dst->ip);
    m->rtm_dst_len = r->dst->length;
    m->rtm_table = RT_TABLE_MAIN;
    /* The mark of a blackhole route is its metric: whoever added it, it goes. */
    m->rtm_protocol =
        type == RTM_DELROUTE && r->type == RTN_BLACKHOLE ? RTPROT_UNSPEC : RTPROT_STATIC;
    m->rtm_type = r->type;
    m->rtm_scope =
        r->type == RTN_UNICAST && r->dst->ip.family == ADDR_V4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    mnl_attr_put(h, RTA_DST, addr_len(&r->dst->ip), r->dst->ip.bytes);
    if (r->ifindex != 0)
        mnl_attr_put_u32(h, RTA_OIF, (uint32_t)r->ifindex);
    if (r->metric != 0)
        mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
    return h;
}

static int change_route(struct netlink *n, bool add, const struct route *r)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct nlmsghdr *h =
        route_request(buf, add ? RTM_NEWROUTE : RTM_DELROUTE,
                      (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)), r);
    int code = netlink_talk(n, h, NULL, NULL);

    return !add && code == ESRCH ? 0 : code;
}

static bool device_route(struct netlink *n, bool add, const struct netlink_prefix *dst,
                         const char *name, struct io_error *error)
{
    struct route r = {.dst = dst, .type = RTN_UNICAST};
    struct netlink_link link;
    char text[64];
    int code;

    if (!netlink_link_get(n, name, &link, error))
        return false;
    r.ifindex = link.ifindex;
    code = change_route(n, add, &r);
    return code == 0 ||
           io_fail(error, code, "cannot %s the route to %s through %s: %s%s",
                   add ? "add" : "remove", netlink_prefix_text(dst, text), name, strerror(code),
                   code == EEXIST ? " (remove the other route)" : privilege(code));
}

bool netlink_route_add(struct netlink *n, const struct netlink_prefix *dst, const char *name,
                       struct io_error *error)
{
    return device_route(n, true, dst, name, error);
}

bool netlink_route_del(struct netlink *n, const struct netlink_prefix *dst, const char *name,
                       struct io_error *error)
{
    return device_route(n, false, dst, name, error);
}

static struct route blackhole(const struct netlink_prefix *dst)
{
    return (struct route){.dst = dst,
                          .type = RTN_BLACKHOLE,
                          .metric = dst->ip.family == ADDR_V6 ? NETLINK_BLACKHOLE_METRIC_V6
                                                              : NETLINK_BLACKHOLE_METRIC_V4};
}

static bool change_blackhole(struct netlink *n, bool add, const struct netlink_prefix *dst,
                             struct io_error *error)
{
    struct route r = blackhole(dst);
    char text[64];
    int code = change_route(n, add, &r);

    return code == 0 || (add && code == EEXIST) ||
           io_fail(error, code, "cannot %s the blackhole route for %s: %s%s",
                   add ? "add" : "remove", netlink_prefix_text(dst, text), strerror(code),
                   privilege(code));
}

bool netlink_blackhole_add(struct netlink *n, const struct netlink_prefix *dst,
                           struct io_error *error)
{
    return change_blackhole(n, true, dst, error);
}

bool netlink_blackhole_del(struct netlink *n, const struct netlink_prefix *dst,
                           struct io_error *error)
{
    return change_blackhole(n, false, dst, error);
}

enum { LINKS_LISTED = 256 };

struct links {
    struct netlink_link at[LINKS_LISTED];
    size_t n;
};

static int collect_link(const struct nlmsghdr *message, void *arg)
{
    struct links *l = arg;

    if (l->n < LINKS_LISTED && netlink_parse_link(message, &l->at[l->n]))
        l->n++;
    return MNL_CB_OK;
}

int netlink_all_links_down(struct netlink *n)
{
    char buf[NETLINK_REQUEST_BYTES];
    struct ifinfomsg *info;
    struct nlmsghdr *h = link_request(buf, RTM_GETLINK, NLM_F_DUMP, 0, &info);
    struct links links = {.n = 0};
    int failed = 0;

    if (netlink_talk(n, h, collect_link, &links) != 0)
        return 1;
    for (size_t i = 0; i < links.n; i++) {
        if (links.at[i].loopback || !links.at[i].up)
            continue;
        h = link_request(buf, RTM_NEWLINK, NLM_F_ACK, links.at[i].ifindex, &info);
        info->ifi_change = IFF_UP;
        failed += netlink_talk(n, h, NULL, NULL) != 0;
    }
    return failed;
}
