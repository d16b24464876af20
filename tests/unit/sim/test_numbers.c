/* ESP: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "esp/window.h"
#include "rig.h"

RULE(number_once)
{
    struct rig *r = rig_serving();

    for (uint64_t seq = 1; seq <= 200; seq++)
        rig_seal(r, 1, seq);
    rig_fine(r, SIM_WATCH_number_once);
    rig_seal(r, 1, 129);
    rig_broken(r, SIM_WATCH_number_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, number_once_at_a_client)
{
    struct rig *r = rig_serving();

    sim_watch_client_sealed(r->watch, 0, r->in, 1);
    sim_watch_client_sealed(r->watch, 0, r->in, 64);
    rig_fine(r, SIM_WATCH_number_once);
    sim_watch_client_sealed(r->watch, 0, r->in, 64);
    rig_broken(r, SIM_WATCH_number_once, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(number_granted)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[1].ops;

    rig_seal(r, 1, 1023);
    rig_extend(r, 2048, 8);
    ops->esp_limits(ops->esp_self, r->nodes[1].esp, 2048, 8);
    rig_seal(r, 1, 1024);
    rig_seal(r, 1, 2047);
    rig_fine(r, SIM_WATCH_number_granted);
    rig_seal(r, 1, 2048);
    rig_broken(r, SIM_WATCH_number_granted, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, numbers_told_beyond_the_log)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[1].ops;

    ops->esp_limits(ops->esp_self, r->nodes[1].esp, 1024, 8);
    rig_fine(r, SIM_WATCH_number_granted);
    ops->esp_limits(ops->esp_self, r->nodes[1].esp, 1025, 8);
    rig_broken(r, SIM_WATCH_number_granted, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(grants_disjoint)
{
    struct rig *r = rig_serving();

    rig_assign(r, 2);
    rig_serve(r, 1024, 1024 + 65536, 8, 16);
    rig_assign(r, 3);
    rig_fine(r, SIM_WATCH_grants_disjoint);
    rig_serve(r, 1024, 1024 + 65536, 16, 24);
    rig_broken(r, SIM_WATCH_grants_disjoint, SIM_WATCH_RULES);
    rig_free(r);
}

/* An assignment that holds no numbers does not hide what lies before it. */
Test(sim_watch_rules, grants_beside_an_empty_one)
{
    struct rig *r = rig_serving();

    rig_assign(r, 2);
    rig_serve(r, 1024, 1024, 8, 16);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_grants_disjoint), 1); /* the epochs alone */
    rig_assign(r, 3);
    rig_serve(r, 1023, 2048, 16, 24);
    rig_broken(r, SIM_WATCH_grants_disjoint, SIM_WATCH_RULES);
    rig_free(r);
}

/* Node 2 is behind: it takes its assignment when node 3 has the next one already. */
Test(sim_watch_rules, grants_in_another_order)
{
    struct rig *r = rig_serving();
    uint64_t epoch;

    rig_assign(r, 2);
    epoch = r->epoch;
    rig_assign(r, 3);
    rig_serve(r, 1024 + 65536, 1024 + 2 * 65536, 16, 24);
    r->epoch = epoch;
    r->owner = 2;
    rig_serve(r, 1024, 1024 + 65536, 8, 16);
    rig_fine(r, SIM_WATCH_grants_disjoint);
    rig_free(r);
}

RULE(no_wrap)
{
    struct rig *r = rig_make();

    rig_assign(r, 1);
    rig_serve(r, 1, UINT32_MAX, 0, 8);
    rig_seal(r, 1, UINT32_MAX - 1);
    rig_fine(r, SIM_WATCH_no_wrap);
    rig_assign(r, 2);
    rig_serve(r, UINT32_MAX, (uint64_t)UINT32_MAX + 2, 8, 16);
    rig_broken(r, SIM_WATCH_no_wrap, SIM_WATCH_RULES);
    rig_seal(r, 2, (uint64_t)UINT32_MAX + 1);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_no_wrap), 2);
    rig_free(r);
}

