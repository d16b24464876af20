/* When all has healed: one owner with living SAs is killed, and the judge is told by when its shards must
 * have another one that acts and sends, and what its clients had and have (L1).
 *
 * By when, from the design's budget (raft at 150/30 ms, leases of 150 ms; replica_options_of() has the same): lapse 150 (151.5 with the
 * 1 % of the promise), beside it, where the leader died, too, an election; then assignment 2, first acknowledged
 * heartbeat 2, activation 20. What is larger here than there:
 *   - clocks run up to 0.4 % slow;
 *   - each write takes up to 2 ms and each way up to 1: an assignment 8 (the leader's write, a way, the follower's, the way back, and
 *     the commit index, which goes on the next message, a way), a lease 6 (asked for each 3 ms), a turn of each loop 1:
 *     REST_MS holds the budget's 24 and these;
 *   - an election begins 150 to 300 ms after the leader was heard last, and takes two writes and four ways, its barrier as long as an
 *     assignment: twice its timeout and REST_MS once more. Votes that are split cost one more of them: by how many terms
 *     the leader's grew. Two splits in a row are one in some hundreds; more of them are not excused.
 * So: 153 + 40 ms while the leader lives; 300 + 80 ms when it dies with its shards, 680 where one election is split. */
#include "replication/raft_driver.h"
#include "sim/sim_world.h"

enum {
    ELECTION_MS = 150,
    LAPSE_MS = 153, /* 150, 1 % of it, 0.4 % of the clock, and the ms that it is cut off */
    REST_MS = 40,
    ELECTIONS = 3,
    SENT_MS =
        20, /* a packet's way to its owner, whom neighbours know by then, and its worker's turn */
    AFTER_MS = 2500, /* looked at for so long */
    FIND_MS = 10000  /* an instant at which no lifetime ends meanwhile */
};

struct tunnels {
    struct sim_watch_tunnel of[SIM_CLIENTS];
    bool living[SIM_CLIENTS]; /* served by the one that is killed */
};

/* --- whom, and when --- */

static bool lives(const struct sim_client *c)
{
    return c->running && c->established && c->n_children > 0;
}

static bool serves(const struct sim_node *n, const struct sim_client *c)
{
    return lives(c) && sim_node_acting(n, c->shard);
}

static bool is_sound(const struct sim_node *n)
{
    struct repl_status st;

    if (!n->up || n->left || n->lied || !sim_members_has(n->world, n->id))
        return false;
    replica_status(n->replica, sim_node_ns(n), &st);
    return st.quorum && !st.lacks_key && !st.sessionless &&
           raft_driver_status(replica_driver(n->replica)).muted == REPL_TRUSTED;
}

/* A majority of the voters is there without it, as its own log has them. */
static bool may_die(const struct sim_world *w, const struct sim_node *n)
{
    struct repl_configuration all = raft_driver_newest_configuration(replica_driver(n->replica));
    uint32_t voters = 0, others = 0;

    for (uint8_t i = 0; i < all.n_servers; i++) {
        const struct sim_node *other = &w->nodes[all.servers[i].node - 1];

        voters += all.servers[i].role == 1;
        others += all.servers[i].role == 1 && other != n && is_sound(other);
    }
    return 2 * others > voters;
}

static bool serves_any(const struct sim_world *w, const struct sim_node *n)
{
    bool any = false;

    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        any |= serves(n, &w->clients[i]);
    return any;
}

static struct sim_node *find_owner(struct sim_world *w, uint64_t first)
{
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[(first + i) % w->n_nodes];

        if (is_sound(n) && serves_any(w, n) && may_die(w, n))
            return n;
    }
    return NULL;
}

static void take_sooner(void *self, const struct conductor_sa_view *view)
{
    uint64_t *soonest_ms = self;

    *soonest_ms = view->sa->soft_ms < *soonest_ms ? view->sa->soft_ms : *soonest_ms;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (view->sa->children[i].state != IKE_CHILD_NONE &&
            view->sa->children[i].soft_ms < *soonest_ms)
            *soonest_ms = view->sa->children[i].soft_ms;
}

/* No SA comes to its soft limit while it is looked at, at neither end. */
static bool is_calm(struct sim_world *w, struct sim_node *n)
{
    const uint64_t now = replica_clock_read(&n->clock, &n->given_ms, sim_node_ns(n));
    uint64_t soonest_ms = UINT64_MAX;

    conductor_each_sa(n->conductor, take_sooner, &soonest_ms);
    if (soonest_ms < now + 2 * AFTER_MS)
        return false;
    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        soonest_ms = UINT64_MAX;
        if (!w->clients[i].running)
            continue;
        conductor_each_sa(w->clients[i].conductor, take_sooner, &soonest_ms);
        if (soonest_ms < sim_client_now_ms(&w->clients[i]) + 2 * AFTER_MS)
            return false;
    }
    return sim_agreed(w) && sim_watch_quiet(w->watch);
}

