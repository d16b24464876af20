/* Nodes that come and go, as an operator wishes it: one change after the other, towards 1, 3 or 5 members.
 *
 *   TOKEN: a member writes down a token ──> JOIN: the new machine starts, with an empty disk, and asks a
 *          member each half a second, until its own log says that it is in
 *   LEAVE: a member writes down that another one is to own nothing, then that it leaves ──> OUT: until no
 *          configuration has it; its machine is taken away, or its daemon runs on, as a zombie
 *
 * What node/daemon/admin_members.c does between its two doors, over the same wishes of the conductor. */
#include <stdio.h>

#include "replication/raft_driver.h"
#include "replication/record.h"
#include "sim/sim_world.h"

enum { AGAIN_MS = 500, TOKEN_MS = 60000, SHORT_TOKEN_MS = 900, COUNTS_MS = 7000 };

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->members, low, high);
}

static void noted(struct sim_world *w, enum sim_fault fault, uint32_t who)
{
    w->stats.faults[fault]++;
    sim_say(w, "members: %s %u", sim_fault_name(fault), who);
}

static const struct fsm_member *member_as(const struct sim_node *n, uint32_t id)
{
    return fsm_member(replica_fsm(n->replica), id);
}

static bool is_in(const struct sim_node *n, uint32_t id)
{
    const struct fsm_member *m = n->up ? member_as(n, id) : NULL;

    return m != NULL && !m->left;
}

/* Who has applied most, of those that are members as far as they know; NULL: nobody is up. */
static const struct sim_node *newest(const struct sim_world *w)
{
    const struct sim_node *best = NULL;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct sim_node *n = &w->nodes[i];

        if (!n->left && is_in(n, n->id) &&
            (best == NULL ||
             replica_fsm(n->replica)->applied_index > replica_fsm(best->replica)->applied_index))
            best = n;
    }
    return best;
}

bool sim_members_has(const struct sim_world *w, uint32_t id)
{
    const struct sim_node *n;

    if (!w->plan.members)
        return true;
    if (w->nodes[id - 1].left || (w->change.node == id && w->change.phase >= SIM_CHANGE_LEAVE))
        return false;
    n = newest(w);
    return n != NULL && is_in(n, id);
}

/* A member, other than that one, whom the operator can ask now; NULL: the one drawn does not answer.
 * One that was removed and does not know it is not asked: the operator knows. */
static struct sim_node *asked(struct sim_world *w, uint32_t not )
{
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];

    if (n->id == not || n->left || !n->up || n->paused || n->stuck || n->failed || !is_in(n, n->id))
        return NULL;
    n->kernel.now_ns = sim_node_ns(n);
    (void)sim_kernel_enter(&n->kernel);
    return n;
}

/* --- whom the world must know of --- */

static void tell_voters(struct sim_node *n, const struct repl_configuration *c, bool committed)
{
    uint32_t voters[REPL_MAX_SERVERS];
    size_t count = 0;

    for (size_t i = 0; i < c->n_servers; i++)
        if (c->servers[i].role == RAFT_DRIVER_VOTER)
            voters[count++] = c->servers[i].node;
    n->was_alone = n->was_alone || (count == 1 && voters[0] == n->id);
    if (count > 0)
        sim_watch_voters(n->world->watch, sim_watch_place(n->world->watch, n->id, c->index),
                         committed, voters, count);
}

static bool same(const struct repl_configuration *a, const struct repl_configuration *b)
{
    bool equal = a->index == b->index && a->n_servers == b->n_servers;

    for (size_t i = 0; i < a->n_servers && equal; i++)
        equal =
            a->servers[i].node == b->servers[i].node && a->servers[i].role == b->servers[i].role;
    return equal;
}

static void look_at_configurations(struct sim_node *n)
{
    const struct raft_driver *d = replica_driver(n->replica);
    struct repl_configuration now = raft_driver_newest_configuration(d);
    const struct repl_configuration *committed = raft_driver_configuration(d);

    if (!same(&now, &n->told)) {
        tell_voters(n, &now, false);
        n->told = now;
    }
    if (committed->index > n->told_committed) {
        n->world->stats.counts[SIM_COUNT_configurations]++;
        tell_voters(n, committed, true);
        n->told_committed = committed->index;
    }
}