RULE(delivered_once)
{
    struct rig *r = rig_serving();

    rig_deliver(r, 1, 3);
    rig_deliver(r, 1, 2);
    rig_fine(r, SIM_WATCH_delivered_once);
    rig_deliver(r, 1, 3);
    rig_broken(r, SIM_WATCH_delivered_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, delivered_once_at_a_client)
{
    struct rig *r = rig_serving();

    sim_watch_client_delivered(r->watch, 0, r->out, 5);
    rig_fine(r, SIM_WATCH_delivered_once);
    sim_watch_client_delivered(r->watch, 0, r->out, 5);
    rig_broken(r, SIM_WATCH_delivered_once, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(ceiling)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[1].ops;

    rig_deliver(r, 1, 8);
    rig_extend(r, 1024, 40);
    ops->esp_limits(ops->esp_self, r->nodes[1].esp, 1024, 40);
    rig_deliver(r, 1, 40);
    rig_fine(r, SIM_WATCH_ceiling);
    rig_deliver(r, 1, 41);
    rig_broken(r, SIM_WATCH_ceiling, SIM_WATCH_RULES);
    ops->esp_limits(ops->esp_self, r->nodes[1].esp, 1024, 41); /* nobody committed it */
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_ceiling), 2);
    rig_free(r);
}