/* --- what clients have --- */

static struct tunnels look(const struct sim_world *w, const struct sim_node *owner)
{
    struct tunnels t = {0};

    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        const struct sim_client *c = &w->clients[i];

        t.living[i] = owner != NULL && serves(owner, c);
        if (lives(c))
            t.of[i] = (struct sim_watch_tunnel){.ike = {c->ike_spi, c->peer_spi},
                                                .child = {c->child_spi, c->peer_child_spi}};
    }
    return t;
}

/* CHILD SAs that the others than `owner` rekeyed since packets of theirs lay at or below the floor. */
static uint64_t recoveries(const struct sim_world *w, const struct sim_node *owner)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].up && &w->nodes[i] != owner)
            n += conductor_counters(w->nodes[i].conductor)->value[COUNTER_replay_recoveries];
    return n;
}

static uint64_t newest_term(const struct sim_world *w)
{
    uint64_t newest = 0;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct sim_node *n = &w->nodes[i];
        uint64_t term = n->up ? raft_driver_status(replica_driver(n->replica)).term : 0;

        newest = is_sound(n) && term > newest ? term : newest;
    }
    return newest;
}

static void judge_clients(struct sim_world *w, const struct tunnels *before, uint64_t died_ms,
                          bool calm, bool recovered)
{
    struct tunnels after = look(w, NULL);

    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        const struct sim_client *c = &w->clients[i];

        if (!before->living[i])
            continue;
        sim_watch_goes_on(w->watch, i, &before->of[i], &after.of[i], calm, calm && !recovered);
        if (c->last_down_ms <= died_ms)
            sim_violation(w, "L1: client %u gets nothing since its owner died", i);
    }
}

static void judge_shards(struct sim_world *w, const bool *owned, const struct tunnels *before,
                         uint64_t elections, bool led)
{
    uint64_t most = elections < 1 ? 1 : elections > ELECTIONS ? ELECTIONS : elections;
    uint64_t acts_ms = led ? most * 2 * ELECTION_MS + 2 * REST_MS : LAPSE_MS + REST_MS;

    for (uint32_t shard = 1; shard <= w->plan.n_shards; shard++) {
        struct sim_watch_takeover t = {.shard = shard, .acts_ms = acts_ms};

        if (!owned[shard - 1])
            continue;
        for (uint32_t i = 0; i < w->plan.n_clients; i++)
            if (before->living[i] && w->clients[i].shard == shard)
                t.sends_ms = acts_ms + w->plan.packet_every_ms + SENT_MS;
        sim_watch_taken_over(w->watch, &t);
    }
}

static void kill_owner(struct sim_world *w, struct sim_node *n, bool calm)
{
    const struct tunnels before = look(w, n);
    const uint64_t term = newest_term(w), recovered = recoveries(w, n), died_ms = w->now_ms;
    const bool led = sim_node_leads(n);
    bool owned[SIM_SHARDS] = {false};

    for (uint32_t shard = 1; shard <= w->plan.n_shards; shard++)
        owned[shard - 1] = sim_node_acting(n, shard);
    sim_say(w, "owner %u is killed%s%s", n->id, led ? ", which leads" : "",
            calm ? "" : "; lifetimes end meanwhile");
    w->stats.counts[SIM_COUNT_owners_killed]++;
    w->stats.counts[SIM_COUNT_leaders_killed] += led;
    sim_watch_owner_dies(w->watch, n->id);
    sim_node_kill(n);
    sim_until(w, died_ms + AFTER_MS);
    judge_shards(w, owned, &before, newest_term(w) - term, led);
    judge_clients(w, &before, died_ms, calm, recoveries(w, n) != recovered);
}

void sim_takeover(struct sim_world *w)
{
    struct sim_random random = {.state = sim_mix(w->seed ^ 0x74616b656f766572ULL)};
    const uint64_t first = sim_between(&random, 0, w->n_nodes - 1), end = w->now_ms + FIND_MS;
    struct sim_node *n;

    while (((n = find_owner(w, first)) == NULL || !is_calm(w, n)) && w->now_ms < end)
        sim_until(w, w->now_ms + 1);
    if (n == NULL)
        return; /* nobody may be missed, or nobody is served */
    w->routes_known = true;
    kill_owner(w, n, is_calm(w, n));
}
