/* The owner dies at each moment of each rekey; another node goes on from the log alone. The client
 * never begins anew. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "world.h"

struct rekey {
    const char *name;
    uint32_t want;
};

static const struct rekey rekeys[] = {{"child-rekey", IKE_WANT_REKEY_CHILD_NOPFS},
                                      {"child-rekey-pfs", IKE_WANT_REKEY_CHILD_PFS},
                                      {"ike-rekey", IKE_WANT_REKEY_IKE}};
static const enum world_kill kills[] = {KILL_STEPPED,   KILL_SUBMITTED_LOST, KILL_SUBMITTED_KEPT,
                                        KILL_COMMITTED, KILL_SENT,           KILL_PEER};
static const char *const kill_names[] = {
    "none", "stepped", "submitted-lost", "submitted-kept", "committed", "sent", "peer"};

/* Same SAs at both ends, one CHILD SA each, crossed SPIs and equal keys. */
static void check_ends(struct world *w, const char *cell)
{
    struct ike_sa g, c;
    const struct ike_child *gc = NULL, *cc = NULL;

    cr_assert_eq(world_established(w, w->owner), 1, "%s: gateway has %zu SAs", cell,
                 world_established(w, w->owner));
    cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "%s: client has %zu SAs", cell,
                 world_established(w, WORLD_CLIENT));
    cr_assert_eq(world_children(w, w->owner), 1, "%s: gateway has %zu children", cell,
                 world_children(w, w->owner));
    cr_assert_eq(world_children(w, WORLD_CLIENT), 1, "%s: client has %zu children", cell,
                 world_children(w, WORLD_CLIENT));
    g = world_sa(w, w->owner);
    c = world_sa(w, WORLD_CLIENT);
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        if (g.children[i].state != IKE_CHILD_NONE)
            gc = &g.children[i];
        if (c.children[i].state != IKE_CHILD_NONE)
            cc = &c.children[i];
    }
    cr_assert_eq(g.local_spi, c.remote_spi, "%s", cell);
    cr_assert_eq(g.remote_spi, c.local_spi, "%s", cell);
    cr_assert_eq(gc->spi_in, cc->spi_out, "%s", cell);
    cr_assert_eq(gc->spi_out, cc->spi_in, "%s", cell);
    cr_assert(secret_equal_bytes(gc->key_in.bytes, cc->key_out.bytes, 36), "%s", cell);
    cr_assert(secret_equal_bytes(gc->key_out.bytes, cc->key_in.bytes, 36), "%s", cell);
    cr_assert(gc->outbound && cc->outbound, "%s: no outbound SA", cell);
}

static void next_owner(struct world *w)
{
    world_assign(w, (w->owner + 1) % 3);
}

static void run_cell(const struct rekey *r, bool by_client, enum world_kill kill, unsigned *copies)
{
    struct world *w = world_create(NULL);
    unsigned initiator = by_client ? WORLD_CLIENT : 0, inits, auths;
    struct ike_sa before;
    char cell[64];

    (void)snprintf(cell, sizeof cell, "%s:%s:%s", r->name, by_client ? "client" : "gateway",
                   kill_names[kill]);
    cr_assert(world_connect(w), "%s", cell);
    check_ends(w, cell);
    before = world_sa(w, 0);
    inits = w->inits;
    auths = w->auths;
    w->kill = kill;
    w->skip_packets = by_client ? 1 : 0; /* its request is answered; what follows finds nobody */
    cr_assert(world_want(w, initiator, r->want) || kill == KILL_STEPPED, "%s", cell);
    world_run(w, 400);
    cr_assert(w->killed, "%s: the owner did not die", cell);
    next_owner(w);
    if (!by_client && (kill == KILL_STEPPED || kill == KILL_SUBMITTED_LOST))
        cr_assert(world_want(w, w->owner, r->want), "%s: the new owner begins it", cell);
    world_run(w, 20000);
    check_ends(w, cell);
    cr_assert_eq(w->inits, inits, "%s: the client began anew", cell);
    cr_assert_eq(w->auths, auths, "%s", cell);
    cr_assert_eq(w->copies_differ, 0, "%s: %u copies differ", cell, w->copies_differ);
    cr_assert_eq(w->grants_overlap, 0, "%s: grants overlap", cell);
    if (r->want == IKE_WANT_REKEY_IKE)
        cr_assert_neq(world_sa(w, w->owner).local_spi, before.local_spi, "%s: no rekey", cell);
    /* and again, from each side, and a second takeover */
    cr_assert(world_want(w, w->owner, IKE_WANT_REKEY_CHILD_PFS), "%s", cell);
    world_run(w, 5000);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE), "%s", cell);
    world_run(w, 5000);
    next_owner(w);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DPD), "%s", cell);
    world_run(w, 20000);
    check_ends(w, cell);
    cr_assert_eq(w->copies_differ, 0, "%s", cell);
    cr_assert_eq(w->inits, inits, "%s", cell);
    *copies += w->copies;
    world_destroy(w);
}

