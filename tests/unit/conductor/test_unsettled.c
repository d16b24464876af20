/* A snapshot jumped over the verdict on what the owner had under way: it knows nothing, does
 * nothing, and goes on from the state alone. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "world.h"

static uint32_t child_spi(struct world *w, unsigned node)
{
    struct ike_sa sa = world_sa(w, node);

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa.children[i].state != IKE_CHILD_NONE)
            return sa.children[i].spi_in;
    return 0;
}

/* The client's request is with the owner, whose answer waits for the log. */
static void step_in_flight(struct world *w, uint32_t want)
{
    struct world_packet *p;

    cr_assert(world_want(w, WORLD_CLIENT, want));
    while (w->n_packets == 0)
        cr_assert(world_commit(w));
    p = &w->packets[w->head];
    w->head = (w->head + 1) % WORLD_PACKETS;
    w->n_packets--;
    conductor_handle_datagram(w->nodes[0].conductor, WORLD_SHARD, &p->to, &p->from, p->natt,
                              span_of(p->bytes, p->len));
    cr_assert_not_null(w->nodes[0].pending);
}

static void run_cell(uint32_t want, bool kept, unsigned next)
{
    struct world *w = world_create(NULL);
    struct conductor_extend shrink = {.ceiling = 2};
    uint64_t before, out;
    char cell[64];

    (void)snprintf(cell, sizeof cell, "want %x, %s, node %u owns next", want,
                   kept ? "kept" : "lost", next);
    cr_assert(world_connect(w), "%s", cell);
    before = world_sa(w, 0).local_spi;
    shrink.spi_in = child_spi(w, 0);
    step_in_flight(w, want);
    cr_assert(conductor_extend(w->nodes[0].conductor, WORLD_SHARD, &shrink, 1), "%s", cell);
    out = conductor_counters(w->nodes[0].conductor)->value[COUNTER_ike_out];
    w->nodes[0].leased = false; /* the replica ends the lease before it says anything */
    w->nodes[0].deaf = true;
    world_unsettle(w, 0, kept);
    cr_assert_eq(w->told_refused, 0, "%s: a shrunk ceiling was lifted", cell);
    w->nodes[0].deaf = false;
    world_restore(w, 0);
    cr_assert_eq(conductor_counters(w->nodes[0].conductor)->value[COUNTER_ike_out], out,
                 "%s: sent something of unknown fate", cell);
    cr_assert_eq(w->n_packets, 0, "%s", cell);
    world_assign(w, next);
    world_run(w, 20000);
    cr_assert_eq(world_established(w, next), 1, "%s", cell);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "%s", cell);
    cr_assert_eq(world_children(w, next), 1, "%s", cell);
    cr_assert_eq(world_children(w, WORLD_CLIENT), 1, "%s", cell);
    if (want == IKE_WANT_REKEY_IKE)
        cr_assert_neq(world_sa(w, next).local_spi, before, "%s: no rekey", cell);
    else
        cr_assert_neq(child_spi(w, next), shrink.spi_in, "%s: no rekey", cell);
    cr_assert_eq(w->auths, 1, "%s: the client began anew", cell);
    cr_assert_eq(w->copies_differ, 0, "%s", cell);
    cr_assert_eq(w->grants_overlap, 0, "%s: grants overlap", cell);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS), "%s", cell);
    world_run(w, 5000);
    cr_assert_eq(world_children(w, next), 1, "%s", cell);
    world_destroy(w);
}

Test(unsettled, an_owner_that_hears_no_verdict_does_nothing_and_goes_on_from_the_state)
{
    unsigned cells = 0;

    for (int ike = 0; ike < 2; ike++)
        for (int kept = 0; kept < 2; kept++)
            for (unsigned next = 0; next < 2; next++, cells++)
                run_cell(ike != 0 ? IKE_WANT_REKEY_IKE : IKE_WANT_REKEY_CHILD_PFS, kept != 0, next);
    printf("compared %u verdicts that nobody heard\n", cells);
    cr_assert_eq(cells, 8);
}

static void expect_settled(const struct world_node *n, unsigned times, uint64_t wish, bool judged,
                           enum repl_verdict verdict)
{
    cr_assert_eq(n->wishes_settled, times, "%u were settled", n->wishes_settled);
    cr_assert_eq(n->wish, wish);
    cr_assert_eq(n->wish_judged, judged);
    if (judged)
        cr_assert_eq(n->wish_verdict, verdict, "%s", repl_verdict_name(n->wish_verdict));
}

/* An operator waits for it: any node may be asked, and only that one is told, once. */
Test(unsettled, how_an_operators_wish_ended_is_told_by_its_number)
{
    struct world *w = world_create(NULL);
    struct world_node *n = &w->nodes[1];
    uint64_t first = conductor_wish_move(n->conductor, WORLD_SHARD, 3, NULL);
    uint64_t second = conductor_wish_drain(n->conductor, 60, true, 0, 0, NULL), third;

    cr_assert(first != 0 && second != 0 && first != second);
    cr_assert_eq(n->wishes_settled, 0, "the log has not judged it");
    cr_assert(world_commit(w));
    expect_settled(n, 1, first, true, REPL_ACCEPTED);
    cr_assert(world_commit(w));
    expect_settled(n, 2, second, true, REPL_REFUSED_UNKNOWN);
    third = conductor_wish_drain(n->conductor, 3, true, 0, 0, NULL);
    n->deaf = true;
    world_unsettle(w, 1, true);
    expect_settled(n, 3, third, false, REPL_ACCEPTED);
    w->busy = true;
    cr_assert_eq(conductor_wish_move(n->conductor, WORLD_SHARD, 2, NULL), 0);
    world_run(w, 1000);
    cr_assert_eq(n->wishes_settled, 3, "nothing was kept");
    cr_assert_eq(w->nodes[0].wishes_settled + w->nodes[2].wishes_settled, 0, "nobody else's");
    world_destroy(w);
    printf("compared 4 wishes\n");
}
