/* What a peer can make the conductor keep or do is bounded, and each bound is counted. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/records.pb-c.h"
#include "world.h"

enum { FLOOD = 700 };

static uint64_t counted(struct world *w, enum counter_id id)
{
    return conductor_counters(w->nodes[w->owner].conductor)->value[id];
}

static uint64_t reasons(struct world *w, enum ike_reason reason)
{
    return conductor_counters(w->nodes[w->owner].conductor)->reason[reason];
}

static struct conductor *owner(struct world *w)
{
    return w->nodes[w->owner].conductor;
}

static const struct endpoint gateway = {{.family = ADDR_V4, .bytes = {10, 77, 1, 100}}, 500};

static struct endpoint source(unsigned i)
{
    return (struct endpoint){addr_v4(0x0a4e0000 + i), 500};
}

/* The client's own first request, from another address and with another SPI: a stranger. */
static struct world_packet first_request(struct world *w)
{
    struct endpoint from = {addr_v4(0x0a4d0132), 500};
    struct world_packet p;

    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
    cr_assert_eq(w->n_packets, 1);
    p = w->packets[w->head];
    w->head = (w->head + 1) % WORLD_PACKETS;
    w->n_packets = 0;
    return p;
}

static void flood(struct world *w, struct world_packet *p, unsigned from, unsigned n,
                  unsigned sources)
{
    for (unsigned i = 0; i < n; i++) {
        struct endpoint remote = source(from + i % sources);

        put_be64(p->bytes, 0x1122334400000000u + ((uint64_t)from << 16) + i);
        conductor_handle_datagram(owner(w), WORLD_SHARD, &gateway, &remote, false,
                                  span_of(p->bytes, p->len));
        w->n_packets = 0; /* nobody is there to take the answers */
    }
}

static void give_cookie_secret(struct world *w)
{
    Holdfast__ClusterConfig config = HOLDFAST__CLUSTER_CONFIG__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    struct repl_event ev = {.kind = REPL_EV_CONFIG, .record = &record};
    uint8_t secret[32] = "thirty-two bytes that are secret";

    config.cookie_secret = (ProtobufCBinaryData){.len = sizeof secret, .data = secret};
    config.cookie_secret_id = 1;
    record.body_case = HOLDFAST__RECORD__BODY_CONFIG;
    record.config = &config;
    for (unsigned i = 0; i < 3; i++)
        conductor_handle_replication(w->nodes[i].conductor, &ev);
}

Test(bounds, half_open_sas_are_bounded_per_source_and_expire)
{
    struct world *w = world_create(NULL);
    struct world_packet p = first_request(w);

    flood(w, &p, 0, 50, 1);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_HALF_OPEN_SOURCE_MAX);
    cr_assert_eq(counted(w, COUNTER_half_open_made), CONDUCTOR_HALF_OPEN_SOURCE_MAX);
    cr_assert_eq(counted(w, COUNTER_half_open_refused), 50 - CONDUCTOR_HALF_OPEN_SOURCE_MAX);
    flood(w, &p, 1, 1, 1);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_HALF_OPEN_SOURCE_MAX + 1,
                 "another source is not held back");
    cr_assert_eq(counted(w, COUNTER_submitted), 0, "a half-open SA cost a record");
    world_run(w, 40000);
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    world_destroy(w);
}