Test(failover, every_rekey_at_every_moment)
{
    unsigned cells = 0, copies = 0;

    for (size_t r = 0; r < 3; r++)
        for (int by_client = 0; by_client < 2; by_client++)
            for (size_t k = 0; k < sizeof kills / sizeof kills[0]; k++, cells++)
                run_cell(&rekeys[r], by_client != 0, kills[k], &copies);
    printf("compared %u cells, %u copies of messages\n", cells, copies);
    cr_assert_eq(cells, 36);
    cr_assert_gt(copies, 0);
}

Test(failover, connects_and_gets_an_address)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    check_ends(w, "connect");
    cr_assert_eq(world_sa(w, 0).virtual_ip[SLOT_V4].family, ADDR_V4);
    cr_assert_eq(conductor_count_half_open(w->nodes[0].conductor), 0);
    world_destroy(w);
}

/* The same records at all nodes give the same tables. */
Test(failover, standby_nodes_mirror_the_owner)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    for (unsigned i = 1; i < 3; i++) {
        struct ike_sa a = world_sa(w, 0), b = world_sa(w, i);

        memset(&a.local_part, 0, sizeof a.local_part);
        memset(&b.local_part, 0, sizeof b.local_part);
        cr_assert(memcmp(&a, &b, sizeof a) == 0, "node %u differs", i);
        cr_assert_eq(world_children(w, i), 1);
    }
    world_destroy(w);
}

/* A CHILD SA that could not be installed on a standby and is installed after its takeover: its
 * numbers were used by the owner before it, so it gets none of them (I1). */
Test(failover, a_late_install_gets_no_number_that_was_granted_before)
{
    struct world *w = world_create(NULL);
    uint64_t used = 0;
    bool late = false;

    w->nodes[1].fail_installs = 1;
    cr_assert(world_connect(w));
    for (size_t i = 0; i < w->n_grants; i++)
        if (w->grants[i].node == 1 && w->grants[i].end > used)
            used = w->grants[i].end;
    cr_assert_gt(used, 1);
    w->nodes[0].alive = false;
    next_owner(w);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DPD));
    world_run(w, 5000);
    for (size_t i = 0; i < w->n_grants; i++) {
        if (w->grants[i].node != 2)
            continue;
        late = true;
        cr_assert_geq(w->grants[i].first, used);
        cr_assert_geq(w->grants[i].floor, CONDUCTOR_FIRST_CEILING);
    }
    cr_assert(late, "node 2 never installed it");
    cr_assert_eq(w->grants_overlap, 0);
    world_destroy(w);
}

