/* Who gives which shard to whom, rule by rule, and in a world of nodes that come and go: it settles,
 * and nothing moves without need. Part of the program that the mutants are made of. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "replication/ownership.h"
#include "sim/sim_random.h"

static const uint64_t MS = 1000000;

enum { BOOT = 100, SETTLE_MS = 1000 };

static uint64_t now = 10000;

/* Node `self` of three that owns the shards in `mine` (0 ends), all nodes well since long. */
static void node(struct ownership *o, uint32_t self, bool rebalance)
{
    struct ownership_options options = {.self = self,
                                        .boot = BOOT + self,
                                        .nodes = {1, 2, 3},
                                        .n_nodes = 3,
                                        .lease_ns = 150 * MS,
                                        .heartbeat_ns = 30 * MS,
                                        .rebalance = rebalance,
                                        .settle_ns = SETTLE_MS * MS};

    ownership_init(o, &options, 0);
    for (uint32_t i = 1; i <= 3; i++) {
        ownership_booted(o, i, BOOT + i);
        for (uint64_t t = 0; t <= now; t += 50)
            ownership_report(o, i, BOOT + i, true, 10, t * MS);
    }
}

static void owned(struct ownership *o, uint32_t shard, uint32_t owner, uint32_t prefer)
{
    struct ownership_shard *s;

    ownership_configure(o, shard, prefer);
    ownership_assigned(o, shard, (struct repl_epoch){0, 0}, (struct repl_epoch){1, 10 + shard},
                       owner, BOOT + owner, false, 1000 * MS);
    s = ownership_shard(o, shard);
    if (s->mine)
        s->lease_until_ns = UINT64_MAX;
}

static bool give(struct ownership *o, bool unfit, struct ownership_gift *g)
{
    *g = (struct ownership_gift){0};
    return ownership_give(o, unfit, now * MS, g);
}

Test(repl_give, an_operators_move_is_followed_when_the_node_can_take_it)
{
    struct ownership o;
    struct ownership_gift g;

    node(&o, 1, false);
    owned(&o, 1, 1, 1);
    cr_assert_not(give(&o, false, &g), "nothing is wished");
    ownership_wished(&o, 1, 3, 3);
    cr_assert(give(&o, false, &g));
    cr_assert(g.shard == 1 && g.node == 3 && g.boot == BOOT + 3 &&
              g.reason == OWNERSHIP_BY_COMMAND);
    cr_assert_not(give(&o, false, &g), "not again at once");
    now += 400;
    for (uint32_t i = 1; i <= 3; i++)
        ownership_report(&o, i, BOOT + i, true, 10, now * MS);
    cr_assert(give(&o, false, &g), "it did not come about");
    ownership_wished(&o, 1, 2, 2);
    cr_assert(give(&o, false, &g) && g.node == 2, "a new wish at once");
    ownership_drained(&o, 3, true);
    ownership_wished(&o, 1, 3, 3);
    cr_assert_not(give(&o, false, &g), "a drained node takes nothing");
    ownership_drained(&o, 3, false);
    ownership_report_reluctant(&o, 3, true);
    cr_assert_not(give(&o, false, &g), "nor does one that would rather not");
    ownership_report_reluctant(&o, 3, false);
    ownership_report(&o, 3, BOOT + 3, false, 10, now * MS);
    cr_assert_not(give(&o, false, &g), "nor one that is not well");
    ownership_report(&o, 3, BOOT + 2, true, 10, now * MS);
    cr_assert_not(give(&o, false, &g), "nor another start of it");
}

Test(repl_give, an_owner_without_its_lease_gives_nothing)
{
    struct ownership o;
    struct ownership_gift g;

    node(&o, 1, false);
    owned(&o, 1, 1, 0);
    ownership_wished(&o, 1, 2, 2);
    ownership_shard(&o, 1)->lease_until_ns = now * MS;
    cr_assert_not(give(&o, true, &g));
    cr_assert_eq(ownership_shard(&o, 1)->given_ns, 0);
}

