/* Members that come and go while everything else goes wrong, from a seed: joins, removals, crashes of any
 * node and of several at once, links cut in one direction or both, slow disks, leaders that change, under
 * load. The rig judges every instant (one owner, none without its assignment). In the end, healed, the
 * cluster acts, all agree, and nothing that anybody was told of as accepted is missing.
 * HF_CHAOS_SEEDS=N HF_CHAOS_START=S: other seeds than the usual ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/repl/cluster.h"

enum { MAX_PENDING = 64, MAX_SAS = 4096, STEPS = 160 };

struct pending {
    uint32_t node;
    uint64_t boot, request, sa;
};

struct chaos {
    struct rig *rig;
    struct pending pending[MAX_PENDING];
    size_t n_pending;
    uint64_t next_sa, accepted[MAX_SAS];
    size_t n_accepted;
    uint32_t token_of; /* who waits with a token; 0 = nobody */
};

/* Over all seeds: what came about, each of which must. */
static struct {
    size_t joins, leaves, of_leaders, crashes, cuts, slow, transfers, records, restarts;
} came;

static const struct fsm_member *as_known_by(const struct rig *rig, uint32_t node, uint32_t whom)
{
    return fsm_member(replica_fsm(rig->nodes[node - 1].replica), whom);
}

static uint32_t some_node(struct chaos *c, bool up)
{
    uint32_t n = (uint32_t)sim_between(&c->rig->random, 1, c->rig->n);

    return rig_node(c->rig, n)->up == up ? n : 0;
}

static uint64_t submit(struct chaos *c, uint32_t via, Holdfast__Record *record)
{
    return rig_submit(c->rig, via, record);
}

/* --- what is done --- */

static void write_record(struct chaos *c)
{
    uint32_t via = rig_owner(c->rig, 1);
    struct maker m;
    uint64_t request;

    if (via == 0 || c->n_pending == MAX_PENDING || c->next_sa == MAX_SAS)
        return;
    m = rig_maker(c->rig, via, 1);
    request = submit(c, via,
                     make_create(&m, c->next_sa, "state", (uint32_t)(4096 + c->next_sa),
                                 (uint32_t)(0x0a630000 + c->next_sa), "client"));
    if (request != 0)
        c->pending[c->n_pending++] =
            (struct pending){via, rig_node(c->rig, via)->boot, request, c->next_sa};
    c->next_sa++;
}

/* What was told as accepted counts for ever; what its node's end made unknown may be there or not. */
static void settle(struct chaos *c)
{
    for (size_t i = c->n_pending; i-- > 0;) {
        struct pending *p = &c->pending[i];
        const struct rig_node *n = rig_node(c->rig, p->node);
        bool known = n->up && n->boot == p->boot;

        if (known && n->verdict[p->request] == 0)
            continue;
        if (known && n->verdict[p->request] == 1 + REPL_ACCEPTED)
            c->accepted[c->n_accepted++] = p->sa;
        *p = c->pending[--c->n_pending];
    }
}

static void begin_join(struct chaos *c)
{
    uint32_t via = rig_owner(c->rig, 1);
    struct maker m;

    if (via == 0 || c->token_of != 0 || c->rig->n == RIG_MAX_NODES)
        return;
    if (fsm_present(replica_fsm(rig_node(c->rig, via)->replica)) >= REPL_MAX_MEMBERS)
        return;
    c->rig->asked = via;
    c->token_of = rig_add(c->rig);
    rig_start(c->rig, c->token_of);
    m = rig_maker(c->rig, via, 1);
    (void)submit(c, via, make_token(&m, c->token_of, (uint8_t)c->token_of, 60000));
}

/* As the new node does: again, until it is in. A token that the log did not take is made anew. */
static void go_on_joining(struct chaos *c)
{
    uint32_t via = rig_owner(c->rig, 1);
    struct maker m;

    if (c->token_of == 0 || via == 0)
        return;
    if (as_known_by(c->rig, via, c->token_of) != NULL) {
        c->token_of = 0;
        came.joins++;
        return;
    }
    m = rig_maker(c->rig, via, 1);
    if (replica_fsm(rig_node(c->rig, via)->replica)->n_tokens == 0)
        (void)submit(c, via, make_token(&m, c->token_of, (uint8_t)c->token_of, 60000));
    else
        (void)submit(c, via, make_join(&m, c->token_of, (uint8_t)c->token_of));
}

static void leave(struct chaos *c)
{
    uint32_t via = rig_owner(c->rig, 1), who = (uint32_t)sim_between(&c->rig->random, 1, c->rig->n);
    struct maker m;

    if (via == 0 || fsm_present(replica_fsm(rig_node(c->rig, via)->replica)) < 4)
        return;
    came.of_leaders += who == rig_leader(c->rig);
    m = rig_maker(c->rig, via, 1);
    (void)submit(c, via, make_leave(&m, who)); /* refused where it owns the shard */
}

