/* Limits by packets over several owners, and replay recovery: the control loop's part of them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "datapath_rig.h"

static const struct pair_options small = {
    .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_packets = 40, .hard_packets = 50};

Test(datapath, an_outbound_hard_limit_holds_over_a_takeover)
{
    unsigned n;

    rig_begin(&small);
    cr_assert_eq(rig_until_hard(rig_send, 45), 45);
    rig_assign(1);
    n = 45 + rig_until_hard(rig_send, 100);
    cr_assert(n >= 46 && n <= 50, "%u packets of 50", n);
    cr_assert_geq(rig_nodes[1].soft, 1, "the new owner was past the soft limit");
    cr_assert_eq(rig_nodes[1].hard, 1);
    printf("compared %u packets with a limit of 50\n", n);
    rig_end();
}

Test(datapath, an_inbound_hard_limit_holds_over_a_takeover)
{
    struct esp_sa_view v;
    unsigned n = 0;

    rig_begin(&small);
    for (unsigned i = 0; i < 45; i++)
        cr_assert_eq(rig_receive(), ESP_DROP_NONE);
    rig_assign(1);
    esp_sa_read(&rig_nodes[1].sa, &v);
    rig_client_from(v.floor + 1);
    n = 45 + rig_until_hard(rig_receive_ahead, 100);
    cr_assert(n >= 46 && n <= 50, "%u packets of 50", n);
    cr_assert_eq(rig_nodes[1].hard, 1);
    printf("compared %u packets with a limit of 50\n", n);
    rig_end();
}

/* A handover: the next owner takes the very next number of the client, none twice, and counts
 * exactly what was counted: no slack, no floor. Three nodes in turn. */
Test(datapath, a_handover_goes_on_exactly)
{
    struct esp_sa_view v;
    unsigned n = 0;

    rig_begin(&small);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 10; i++, n++)
            cr_assert_eq(rig_receive(), ESP_DROP_NONE, "round %u, packet %u", round, i);
        cr_assert_eq(rig_send(), ESP_DROP_NONE);
        cr_assert(rig_hand_over((rig_owner + 1) % RIG_NODES, false));
        esp_sa_read(&rig_nodes[rig_owner].sa, &v);
        cr_assert(v.counted_in == n && v.counted_out == round + 1, "%lu in, %lu out",
                  (unsigned long)v.counted_in, (unsigned long)v.counted_out);
        rig_client_from(n); /* the newest once more */
        cr_assert_eq(rig_receive(), ESP_DROP_REPLAYED);
    }
    n += rig_until_hard(rig_receive, 100);
    cr_assert_eq(n, 50, "the hard limit is exact");
    cr_assert_eq(rig_nodes[0].recoveries + rig_nodes[1].recoveries + rig_nodes[2].recoveries, 0);
    printf("compared %u packets over 4 handovers\n", n);
    rig_end();
}

Test(datapath, a_window_that_is_not_this_sas_leaves_a_floor)
{
    struct esp_sa_view v;

    rig_begin(&small);
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(rig_receive(), ESP_DROP_NONE);
    cr_assert_not(rig_hand_over(1, true));
    esp_sa_read(&rig_nodes[1].sa, &v);
    cr_assert_geq(v.floor, 5);
    cr_assert_eq(rig_receive(), ESP_DROP_BELOW_FLOOR);
    rig_end();
}

/* Also when the first owner comes back: what it counted itself is not forgotten, nor counted twice,
 * and the limit is told again. */
Test(datapath, a_hard_limit_holds_over_two_takeovers)
{
    static const unsigned next[][2] = {{1, 2}, {1, 0}};

    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        unsigned n;

        rig_begin(&small);
        n = rig_until_hard(rig_send, 20);
        rig_assign(next[i][0]);
        n += rig_until_hard(rig_send, 20);
        rig_assign(next[i][1]);
        n += rig_until_hard(rig_send, 100);
        cr_assert(n >= 44 && n <= 50, "%u packets of 50", n);
        cr_assert_eq(rig_nodes[next[i][1]].hard, 1);
        rig_assign((next[i][1] + 1) % 3);
        rig_assign(next[i][1]);
        cr_assert_eq(rig_send(), ESP_DROP_HARD_LIMIT);
        cr_assert_eq(rig_nodes[next[i][1]].hard, 2, "told anew under a new grant");
        printf("compared %u packets with a limit of 50\n", n);
        rig_end();
    }
}

/* The 2^16 numbers that a takeover skips count for nothing. */
Test(datapath, takeovers_alone_do_not_use_a_small_limit_up)
{
    unsigned n;

    rig_begin(&small);
    for (unsigned i = 1; i <= 4; i++)
        rig_assign(i % 3);
    cr_assert_eq(rig_nodes[rig_owner].soft, 0);
    n = rig_until_hard(rig_send, 100);
    cr_assert(n >= 40 && n <= 50, "%u packets of 50", n);
    rig_end();
}