/* A host has 2^64 addresses of IPv6: its /64 is one source. */
Test(bounds, sources_of_ipv6_are_counted_by_64)
{
    struct world *w = world_create(NULL);
    struct world_packet p = first_request(w);
    struct endpoint local = {addr_v6((const uint8_t[16]){0xfd, 1}), 500};

    for (unsigned i = 0; i < 50; i++) {
        struct endpoint remote = {addr_v6((const uint8_t[16]){0xfd, 2, [15] = (uint8_t)i}), 500};

        put_be64(p.bytes, 0x1122334400000000u + i);
        conductor_handle_datagram(owner(w), WORLD_SHARD, &local, &remote, false,
                                  span_of(p.bytes, p.len));
        w->n_packets = 0;
    }
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_HALF_OPEN_SOURCE_MAX);
    for (unsigned i = 0; i < 3; i++) {
        struct endpoint remote = {
            addr_v6((const uint8_t[16]){0xfd, 2, [7] = (uint8_t)(i + 1), [15] = 1}), 500};

        put_be64(p.bytes, 0x1122334500000000u + i);
        conductor_handle_datagram(owner(w), WORLD_SHARD, &local, &remote, false,
                                  span_of(p.bytes, p.len));
        w->n_packets = 0;
    }
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_HALF_OPEN_SOURCE_MAX + 3,
                 "other networks are not held back");
    world_run(w, 40000);
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    world_destroy(w);
}

Test(bounds, half_open_sas_are_bounded_in_all)
{
    struct world *w = world_create(NULL); /* without a secret there are no cookies */
    struct world_packet p = first_request(w);

    flood(w, &p, 0, CONDUCTOR_HALF_OPEN_MAX + 100, 500);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_HALF_OPEN_MAX);
    cr_assert_eq(counted(w, COUNTER_half_open_refused), 100);
    cr_assert_eq(counted(w, COUNTER_submitted), 0);
    world_destroy(w);
}

Test(bounds, from_256_half_open_sas_on_a_cookie_is_asked_for_and_a_client_answers_it)
{
    struct world *w = world_create(NULL);
    struct world_packet p = first_request(w);

    give_cookie_secret(w);
    flood(w, &p, 0, CONDUCTOR_COOKIE_AT, 200);
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), 0);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_COOKIE_AT);
    flood(w, &p, 1000, FLOOD, 200);
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), FLOOD);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_COOKIE_AT, "kept without a cookie");
    world_run(w, 1500); /* the client's own first request was lost: it asks again */
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), FLOOD + 1);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "the client did not get in");
    cr_assert_eq(world_established(w, w->owner), 1);
    world_destroy(w);
}

static const struct endpoint client_at = {{.family = ADDR_V4, .bytes = {10, 77, 1, 50}}, 500};

/* `n` first requests that say they are from `remote`. */
static void flood_as(struct world *w, struct world_packet *p, const struct endpoint *remote,
                     unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put_be64(p->bytes, 0x5566778800000000u + i);
        conductor_handle_datagram(owner(w), WORLD_SHARD, &gateway, remote, false,
                                  span_of(p->bytes, p->len));
        w->n_packets = 0;
    }
}

/* Who lies about its address may not lock out who has it (RFC 7296 2.6): few half-open SAs of one
 * source are enough for cookies, and the honest client answers one. */
Test(bounds, a_flood_in_the_clients_name_does_not_keep_it_out)
{
    struct world *w = world_create(NULL);
    struct world_packet p = first_request(w);

    give_cookie_secret(w);
    flood_as(w, &p, &client_at, 100);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_COOKIE_SOURCE_AT);
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), 100 - CONDUCTOR_COOKIE_SOURCE_AT);
    cr_assert_eq(counted(w, COUNTER_half_open_refused), 0);
    flood(w, &p, 1, 1, 1);
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), 100 - CONDUCTOR_COOKIE_SOURCE_AT,
                 "another source is asked for one too");
    world_run(w, 1500); /* the client's own first request was lost: it asks again */
    cr_assert_eq(reasons(w, IKE_REASON_COOKIE_SENT), 101 - CONDUCTOR_COOKIE_SOURCE_AT);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "the client did not get in");
    cr_assert_eq(world_established(w, w->owner), 1);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    flood_as(w, &p, &client_at, CONDUCTOR_COOKIE_SOURCE_AT);
    cr_assert_eq(conductor_count_half_open(owner(w)), CONDUCTOR_COOKIE_SOURCE_AT,
                 "what is over counts still");
    world_destroy(w);
}