static void crash(struct chaos *c, size_t n)
{
    for (; n > 0; n--) {
        uint32_t node = some_node(c, true);

        if (node == 0)
            continue;
        rig_kill(c->rig, node);
        came.crashes++;
    }
}

static void restart(struct chaos *c)
{
    uint32_t node = some_node(c, false);

    if (node == 0)
        return;
    rig_start(c->rig, node);
    came.restarts++;
}

static void cut(struct chaos *c)
{
    uint32_t a = (uint32_t)sim_between(&c->rig->random, 1, c->rig->n);

    for (uint32_t b = 1; b <= c->rig->n; b++) {
        if (b == a || sim_between(&c->rig->random, 0, 2) == 0)
            continue;
        sim_network_partition(c->rig->network, a, b);
        if (sim_between(&c->rig->random, 0, 1) == 0)
            sim_network_partition(c->rig->network, b, a);
    }
    came.cuts++;
}

static void slow(struct chaos *c, uint32_t ms)
{
    uint32_t node = (uint32_t)sim_between(&c->rig->random, 1, c->rig->n);

    sim_storage_set_delay(rig_node(c->rig, node)->storage, ms, 2 * ms + 1);
    came.slow += ms > 0;
}

static void transfer(struct chaos *c)
{
    uint32_t from = rig_leader(c->rig), to = some_node(c, true);

    if (from == 0 || to == 0 || to == from)
        return;
    came.transfers +=
        replica_transfer(rig_node(c->rig, from)->replica, c->rig->now_ms * 1000000, to) == REPL_OK;
}

/* As members tell each other's addresses to who cannot know them yet (admin_members.c). */
static void introduce(struct chaos *c)
{
    uint32_t leader = rig_leader(c->rig);

    for (uint32_t i = 1; i <= c->rig->n && leader != 0; i++)
        if (i != leader && rig_node(c->rig, i)->up)
            replica_introduce(rig_node(c->rig, i)->replica, c->rig->now_ms * 1000000, leader,
                              rig_node(c->rig, leader)->peers, rig_node(c->rig, leader)->n_peers);
}

static void step(struct chaos *c)
{
    switch (sim_between(&c->rig->random, 0, 15)) {
    case 0:
    case 1:
        begin_join(c);
        break;
    case 2:
        leave(c);
        break;
    case 3:
        crash(c, sim_between(&c->rig->random, 1, 3));
        break;
    case 4:
    case 5:
    case 6:
        restart(c);
        break;
    case 7:
        cut(c);
        break;
    case 8:
    case 9:
        sim_network_heal(c->rig->network);
        break;
    case 10:
        slow(c, (uint32_t)sim_between(&c->rig->random, 5, 200));
        break;
    case 11:
        slow(c, 0);
        break;
    case 12:
        transfer(c);
        break;
    default:
        break;
    }
    for (uint64_t n = sim_between(&c->rig->random, 0, 4); n > 0; n--)
        write_record(c);
    go_on_joining(c);
    introduce(c);
    (void)rig_run(c->rig, sim_between(&c->rig->random, 5, 250), NULL, 0);
    settle(c);
}

/* --- the end --- */

static bool none_on_the_way(const struct rig *rig, uint64_t unused)
{
    uint32_t leader = rig_leader(rig);
    const struct repl_configuration *now;

    (void)unused;
    if (leader == 0 || rig_owner(rig, 1) == 0)
        return false;
    now = raft_driver_configuration(replica_driver(rig->nodes[leader - 1].replica));
    for (size_t i = 0; i < now->n_servers; i++) {
        const struct fsm_member *m = as_known_by(rig, leader, now->servers[i].node);

        if (m == NULL || m->left)
            return false;
    }
    return true;
}

static void heal(struct chaos *c)
{
    sim_network_heal(c->rig->network);
    for (uint32_t i = 1; i <= c->rig->n; i++) {
        sim_storage_set_delay(rig_node(c->rig, i)->storage, 0, 1);
        if (!rig_node(c->rig, i)->up)
            rig_start(c->rig, i);
    }
}