static void check_counted(struct world *w, unsigned node, uint64_t in, uint64_t out,
                          uint64_t untold)
{
    const struct world_esp *last = NULL;

    for (size_t i = 0; i < w->n_grants; i++)
        if (w->grants[i].node == node + 1)
            last = &w->grants[i];
    cr_assert_not_null(last);
    cr_assert_eq(last->packets_in, in);
    cr_assert_eq(last->packets_out, out);
    cr_assert_eq(last->bytes_in, 1000 * in);
    cr_assert_eq(last->bytes_out, 1001 * out);
    cr_assert_eq(last->untold, untold);
}

/* What counts for limits by packets and bytes goes with the SA: over takeovers, an IKE rekey and, by the
 * claims that a snapshot holds, to a node that was away. A new CHILD SA begins at zero. */
Test(failover, packets_told_by_one_owner_are_known_to_the_next)
{
    struct world *w = world_create(NULL);
    struct conductor_extend item = {
        .packets_in = 41, .packets_out = 45, .bytes_in = 41000, .bytes_out = 45045};
    struct ike_sa sa;

    cr_assert(world_connect(w));
    check_counted(w, 0, 0, 0, 0);
    sa = world_sa(w, 0);
    item.spi_in = sa.children[0].spi_in;
    cr_assert(conductor_extend(w->nodes[0].conductor, WORLD_SHARD, &item, 1));
    world_run(w, 100);
    next_owner(w);
    check_counted(w, 1, 41, 45, 1);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
    world_run(w, 5000);
    next_owner(w);
    check_counted(w, 2, 41, 45, 2);
    item.packets_in = 50;
    item.bytes_in = 50000;
    cr_assert(conductor_extend(w->nodes[2].conductor, WORLD_SHARD, &item, 1));
    world_run(w, 100);
    next_owner(w);
    check_counted(w, 0, 50, 45, 1);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
    world_run(w, 5000);
    next_owner(w);
    check_counted(w, 1, 0, 0, 1);
    world_destroy(w);
}

static void extend(struct world *w, struct conductor_extend *items, size_t n, uint64_t extends,
                   uint64_t shrinks)
{
    const struct counters *c = conductor_counters(w->nodes[0].conductor);

    cr_assert(conductor_extend(w->nodes[0].conductor, WORLD_SHARD, items, n));
    world_run(w, 100);
    cr_assert_eq(c->value[COUNTER_extends], extends, "%llu records that raise",
                 (unsigned long long)c->value[COUNTER_extends]);
    cr_assert_eq(c->value[COUNTER_shrinks], shrinks, "%llu records that lower",
                 (unsigned long long)c->value[COUNTER_shrinks]);
}

/* A ceiling that never comes down costs the next takeover what lies below it: an operator sees both. */
Test(failover, records_that_raise_and_that_lower_are_counted_apart)
{
    struct world *w = world_create(NULL);
    struct conductor_extend items[2] = {{.ceiling = 100}, {.ceiling = 100}};
    struct ike_sa sa;
    size_t n = 0;

    cr_assert(world_connect(w));
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_CHILD));
    world_run(w, 2000);
    sa = world_sa(w, 0);
    for (int i = 0; i < IKE_MAX_CHILDREN && n < 2; i++)
        if (sa.children[i].state != IKE_CHILD_NONE)
            items[n++].spi_in = sa.children[i].spi_in;
    cr_assert_eq(n, 2);
    extend(w, items, 2, 1, 0);
    items[0].ceiling = 200;
    items[1].ceiling = 50;
    extend(w, items, 2, 2, 1);
    items[0].ceiling = 60;
    extend(w, items, 1, 2, 2);
    items[0].ceiling = 60; /* as it is */
    extend(w, items, 1, 3, 2);
    items[0].ceiling = 0;
    items[0].packets_in = 7;
    extend(w, items, 1, 4, 2);
    world_destroy(w);
    printf("compared 5 records\n");
}

static bool rekeying(struct world *w, unsigned node, uint32_t spi_in)
{
    const struct world_esp *e = conductor_esp_of(w->nodes[node].conductor, spi_in);

    cr_assert_not_null(e);
    return e->rekeying;
}