Test(datapath, far_limits_cost_no_record_of_their_own)
{
    static const struct pair_options far = {.spi = 0x2001,
                                            .virtual_ip = 0x0a630005,
                                            .soft_packets = 3000000000,
                                            .hard_packets = 4000000000};

    rig_begin(&far);
    rig_assign(1);
    cr_assert_eq(rig_until_hard(rig_send, 5000), 5000);
    cr_assert_eq(rig_nodes[1].told, 0);
    rig_assign(2);
    cr_assert_eq(rig_until_hard(rig_send, 100), 100);
    rig_end();
}

/* Below the floor for so long: one packet each 10 ms. */
static void below_the_floor(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 10) {
        cr_assert_eq(rig_receive(), ESP_DROP_BELOW_FLOOR);
        rig_pass_ms(9);
    }
}

static const struct pair_options unlimited = {.spi = 0x2001, .virtual_ip = 0x0a630005};

/* A peer whose numbers lie far below the new owner's floor: a burst raised the ceiling, and all of
 * it was lost with the owner. */
static void far_below(void)
{
    rig_begin(&unlimited);
    rig_client_from(4000);
    for (unsigned i = 0; i < 100; i++)
        (void)rig_receive();
    rig_assign(1);
    rig_client_from(1);
    below_the_floor(90);
    cr_assert_eq(rig_nodes[1].recoveries, 0, "not yet");
    below_the_floor(60);
    cr_assert_eq(rig_nodes[1].recoveries, 1);
}

/* The conductor sees it through once it has taken it on; until then it is asked again, at leisure.
 */
Test(datapath, replay_recovery_is_asked_for_until_it_is_taken_on)
{
    far_below();
    for (unsigned i = 0; i < 20; i++) { /* its pacer turns for other reasons, too */
        struct rig_node *n = &rig_nodes[1];

        n->events[n->n_events++] =
            (struct worker_event){.spi_in = unlimited.spi, .events = ESP_EVENT_LOW_CEILING};
        below_the_floor(50);
    }
    cr_assert_eq(rig_nodes[1].recoveries, 1, "taken on, and asked for %u times",
                 rig_nodes[1].recoveries);
    rig_hold_recoveries = true;
    rig_update(true);
    rig_update(false);
    below_the_floor(1000);
    cr_assert(rig_nodes[1].recoveries >= 6 && rig_nodes[1].recoveries <= 110, "asked %u times",
              rig_nodes[1].recoveries);
    rig_hold_recoveries = false;
    below_the_floor(300);
    rig_hold_recoveries = true;
    {
        unsigned asked = rig_nodes[1].recoveries;

        below_the_floor(1000);
        cr_assert_eq(rig_nodes[1].recoveries, asked);
    }
    rig_end();
}

Test(datapath, replay_recovery_follows_the_applied_state)
{
    unsigned asked;

    far_below();
    rig_update(true);
    below_the_floor(1200);
    cr_assert_eq(rig_nodes[1].recoveries, 1, "the rekey is under way");
    rig_update(false); /* it failed for good */
    below_the_floor(100);
    asked = rig_nodes[1].recoveries;
    cr_assert_eq(asked, 2);
    rig_update(true);
    rig_assign(2); /* the new owner knows from the state alone */
    below_the_floor(300);
    cr_assert_eq(rig_nodes[2].recoveries, 1, "node 2 was told nothing");
    rig_assign(1);
    below_the_floor(1200);
    cr_assert_eq(rig_nodes[1].recoveries, asked, "a new grant forgets what the state says");
    rig_client_from(1000000);
    rig_end();
}

/* Once something is accepted, there is nothing to recover from. */
Test(datapath, replay_recovery_ends_with_the_first_accepted_packet)
{
    struct esp_sa_view v;

    far_below();
    esp_sa_read(&rig_nodes[1].sa, &v);
    rig_client_from(v.floor + 1);
    cr_assert_eq(rig_receive(), ESP_DROP_NONE);
    rig_client_from(400);
    below_the_floor(1200);
    cr_assert_eq(rig_nodes[1].recoveries, 1);
    rig_end();
}

/* Each takeover counts a whole slack, so they carry an idle SA to its hard limit without a packet:
 * its owner asks for the rekey two slacks ahead of it, or the next packets would meet the hard limit
 * and the SA be deleted instead. */
Test(datapath, takeovers_of_an_idle_sa_ask_for_its_rekey_before_its_hard_limit)
{
    static const struct pair_options near_soft = {
        .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_packets = 90000, .hard_packets = 100000};
    unsigned grants = 0;

    rig_begin(&near_soft);
    cr_assert_eq(rig_until_hard(rig_send, 89000), 89000);
    cr_assert_eq(rig_nodes[0].soft, 0);
    for (; grants < 6; grants++) {
        struct rig_node *n = &rig_nodes[(grants + 1) % 3];
        unsigned before = n->soft;

        rig_assign((grants + 1) % 3);
        rig_pass_ms(500);
        cr_assert_leq(n->soft, before + 1, "asked for more than once");
        cr_assert(grants < 2 || n->soft == before + 1, "grant %u: no rekey is asked for", grants);
        cr_assert_eq(n->hard, 0);
    }
    printf("compared %u grants without a packet\n", grants);
    rig_end();
}