/* Ends the test with what each node knows. */
static void tell(struct chaos *c, uint64_t seed, const char *what)
{
    for (uint32_t i = 1; i <= c->rig->n; i++) {
        const struct rig_node *n = rig_node(c->rig, i);
        struct repl_status st;

        if (!n->up)
            continue;
        replica_status(n->replica, c->rig->now_ms * 1000000, &st);
        (void)fprintf(
            stderr, "node %u: failed %d, leader %u, applied %lu of %lu, stored %lu, halts %lu%s\n",
            i, n->failed, st.leader, (unsigned long)st.applied_index,
            (unsigned long)st.commit_index, (unsigned long)st.last_index,
            (unsigned long)n->halt_told, st.lacks_key ? ", lacks a key" : "");
        for (size_t k = 0; k < st.n_nodes; k++)
            (void)fprintf(
                stderr, "    %u: %s%s%s, %s\n", st.nodes[k].node, repl_role_name(st.nodes[k].role),
                st.nodes[k].connected ? ", connected" : "", st.nodes[k].healthy ? ", healthy" : "",
                repl_agreement_name(st.nodes[k].agreement));
    }
    cr_assert(false, "seed %lu: %s", (unsigned long)seed, what);
}

/* Who is out needs not agree. */
static void stop_outsiders(struct chaos *c, uint64_t seed)
{
    bool done = false;

    for (int tries = 0; tries < 60 && !done; tries++) {
        introduce(c);
        done = rig_run(c->rig, 1000, none_on_the_way, 0);
    }
    if (!done)
        tell(c, seed, "it does not act again");
    for (uint32_t i = 1; i <= c->rig->n; i++) {
        const struct fsm_member *m = as_known_by(c->rig, rig_leader(c->rig), i);

        if ((m != NULL && !m->left) || !rig_node(c->rig, i)->up)
            continue;
        rig_kill(c->rig, i);
        came.leaves += m != NULL;
    }
}

static void judge(struct chaos *c, uint64_t seed)
{
    const struct fsm *fsm;
    size_t had;

    stop_outsiders(c, seed);
    had = c->n_accepted;
    for (int tries = 0; tries < 20 && c->n_accepted == had; tries++) {
        write_record(c);
        (void)rig_run(c->rig, 500, NULL, 0);
        settle(c);
    }
    cr_assert_gt(c->n_accepted, had, "seed %lu: no record goes through", (unsigned long)seed);
    stop_outsiders(c, seed); /* a removal that was asked for long ago may have come about now */
    introduce(c);
    if (!rig_run(c->rig, 20000, rig_agrees, 0))
        tell(c, seed, "they differ");
    cr_assert(rig_run(c->rig, 20000, rig_has_owner, 1), "seed %lu", (unsigned long)seed);
    fsm = replica_fsm(rig_node(c->rig, rig_owner(c->rig, 1))->replica);
    for (size_t i = 0; i < c->n_accepted; i++)
        cr_assert_not_null(fsm_sa(fsm, c->accepted[i]),
                           "seed %lu: SA %lu was accepted, and is gone", (unsigned long)seed,
                           (unsigned long)c->accepted[i]);
    came.records += c->n_accepted;
    cluster_finish(c->rig);
}

static uint64_t from_environment(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text == NULL ? usual : strtoull(text, NULL, 10);
}

/* One node or three; every fifth time all is sealed, with keys that outlive a daemon, not its machine. */
static struct rig *found(uint64_t seed)
{
    struct rig *rig = rig_create(seed % 2 == 0 ? 1 : 3, 1, 9000 + seed);

    if (seed % 5 == 0) {
        rig_seal(rig);
        rig->stays_on = true;
    }
    for (uint32_t i = 1; i <= rig->n; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    return rig;
}

Test(repl_members_chaos, whatever_happens_to_members_one_acts_and_nothing_is_lost)
{
    static struct chaos c;
    uint64_t first = from_environment("HF_CHAOS_START", 1);
    size_t seeds = 0;

    for (uint64_t seed = first; seed < first + from_environment("HF_CHAOS_SEEDS", 60);
         seed++, seeds++) {
        c = (struct chaos){.rig = found(seed), .next_sa = 1};
        if (seed % 3 == 0) {
            c.rig->snapshot_entries = 60; /* of those that start from now on */
            c.rig->trailing = 10;
        }
        for (size_t i = 0; i < STEPS; i++)
            step(&c);
        heal(&c);
        judge(&c, seed);
    }
    (void)fprintf(
        stderr,
        "compared %zu seeds: %zu joins, %zu removals (%zu times the leader was asked to go), "
        "%zu crashes, %zu restarts, %zu cuts, %zu slow disks, %zu transfers, %zu records\n",
        seeds, came.joins, came.leaves, came.of_leaders, came.crashes, came.restarts, came.cuts,
        came.slow, came.transfers, came.records);
    cr_assert(came.joins > 0 && came.leaves > 0 && came.of_leaders > 0 && came.crashes > 0 &&
              came.cuts > 0 && came.slow > 0 && came.transfers > 0 && came.records > 0);
}
