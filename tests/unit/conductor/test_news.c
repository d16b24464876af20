/* What the data path tells once, and would not tell again: whatever stands in its way at that
 * instant, it becomes a step. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "world.h"

enum hindrance { NONE, BUSY, LEASE_AWAY, QUEUE_FULL, HINDRANCES };

static const char *const hindrances[] = {"none", "busy", "lease away", "queue full"};
static const char *const told[] = {"soft", "hard", "recover"};

static struct conductor *owner(struct world *w)
{
    return w->nodes[w->owner].conductor;
}

static uint32_t child_spi(struct world *w)
{
    struct ike_sa sa = world_sa(w, w->owner);

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa.children[i].state != IKE_CHILD_NONE)
            return sa.children[i].spi_in;
    return 0;
}

/* A request of the client waits for the log, its repetitions fill the SA's queue. */
static void fill_queue(struct world *w)
{
    struct world_packet p;

    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DPD));
    while (w->n_packets == 0)
        cr_assert(world_commit(w));
    p = w->packets[w->head];
    for (int i = 0; i < 1 + CONDUCTOR_QUEUE_MAX; i++)
        conductor_handle_datagram(owner(w), WORLD_SHARD, &p.to, &p.from, p.natt,
                                  span_of(p.bytes, p.len));
}

static void tell(struct world *w, unsigned what, uint32_t spi)
{
    if (what == 0)
        conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_SOFT, NULL);
    else if (what == 1)
        conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_HARD, NULL);
    else
        (void)conductor_recover(owner(w), spi);
}

static void run_cell(unsigned what, enum hindrance hindrance)
{
    struct world *w = world_create(NULL);
    uint32_t spi, auths;
    char cell[64];

    (void)snprintf(cell, sizeof cell, "%s, %s", told[what], hindrances[hindrance]);
    cr_assert(world_connect(w), "%s", cell);
    spi = child_spi(w);
    auths = w->auths;
    if (hindrance == QUEUE_FULL)
        fill_queue(w);
    w->busy = hindrance == BUSY;
    w->nodes[0].leased = hindrance != LEASE_AWAY;
    tell(w, what, spi);
    w->busy = false;
    w->nodes[0].leased = true;
    world_run(w, 3000);
    cr_assert_null(conductor_esp_of(owner(w), spi), "%s: the CHILD SA is still there", cell);
    cr_assert_eq(world_established(w, 0), 1, "%s", cell);
    cr_assert_eq(world_children(w, 0), what == 1 ? 0 : 1, "%s: %zu CHILD SAs", cell,
                 world_children(w, 0));
    cr_assert_eq(w->auths, auths, "%s: the client began anew", cell);
    cr_assert_eq(w->copies_differ, 0, "%s", cell);
    if (what != 1) { /* and once: it is not offered again for ever */
        spi = child_spi(w);
        world_run(w, 60000);
        cr_assert_eq(child_spi(w), spi, "%s: rekeyed again", cell);
    }
    world_destroy(w);
}

Test(news, what_is_told_once_becomes_a_step_whatever_hinders_it)
{
    unsigned cells = 0;

    for (unsigned what = 0; what < 3; what++)
        for (unsigned h = 0; h < HINDRANCES; h++, cells++)
            run_cell(what, h);
    printf("compared %u pieces of news that were hindered or not\n", cells);
    cr_assert_eq(cells, 12);
}

/* Replication takes nothing for long: nothing piles up, and it ends with one rekey. */
Test(news, a_long_hindrance_ends_in_one_rekey)
{
    struct world *w = world_create(NULL);
    uint32_t spi;
    uint64_t rekeys;

    cr_assert(world_connect(w));
    spi = child_spi(w);
    w->busy = true;
    for (int i = 0; i < 100; i++) {
        conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_SOFT, NULL);
        world_run(w, 10);
    }
    cr_assert_eq(child_spi(w), spi);
    w->busy = false;
    world_run(w, 5000);
    cr_assert_neq(child_spi(w), spi);
    rekeys = conductor_counters(owner(w))->value[COUNTER_rekeys_child];
    cr_assert_eq(rekeys, 1, "%lu rekeys", (unsigned long)rekeys);
    world_destroy(w);
}

/* News of a grant that is over say nothing: the next grant's are told anew. */
Test(news, news_end_with_their_grant)
{
    struct world *w = world_create(NULL);
    uint32_t spi;

    cr_assert(world_connect(w));
    spi = child_spi(w);
    w->busy = true;
    conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_SOFT, NULL);
    world_assign(w, 1);
    w->busy = false;
    world_run(w, 5000);
    world_assign(w, 0);
    world_run(w, 5000);
    cr_assert_eq(child_spi(w), spi);
    conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_SOFT, NULL);
    world_run(w, 5000);
    cr_assert_neq(child_spi(w), spi);
    world_destroy(w);
}