void sim_members_look(struct sim_node *n)
{
    uint32_t ids[REPL_MAX_NODES];

    if (!n->world->plan.members)
        return;
    if (n->peers_changed) {
        n->peers_changed = false;
        for (size_t i = 0; i < n->n_peers; i++)
            ids[i] = n->peers[i].node;
        sim_network_know(n->world->network, n->id, ids, n->n_peers);
    }
    look_at_configurations(n);
}

/* Nothing may be under way: what is lost then must be outnumbered before and after it. */
bool sim_members_may_lose(struct sim_world *w, uint32_t id)
{
    size_t voters = 0, lost = 0;
    bool votes = false;

    if (!w->plan.members)
        return 2 * (w->n_lost + sim_lies_any(w) + 1) < w->plan.n_nodes;
    for (uint32_t i = 0; i < w->n_nodes && w->change.phase == SIM_CHANGE_NONE; i++) {
        const struct sim_node *n = &w->nodes[i];
        const struct repl_configuration *c;

        if (!sim_node_leads(n))
            continue;
        c = raft_driver_configuration(replica_driver(n->replica));
        if (raft_driver_status(replica_driver(n->replica)).configuration_index != c->index)
            return false;
        for (size_t k = 0; k < c->n_servers; k++) {
            if (c->servers[k].role != RAFT_DRIVER_VOTER)
                return false;
            voters++;
            lost += w->nodes[c->servers[k].node - 1].lost || w->nodes[c->servers[k].node - 1].lied;
            votes = votes || c->servers[k].node == id;
        }
        return votes && voters - lost - 1 > voters / 2;
    }
    return false;
}

/* --- joining --- */

/* It is not wanted after all. */
static void take_back(struct sim_world *w, struct sim_node *n)
{
    if (n->up)
        sim_node_kill(n);
    n->gone = true;
    w->change.phase = SIM_CHANGE_NONE;
    sim_say(w, "members: node %u is not wanted", n->id);
}

static void write_token(struct sim_world *w)
{
    struct sim_change *c = &w->change;
    struct sim_node *by = asked(w, 0), *n = &w->nodes[c->node - 1];
    uint64_t valid_ms = sim_chance(&w->members, 200) ? SHORT_TOKEN_MS : TOKEN_MS;
    char address[32];

    if (by == NULL)
        return;
    if (member_as(by, n->id) != NULL) { /* it was in all the while: who seemed newest was not */
        c->phase = SIM_CHANGE_JOIN;
        return;
    }
    if (fsm_present(replica_fsm(by->replica)) >= REPL_MAX_MEMBERS) {
        take_back(w, n); /* who was asked how many there are was behind */
        return;
    }
    for (size_t i = 0; i < replica_fsm(by->replica)->n_tokens; i++)
        if (memcmp(replica_fsm(by->replica)->tokens[i].hash, c->token, sizeof c->token) == 0) {
            c->phase = SIM_CHANGE_JOIN;
            n->gone = false;
            n->down_until_ms =
                n->up || n->down_until_ms != 0 ? n->down_until_ms : w->now_ms + between(w, 1, 500);
            return;
        }
    (void)snprintf(address, sizeof address, "10.0.0.%u:7400", (unsigned)c->node);
    (void)conductor_wish_token(by->conductor, c->node, address, c->token, valid_ms, NULL);
    sim_node_wake(by);
}

static void ask_to_join(struct sim_world *w)
{
    struct sim_change *c = &w->change;
    struct sim_node *n = &w->nodes[c->node - 1];
    struct repl_transport t = sim_network_transport(w->network, n->id);
    const struct sim_node *other = newest(w);
    struct span part = span_of(c->token, sizeof c->token);
    uint8_t wrong[32] = {0};

    if (is_in(n, n->id)) {
        noted(w, SIM_FAULT_member_joins, n->id);
        c->phase = SIM_CHANGE_NONE;
        return;
    }
    if (other != NULL && member_as(other, n->id) == NULL &&
        replica_fsm(other->replica)->n_tokens == 0) { /* it was too short */
        noted(w, SIM_FAULT_old_token, n->id);
        c->token[0]++;
        c->phase = SIM_CHANGE_TOKEN;
        return;
    }
    if (!n->up || n->paused || n->stuck)
        return;
    if (sim_chance(&w->members, 150)) {
        noted(w, SIM_FAULT_wrong_token, n->id);
        part = span_of(wrong, sizeof wrong);
    }
    for (size_t i = 0; i < n->n_peers; i++)
        if (n->peers[i].node != n->id && t.connected(t.self, n->peers[i].node) &&
            t.send(t.self, n->peers[i].node, REPL_CHANNEL_ADMIN, &part, 1))
            return;
}

