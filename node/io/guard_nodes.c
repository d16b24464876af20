/* The one part of the guard that changes while the daemon runs: who the nodes are. By nfnetlink, not by
 * `nft`: the daemon has threads, and locked memory that a fork would have to copy. */
#include "io/guard.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "io/netlink_internal.h"

enum { BATCH_BYTES = 8 << 10, REPLY_BYTES = 32 << 10, FAMILIES = 2 };

static const char table_name[] = "holdfast_guard";
static const char *const set_name[FAMILIES] = {"node4", "node6"};
static const uint8_t set_family[FAMILIES] = {ADDR_V4, ADDR_V6};

static uint16_t key_bytes(unsigned set)
{
    return set == 0 ? 4 : 16;
}

struct nodes {
    struct ip_addr ip[GUARD_MAX_NODES];
    size_t n;
};

static bool has(const struct nodes *nodes, const struct ip_addr *ip)
{
    for (size_t i = 0; i < nodes->n; i++)
        if (addr_equal(&nodes->ip[i], ip))
            return true;
    return false;
}

/* --- one transaction --- */

struct batch {
    char bytes[BATCH_BYTES];
    size_t len;
    uint32_t sequence; /* of the newest message */
};

static struct nlmsghdr *put(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
                            uint16_t resource)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(b->bytes + b->len);
    struct nfgenmsg *g;

    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = ++b->sequence;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = family;
    g->version = NFNETLINK_V0;
    g->res_id = htons(resource);
    return h;
}

static void end(struct batch *b, const struct nlmsghdr *h)
{
    b->len += NLMSG_ALIGN(h->nlmsg_len);
    HF_ASSERT(b->len + NETLINK_REQUEST_BYTES <= sizeof b->bytes);
}

static struct nlmsghdr *put_set(struct batch *b, unsigned message, uint16_t flags, unsigned set)
{
    struct nlmsghdr *h =
        put(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message), flags, NFPROTO_INET, 0);

    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table_name);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set_name[set]);
    return h;
}

static void put_element(struct nlmsghdr *h, const struct ip_addr *ip, uint16_t bytes)
{
    struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
    struct nlattr *key = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);

    mnl_attr_put(h, NFTA_DATA_VALUE, bytes, ip->bytes);
    mnl_attr_nest_end(h, key);
    mnl_attr_nest_end(h, element);
}

/* Emptied and filled: nobody sees it empty, for the kernel takes all of it at once. */
static unsigned put_sets(struct batch *b, const struct nodes *nodes)
{
    unsigned acknowledged = 0;

    for (unsigned set = 0; set < FAMILIES; set++) {
        struct nlmsghdr *h = put_set(b, NFT_MSG_DELSETELEM, NLM_F_ACK, set);
        struct nlattr *list;
        size_t n = 0;

        end(b, h);
        acknowledged++;
        for (size_t i = 0; i < nodes->n; i++)
            n += nodes->ip[i].family == set_family[set];
        if (n == 0)
            continue;
        h = put_set(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_ACK, set);
        list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (size_t i = 0; i < nodes->n; i++)
            if (nodes->ip[i].family == set_family[set])
                put_element(h, &nodes->ip[i], key_bytes(set));
        mnl_attr_nest_end(h, list);
        end(b, h);
        acknowledged++;
    }
    return acknowledged;
}