/* The successor of a rekey has numbers and a ceiling by the traffic of the one that it replaces, in
 * the very record that makes it; whichever side began. A first CHILD SA has the least. */
Test(failover, a_rekeyed_sa_begins_with_the_numbers_of_its_traffic)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    for (unsigned by = 0; by < 2; by++) {
        struct ike_sa sa = world_sa(w, 0);
        const struct world_esp *old, *made = NULL;
        uint32_t spi = 0;

        for (int i = 0; i < IKE_MAX_CHILDREN; i++)
            if (sa.children[i].state != IKE_CHILD_NONE)
                spi = sa.children[i].spi_in;
        old = conductor_esp_of(w->nodes[0].conductor, spi);
        cr_assert_not_null(old);
        if (by == 0)
            cr_assert(old->end == 1 + CONDUCTOR_FIRST_RESERVATION &&
                      old->ceiling == CONDUCTOR_FIRST_CEILING && old->follows == 0);
        w->first_numbers = 50000 + by;
        w->first_ceiling = 300 + by;
        cr_assert(world_want(w, by == 0 ? 0 : WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
        world_run(w, 5000);
        sa = world_sa(w, 0);
        for (int i = 0; i < IKE_MAX_CHILDREN; i++)
            if (sa.children[i].state != IKE_CHILD_NONE)
                made = conductor_esp_of(w->nodes[0].conductor, sa.children[i].spi_in);
        cr_assert(made != NULL && made->spi_in != spi);
        cr_assert_eq(made->follows, spi, "by %u", by);
        cr_assert(made->end == 50001 + by && made->ceiling == 300 + by, "by %u: %lu, %lu", by,
                  (unsigned long)made->end, (unsigned long)made->ceiling);
    }
    cr_assert_eq(w->grants_overlap, 0);
    world_destroy(w);
}

/* Verified packets wait for the ceiling of a CHILD SA when its Delete comes, the peer's or the answer
 * to ours: they first; but the peer does not wait for its answer for ever. */
Test(failover, a_delete_waits_for_the_packets_before_it)
{
    static const struct {
        unsigned waiting, ms;
    } table[] = {{3, 60}, {1000, 20 * CONDUCTOR_WAITS_MAX}};
    unsigned rows = 0;

    for (; rows < 4; rows++) {
        struct world *w = world_create(NULL);
        struct ike_sa sa;
        uint32_t old = 0;

        cr_assert(world_connect(w));
        sa = world_sa(w, 0);
        for (int i = 0; i < IKE_MAX_CHILDREN; i++)
            if (sa.children[i].state != IKE_CHILD_NONE)
                old = sa.children[i].spi_in;
        w->waiting = table[rows / 2].waiting;
        cr_assert(world_want(w, rows % 2 == 0 ? 0 : WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
        world_run(w, table[rows / 2].ms - 20);
        cr_assert_not_null(conductor_esp_of(w->nodes[0].conductor, old), "row %u: gone", rows);
        cr_assert_eq(world_children(w, 0), 2, "row %u: the new one is there", rows);
        world_run(w, 40);
        cr_assert_null(conductor_esp_of(w->nodes[0].conductor, old), "row %u", rows);
        w->waiting = 0;
        world_run(w, 5000);
        check_ends(w, "delete");
        cr_assert_eq(w->copies_differ, 0);
        world_destroy(w);
    }
    printf("compared %u Deletes\n", rows);
}

/* Workers may have packets in hand for the CHILD SA that sends no more: its Delete, or our answer to
 * one, does not overtake them (or the peer drops the SA before they come), but waits 200 ms at most. */
Test(failover, a_delete_leaves_behind_the_packets_in_hand)
{
    static const struct {
        unsigned in_hand, least_ms, most_ms;
    } table[] = {{0, 0, 3}, {8, 8, 12}, {1000, 198, 204}};
    unsigned rows = 0;

    for (; rows < 6; rows++) {
        struct world *w = world_create(NULL);
        const struct world_esp *sender;
        uint32_t old, theirs;
        unsigned ms = 0;

        cr_assert(world_connect(w));
        old = world_sa(w, 0).children[0].spi_in;
        theirs = world_sa(w, 0).children[0].spi_out;
        cr_assert(world_want(w, rows % 2 == 0 ? 0 : WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
        w->in_hand = table[rows / 2].in_hand;
        while ((sender = conductor_esp_of(w->nodes[0].conductor, old)) != NULL && sender->outbound)
            world_run(w, 1);
        while (conductor_esp_of(w->nodes[WORLD_CLIENT].conductor, theirs) != NULL && ms < 400) {
            world_run(w, 1);
            ms++;
        }
        cr_assert(ms >= table[rows / 2].least_ms && ms <= table[rows / 2].most_ms,
                  "row %u: the peer dropped it after %u ms", rows, ms);
        w->in_hand = 0;
        world_run(w, 5000);
        check_ends(w, "delete");
        cr_assert_eq(w->copies_differ, 0);
        for (unsigned i = 0; i < WORLD_NODES; i++)
            cr_assert_eq(w->nodes[i].gaps, 0, "row %u: node %u had no CHILD SA that sends", rows,
                         i);
        world_destroy(w);
    }
    printf("compared %u Deletes\n", rows);
}

/* What replay recovery goes by: from the record that wants or begins it, on every node, until the
 * SA is itself again. */
Test(failover, the_data_path_knows_a_rekey_from_the_applied_state)
{
    struct world *w = world_create(NULL);
    const char *why = "";
    struct ike_sa sa;
    uint32_t spi;

    cr_assert(world_connect(w));
    sa = world_sa(w, 0);
    spi = sa.children[0].spi_in;
    cr_assert(world_want(w, 0, IKE_WANT_DPD)); /* the window is taken */
    cr_assert(world_commit(w));
    cr_assert(
        conductor_command(w->nodes[0].conductor, sa.local_spi, IKE_WANT_REKEY_CHILD, spi, &why),
        "%s", why);
    for (unsigned node = 0; node < 3; node++)
        cr_assert_not(rekeying(w, node, spi), "node %u: before its record is applied", node);
    cr_assert(world_commit(w));
    cr_assert_eq(world_sa(w, 0).children[0].state, IKE_CHILD_INSTALLED, "it only waits");
    for (unsigned node = 0; node < 3; node++)
        cr_assert(rekeying(w, node, spi), "node %u", node);
    world_run(w, 5000);
    cr_assert_null(conductor_esp_of(w->nodes[0].conductor, spi), "not rekeyed");
    sa = world_sa(w, 0);
    for (unsigned node = 0; node < 3; node++)
        for (int i = 0; i < IKE_MAX_CHILDREN; i++)
            if (sa.children[i].state != IKE_CHILD_NONE)
                cr_assert_not(rekeying(w, node, sa.children[i].spi_in), "node %u", node);
    world_destroy(w);
}

static void with_dpd(struct ike_policy *gateway, struct ike_policy *client)
{
    gateway->dpd_ms = 10000;
    client->dpd_ms = 0;
}

/* Traffic moves the liveness check away: the timer that came for it is set anew, not polled. */
Test(failover, a_timer_with_nothing_due_is_set_to_what_is)
{
    struct world *w = world_create(with_dpd);

    cr_assert(world_connect(w));
    w->nodes[0].idle_in_ms = 0; /* traffic all the time */
    w->now += 12000;
    conductor_handle_timer(w->nodes[0].conductor);
    cr_assert_geq(conductor_next_wake_ms(w->nodes[0].conductor), w->now + 9000,
                  "polled %lu ms from now",
                  (unsigned long)(conductor_next_wake_ms(w->nodes[0].conductor) - w->now));
    world_destroy(w);
}
