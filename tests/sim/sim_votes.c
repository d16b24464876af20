/* What a node says to the others as one of Raft's, looked at on its way out: who lost data may say none of it
 * until it counts, and is trusted by what others have (I10). */
#include "replication/raft_driver.h"
#include "replication/raft_frame.h"
#include "sim/sim_world.h"

enum { AT_TYPE = 1 }; /* of a frame's header: raft_frame.h */

static const char *part_in(const struct raft_frame *f)
{
    if (f->type == RAFT_FRAME_REQUEST_VOTE)
        return f->pre_vote ? "asks whether it may campaign" : "asks for votes";
    if (f->type == RAFT_FRAME_REQUEST_VOTE_RESULT && f->granted)
        return f->pre_vote ? "says that another may campaign" : "gives a vote";
    return NULL;
}

/* --- until when what it had acknowledged before may count --- */

static struct raft_driver_status raft_of(const struct sim_node *n)
{
    return raft_driver_status(replica_driver(n->replica));
}

void sim_votes_start(struct sim_node *n)
{
    const struct sim_world *w = n->world;

    memset(n->heard_muted, 0, sizeof n->heard_muted);
    n->lied_term = 0;
    for (uint32_t i = 0; i < w->n_nodes && n->lied; i++)
        if (&w->nodes[i] != n && w->nodes[i].up && raft_of(&w->nodes[i]).term > n->lied_term)
            n->lied_term = raft_of(&w->nodes[i]).term;
}

/* A leader of a later term asks anew what everybody has. */
static void look_at_leaders(const struct sim_world *w, const struct sim_node *liar)
{
    uint64_t committed = 0;
    bool led = false, counts = false;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct sim_node *n = &w->nodes[i];
        struct raft_driver_status st;
        uint64_t place;

        if (!n->up || n == liar)
            continue;
        st = raft_of(n);
        place = sim_watch_place(w->watch, n->id, st.commit_index);
        committed = place > committed ? place : committed;
        if (st.state != RAFT_DRIVER_LEADER)
            continue;
        led = true;
        counts |= st.term <= liar->lied_term && n->heard_muted[liar->id] != liar->boot;
    }
    if (led && !counts)
        sim_watch_disregarded(w->watch, liar->id, committed);
}

static void look_at_liars(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].lied && w->nodes[i].up)
            look_at_leaders(w, &w->nodes[i]);
}

void sim_votes_arrive(struct sim_node *n, uint32_t from, enum repl_channel channel,
                      struct span bytes)
{
    struct raft_driver_status st;
    struct raft_frame f;

    if (channel != REPL_CHANNEL_RAFT || !sim_lies_any(n->world) || bytes.len <= AT_TYPE ||
        bytes.data[AT_TYPE] != RAFT_FRAME_APPEND_RESULT || !raft_frame_decode(bytes, &f) ||
        !f.muted)
        return;
    st = raft_of(n);
    if (st.state != RAFT_DRIVER_LEADER || st.term != f.term)
        return;
    n->heard_muted[from] = f.boot;
    look_at_liars(n->world);
}

/* --- what leaves --- */

/* The entries of an APPEND are not looked at: who sends one leads. */
static void look(struct sim_node *n, uint32_t to, struct span bytes)
{
    struct sim_watch *watch = n->world->watch;
    uint8_t type = bytes.len > AT_TYPE ? bytes.data[AT_TYPE] : 0;
    struct raft_frame f;
    const char *how;

    if (type != RAFT_FRAME_APPEND && type != RAFT_FRAME_REQUEST_VOTE &&
        type != RAFT_FRAME_REQUEST_VOTE_RESULT && type != RAFT_FRAME_TRUST)
        return;
    sim_lies_look(n); /* it may count since just now */
    if (type == RAFT_FRAME_APPEND) {
        sim_watch_takes_part(watch, n->id, "leads");
        look_at_liars(n->world);
        return;
    }
    HF_ASSERT(raft_frame_decode(bytes, &f));
    how = part_in(&f);
    if (how != NULL)
        sim_watch_takes_part(watch, n->id, how);
    if (type == RAFT_FRAME_TRUST)
        sim_watch_trusts(watch, n->id, to, f.peer_boot, f.index);
}

static bool look_and_send(void *self, uint32_t node, enum repl_channel channel,
                          const struct span *parts, size_t n_parts)
{
    struct sim_node *n = self;
    struct repl_transport t = sim_network_transport(n->world->network, n->id);

    if (channel == REPL_CHANNEL_RAFT && n_parts > 0)
        look(n, node, parts[0]);
    return t.send(t.self, node, channel, parts, n_parts);
}

static bool is_connected(void *self, uint32_t node)
{
    struct sim_node *n = self;
    struct repl_transport t = sim_network_transport(n->world->network, n->id);

    return t.connected(t.self, node);
}

struct repl_transport sim_votes_transport(struct sim_node *n)
{
    return (struct repl_transport){.self = n, .send = look_and_send, .connected = is_connected};
}
