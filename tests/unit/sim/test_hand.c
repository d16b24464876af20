/* Rights of a worker, and the batch in hand: each rule with a history that it accepts and breaches. */
#include <criterion/criterion.h>

#include "rig.h"

/* Node 1's worker has begun a turn; then it is stopped until its lease is over. */
static struct sim_watch_right stopped(struct rig *r)
{
    struct sim_watch_right right = rig_right(r);

    rig_turn(r, 1);
    sim_watch_sealed(r->watch, 1, r->out, 1000, &right);
    right.now_ns = right.lease_until_ns;
    return right;
}

static void seals(struct rig *r, uint64_t seq, const struct sim_watch_right *right)
{
    sim_watch_sealed(r->watch, 1, r->out, seq, right);
    sim_watch_left(r->watch, 1, r->out, seq, right);
}

RULE(batch_in_hand)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_batch_in_hand), 0); /* nothing was late */
    for (uint64_t seq = 1; seq <= SIM_WATCH_BATCH; seq++)
        seals(r, seq, &late);
    rig_fine(r, SIM_WATCH_batch_in_hand);
    sim_watch_left(r->watch, 1, r->out, SIM_WATCH_BATCH, &late);
    rig_broken(r, SIM_WATCH_batch_in_hand, SIM_WATCH_RULES);
    sim_watch_sealed(r->watch, 1, r->out, 1 + SIM_WATCH_BATCH, &late);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_batch_in_hand), 2);
    rig_free(r);
}

/* One packet is too many in a turn that began when the right was over. */
Test(sim_watch_rules, a_turn_without_a_right)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    seals(r, 1, &late);
    rig_fine(r, SIM_WATCH_batch_in_hand);
    sim_watch_turn(r->watch, 1, &late, 1);
    sim_watch_sealed(r->watch, 1, r->out, 2, &late);
    rig_broken(r, SIM_WATCH_batch_in_hand, SIM_WATCH_RULES);
    rig_free(r);
}

/* Nor may it go on under another epoch than its turn's. */
Test(sim_watch_rules, a_turn_of_another_epoch)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    rig_assign(r, 2);
    seals(r, 1, &late); /* what it had in hand when node 2 became the owner */
    rig_fine(r, SIM_WATCH_batch_in_hand);
    late.epoch = r->epoch;
    sim_watch_left(r->watch, 1, r->out, 2, &late);
    rig_broken(r, SIM_WATCH_batch_in_hand, SIM_WATCH_RULES);
    rig_free(r);
}

/* Inbound: what its lease does not allow any more must not go in. */
Test(sim_watch_rules, packets_that_are_accepted_without_a_right)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    rig_extend(r, 1024, 200);
    r->nodes[1].ops.esp_limits(r->nodes[1].ops.esp_self, r->nodes[1].esp, 1024, 200);
    for (uint64_t seq = 1; seq <= SIM_WATCH_BATCH; seq++) {
        sim_watch_delivered(r->watch, 1, r->in, seq, &late);
        sim_watch_entered(r->watch, 1, &late);
    }
    rig_fine(r, SIM_WATCH_batch_in_hand);
    sim_watch_delivered(r->watch, 1, r->in, SIM_WATCH_BATCH + 1, &late);
    rig_broken(r, SIM_WATCH_batch_in_hand, SIM_WATCH_RULES);
    sim_watch_entered(r->watch, 1, &late);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_batch_in_hand), 2);
    rig_free(r);
}

/* A batch is a batch, whichever way its packets go. */
Test(sim_watch_rules, both_ways_are_one_batch)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    for (uint64_t seq = 1; seq <= SIM_WATCH_BATCH - 1; seq++)
        seals(r, seq, &late);
    sim_watch_delivered(r->watch, 1, r->in, 1, &late);
    sim_watch_entered(r->watch, 1, &late);
    rig_fine(r, SIM_WATCH_batch_in_hand);
    sim_watch_delivered(r->watch, 1, r->in, 2, &late);
    rig_broken(r, SIM_WATCH_batch_in_hand, SIM_WATCH_RULES);
    rig_free(r);
}

/* A key that went while the turn was under way may end its batch; one that was gone before may not. */
Test(sim_watch_rules, a_key_that_goes_in_the_middle_of_a_turn)
{
    struct rig *r = rig_serving();
    struct sim_watch_right right = rig_right(r);

    rig_turn(r, 1);
    memset(&r->sa.children[0], 0, sizeof r->sa.children[0]);
    rig_step(r, RIG_SPI);
    sim_watch_sealed(r->watch, 1, r->out, 1, &right);
    rig_fine(r, SIM_WATCH_key_gone);
    rig_turn(r, 1);
    sim_watch_sealed(r->watch, 1, r->out, 2, &right);
    rig_broken(r, SIM_WATCH_key_gone, SIM_WATCH_RULES);
    rig_free(r);
}

/* Who was stopped while another began a new incarnation ends its batch, and is silent then. */
Test(sim_watch_rules, a_batch_in_hand_when_its_incarnation_ends)
{
    struct rig *r = rig_serving();
    struct sim_watch_right late = stopped(r);

    sim_watch_incarnation(r->watch, 2, 1, 5, r->index + 1);
    seals(r, 1, &late);
    rig_fine(r, SIM_WATCH_batch_in_hand);
    sim_watch_turn(r->watch, 1, &late, 1);
    sim_watch_sealed(r->watch, 1, r->out, 2, &late);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_former_silent), 1);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_batch_in_hand), 1);
    rig_free(r);
}

RULE(one_speaker)
{
    struct rig *r = rig_serving();
    struct sim_watch_right old = rig_right(r);
    struct repl_event assigned = rig_event(r, REPL_EV_ASSIGNED);

    rig_turn(r, 1);
    sim_watch_left(r->watch, 1, r->out, 1, &old);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_one_speaker), 0); /* nobody spoke before */
    /* Node 2 takes the next epoch; node 1 has not heard of it, and its lease has not run out. */
    assigned.index = r->index + 1;
    assigned.epoch = (struct repl_epoch){1, assigned.index};
    assigned.owner_node = 2;
    assigned.owner_boot = r->nodes[2].boot;
    rig_tell(r, 2, &assigned);
    r->epoch = assigned.index;
    rig_leave(r, 2, 1024);
    rig_fine(r, SIM_WATCH_one_speaker);
    sim_watch_left(r->watch, 1, r->out, 2, &old);
    rig_broken(r, SIM_WATCH_one_speaker, SIM_WATCH_RULES);
    rig_free(r);
}

/* One that takes packets in acts as well. */
Test(sim_watch_rules, a_speaker_and_one_that_listens)
{
    struct rig *r = rig_serving();
    struct sim_watch_right old = rig_right(r);
    struct repl_event assigned = rig_event(r, REPL_EV_ASSIGNED);

    rig_leave(r, 1, 1);
    assigned.index = r->index + 1;
    assigned.epoch = (struct repl_epoch){1, assigned.index};
    assigned.owner_node = 2;
    assigned.owner_boot = r->nodes[2].boot;
    rig_tell(r, 2, &assigned);
    r->epoch = assigned.index;
    rig_leave(r, 2, 1024);
    rig_fine(r, SIM_WATCH_one_speaker);
    sim_watch_delivered(r->watch, 1, r->in, 2, &old);
    sim_watch_entered(r->watch, 1, &old);
    rig_broken(r, SIM_WATCH_one_speaker, SIM_WATCH_RULES);
    rig_free(r);
}