Test(repl_give, who_cannot_serve_gives_all_away_evenly)
{
    struct ownership o;
    struct ownership_gift g;
    unsigned to[4] = {0};

    node(&o, 1, false);
    for (uint32_t s = 1; s <= 4; s++)
        owned(&o, s, 1, 0);
    owned(&o, 5, 2, 0);
    owned(&o, 6, 1, 3);
    while (give(&o, true, &g)) {
        cr_assert_eq(g.reason, OWNERSHIP_UNFIT);
        to[g.node]++;
        cr_assert(g.shard != 6 || g.node == 3, "its home first");
    }
    cr_assert(to[1] == 0 && to[2] == 2 && to[3] == 3, "%u %u %u", to[1], to[2], to[3]);
    node(&o, 1, false);
    owned(&o, 1, 1, 0);
    ownership_drained(&o, 1, true);
    cr_assert(give(&o, false, &g) && g.reason == OWNERSHIP_DRAINED && g.node == 2);
    cr_assert(ownership_taker(&o, now * MS));
    for (uint32_t i = 2; i <= 3; i++)
        ownership_report(&o, i, BOOT + i, false, 10, now * MS);
    cr_assert_not(ownership_taker(&o, now * MS));
}

Test(repl_give, a_shard_goes_home_once_that_node_has_been_well_for_a_while)
{
    struct ownership o;
    struct ownership_gift g;

    node(&o, 1, true);
    owned(&o, 1, 1, 3);
    cr_assert(give(&o, false, &g) && g.node == 3 && g.reason == OWNERSHIP_GO_HOME);
    node(&o, 1, false);
    owned(&o, 1, 1, 3);
    cr_assert_not(give(&o, false, &g), "manual");
    node(&o, 1, true);
    owned(&o, 1, 1, 3);
    ownership_report(&o, 3, BOOT + 3, false, 10, now * MS);
    ownership_report(&o, 3, BOOT + 3, true, 10, now * MS);
    cr_assert_not(give(&o, false, &g), "it was unwell just now");
    node(&o, 1, true);
    owned(&o, 1, 1, 3);
    ownership_report(&o, 3, BOOT + 3, true, 10, (now + 300) * MS);
    now += 300;
    cr_assert_not(give(&o, false, &g), "it was silent: that is no health");
    node(&o, 1, true);
    owned(&o, 1, 1, 3);
    ownership_shard(&o, 1)->assigned_ns = now * MS - (SETTLE_MS - 1) * MS;
    cr_assert_not(give(&o, false, &g), "it came here just now");
    node(&o, 1, true);
    owned(&o, 1, 1, 3);
    ownership_wished(&o, 1, 1, 0);
    cr_assert_not(give(&o, false, &g), "an operator's home goes before the configured one");
}

Test(repl_give, the_fullest_spreads_one_at_a_time)
{
    struct ownership o;
    struct ownership_gift g;

    node(&o, 1, true);
    for (uint32_t s = 1; s <= 3; s++)
        owned(&o, s, 1, 0);
    owned(&o, 4, 2, 0);
    cr_assert(give(&o, false, &g));
    cr_assert(g.shard == 3 && g.node == 3 && g.reason == OWNERSHIP_SPREAD);
    cr_assert_not(give(&o, false, &g), "one at a time");
    node(&o, 1, true);
    owned(&o, 1, 1, 0);
    owned(&o, 2, 1, 0);
    owned(&o, 3, 2, 0);
    owned(&o, 4, 3, 0);
    cr_assert_not(give(&o, false, &g), "one more there is one less here: no gain");
    node(&o, 2, true);
    for (uint32_t s = 1; s <= 4; s++)
        owned(&o, s, s <= 2 ? 1 : 2, 0);
    cr_assert_not(give(&o, false, &g), "as full as node 1, whose turn it is");
    node(&o, 1, true);
    for (uint32_t s = 1; s <= 4; s++)
        owned(&o, s, s <= 2 ? 1 : 2, 0);
    cr_assert(give(&o, false, &g) && g.shard == 2 && g.node == 3);
    node(&o, 1, true);
    for (uint32_t s = 1; s <= 3; s++)
        owned(&o, s, 1, 0);
    o.moved_ns = now * MS - (SETTLE_MS - 1) * MS;
    cr_assert_not(give(&o, false, &g), "something moved just now");
}

/* --- three nodes with the rules above, and a log that does what they ask --- */

struct even {
    struct ownership o[3];
    struct sim_random random;
    uint32_t owner[8]; /* by shard - 1 */
    bool well[3];
    uint64_t ms, index;
    unsigned moves, n_shards;
};

