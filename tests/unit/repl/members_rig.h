/* What the tests of members share: who is one, and how one comes, goes and takes over. */
#ifndef HF_TESTS_REPL_MEMBERS_RIG_H
#define HF_TESTS_REPL_MEMBERS_RIG_H

#include <criterion/criterion.h>

#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"

static uint64_t next_sa = 1;

/* --- what the log says of the members --- */

static inline size_t voters_as(const struct rig *rig, uint32_t node)
{
    const struct repl_configuration *c;
    size_t n = 0;

    if (node == 0)
        return 0;
    c = raft_driver_configuration(replica_driver(rig->nodes[node - 1].replica));
    for (size_t i = 0; i < c->n_servers; i++)
        n += c->servers[i].role == RAFT_DRIVER_VOTER;
    return n;
}

/* The leader counts so many voters, and nothing else is in its configuration. */
static inline bool has_voters(const struct rig *rig, uint64_t n)
{
    uint32_t leader = rig_leader(rig);

    return leader != 0 && voters_as(rig, leader) == n &&
           raft_driver_configuration(replica_driver(rig->nodes[leader - 1].replica))->n_servers ==
               n;
}

static inline bool owner_is(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) == node;
}

static inline bool has_left(const struct rig *rig, uint64_t node)
{
    uint32_t leader = rig_leader(rig);
    const struct fsm_member *m =
        leader == 0 ? NULL
                    : fsm_member(replica_fsm(rig->nodes[leader - 1].replica), (uint32_t)node);

    return m != NULL && m->left;
}

/* Every member has said that it knows the version of this program. */
static inline bool speaks_all(const struct rig *rig, uint64_t node)
{
    return fsm_spoken(replica_fsm(rig->nodes[node - 1].replica)) == RECORD_SPEAKS;
}

static inline uint32_t owner(struct rig *rig)
{
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody owns");
    return rig_owner(rig, 1);
}

/* --- steps --- */

/* Settled with that verdict (1 + verdict; 0: any). */
static inline void submit(struct rig *rig, uint32_t via, Holdfast__Record *record, uint8_t verdict)
{
    uint64_t request = rig_submit(rig, via, record);

    cr_assert_neq(request, 0);
    cr_assert(rig_run(rig, 8000, rig_settled, via));
    if (verdict != 0)
        cr_assert_eq(rig_node(rig, via)->verdict[request], verdict, "request of node %u: %d", via,
                     rig_node(rig, via)->verdict[request]);
}

static inline uint32_t join(struct rig *rig)
{
    uint32_t via = owner(rig), id = rig_add(rig);
    struct maker m;

    rig->asked = via;
    rig_start(rig, id);
    cr_assert(rig_run(rig, 5000, speaks_all, via));
    m = rig_maker(rig, via, 1);
    submit(rig, via, make_token(&m, id, (uint8_t)id, 60000), 1);
    submit(rig, via, make_join(&m, id, (uint8_t)id), 1);
    return id;
}

static inline void write_some(struct rig *rig)
{
    uint32_t o = owner(rig);
    uint64_t before = rig_node(rig, o)->settled_accepted;

    cluster_create_sas(rig, o, next_sa, 20);
    next_sa += 20;
    cr_assert(rig_run(rig, 5000, rig_settled, o));
    cr_assert_eq(rig_node(rig, o)->settled_accepted, before + 20);
}

/* The owner dies, another one takes over, it comes back. */
static inline void take_over(struct rig *rig)
{
    uint32_t o = owner(rig);

    rig_kill(rig, o);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody took over from node %u", o);
    write_some(rig);
    rig_start(rig, o);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
}

/* Its start is known to whoever owns: before that nothing can be given to it. */
static inline bool has_booted(const struct rig *rig, uint64_t node)
{
    uint32_t from = rig_owner(rig, 1);
    const struct fsm_member *m =
        from == 0 ? NULL : fsm_member(replica_fsm(rig->nodes[from - 1].replica), (uint32_t)node);

    return m != NULL && m->boot == rig->nodes[node - 1].boot;
}

/* As the conductor would: it stops, then asks. */
static inline void hand_over(struct rig *rig, uint32_t to)
{
    cr_assert(rig_run(rig, 5000, has_booted, to));
    uint32_t from = owner(rig);
    struct maker m = rig_maker(rig, from, 1);
    const struct fsm_shard *s = fsm_shard(replica_fsm(rig_node(rig, from)->replica), 1);

    rig_node(rig, from)->quiesced = m.epoch_index;
    (void)rig_submit(rig, from,
                     make_handover(&m, to, rig_node(rig, to)->boot, s->assignments + s->aborts));
    cr_assert(rig_run(rig, 5000, owner_is, to));
}

static inline void leave(struct rig *rig, uint32_t node)
{
    uint32_t via;
    struct maker m;

    for (uint32_t to = 1; owner(rig) == node; to++)
        if (to != node && rig_node(rig, to)->up && !has_left(rig, to))
            hand_over(rig, to);
    via = owner(rig);
    m = rig_maker(rig, via, 1);
    submit(rig, via, make_leave(&m, node), 1);
    cr_assert(rig_run(rig, 5000, has_left, node));
}

/* Removed: it acts no more, whatever it still runs. */
static inline void stop_removed(struct rig *rig, uint32_t node)
{
    cr_assert_neq(rig_owner(rig, 1), node);
    if (rig_node(rig, node)->up)
        rig_kill(rig, node);
}

#endif