/* A source's half-open SAs are counted from the key exchange on: it costs more than the SA. */
Test(bounds, no_key_exchange_is_made_beyond_a_sources_bounds)
{
    static const struct {
        bool cookies, at_once;
        unsigned kes;
    } table[] = {{false, false, CONDUCTOR_HALF_OPEN_SOURCE_MAX},
                 {false, true, CONDUCTOR_HALF_OPEN_SOURCE_MAX},
                 {true, false, CONDUCTOR_COOKIE_SOURCE_AT},
                 {true, true, CONDUCTOR_COOKIE_SOURCE_AT}};
    unsigned rows = 0;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++, rows++) {
        struct world *w = world_create(NULL);
        struct world_packet p = first_request(w);

        if (table[i].cookies)
            give_cookie_secret(w);
        w->hold_key_exchanges = table[i].at_once;
        flood_as(w, &p, &client_at, 100);
        world_release_key_exchanges(w);
        cr_assert_eq(w->key_exchanges, table[i].kes, "row %zu: %u key exchanges", i,
                     w->key_exchanges);
        cr_assert_eq(conductor_count_half_open(owner(w)), table[i].kes);
        cr_assert_eq(counted(w, COUNTER_half_open_refused),
                     table[i].cookies ? 0 : 100 - table[i].kes);
        world_destroy(w);
    }
    cr_assert_eq(rows, 4);
}

/* As the configuration says: so many of one source in a minute, and again in the next. */
Test(bounds, failed_authentications_are_limited_as_configured)
{
    struct world *w;
    struct endpoint from = {addr_v4(0x0a4d0132), 500};

    world_auth = (struct conductor_auth_limit){.per_source = 3, .in_all = 256, .window_ms = 60000};
    w = world_create(NULL);
    secret_set(&w->client_psk.psk, "another one", 11);
    for (unsigned i = 0; i < 4; i++) {
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
        world_run(w, 10);
    }
    cr_assert_eq(counted(w, COUNTER_sas_created), 3);
    world_run(w, 50000);
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
    world_run(w, 10);
    cr_assert_eq(counted(w, COUNTER_sas_created), 3, "the window of a minute is not over");
    world_run(w, 30000);
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
    world_run(w, 10);
    cr_assert(counted(w, COUNTER_sas_created) > 3 && counted(w, COUNTER_sas_created) <= 6,
              "of a new window, in which two older ones may ask again, %lu",
              (unsigned long)counted(w, COUNTER_sas_created));
    world_destroy(w);
}

/* One client after the other, each from the same source and with a wrong key. */
Test(bounds, failed_authentications_are_limited_per_source)
{
    struct world *w = world_create(NULL);
    struct endpoint from = {addr_v4(0x0a4d0132), 500};

    secret_set(&w->client_psk.psk, "another one", 11);
    for (unsigned i = 0; i <= CONDUCTOR_AUTH_RATE; i++) {
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
        world_run(w, 10);
    }
    cr_assert_eq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE);
    cr_assert_eq(counted(w, COUNTER_rate_limited), 1);
    cr_assert_geq(reasons(w, IKE_REASON_AUTH_FAILED), CONDUCTOR_AUTH_RATE);
    cr_assert_eq(world_established(w, w->owner), 0);
    world_run(w, 9000); /* the last one asks again; the linger is over, the window is not */
    cr_assert_eq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE);
    cr_assert_geq(counted(w, COUNTER_rate_limited), 3);
    cr_assert_eq(counted(w, COUNTER_sas_deleted), CONDUCTOR_AUTH_RATE);
    cr_assert_eq(conductor_count_sas(owner(w)), 0);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_sas(owner(w)), 0, "something of it is left");
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    world_destroy(w);
}