RULE(shrink)
{
    struct rig *r = rig_serving();

    rig_deliver(r, 1, 5);
    rig_extend(r, 1024, 5);
    rig_fine(r, SIM_WATCH_shrink);
    rig_extend(r, 1024, 4);
    rig_broken(r, SIM_WATCH_shrink, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(floor)
{
    struct rig *r = rig_serving();

    rig_deliver(r, 1, 8);
    rig_assign(r, 2);
    rig_serve(r, 1024, 66560, 8, 16);
    rig_deliver(r, 2, 9);
    rig_fine(r, SIM_WATCH_floor);
    rig_assign(r, 3);
    rig_serve(r, 66560, 132096, 8, 24);
    rig_broken(r, SIM_WATCH_floor, SIM_WATCH_RULES);
    rig_free(r);
}

/* The old owner, which has not heard of it, accepts what lies above the floor of the new one. */
Test(sim_watch_rules, floor_passed_by_an_old_owner)
{
    struct rig *r = rig_serving();
    struct sim_watch_right old = rig_right(r);

    rig_turn(r, 1);
    rig_assign(r, 2);
    rig_serve(r, 1024, 66560, 4, 12);
    sim_watch_delivered(r->watch, 1, r->in, 4, &old);
    rig_fine(r, SIM_WATCH_floor);
    sim_watch_delivered(r->watch, 1, r->in, 5, &old);
    rig_broken(r, SIM_WATCH_floor, SIM_WATCH_RULES);
    rig_free(r);
}

/* A handover: the next owner goes on from a window, which must hold what was delivered. */
static void hand_over(struct rig *r, uint32_t to, uint64_t top, uint64_t missing)
{
    struct rig_node *n = &r->nodes[to];
    struct conductor_esp_child child = {
        .sa_id = r->sa.local_spi, .shard = RIG_SHARD, .child = &r->sa.children[0]};
    struct repl_grant grant = {.first = 1024, .end = 66560, .floor = 8, .ceiling = 16};
    struct esp_window w = {.spi_in = RIG_SPI, .floor = 2};
    uint8_t bytes[ESP_WINDOW_MAX_BYTES];
    size_t len;

    esp_replay_init(&w.replay, 2);
    for (uint64_t seq = 3; seq <= top; seq++)
        if (seq != missing)
            cr_assert_eq(esp_replay_mark(&w.replay, seq), ESP_SEEN_NEW);
    len = esp_window_encode(&w, bytes);
    rig_assign(r, to);
    n->esp = n->ops.esp_install(n->ops.esp_self, &child);
    cr_assert(n->ops.esp_resume(n->ops.esp_self, n->esp, r->epoch, &grant, span_of(bytes, len)));
}

Test(sim_watch_rules, floor_of_an_exact_window)
{
    struct rig *r = rig_serving();

    for (uint64_t seq = 3; seq <= 7; seq++)
        rig_deliver(r, 1, seq);
    hand_over(r, 2, 7, 0);
    rig_deliver(r, 2, 8);
    rig_fine(r, SIM_WATCH_floor);
    rig_free(r);
    r = rig_serving();
    for (uint64_t seq = 3; seq <= 7; seq++)
        rig_deliver(r, 1, seq);
    hand_over(r, 2, 7, 5);
    rig_broken(r, SIM_WATCH_floor, SIM_WATCH_RULES);
    rig_free(r);
    r = rig_serving();
    for (uint64_t seq = 3; seq <= 7; seq++)
        rig_deliver(r, 1, seq);
    hand_over(r, 2, 6, 0); /* the last one came after it was written down */
    rig_broken(r, SIM_WATCH_floor, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(sa_committed)
{
    struct rig *r = rig_serving();
    struct sim_watch_right right = rig_right(r);

    rig_seal(r, 1, 1);
    rig_deliver(r, 1, 1);
    rig_fine(r, SIM_WATCH_sa_committed);
    sim_watch_sealed(r->watch, 1, 4711, 1, &right); /* a key of no record */
    rig_broken(r, SIM_WATCH_sa_committed, SIM_WATCH_assignment_applied);
    rig_free(r);
}

RULE(assignment_applied)
{
    struct rig *r = rig_serving();

    rig_seal(r, 1, 1);
    rig_deliver(r, 1, 1);
    rig_fine(r, SIM_WATCH_assignment_applied);
    rig_seal(r, 2, 2);
    rig_broken(r, SIM_WATCH_assignment_applied, SIM_WATCH_batch_in_hand);
    rig_deliver(r, 3, 2);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_assignment_applied), 2);
    rig_free(r);
}

/* The same node after a restart has nothing, though its id is the owner's. */
Test(sim_watch_rules, assignment_of_the_boot_before)
{
    struct rig *r = rig_serving();

    rig_seal(r, 1, 1);
    rig_fine(r, SIM_WATCH_assignment_applied);
    sim_watch_stopped(r->watch, 1);
    sim_watch_started(r->watch, 1, 201, false);
    rig_delete(r, 0); /* it is at the log's end again */
    rig_seal(r, 1, 2);
    rig_broken(r, SIM_WATCH_assignment_applied, SIM_WATCH_batch_in_hand);
    rig_free(r);
}

RULE(key_gone)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    memset(&r->sa.children[0], 0, sizeof r->sa.children[0]);
    r->index++;
    r->request++;
    rig_step_at(r, 2, RIG_SPI);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_key_gone), 0); /* nobody uses it */
    rig_seal(r, 1, 1);                                               /* it has not heard of it */
    rig_fine(r, SIM_WATCH_key_gone);
    reset.index = r->index;
    rig_tell(r, 1, &reset);
    rig_seal(r, 1, 2);
    rig_broken(r, SIM_WATCH_key_gone, SIM_WATCH_RULES);
    rig_deliver(r, 1, 2);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_key_gone), 2);
    rig_free(r);
}

/* Who has not applied the Delete may go on; a cluster that begins anew may not. */
Test(sim_watch_rules, keys_of_another_incarnation)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    rig_seal(r, 1, 1);
    rig_fine(r, SIM_WATCH_sa_committed);
    sim_watch_incarnation(r->watch, 1, 1, 2, r->index + 1);
    reset.index = r->index + 1;
    rig_tell(r, 1, &reset);
    rig_seal(r, 1, 2);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_key_gone), 1);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_assignment_applied), 1);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_batch_in_hand), 1);
    cr_assert_eq(sim_watch_violations(r->watch, NULL), 3);
    rig_free(r);
}

Test(sim_watch_rules, a_hard_limit_ends_an_sa)
{
    struct rig *r = rig_serving();

    r->cluster_ms = 1000000 + 5000;
    rig_extend(r, 1024, 8);
    rig_seal(r, 1, 1);
    rig_fine(r, SIM_WATCH_rekey_ends);
    r->cluster_ms++;
    rig_extend(r, 1024, 8);
    rig_seal(r, 1, 2);
    rig_broken(r, SIM_WATCH_rekey_ends, SIM_WATCH_RULES);
    rig_free(r);
}
