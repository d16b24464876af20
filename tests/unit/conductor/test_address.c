/* Virtual addresses come back, and a refused one is no dead end: whoever connects is answered at
 * once. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/records.pb-c.h"
#include "world.h"

enum { LONG_LINGER_MS = 60000 };

static void long_linger(struct ike_policy *gateway, struct ike_policy *client)
{
    gateway->linger_ms = client->linger_ms = LONG_LINGER_MS;
}

static struct conductor *owner(struct world *w)
{
    return w->nodes[w->owner].conductor;
}

static uint64_t counted(struct world *w, enum counter_id id)
{
    return conductor_counters(owner(w))->value[id];
}

static void initiate(struct world *w)
{
    struct endpoint from = {addr_v4(0x0a4d0132), 500}, to = {addr_v4(0x0a4d0164), 500};

    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
}

static void log_off(struct world *w)
{
    const char *why = "";

    cr_assert(conductor_command(w->nodes[WORLD_CLIENT].conductor,
                                world_sa(w, WORLD_CLIENT).local_spi, IKE_WANT_DELETE_IKE, 0, &why),
              "%s", why);
    world_run(w, 500);
    cr_assert_eq(world_established(w, w->owner), 0);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 0);
}

/* The owner's one SA. */
static bool has_address(struct world *w, const struct ip_addr *ip)
{
    struct ike_sa sa = world_sa(w, w->owner);

    return addr_equal(&sa.virtual_ip[SLOT_V4], ip);
}

/* From here on the client is somebody else. */
static void another_identity(struct world *w)
{
    w->client_policy.local_id = (struct ike_identity){.type = 2, .len = 5, .bytes = "other"};
    w->gateway_psk.remote = w->client_policy.local_id;
}

enum between { NOTHING, TAKEOVER, RESTORED, BETWEENS };

static void again(bool other, enum between between)
{
    static const char *const names[] = {"nothing", "takeover", "restored"};
    /* Who is somebody else finds it the only one. */
    struct world *w = world_create_pool(long_linger, other ? 1 : 254);
    struct ip_addr first;
    char cell[64];

    (void)snprintf(cell, sizeof cell, "%s client, %s between", other ? "another" : "the same",
                   names[between]);
    cr_assert(world_connect(w), "%s", cell);
    first = world_sa(w, 0).virtual_ip[SLOT_V4];
    log_off(w);
    if (other)
        another_identity(w);
    if (between == RESTORED)
        world_restore(w, 1);
    if (between != NOTHING)
        world_assign(w, 1);
    cr_assert(world_connect(w), "%s: not established within 3 s", cell);
    cr_assert(has_address(w, &first), "%s: another address", cell);
    cr_assert_eq(w->auths, 2, "%s: %u IKE_AUTH requests", cell, w->auths);
    cr_assert_eq(counted(w, COUNTER_refused), 0, "%s", cell);
    world_run(w, 2 * LONG_LINGER_MS); /* the deletion of the old SA takes nothing away */
    cr_assert_eq(conductor_count_sas(owner(w)), 1, "%s", cell);
    cr_assert(has_address(w, &first), "%s", cell);
    log_off(w);
    cr_assert(world_connect(w), "%s: a third time", cell);
    world_destroy(w);
}

Test(address, who_logs_off_leaves_its_address_to_the_next)
{
    unsigned cells = 0;

    for (int other = 0; other < 2; other++)
        for (unsigned b = NOTHING; b < BETWEENS; b++, cells++)
            again(other != 0, b);
    printf("compared %u orders of logging off and on\n", cells);
    cr_assert_eq(cells, 6);
}

/* The log holds an address for somebody; no mirror knows. */
static void hold(struct world *w, const struct ip_addr *ip, bool release)
{
    const struct fsm_shard *shard = fsm_shard(&w->gateway_log.fsm, WORLD_SHARD);
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    Holdfast__PoolLease lease = HOLDFAST__POOL_LEASE__INIT;
    uint8_t identity[] = "somebody";

    lease.address =
        (ProtobufCBinaryData){.len = addr_len(ip), .data = (uint8_t *)(uintptr_t)ip->bytes};
    lease.identity = (ProtobufCBinaryData){.len = sizeof identity, .data = identity};
    lease.release = release;
    epoch.incarnation = shard->epoch.incarnation;
    epoch.index = shard->epoch.index;
    r.node = shard->owner_node;
    r.boot = shard->owner_boot;
    r.request = ++w->nodes[w->owner].request;
    r.shard = WORLD_SHARD;
    r.epoch = &epoch;
    r.body_case = HOLDFAST__RECORD__BODY_POOL_LEASE;
    r.pool_lease = &lease;
    instant_log_commit(&w->gateway_log, w->now, &r, NULL, NULL);
    cr_assert_eq(fsm_lease(&w->gateway_log.fsm, span_of(ip->bytes, addr_len(ip))) == NULL, release);
}

/* What the client is given of a pool of which nothing is taken. */
static struct ip_addr first_pick(uint32_t pool)
{
    struct world *w = world_create_pool(NULL, pool);
    struct ip_addr ip;

    cr_assert(world_connect(w));
    ip = world_sa(w, w->owner).virtual_ip[SLOT_V4];
    world_destroy(w);
    return ip;
}

/* The client asked once, and is answered before it would ask again. */
Test(address, a_refused_pick_is_replaced_at_once_and_left_alone_for_a_while)
{
    struct ip_addr first = first_pick(3), second = addr_v4(get_be32(first.bytes) + 1);
    struct world *w = world_create_pool(NULL, 3);

    if (second.bytes[3] > 3)
        second.bytes[3] = 1;
    hold(w, &first, false);
    initiate(w);
    world_run(w, 200);
    cr_assert_eq(world_established(w, w->owner), 1, "not answered");
    cr_assert_eq(w->auths, 1);
    cr_assert(has_address(w, &second));
    cr_assert_eq(counted(w, COUNTER_auth_refused), 1);
    initiate(w);
    world_run(w, 200);
    cr_assert_eq(world_established(w, w->owner), 2);
    cr_assert_eq(w->auths, 2);
    cr_assert_eq(counted(w, COUNTER_auth_refused), 1, "the same address was picked again");
    hold(w, &first, true);
    world_run(w, CONDUCTOR_AVOID_MS);
    initiate(w);
    world_run(w, 200);
    cr_assert_eq(world_established(w, w->owner), 3);
    cr_assert_eq(counted(w, COUNTER_auth_refused), 1);
    cr_assert_not_null(fsm_lease(&w->gateway_log.fsm, span_of(first.bytes, 4)), "never again");
    world_destroy(w);
}

/* Nothing else is free: then that is the answer, not silence. */
Test(address, a_refused_pick_without_another_is_answered_with_a_failure)
{
    struct world *w = world_create_pool(NULL, 1);
    struct ip_addr only = addr_v4(0x0a630001);

    hold(w, &only, false);
    initiate(w);
    world_run(w, 200);
    cr_assert_eq(conductor_counters(owner(w))->reason[IKE_REASON_POOL_EXHAUSTED], 1);
    cr_assert_eq(w->auths, 1);
    cr_assert_eq(counted(w, COUNTER_auth_refused), 1);
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    world_destroy(w);
}