void sim_members_frame(struct sim_node *n, const struct repl_event *event)
{
    if (sim_hints_frame(n, event->node, span_of(event->bytes, event->bytes_len)))
        return;
    if (event->bytes_len != RECORD_TOKEN_BYTES || member_as(n, event->node) != NULL)
        return;
    sim_say(n->world, "node %u is asked by node %u to let it join", n->id, event->node);
    (void)conductor_wish_join(n->conductor, event->node, event->bytes, RECORD_SPEAKS, NULL);
}

/* Some are told of the member alone at which their token was made: it says where the others are. */
static bool knows_one(const struct sim_node *n)
{
    return sim_mix(n->world->seed ^ n->id) % 3 == 0;
}

static void begin_join(struct sim_world *w, const struct sim_node *as)
{
    const struct fsm *f = replica_fsm(as->replica);
    struct sim_change *c = &w->change;
    struct sim_node *n;

    if (w->n_nodes == SIM_MACHINES)
        return;
    sim_node_init(w, ++w->n_nodes);
    n = &w->nodes[w->n_nodes - 1];
    n->gone = true;
    n->asks[n->n_asks++].node = n->id;
    for (size_t i = 0; i < f->n_members; i++)
        if (!f->members[i]->left && (!knows_one(n) || f->members[i]->node == as->id))
            n->asks[n->n_asks++].node = f->members[i]->node;
    *c = (struct sim_change){.phase = SIM_CHANGE_TOKEN, .node = n->id, .goal = c->goal};
    for (size_t i = 0; i < sizeof c->token; i++)
        c->token[i] = (uint8_t)(sim_next(&w->members) >> 24);
    sim_say(w, "members: node %u is to join", n->id);
}

/* --- leaving --- */

/* Could the voters that stay go on? Laxer than the admin interface (leave_ask.h), so that the leader's own
 * judgement has something to refuse. */
static bool goes_on_without(const struct sim_node *as, uint32_t id)
{
    size_t voters = 0, up = 0;
    struct repl_status st;

    replica_status(as->replica, sim_node_ns(as), &st);
    for (size_t i = 0; i < st.n_nodes; i++) {
        if (st.nodes[i].role != REPL_VOTER || st.nodes[i].node == id)
            continue;
        voters++;
        up += st.nodes[i].connected;
    }
    return voters > 0 && up > voters / 2;
}

static bool owns(const struct sim_node *as, uint32_t id)
{
    const struct fsm *f = replica_fsm(as->replica);

    for (size_t i = 0; i < f->n_shards; i++)
        if (f->shards[i].owner_node == id)
            return true;
    return false;
}

/* As the admin interface has it: what comes later than that is refused, and asked for anew. */
static uint64_t counts_until_ms(const struct sim_node *by)
{
    const struct fsm *f = replica_fsm(by->replica);

    return fsm_spoken(f) >= RECORD_SPEAKS_UNTIL ? f->cluster_ms + COUNTS_MS : 0;
}

/* One of a node at a time here. */
static uint64_t removal(const struct sim_node *by, uint32_t node)
{
    return fsm_spoken(replica_fsm(by->replica)) >= RECORD_SPEAKS_REMOVAL ? node : 0;
}

static void write_leave(struct sim_world *w)
{
    struct sim_change *c = &w->change;
    struct sim_node *by = asked(w, c->node);
    const struct fsm_member *m;

    if (by == NULL)
        return;
    m = member_as(by, c->node);
    if (m != NULL && m->left) {
        c->phase = SIM_CHANGE_OUT;
        return;
    }
    if (owns(by, c->node) || m == NULL || !m->drained)
        (void)conductor_wish_drain(by->conductor, c->node, true, counts_until_ms(by),
                                   removal(by, c->node), NULL);
    else
        (void)conductor_wish_leave(by->conductor, c->node, counts_until_ms(by), NULL);
    sim_node_wake(by);
}

