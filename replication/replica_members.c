/* Who the others are: the members of the log, and those that this node was started with. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "replication/replica_parts.h"

/* --- addresses as text, the one form in which the log has them --- */

void replica_address_text(const struct endpoint *at, char *out, size_t cap)
{
    const uint8_t *b = at->ip.bytes;

    out[0] = '\0';
    if (at->ip.family == ADDR_V4)
        (void)snprintf(out, cap, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], at->port);
    else if (at->ip.family == ADDR_V6)
        (void)snprintf(out, cap, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u", get_be16(b), get_be16(b + 2),
                       get_be16(b + 4), get_be16(b + 6), get_be16(b + 8), get_be16(b + 10),
                       get_be16(b + 12), get_be16(b + 14), at->port);
}

/* One number in `base` up to `max`, and the character behind it. */
static bool number(const char **at, int base, unsigned long max, char end, unsigned long *out)
{
    char *stop = NULL;

    if (**at == '\0' || **at == ' ' || **at == '-' || **at == '+')
        return false;
    *out = strtoul(*at, &stop, base);
    if (stop == *at || *stop != end || *out > max)
        return false;
    *at = end == '\0' ? stop : stop + 1;
    return true;
}

bool replica_address_parse(const char *text, struct endpoint *out)
{
    struct endpoint e = {.ip = {.family = text[0] == '[' ? ADDR_V6 : ADDR_V4}};
    const char *at = text + (e.ip.family == ADDR_V6);
    size_t n = e.ip.family == ADDR_V6 ? 8 : 4;
    unsigned long v = 0;

    for (size_t i = 0; i < n; i++) {
        if (e.ip.family == ADDR_V4) {
            if (!number(&at, 10, 255, i + 1 < n ? '.' : ':', &v))
                return false;
            e.ip.bytes[i] = (uint8_t)v;
        } else {
            if (!number(&at, 16, 0xffff, i + 1 < n ? ':' : ']', &v))
                return false;
            put_be16(e.ip.bytes + 2 * i, (uint16_t)v);
        }
    }
    if (e.ip.family == ADDR_V6 && *at++ != ':')
        return false;
    if (!number(&at, 10, 65535, '\0', &v))
        return false;
    e.port = (uint16_t)v;
    *out = e;
    return true;
}

/* --- the list --- */

struct roster {
    struct replica_node nodes[REPL_MAX_NODES];
    size_t n;
};

/* Its row, made where it belongs in the order of ids; NULL: no room. */
static struct replica_node *row_of(struct roster *l, uint32_t node)
{
    size_t i = 0;

    while (i < l->n && l->nodes[i].node < node)
        i++;
    if (i < l->n && l->nodes[i].node == node)
        return &l->nodes[i];
    if (l->n == REPL_MAX_NODES)
        return NULL;
    memmove(&l->nodes[i + 1], &l->nodes[i], (l->n++ - i) * sizeof l->nodes[0]);
    l->nodes[i] = (struct replica_node){.node = node, .role = RAFT_DRIVER_NO_MEMBER};
    return &l->nodes[i];
}

static void add_started(const struct replica *r, struct roster *l)
{
    /* Until the log has been heard up to this start, it may name nobody who is still there. */
    bool keep = !r->ownership.confirmed;

    for (size_t i = 0; i < r->options.n_nodes; i++) {
        const struct repl_node_address *n = &r->options.nodes[i];
        const struct fsm_member *m = fsm_member(&r->fsm, n->node);
        struct replica_node *row = NULL;

        if (n->node == r->options.node || (keep && (m == NULL || !m->left)))
            row = row_of(l, n->node);
        if (row != NULL && r->configuration.n_servers == 0 && r->founded)
            row->role = RAFT_DRIVER_VOTER;
    }
}

static void add_configured(const struct replica *r, struct roster *l)
{
    for (size_t i = 0; i < r->configuration.n_servers; i++) {
        struct replica_node *row = row_of(l, r->configuration.servers[i].node);

        if (row != NULL)
            row->role = r->configuration.servers[i].role;
    }
}

/* The log's address, else the one that this node was started with. */
static void set_address(const struct replica *r, struct replica_node *row)
{
    const struct fsm_member *m = fsm_member(&r->fsm, row->node);

    for (size_t i = 0; i < r->options.n_nodes; i++)
        if (r->options.nodes[i].node == row->node)
            row->address = r->options.nodes[i].address;
    if (m != NULL)
        (void)replica_address_parse(m->address, &row->address);
}

struct replica_node *replica_node(struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node == node)
            return &r->nodes[i];
    return NULL;
}

static void tell_ownership(struct replica *r)
{
    struct ownership_list list = {.n = r->n_nodes, .configuration = r->configuration.index};

    for (size_t i = 0; i < r->n_nodes; i++) {
        list.nodes[i] = r->nodes[i].node;
        list.voter[i] = r->nodes[i].role == RAFT_DRIVER_VOTER;
    }
    ownership_listed(&r->ownership, &list);
    for (size_t i = 0; i < r->fsm.n_members; i++)
        ownership_booted(&r->ownership, r->fsm.members[i]->node, r->fsm.members[i]->boot);
}

static void tell_peers(struct replica *r)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {0};
    bool same = r->n_nodes == r->n_told;

    for (size_t i = 0; i < r->n_nodes; i++) {
        nodes[i] = (struct repl_node_address){r->nodes[i].node, r->nodes[i].address};
        same = same && nodes[i].node == r->told[i].node &&
               endpoint_equal(&nodes[i].address, &r->told[i].address);
    }
    if (same)
        return;
    memcpy(r->told, nodes, sizeof r->told);
    r->n_told = r->n_nodes;
    if (r->callbacks.peers != NULL)
        r->callbacks.peers(r->callbacks.self, r->told, r->n_told);
}

void replica_list(struct replica *r)
{
    struct roster l = {.n = 0};

    (void)row_of(&l, r->options.node); /* first: there is room for it whoever else is known */
    add_configured(r, &l);
    add_started(r, &l);
    for (size_t i = 0; i < l.n; i++) {
        const struct replica_node *old = replica_node(r, l.nodes[i].node);

        if (old != NULL) {
            l.nodes[i].link = old->link;
            l.nodes[i].disk_ok_ns = old->disk_ok_ns;
        }
        set_address(r, &l.nodes[i]);
    }
    memcpy(r->nodes, l.nodes, sizeof r->nodes);
    r->n_nodes = l.n;
    r->awaited_index = 0; /* by place in the list: whoever waits hears with the next heartbeat */
    tell_ownership(r);
    tell_peers(r);
}

void replica_on_configuration(void *self, const struct repl_configuration *configuration)
{
    struct replica *r = self;

    r->configuration = *configuration;
    replica_list(r);
    /* An owner that lags behind gets no promise until it counts as the others do. */
    for (size_t i = 0; i < r->n_nodes && r->able; i++)
        replica_await(r, configuration->index, r->nodes[i].node);
}