/* The CHILD SA moves to the IKE rekey's successor while the news of it waits behind that rekey. */
Test(news, news_move_with_their_child)
{
    struct world *w = world_create(NULL);
    uint32_t spi;

    cr_assert(world_connect(w));
    spi = child_spi(w);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
    while (w->nodes[0].pending == NULL) { /* until the gateway's answer waits for the log */
        struct world_packet *p = &w->packets[w->head];

        if (world_commit(w))
            continue;
        cr_assert_gt(w->n_packets, 0);
        w->head = (w->head + 1) % WORLD_PACKETS;
        w->n_packets--;
        conductor_handle_datagram(owner(w), WORLD_SHARD, &p->to, &p->from, p->natt,
                                  span_of(p->bytes, p->len));
    }
    conductor_handle_esp(owner(w), spi, CONDUCTOR_ESP_SOFT, NULL);
    world_run(w, 10000);
    cr_assert_eq(world_established(w, 0), 1);
    cr_assert_neq(child_spi(w), spi, "the successor's CHILD SA was not rekeyed");
    cr_assert_eq(w->copies_differ, 0);
    world_destroy(w);
}

static size_t installed(struct world *w, uint32_t spis[static IKE_MAX_CHILDREN])
{
    struct ike_sa sa = world_sa(w, w->owner);
    size_t n = 0;

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa.children[i].state == IKE_CHILD_INSTALLED)
            spis[n++] = sa.children[i].spi_in;
    return n;
}

static struct world *with_children(unsigned n, uint32_t spis[static IKE_MAX_CHILDREN])
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    for (unsigned i = 1; i < n; i++) {
        cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_CHILD));
        world_run(w, 3000);
    }
    cr_assert_eq(installed(w, spis), n);
    for (unsigned i = 0; i < n; i++) /* the peer uses them all, so each may be rekeyed at once */
        conductor_handle_esp(owner(w), spis[i], CONDUCTOR_ESP_FIRST_INBOUND, NULL);
    world_run(w, 1000);
    return w;
}

/* One rekey at a time waits for the window, so a second recovery is put off: meanwhile the SA's
 * timer goes on doing everything else, and that is what begins the first. */
Test(news, recoveries_that_have_to_wait_hold_no_timer_up)
{
    static const struct {
        unsigned children;
        bool window_taken, lossy;
    } table[] = {{2, true, false}, {2, true, true}, {3, false, false}};
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        uint32_t spis[IKE_MAX_CHILDREN], now[IKE_MAX_CHILDREN];
        struct world *w = with_children(table[rows].children, spis);
        const struct counters *k = conductor_counters(owner(w));

        w->drop_to_client = table[rows].lossy;
        if (table[rows].window_taken)
            cr_assert(world_want(w, w->owner, IKE_WANT_DPD));
        for (unsigned i = 0; i < table[rows].children; i++)
            cr_assert(conductor_recover(owner(w), spis[i]));
        world_run(w, 20000);
        cr_assert_eq(installed(w, now), table[rows].children, "row %u", rows);
        for (unsigned i = 0; i < table[rows].children; i++)
            cr_assert_null(conductor_esp_of(owner(w), spis[i]), "row %u: CHILD SA %u", rows, i);
        cr_assert_eq(k->value[COUNTER_rekeys_child], table[rows].children, "row %u", rows);
        cr_assert_geq(k->value[COUNTER_retransmissions_out], table[rows].lossy, "row %u", rows);
        cr_assert_leq(k->reason[IKE_REASON_TEMPORARY_FAILURE], 10, "row %u: refused %lu times",
                      rows, (unsigned long)k->reason[IKE_REASON_TEMPORARY_FAILURE]);
        cr_assert_eq(w->copies_differ, 0);
        world_destroy(w);
    }
    printf("compared %u ways to wait\n", rows);
}

/* The peer is silent, so one recovery waits in the state and one with its CHILD SA; a hard limit
 * that could not be told at once is not behind them. */
Test(news, a_hard_limit_is_not_behind_a_recovery_that_waits)
{
    uint32_t spis[IKE_MAX_CHILDREN];
    struct world *w = with_children(3, spis);

    w->drop_to_client = 1000;
    cr_assert(world_want(w, w->owner, IKE_WANT_DPD));
    cr_assert(conductor_recover(owner(w), spis[1]));
    cr_assert(conductor_recover(owner(w), spis[0]));
    world_run(w, 100);
    w->busy = true;
    conductor_handle_esp(owner(w), spis[2], CONDUCTOR_ESP_HARD, NULL);
    world_run(w, 100);
    cr_assert_not_null(conductor_esp_of(owner(w), spis[2]));
    w->busy = false;
    world_run(w, 200);
    cr_assert_null(conductor_esp_of(owner(w), spis[2]), "still there, past its hard limit");
    cr_assert_leq(conductor_counters(owner(w))->reason[IKE_REASON_TEMPORARY_FAILURE], 10);
    w->drop_to_client = 0;
    world_run(w, 20000);
    cr_assert_null(conductor_esp_of(owner(w), spis[0]));
    cr_assert_null(conductor_esp_of(owner(w), spis[1]));
    cr_assert_eq(world_children(w, w->owner), 2);
    cr_assert_eq(w->copies_differ, 0);
    world_destroy(w);
}