/* The kernel answers each message; the first refusal means that none was done. 0 or an errno. */
static int commit(struct mnl_socket *s, const struct nodes *nodes)
{
    struct batch *b = calloc(1, sizeof *b);
    char *reply = malloc(REPLY_BYTES);
    unsigned waiting;
    int code = 0;

    HF_ASSERT(b != NULL && reply != NULL);
    end(b, put(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    waiting = put_sets(b, nodes);
    end(b, put(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    if (mnl_socket_sendto(s, b->bytes, b->len) < 0)
        code = errno;
    while (code == 0 && waiting > 0) {
        ssize_t got = mnl_socket_recvfrom(s, reply, REPLY_BYTES);
        int left = (int)got;

        if (got < 0)
            code = errno;
        for (struct nlmsghdr *h = (void *)reply; code == 0 && left > 0 && mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left)) {
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            code = -((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
            waiting -= waiting > 0;
        }
    }
    free(reply);
    free(b);
    return code;
}

/* --- read back --- */

struct reading {
    unsigned set;
    struct nodes found;
    bool strange; /* an element that is no address, or more than there may be */
};

static int take_value(const struct nlattr *part, void *arg)
{
    struct reading *r = arg;
    struct ip_addr ip = {.family = set_family[r->set]};

    if (mnl_attr_get_type(part) != NFTA_DATA_VALUE)
        return MNL_CB_OK;
    if (mnl_attr_get_payload_len(part) != key_bytes(r->set) || r->found.n == GUARD_MAX_NODES) {
        r->strange = true;
        return MNL_CB_OK;
    }
    memcpy(ip.bytes, mnl_attr_get_payload(part), key_bytes(r->set));
    r->found.ip[r->found.n++] = ip;
    return MNL_CB_OK;
}

static int take_key(const struct nlattr *part, void *arg)
{
    return mnl_attr_get_type(part) == NFTA_SET_ELEM_KEY
               ? mnl_attr_parse_nested(part, take_value, arg)
               : MNL_CB_OK;
}

static int take_element(const struct nlattr *element, void *arg)
{
    return mnl_attr_parse_nested(element, take_key, arg);
}

static int take_list(const struct nlattr *attribute, void *arg)
{
    return mnl_attr_get_type(attribute) == NFTA_SET_ELEM_LIST_ELEMENTS
               ? mnl_attr_parse_nested(attribute, take_element, arg)
               : MNL_CB_OK;
}

static int take_message(const struct nlmsghdr *h, void *arg)
{
    return mnl_attr_parse(h, sizeof(struct nfgenmsg), take_list, arg);
}

/* What one set holds; 0 or an errno. */
static int read_set(struct mnl_socket *s, struct reading *r)
{
    struct batch *b = calloc(1, sizeof *b);
    char *reply = malloc(REPLY_BYTES);
    struct nlmsghdr *h;
    int more = 1, code = 0;

    HF_ASSERT(b != NULL && reply != NULL);
    b->sequence = 1000 + r->set; /* no answer to the batch is taken for one to this */
    h = put_set(b, NFT_MSG_GETSETELEM, NLM_F_DUMP, r->set);
    if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
        code = errno;
    while (code == 0 && more > 0) {
        ssize_t got = mnl_socket_recvfrom(s, reply, REPLY_BYTES);

        more = got < 0 ? -1
                       : mnl_cb_run(reply, (size_t)got, h->nlmsg_seq, mnl_socket_get_portid(s),
                                    take_message, r);
        if (more < 0)
            code = errno;
    }
    free(reply);
    free(b);
    return code;
}

static bool holds(struct mnl_socket *s, const struct nodes *nodes, int *code)
{
    size_t n = 0;

    for (unsigned set = 0; set < FAMILIES; set++) {
        struct reading r = {.set = set};

        *code = read_set(s, &r);
        if (*code != 0 || r.strange)
            return false;
        for (size_t i = 0; i < r.found.n; i++)
            if (!has(nodes, &r.found.ip[i]))
                return false;
        n += r.found.n;
    }
    return n == nodes->n;
}

bool guard_set_nodes(const struct ip_addr *nodes, size_t n, struct io_error *error)
{
    struct nodes want = {.n = 0};
    struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    int code = s == NULL || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) != 0 ? errno : 0;
    bool ok = false;

    for (size_t i = 0; i < n; i++) {
        HF_ASSERT(addr_is_set(&nodes[i]));
        if (has(&want, &nodes[i]))
            continue;
        HF_ASSERT(want.n < GUARD_MAX_NODES);
        want.ip[want.n++] = nodes[i];
    }
    if (code == 0)
        code = commit(s, &want);
    if (code == 0)
        ok = holds(s, &want, &code);
    if (s != NULL)
        (void)mnl_socket_close(s);
    if (ok)
        return true;
    if (code == ENOENT)
        return io_fail(error, code,
                       "the guard is not in force: set it by `holdfastd --guard`, before the "
                       "daemon");
    return io_fail(error, code, "cannot tell the guard who the nodes are: %s%s",
                   code != 0 ? strerror(code) : "it holds others than it was told",
                   code == EPERM ? " (run as root, or grant CAP_NET_ADMIN)" : "");
}