/* The next packet arrives; an IKE_AUTH of the client says that it is from `ip`. */
static void deliver_as(struct world *w, const struct ip_addr *ip)
{
    struct world_packet p = w->packets[w->head];

    w->head = (w->head + 1) % WORLD_PACKETS;
    w->n_packets--;
    if (!p.to_client && p.bytes[18] == 35)
        p.from.ip = *ip;
    conductor_handle_datagram(p.to_client ? w->nodes[WORLD_CLIENT].conductor : owner(w),
                              WORLD_SHARD, &p.to, &p.from, p.natt, span_of(p.bytes, p.len));
}

/* What a cookie can prove is where the IKE_SA_INIT came from. An IKE_AUTH may say that it is from
 * anywhere, and a liar does not use up what honest sources have. */
Test(bounds, failed_authentications_count_for_the_address_that_was_proven)
{
    struct world *w = world_create(NULL);
    unsigned i;

    secret_set(&w->client_psk.psk, "another one", 11);
    for (i = 0; i < 100; i++) {
        struct endpoint from = {addr_v4(0x0a4d0132), (uint16_t)(1000 + i)};

        world_restart_client(w);
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
        while (world_commit(w) || w->n_packets > 0)
            if (w->n_packets > 0)
                deliver_as(w, &(struct ip_addr){ADDR_V4, {11, 0, 0, (uint8_t)i}});
    }
    cr_assert_eq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE, "%lu of one source",
                 (unsigned long)counted(w, COUNTER_sas_created));
    cr_assert_geq(counted(w, COUNTER_rate_limited), 1);
    printf("compared %u claims of another address\n", i);
    world_destroy(w);
}

/* One failure of each source: the log is kept free all the same (I15). Who holds the key gets in
 * meanwhile, and is not counted; afterwards failures are answered again. */
Test(bounds, failed_authentications_are_limited_in_all)
{
    struct world *w = world_create(NULL);
    struct conductor *client = w->nodes[WORLD_CLIENT].conductor;
    struct secret right = w->client_psk.psk;
    struct endpoint from, to = gateway;
    unsigned i;

    secret_set(&w->client_psk.psk, "another one", 11);
    for (i = 0; i < CONDUCTOR_AUTH_RATE_ALL + 20; i++) {
        from = source(i);
        to.ip = source(2000 + i).ip; /* the client has one half-open SA for each peer */
        conductor_initiate(client, WORLD_SHARD, &from, &to);
        world_run(w, 10);
    }
    cr_assert_eq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE_ALL);
    cr_assert_eq(counted(w, COUNTER_rate_limited), 20);
    w->client_psk.psk = right;
    for (unsigned k = 1; k <= 5; k++) {
        from = source(1000 + k);
        to.ip = source(3000 + k).ip;
        conductor_initiate(client, WORLD_SHARD, &from, &to);
        world_run(w, 10);
        cr_assert_eq(world_established(w, w->owner), k, "an honest client is held back");
    }
    cr_assert_eq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE_ALL + 5);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_half_open(owner(w)), 0);
    secret_set(&w->client_psk.psk, "another one", 11);
    from = source(i);
    conductor_initiate(client, WORLD_SHARD, &from, &to);
    world_run(w, 10);
    cr_assert_geq(counted(w, COUNTER_sas_created), CONDUCTOR_AUTH_RATE_ALL + 6);
    printf("compared %u sources\n", i + 6);
    world_destroy(w);
}

/* While a step waits for the log: its repetitions wait behind it and are answered by the same
 * bytes, once it is applied; more than a few are dropped and counted. */
