/* Where the members are: whoever finds no leader asks those that it is connected with, and they name the
 * members that they know (WHO and MEMBERS of node/daemon/admin_members.c, over the same door of the core).
 * So a node that was told of one member alone, or whose file names none that is still there, finds the
 * others. Every id has one address here, so ids are all that a word holds. */
#include "base/bytes.h"
#include "sim/sim_world.h"

enum { AGAIN_MS = 500, WHO_BYTES = 1, ID_BYTES = 4 };

static struct repl_status status_of(const struct sim_node *n)
{
    struct repl_status st;

    replica_status(n->replica, sim_node_ns(n), &st);
    return st;
}

static void send(const struct sim_node *n, uint32_t to, struct span bytes)
{
    struct repl_transport t = sim_network_transport(n->world->network, n->id);

    (void)t.send(t.self, to, REPL_CHANNEL_ADMIN, &bytes, 1);
}

void sim_hints_ask(struct sim_node *n)
{
    static const uint8_t who[WHO_BYTES];
    struct repl_status st;

    if (!n->world->plan.members || n->who_again_ms > n->world->now_ms)
        return;
    n->who_again_ms = n->world->now_ms + AGAIN_MS;
    st = status_of(n);
    for (size_t i = 0; st.leader == 0 && i < st.n_nodes; i++)
        if (st.nodes[i].node != n->id && st.nodes[i].connected)
            send(n, st.nodes[i].node, span_of(who, sizeof who));
}

static void answer(const struct sim_node *n, uint32_t to)
{
    uint8_t bytes[WHO_BYTES + REPL_MAX_NODES * ID_BYTES] = {0};
    struct repl_status st = status_of(n);
    size_t at = WHO_BYTES;

    for (size_t i = 0; i < st.n_nodes; i++) {
        if (!repl_is_member(st.nodes[i].role) || st.nodes[i].node == to)
            continue;
        put_be32(bytes + at, st.nodes[i].node);
        at += ID_BYTES;
    }
    if (at > WHO_BYTES)
        send(n, to, span_of(bytes, at));
}

bool sim_hints_frame(struct sim_node *n, uint32_t from, struct span in)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {0};
    size_t count = in.len / ID_BYTES;

    if (in.len % ID_BYTES != WHO_BYTES || count > REPL_MAX_NODES)
        return false;
    if (count == 0) {
        answer(n, from);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        nodes[i].node = get_be32(in.data + WHO_BYTES + i * ID_BYTES);
    n->world->stats.counts[SIM_COUNT_hints]++;
    replica_introduce(n->replica, sim_node_ns(n), from, nodes, count);
    return true;
}
