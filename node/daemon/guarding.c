/* The permanent guard, as this node's configuration wants it, and its set of nodes, which follows the
 * members: who joins needs no change on the others, whose kernels would else drop what it says. */
#include <stdio.h>
#include <string.h>

#include "daemon/internal.h"
#include "io/clock.h"

enum { LOOK_MS = 50, AGAIN_MS = 1000 };

struct guard_room {
    struct ip_addr addresses[GUARD_MAX_ADDRESSES], nodes[GUARD_MAX_NODES];
    struct netlink_prefix pools[GUARD_MAX_POOLS];
};

_Static_assert(CONFIG_MAX_NODES + REPL_MAX_NODES <= GUARD_MAX_NODES, "all may be others");

static void guard_of(const struct config *config, struct guard_config *g, struct guard_room *room)
{
    struct ip_addr *addresses = room->addresses;
    struct netlink_prefix *pools = room->pools;

    *g = (struct guard_config){.outside = config->outside_interface,
                               .inside = config->inside_interface,
                               .tun = config->tun_interface,
                               .addresses = addresses,
                               .pools = pools,
                               .nodes = room->nodes,
                               .replication = config_self(config)->address};
    for (size_t i = 0; i < config->n_nodes; i++)
        if (config->nodes[i].address.ip.family != ADDR_NONE)
            room->nodes[g->n_nodes++] = config->nodes[i].address.ip;
    for (size_t i = 0; i < config->n_shards; i++) {
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            const struct config_shard *s = &config->shards[i];

            if (addr_is_set(&s->outside[slot]))
                addresses[g->n_addresses++] = s->outside[slot];
            if (addr_is_set(&s->inside[slot]))
                addresses[g->n_addresses++] = s->inside[slot];
            if (addr_is_set(&s->pool[slot].ip))
                pools[g->n_pools++] =
                    (struct netlink_prefix){.ip = s->pool[slot].ip, .length = s->pool[slot].bits};
        }
    }
}

/* Whom the last start knew: they dial this one before it has read where they are. */
static void add_kept(const struct config *config, struct guard_config *g, struct guard_room *room)
{
    struct repl_node_address kept[REPL_MAX_NODES];
    size_t n = repl_kept_nodes(config->data_dir, kept);

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < g->n_nodes && !addr_equal(&room->nodes[k], &kept[i].address.ip))
            k++;
        if (k == g->n_nodes)
            room->nodes[g->n_nodes++] = kept[i].address.ip;
    }
}

bool daemon_install_guard(const struct config *config, struct daemon_error *error)
{
    struct guard_config guard;
    struct guard_room room;
    struct io_error io;

    guard_of(config, &guard, &room);
    add_kept(config, &guard, &room);
    if (guard_install(&guard, &io))
        return true;
    (void)snprintf(error->text, sizeof error->text, "%s", io.text);
    return false;
}

/* What the set holds is what the daemon before this one left, or --guard at the boot: it is made right
 * first. Where that is not possible the rest is not in order either, and is told as a whole. */
bool guarding_start(struct daemon *d)
{
    struct guard_config guard;
    struct guard_room room;
    struct io_error io;

    guard_of(d->config, &guard, &room);
    add_kept(d->config, &guard, &room);
    (void)!guard_set_nodes(guard.nodes, guard.n_nodes, &io);
    if (!guard_verify(&guard, &io))
        return daemon_fail(d, "%s", io.text);
    memcpy(d->guarded, room.nodes, guard.n_nodes * sizeof room.nodes[0]);
    d->n_guarded = guard.n_nodes;
    return true;
}

/* The present members, who is expected with a token, and this node. */
static size_t present(const struct repl_status *st, struct ip_addr nodes[REPL_MAX_NODES])
{
    size_t n = 0;

    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].address.ip.family != ADDR_NONE)
            nodes[n++] = st->nodes[i].address.ip;
    return n;
}

void guarding_tick(struct daemon *d)
{
    struct ip_addr nodes[REPL_MAX_NODES];
    uint64_t now = io_boottime_ms();
    struct repl_status st;
    struct io_error io;
    bool same;
    size_t n;

    if (now < d->guard_look_ms || config_self(d->config)->address.ip.family == ADDR_NONE)
        return;
    d->guard_look_ms = now + LOOK_MS;
    repl_status(d->repl, &st);
    n = present(&st, nodes);
    same = n == d->n_guarded;
    for (size_t i = 0; same && i < n; i++)
        same = addr_equal(&nodes[i], &d->guarded[i]);
    if (same)
        return;
    if (!guard_set_nodes(nodes, n, &io)) {
        d->guard_look_ms = now + AGAIN_MS;
        log_line(d->log, LOG_ERROR, "guard", "%s", io.text);
        return;
    }
    log_line(d->log, LOG_INFO, "guard", "the port of replication is open to %zu addresses", n);
    memcpy(d->guarded, nodes, n * sizeof nodes[0]);
    d->n_guarded = n;
}