Test(bounds, a_request_repeated_while_its_step_is_under_way_is_executed_once)
{
    struct world *w = world_create(NULL);
    struct world_node *n = &w->nodes[0];
    struct world_packet p;
    uint64_t steps;

    cr_assert(world_connect(w));
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
    for (int i = 0; w->nodes[WORLD_CLIENT].pending != NULL && i < 4; i++)
        world_commit(w);
    cr_assert_eq(w->n_packets, 1);
    p = w->packets[w->head];
    steps = n->steps;
    for (int i = 0; i < 1 + CONDUCTOR_QUEUE_MAX + 5; i++)
        conductor_handle_datagram(n->conductor, WORLD_SHARD, &p.to, &p.from, p.natt,
                                  span_of(p.bytes, p.len));
    cr_assert_eq(n->steps, steps + 1, "submitted %llu times",
                 (unsigned long long)(n->steps - steps));
    cr_assert_eq(counted(w, COUNTER_queue_full), 5);
    world_run(w, 5000);
    cr_assert_eq(w->copies_differ, 0);
    cr_assert_geq(w->copies, CONDUCTOR_QUEUE_MAX, "%u copies were answered", w->copies);
    cr_assert_eq(world_children(w, 0), 1);
    cr_assert_eq(world_children(w, WORLD_CLIENT), 1);
    world_destroy(w);
}

/* Replication takes nothing for a while: as if the request never came; it is executed when it
 * comes again. */
Test(bounds, under_back_pressure_a_request_is_forgotten_and_its_repetition_executed)
{
    struct world *w = world_create(NULL);
    struct ike_sa before;

    cr_assert(world_connect(w));
    before = world_sa(w, 0);
    w->busy = true;
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
    world_run(w, 500);
    cr_assert_geq(counted(w, COUNTER_submit_refused), 1);
    cr_assert_eq(world_sa(w, 0).local_spi, before.local_spi);
    cr_assert_eq(world_sa(w, 0).expected_request_id, before.expected_request_id);
    w->busy = false;
    world_run(w, 20000);
    cr_assert_neq(world_sa(w, 0).local_spi, before.local_spi, "the rekey did not come through");
    cr_assert_eq(world_children(w, 0), 1);
    cr_assert_eq(w->copies_differ, 0);
    world_destroy(w);
}

struct addresses {
    struct ip_addr seen[8];
    size_t n;
};

static void collect(void *self, const struct conductor_sa_view *v)
{
    struct addresses *a = self;

    if (v->sa->virtual_ip[SLOT_V4].family == ADDR_NONE || a->n == 8)
        return;
    for (size_t i = 0; i < a->n; i++)
        cr_assert_not(addr_equal(&a->seen[i], &v->sa->virtual_ip[SLOT_V4]), "given out twice");
    a->seen[a->n++] = v->sa->virtual_ip[SLOT_V4];
}

static size_t with_address(struct world *w, unsigned node)
{
    struct addresses a = {.n = 0};

    conductor_each_sa(w->nodes[node].conductor, collect, &a);
    return a.n;
}

Test(bounds, an_exhausted_pool_refuses_and_a_deleted_sa_gives_its_address_back)
{
    struct world *w = world_create_pool(NULL, 2);
    struct conductor *client = w->nodes[WORLD_CLIENT].conductor;
    struct endpoint from = {addr_v4(0x0a4d0132), 500};
    uint64_t sa;
    const char *why = "";

    for (unsigned i = 0; i < 3; i++) {
        conductor_initiate(client, WORLD_SHARD, &from, &gateway);
        world_run(w, 100);
    }
    cr_assert_eq(with_address(w, 0), 2);
    cr_assert_eq(with_address(w, 1), 2, "a standby node sees another pool");
    cr_assert_eq(counted(w, COUNTER_pool_exhausted), 1);
    cr_assert_eq(reasons(w, IKE_REASON_POOL_EXHAUSTED), 1);
    sa = world_some_sa(w, WORLD_CLIENT);
    cr_assert_neq(sa, 0);
    cr_assert(conductor_command(client, sa, IKE_WANT_DELETE_IKE, 0, &why), "%s", why);
    world_run(w, 10000);
    cr_assert_eq(with_address(w, 0), 1);
    conductor_initiate(client, WORLD_SHARD, &from, &gateway);
    world_run(w, 100);
    cr_assert_eq(with_address(w, 0), 2, "the address did not come back");
    world_assign(w, 1); /* the new owner knows the same addresses as taken */
    conductor_initiate(client, WORLD_SHARD, &from, &gateway);
    world_run(w, 3000);
    cr_assert_eq(with_address(w, 1), 2);
    cr_assert_geq(counted(w, COUNTER_pool_exhausted), 1);
    world_destroy(w);
}