static void take_away(struct sim_world *w, struct sim_node *n)
{
    n->left = true;
    noted(w,
          n->lost ? SIM_FAULT_lost_leaves
          : n->up ? SIM_FAULT_member_leaves
                  : SIM_FAULT_down_leaves,
          n->id);
    w->n_lost -= n->lost;
    if (!n->lost && sim_chance(&w->members, 500)) {
        noted(w, SIM_FAULT_zombie, n->id);
        return;
    }
    if (n->up)
        sim_node_kill(n);
    n->gone = true;
}

static void wait_until_out(struct sim_world *w)
{
    struct sim_change *c = &w->change;
    struct sim_node *by = asked(w, c->node);
    const struct repl_configuration *now;

    /* One that has just started has not heard of it yet. */
    if (by == NULL || member_as(by, c->node) == NULL || !member_as(by, c->node)->left)
        return;
    now = raft_driver_configuration(replica_driver(by->replica));
    for (size_t i = 0; i < now->n_servers; i++)
        if (now->servers[i].node == c->node)
            return;
    take_away(w, &w->nodes[c->node - 1]);
    c->phase = SIM_CHANGE_NONE;
}

static void begin_leave(struct sim_world *w, const struct sim_node *as)
{
    const struct fsm *f = replica_fsm(as->replica);
    uint32_t id = f->members[between(w, 0, f->n_members - 1)]->node;

    for (size_t i = 0; i < f->n_members; i++)
        if (!f->members[i]->left && w->nodes[f->members[i]->node - 1].lost)
            id = f->members[i]->node;
    if (id == as->id || fsm_member(f, id)->left || !goes_on_without(as, id))
        return;
    w->change.phase = SIM_CHANGE_LEAVE;
    w->change.node = id;
    sim_say(w, "members: node %u is to leave", id);
}

/* --- the operator --- */

static void choose_goal(struct sim_world *w, size_t members)
{
    if (members >= 5)
        w->stats.counts[SIM_COUNT_grown_to_five]++;
    else if (members == 3 && w->change.goal == 3 && w->n_nodes > 5)
        w->stats.counts[SIM_COUNT_shrunk_to_three]++;
    if (members >= 5 || members == 1)
        w->change.goal = 3;
    else
        w->change.goal = sim_chance(&w->members, 700) ? 5 : 1;
}

static void begin_some(struct sim_world *w)
{
    struct sim_node *as = asked(w, 0);
    const struct fsm *f;
    size_t members = 0, dead = 0;

    if (as == NULL || as != newest(w) || sim_lies_any(w))
        return;
    f = replica_fsm(as->replica);
    for (size_t i = 0; i < f->n_members; i++) {
        members += !f->members[i]->left;
        dead += !f->members[i]->left && w->nodes[f->members[i]->node - 1].lost;
    }
    if (w->change.goal == 0 || (members == w->change.goal && dead == 0)) {
        choose_goal(w, members);
        w->change.next_ms = w->now_ms + between(w, 1000, 20000);
        return;
    }
    if (dead > 0 || members > w->change.goal)
        begin_leave(w, as);
    else
        begin_join(w, as);
}

void sim_members_run(struct sim_world *w)
{
    struct sim_change *c = &w->change;
    bool idle = c->phase == SIM_CHANGE_NONE;

    c->next_ms = w->now_ms + AGAIN_MS;
    sim_found_tempt(w);
    switch (c->phase) {
    case SIM_CHANGE_NONE:
        begin_some(w);
        break;
    case SIM_CHANGE_TOKEN:
        write_token(w);
        break;
    case SIM_CHANGE_JOIN:
        ask_to_join(w);
        break;
    case SIM_CHANGE_LEAVE:
        write_leave(w);
        break;
    case SIM_CHANGE_OUT:
    default:
        wait_until_out(w);
        break;
    }
    if (!idle && c->phase == SIM_CHANGE_NONE)
        c->next_ms = w->now_ms + between(w, 500, 8000);
    else if (c->next_ms == 0)
        c->next_ms = w->now_ms + AGAIN_MS;
}

uint64_t sim_members_due(const struct sim_world *w)
{
    if (!w->plan.members || sim_recovery_waits(w) ||
        (w->healed && w->change.phase == SIM_CHANGE_NONE))
        return UINT64_MAX;
    return w->change.next_ms;
}