static void assign(struct even *e, uint32_t shard, uint32_t to, bool handover)
{
    struct repl_epoch epoch = {1, ++e->index};

    for (int i = 0; i < 3; i++) {
        struct ownership_shard *s;

        ownership_assigned(&e->o[i], shard, (struct repl_epoch){0, 0}, epoch, to, BOOT + to,
                           handover, e->ms * MS);
        s = ownership_shard(&e->o[i], shard);
        if (s->mine)
            s->lease_until_ns = UINT64_MAX;
    }
    e->owner[shard - 1] = to;
}

static void turn(struct even *e)
{
    struct ownership_gift g;

    e->ms += 50;
    for (int i = 0; i < 3; i++)
        for (uint32_t k = 1; k <= 3; k++)
            if (e->well[k - 1])
                ownership_report(&e->o[i], k, BOOT + k, true, 10, e->ms * MS);
    for (uint32_t i = 1; i <= 3; i++)
        while (e->well[i - 1] && ownership_give(&e->o[i - 1], false, e->ms * MS, &g)) {
            cr_assert_eq(e->owner[g.shard - 1], i, "only its own");
            assign(e, g.shard, g.node, true);
            e->moves++;
        }
    for (uint32_t s = 1; s <= e->n_shards; s++) /* takeover of what a dead node has */
        if (!e->well[e->owner[s - 1] - 1]) {
            uint32_t to = 1 + (uint32_t)sim_between(&e->random, 0, 2);

            while (!e->well[to - 1])
                to = to % 3 + 1;
            assign(e, s, to, false);
        }
}

static void spread_of(const struct even *e, unsigned *least, unsigned *most)
{
    *least = 99;
    *most = 0;
    for (uint32_t k = 1; k <= 3; k++) {
        unsigned n = 0;

        if (!e->well[k - 1])
            continue;
        for (unsigned s = 0; s < e->n_shards; s++)
            n += e->owner[s] == k;
        *least = n < *least ? n : *least;
        *most = n > *most ? n : *most;
    }
}

Test(repl_give, it_settles_evenly_and_then_nothing_moves)
{
    unsigned compared = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct even *e = calloc(1, sizeof *e);
        unsigned least, most, moves;

        cr_assert_not_null(e);
        e->random.state = seed;
        e->ms = 1000;
        e->n_shards = 1 + (unsigned)sim_between(&e->random, 0, 7);
        for (uint32_t i = 1; i <= 3; i++) {
            struct ownership_options options = {.self = i,
                                                .boot = BOOT + i,
                                                .nodes = {1, 2, 3},
                                                .n_nodes = 3,
                                                .lease_ns = 150 * MS,
                                                .heartbeat_ns = 30 * MS,
                                                .rebalance = true,
                                                .settle_ns = SETTLE_MS * MS};

            ownership_init(&e->o[i - 1], &options, 0);
            e->well[i - 1] = true;
            for (uint32_t k = 1; k <= 3; k++)
                ownership_booted(&e->o[i - 1], k, BOOT + k);
            for (uint32_t s = 1; s <= e->n_shards; s++)
                ownership_configure(&e->o[i - 1], s, 0);
        }
        for (uint32_t s = 1; s <= e->n_shards; s++)
            assign(e, s, 1 + (uint32_t)sim_between(&e->random, 0, 2), false);
        for (int phase = 0; phase < 4; phase++) {
            uint32_t k = (uint32_t)sim_between(&e->random, 0, 2);

            e->well[0] = e->well[1] = e->well[2] = true;
            e->well[k] = phase % 2 == 0; /* one goes, and returns */
            moves = e->moves;
            for (int t = 0; t < 400; t++)
                turn(e);
            spread_of(e, &least, &most);
            cr_assert_leq(most - least, 1, "seed %lu: %u to %u", (unsigned long)seed, least, most);
            cr_assert_leq(e->moves - moves, e->n_shards, "more moves than shards");
            moves = e->moves;
            for (int t = 0; t < 400; t++)
                turn(e);
            cr_assert_eq(e->moves, moves, "seed %lu: it never rests", (unsigned long)seed);
            compared++;
        }
        free(e);
    }
    printf("compared %u\n", compared);
}