struct table {
    size_t n;
    struct {
        struct ike_sa sa;
        uint64_t version;
        struct repl_claim claims[IKE_MAX_CHILDREN];
    } rows[4];
};

static void take_row(void *self, const struct conductor_sa_view *v)
{
    struct table *t = self;
    size_t at = t->n++;

    cr_assert_lt(at, 4);
    while (at > 0 && t->rows[at - 1].sa.local_spi > v->sa->local_spi) { /* by id */
        t->rows[at] = t->rows[at - 1];
        at--;
    }
    memset(&t->rows[at], 0, sizeof t->rows[at]);
    t->rows[at].sa = *v->sa;
    memset(&t->rows[at].sa.local_part, 0, sizeof t->rows[at].sa.local_part);
    t->rows[at].version = v->version;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        t->rows[at].claims[i] = v->children[i].claim;
}

static bool same_sa(const struct ike_sa *x, const struct ike_sa *y)
{
    static uint8_t of_x[IKE_SA_ENCODED_MAX], of_y[IKE_SA_ENCODED_MAX];
    size_t n = 0, m = 0;

    cr_assert(ike_sa_encode(x, of_x, sizeof of_x, &n) && ike_sa_encode(y, of_y, sizeof of_y, &m));
    return n == m && memcmp(of_x, of_y, n) == 0;
}

static void check_same_table(struct world *w, unsigned a, unsigned b)
{
    struct table *x = calloc(1, sizeof *x), *y = calloc(1, sizeof *y);

    conductor_each_sa(w->nodes[a].conductor, take_row, x);
    conductor_each_sa(w->nodes[b].conductor, take_row, y);
    cr_assert_gt(x->n, 0);
    cr_assert_eq(x->n, y->n, "%zu and %zu SAs", x->n, y->n);
    for (size_t i = 0; i < x->n; i++) {
        cr_assert(same_sa(&x->rows[i].sa, &y->rows[i].sa), "SA %zu", i);
        cr_assert_eq(x->rows[i].version, y->rows[i].version);
        for (int k = 0; k < IKE_MAX_CHILDREN; k++) {
            const struct repl_claim *p = &x->rows[i].claims[k], *q = &y->rows[i].claims[k];

            cr_assert_eq(p->reservation_end, q->reservation_end);
            cr_assert_eq(p->ceiling, q->ceiling);
            cr_assert_eq(p->version, q->version);
        }
    }
    free(x);
    free(y);
}

Test(bounds, a_snapshot_gives_the_same_table_and_its_node_can_take_over)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    cr_assert(world_want(w, 0, IKE_WANT_REKEY_CHILD_PFS));
    world_run(w, 3000);
    world_assign(w, 2); /* an assignment that no record of the SA has touched since */
    check_same_table(w, 2, 1);
    world_restore(w, 1);
    check_same_table(w, 2, 1);
    cr_assert_not(conductor_shard(w->nodes[1].conductor, WORLD_SHARD)->mine);
    world_restore(w, 1); /* over what is there */
    check_same_table(w, 2, 1);
    world_assign(w, 1);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
    world_run(w, 20000);
    cr_assert_eq(world_established(w, 1), 1);
    cr_assert_eq(world_children(w, 1), 1);
    cr_assert_eq(w->copies_differ, 0);
    cr_assert_eq(w->grants_overlap, 0);
    world_destroy(w);
}
