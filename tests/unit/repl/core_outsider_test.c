/* Who only has a token is linked, so that it can ask: nothing that it says of where members are makes Raft
 * hear it. */
#include <criterion/criterion.h>

#include "unit/repl/members_rig.h"
#include "unit/repl/outsider.h"

enum { OUTSIDER = 4, OTHER = 9 };

static bool knows(struct rig *rig, uint32_t node, uint32_t other)
{
    return replica_node(rig_node(rig, node)->replica, other) != NULL;
}

static uint32_t leader_as(struct rig *rig, uint32_t node)
{
    return raft_driver_status(replica_driver(rig_node(rig, node)->replica)).leader;
}

/* "Those are members." */
static void introduces(struct rig *rig, uint32_t from, uint32_t to, uint32_t named)
{
    struct repl_node_address word = {.node = named};

    replica_introduce(rig_node(rig, to)->replica, rig->now_ms * 1000000, from, &word, 1);
}

/* Three members, all confirmed, and a token for a fourth node. Node 1 was started once more, so what it keeps
 * of the nodes names that one, too; then it is cut off. */
static struct rig *cut_off_with_token(uint64_t seed)
{
    struct rig *rig = rig_create(3, 1, seed);
    struct maker m;

    next_sa = 1;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    write_some(rig);
    m = rig_maker(rig, owner(rig), 1);
    cr_assert_eq(rig_add(rig), OUTSIDER);
    submit(rig, m.node, make_token(&m, OUTSIDER, OUTSIDER, 600000), 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    rig_kill(rig, 1);
    rig_start(rig, 1);
    write_some(rig);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert(rig_node(rig, 1)->replica->ownership.confirmed && knows(rig, 1, OUTSIDER));
    for (uint32_t other = 2; other <= 3; other++) {
        sim_network_partition(rig->network, 1, other);
        sim_network_partition(rig->network, other, 1);
    }
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_eq(leader_as(rig, 1), 0);
    return rig;
}

static void ends(struct rig *rig)
{
    sim_network_heal(rig->network);
    write_some(rig);
    cluster_finish(rig);
}

/* Does Raft of node 1 take its frames? */
static bool is_heard(struct rig *rig, uint32_t from)
{
    uint64_t term = outsider_term(rig, 1);

    outsider_leads(rig, from, 1);
    return outsider_term(rig, 1) != term || leader_as(rig, 1) == from;
}

/* Not of itself, nor of others: while there is no leader a word lets in whom it names. */
Test(repl_outsider, its_own_word_lets_nobody_in)
{
    struct rig *rig = cut_off_with_token(9600);

    introduces(rig, OUTSIDER, 1, OUTSIDER);
    cr_assert_not(is_heard(rig, OUTSIDER), "it is heard by Raft");
    outsider_appends_itself(rig, OUTSIDER, 1, true);
    cr_assert_eq(leader_as(rig, 1), 0, "it leads");
    introduces(rig, OUTSIDER, 1, OTHER);
    cr_assert_not(knows(rig, 1, OTHER));
    introduces(rig, OTHER, 1, OTHER); /* of whom nobody ever heard */
    cr_assert_not(knows(rig, 1, OTHER));
    ends(rig);
}

/* Whoever else is on the list of nodes that this one was started with. */
Test(repl_outsider, a_members_word_lets_in_whom_it_names)
{
    struct rig *rig = cut_off_with_token(9601);

    introduces(rig, 2, 1, OTHER);
    cr_assert(knows(rig, 1, OTHER));
    cr_assert_not(is_heard(rig, OUTSIDER), "who is not named is heard");
    introduces(rig, 3, 1, 3); /* who knows less */
    cr_assert(is_heard(rig, OTHER), "a leader that came meanwhile would not be heard");
    ends(rig);
}

/* What one says of the members while this node is not cut off adds nobody, either; and a member's word only
 * until the log is heard again. */
Test(repl_outsider, no_word_counts_any_more_where_the_log_is_heard)
{
    struct rig *rig = cut_off_with_token(9602);

    introduces(rig, 2, 1, OTHER);
    sim_network_heal(rig->network);
    write_some(rig);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_not(is_heard(rig, OTHER));
    introduces(rig, OUTSIDER, 1, OUTSIDER);
    cr_assert_not(is_heard(rig, OUTSIDER));
    ends(rig);
}
