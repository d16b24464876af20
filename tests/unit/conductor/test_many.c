/* P24: 10,000 SAs change their owner: no rekey follows, no message, no record; only the replay
 * recoveries that are asked for, as many at a time as configured. And the hard limit by time goes
 * with each of them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/records.pb-c.h"
#include "world.h"

enum { SAS = 10000, HOUR_MS = 3600 * 1000, STUCK = 120 };

static uint32_t spi_of(unsigned i)
{
    return 0x100000 + i;
}

/* An established SA like `like`, made by no exchange, committed as one record of the owner. */
static void put(struct world *w, const struct ike_sa *like, unsigned i)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    const struct conductor_shard *s = conductor_shard(w->nodes[w->owner].conductor, WORLD_SHARD);
    struct world_node *n = &w->nodes[w->owner];
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    Holdfast__SaCreate create = HOLDFAST__SA_CREATE__INIT;
    Holdfast__ChildClaim claim = HOLDFAST__CHILD_CLAIM__INIT, *claims[] = {&claim};
    size_t len;

    sa = *like;
    sa.local_spi = 0x10000000000 + i;
    sa.remote_spi = 0x20000000000 + i;
    memset(sa.virtual_ip, 0, sizeof sa.virtual_ip);
    sa.children[0].spi_in = claim.spi_in = spi_of(i);
    sa.children[0].spi_out = claim.spi_out = 0x200000 + i;
    sa.children[0].soft_ms = w->now + HOUR_MS + i; /* none is due while the test looks */
    sa.children[0].hard_ms = w->now + 2 * HOUR_MS + i;
    cr_assert(ike_sa_encode(&sa, bytes, sizeof bytes, &len));
    epoch.incarnation = s->epoch.incarnation;
    epoch.index = s->epoch.index;
    claim.reservation_end = 1025;
    claim.ceiling = 8;
    create.sa_id = sa.local_spi;
    create.state = (ProtobufCBinaryData){.len = len, .data = bytes};
    create.n_children = 1;
    create.children = claims;
    r.node = n->id;
    r.boot = n->boot;
    r.request = ++n->request;
    r.shard = WORLD_SHARD;
    r.epoch = &epoch;
    r.body_case = HOLDFAST__RECORD__BODY_SA_CREATE;
    r.sa_create = &create;
    instant_log_commit(n->log, w->now, &r, NULL, NULL);
}

static void no_checks(struct ike_policy *gateway, struct ike_policy *client)
{
    gateway->dpd_ms = client->dpd_ms = 0;
}

static struct world *with_many(void)
{
    struct world *w = world_create(no_checks);
    struct ike_sa like;

    cr_assert(world_connect(w));
    like = world_sa(w, 0);
    w->many = true;
    for (unsigned i = 0; i < SAS; i++)
        put(w, &like, i);
    cr_assert_eq(conductor_count_sas(w->nodes[1].conductor), SAS + 1);
    return w;
}

static const struct counters *owners(struct world *w)
{
    return conductor_counters(w->nodes[w->owner].conductor);
}

/* So many of the peers stay below the floor; each is asked for as the data path does, until it is
 * settled. The number that is not after `ms`. */
static unsigned stuck_for(struct world *w, uint64_t ms, bool settled[static STUCK])
{
    unsigned left = 0;

    for (uint64_t at = 0; at < ms; at += 100) {
        left = 0;
        for (unsigned i = 0; i < STUCK; i++) {
            settled[i] = settled[i] || conductor_recover(w->nodes[w->owner].conductor, spi_of(i));
            left += !settled[i];
        }
        w->drop_to_client = 1000000; /* nobody is there */
        world_run(w, 100);
    }
    return left;
}

static unsigned rekeying(struct world *w)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SAS; i++) {
        const struct world_esp *e = conductor_esp_of(w->nodes[w->owner].conductor, spi_of(i));

        n += e != NULL && e->rekeying;
    }
    return n;
}

Test(many, a_takeover_causes_no_rekey_but_the_recoveries)
{
    struct world *w = with_many();
    const struct world_esp *e;
    bool settled[STUCK] = {false};
    uint64_t steps;

    for (unsigned takeover = 1; takeover <= 3; takeover++) {
        unsigned node = takeover % 3;

        steps = w->nodes[node].steps;
        w->n_packets = 0;
        world_assign(w, node);
        world_run(w, 10 * 60 * 1000);
        cr_assert_eq(w->nodes[node].steps, steps, "takeover %u: %lu records", takeover,
                     (unsigned long)(w->nodes[node].steps - steps));
        cr_assert_eq(w->n_packets, 0, "takeover %u: %zu messages", takeover, w->n_packets);
        cr_assert_eq(owners(w)->value[COUNTER_rekeys_child], 0);
        cr_assert_eq(rekeying(w), 0);
    }
    e = conductor_esp_of(w->nodes[w->owner].conductor, spi_of(77));
    cr_assert_eq(e->end_in_ms, 2 * HOUR_MS + 77 - 2 * 10 * 60 * 1000,
                 "the hard limit by time is told with the grant: in %lu ms",
                 (unsigned long)e->end_in_ms);
    cr_assert_eq(stuck_for(w, 300, settled), 0);
    cr_assert_eq(owners(w)->value[COUNTER_replay_recoveries], STUCK);
    cr_assert_eq(rekeying(w), STUCK, "each of them, and no other");
    printf("compared %u SAs over 3 takeovers, %u recoveries\n", SAS, STUCK);
    world_destroy(w);
}

Test(many, bounded_recoveries_take_their_turn)
{
    bool settled[STUCK] = {false};
    struct world *w;
    unsigned left;

    world_recovery = CONDUCTOR_RECOVER_BOUNDED;
    world_recoveries_per_second = 50;
    w = with_many();
    world_assign(w, 1);
    left = stuck_for(w, 900, settled);
    cr_assert_eq(left, STUCK - 50, "%u wait", left);
    cr_assert_eq(rekeying(w), 50);
    cr_assert_gt(owners(w)->value[COUNTER_replay_recoveries_held], 0);
    left = stuck_for(w, 1000, settled);
    cr_assert_eq(left, STUCK - 100, "%u wait", left);
    cr_assert_eq(stuck_for(w, 1000, settled), 0);
    cr_assert_eq(rekeying(w), STUCK);
    cr_assert_eq(owners(w)->value[COUNTER_replay_recoveries], STUCK);
    world_destroy(w);
    printf("compared %u recoveries, 50 a second\n", STUCK);
}

Test(many, recoveries_that_wait_rekey_nothing)
{
    bool settled[STUCK] = {false};
    struct world *w;

    world_recovery = CONDUCTOR_RECOVER_WAIT;
    w = with_many();
    world_assign(w, 1);
    cr_assert_eq(stuck_for(w, 5000, settled), 0);
    cr_assert_eq(rekeying(w), 0);
    cr_assert_eq(owners(w)->value[COUNTER_replay_recoveries], 0);
    cr_assert_eq(owners(w)->value[COUNTER_replay_recoveries_waited], STUCK);
    world_destroy(w);
    printf("compared %u recoveries that wait\n", STUCK);
}
