/* One virtual address of each family: exact on every node and in the log, kept through rekeys,
 * takeovers and snapshots, given back together, and the same again for who comes again. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static void both(struct ike_policy *gateway, struct ike_policy *client)
{
    static const uint8_t low[16] = {0xfd, 0, 0, 0x20};
    struct ike_ts ts = {.port_high = 65535, .low = addr_v6(low), .high = addr_v6(low)};

    memset(ts.high.bytes + 8, 0xff, 8);
    gateway->local_ts[gateway->n_local_ts++] = ts;
    client->request_address6 = true;
}

/* Every node says the same, and the log has it for this very SA. */
static void check_leases(struct world *w, const struct ip_addr want[ADDR_SLOTS], const char *when)
{
    uint64_t id = world_sa(w, w->owner).local_spi;

    for (unsigned node = 0; node < 3; node++) {
        struct ike_sa sa = world_sa(w, node);

        cr_assert_eq(memcmp(sa.virtual_ip, want, sizeof sa.virtual_ip), 0, "%s: node %u", when,
                     node);
    }
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        const struct fsm_lease *l =
            fsm_lease(&w->gateway_log.fsm, span_of(want[slot].bytes, addr_len(&want[slot])));

        cr_assert(l != NULL && l->sa != NULL && l->sa->id == id, "%s: slot %u in the log", when,
                  slot);
    }
    cr_assert_eq(w->gateway_log.fsm.leases.n_used, 2, "%s: two leases in all", when);
}

static void log_off(struct world *w)
{
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    world_run(w, 20000);
    cr_assert_eq(world_established(w, w->owner), 0);
    cr_assert_eq(w->gateway_log.fsm.leases.n_used, 0, "given back, both");
}

Test(families, leases_are_kept_through_everything)
{
    struct world *w = world_create(both);
    struct ip_addr ip[ADDR_SLOTS];
    struct ike_sa sa;

    cr_assert(world_connect(w));
    sa = world_sa(w, 0);
    memcpy(ip, sa.virtual_ip, sizeof ip);
    cr_assert(ip[SLOT_V4].family == ADDR_V4 && ip[SLOT_V6].family == ADDR_V6);
    cr_assert_eq(memcmp(world_sa(w, WORLD_CLIENT).virtual_ip, ip, sizeof ip), 0);
    cr_assert(sa.children[0].n_local_ts == 2 && sa.children[0].n_remote_ts == 2);
    check_leases(w, ip, "established");
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
        world_run(w, 10000);
        check_leases(w, ip, "IKE rekey by the client");
        world_assign(w, (w->owner + 1) % 3);
        world_run(w, 1000);
        check_leases(w, ip, "takeover");
        cr_assert(world_want(w, w->owner, IKE_WANT_REKEY_IKE));
        world_run(w, 10000);
        check_leases(w, ip, "IKE rekey by the gateway");
        cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_NOPFS));
        world_run(w, 5000);
        world_restore(w, (w->owner + 1) % 3);
        check_leases(w, ip, "snapshot");
        world_assign(w, (w->owner + 1) % 3);
        world_run(w, 1000);
        check_leases(w, ip, "owned by who loaded it");
    }
    cr_assert_eq(w->inits, 1);
    log_off(w);
    cr_assert(world_connect(w));
    check_leases(w, ip, "who comes again has the same");
    world_destroy(w);
}

static void become(struct world *w, const char *id)
{
    struct ike_identity who = {.type = 2, .len = (uint8_t)strlen(id)};

    memcpy(who.bytes, id, who.len);
    w->client_policy.local_id = w->gateway_psk.remote = who;
}

/* The SAs of a node by whether they have an address: the one that has one, and the one that gave it. */
struct anew {
    struct ike_sa with, without;
    size_t n_with, n_without;
};

static void look_anew(void *self, const struct conductor_sa_view *v)
{
    struct anew *a = self;
    bool has = addr_is_set(&v->sa->virtual_ip[SLOT_V4]) || addr_is_set(&v->sa->virtual_ip[SLOT_V6]);

    if (v->sa->state != IKE_SA_ESTABLISHED)
        return;
    a->n_with += has;
    a->n_without += !has;
    *(has ? &a->with : &a->without) = *v->sa;
}

static struct anew anew_at(struct world *w, unsigned node)
{
    struct anew a = {0};

    conductor_each_sa(w->nodes[node].conductor, look_anew, &a);
    return a;
}

/* On every node, and in the log: one SA, that is not `old`, has them. Its id. */
static uint64_t taken_along(struct world *w, const struct ip_addr ip[ADDR_SLOTS], uint64_t old,
                            size_t givers, const char *when)
{
    uint64_t id = anew_at(w, w->owner).with.local_spi;

    cr_assert_neq(id, old, "%s", when);
    for (unsigned node = 0; node < 3; node++) {
        struct anew a = anew_at(w, node);

        cr_assert(a.n_with == 1 && a.n_without == givers, "%s: node %u: %zu and %zu", when, node,
                  a.n_with, a.n_without);
        cr_assert_eq(memcmp(a.with.virtual_ip, ip, sizeof a.with.virtual_ip), 0, "%s", when);
        cr_assert_eq(a.with.local_spi, id, "%s: node %u", when, node);
    }
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        const struct fsm_lease *l =
            fsm_lease(&w->gateway_log.fsm, span_of(ip[slot].bytes, addr_len(&ip[slot])));

        cr_assert(l != NULL && l->sa != NULL && l->sa->id == id, "%s: slot %u", when, slot);
    }
    cr_assert_eq(w->gateway_log.fsm.leases.n_used, 2, "%s", when);
    return id;
}

/* The CHILD SAs that the data path of `node` was told not to prefer. */
static unsigned unproven_at(struct world *w, unsigned node)
{
    const struct ike_sa sas[] = {anew_at(w, node).with, anew_at(w, node).without};
    unsigned n = 0;

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < IKE_MAX_CHILDREN; k++) {
            const struct world_esp *e =
                sas[i].children[k].spi_in == 0
                    ? NULL
                    : conductor_esp_of(w->nodes[node].conductor, sas[i].children[k].spi_in);

            n += e != NULL && e->unproven;
        }
    return n;
}

static void begin_anew(struct world *w, uint32_t from, const struct ip_addr ip[ADDR_SLOTS])
{
    const struct endpoint local = {addr_v4(from), 500}, to = {addr_v4(0x0a4d0164), 500};

    memcpy(w->client_policy.wish, ip, sizeof w->client_policy.wish);
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &local, &to);
}

/* RFC 7296 2.8.3: authenticated anew beside the old SA, which is deleted only then. The client keeps
 * its addresses, whoever owns the shard meanwhile, and whatever becomes of the old SA. */
Test(families, authenticating_anew_takes_the_addresses_along)
{
    struct world *w = world_create(both);
    struct ip_addr ip[ADDR_SLOTS];
    struct anew a;
    uint64_t old, id;
    const char *why;

    cr_assert(world_connect(w));
    memcpy(ip, world_sa(w, 0).virtual_ip, sizeof ip);
    old = world_sa(w, 0).local_spi;
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_NOPFS)); /* a step in between */
    begin_anew(w, 0x0a4d0132, ip);
    world_run(w, 5000);
    id = taken_along(w, ip, old, 1, "anew");
    cr_assert_eq(world_children(w, w->owner), 2, "those of the old SA stay until its Delete");
    cr_assert_eq(unproven_at(w, w->owner), 1, "the new one alone: the old one was rekeyed");
    cr_assert_eq(unproven_at(w, 1), 1);
    world_restore(w, 1);
    (void)taken_along(w, ip, old, 1, "snapshot");
    cr_assert_eq(unproven_at(w, 1), 0, "what a snapshot has is older than its answer");
    world_assign(w, 1);
    world_run(w, 1000);
    cr_assert_eq(taken_along(w, ip, old, 1, "takeover"), id);
    a = anew_at(w, w->owner);
    cr_assert(
        conductor_command(w->nodes[1].conductor, a.without.local_spi, IKE_WANT_REKEY_IKE, 0, &why));
    world_run(w, 5000);
    cr_assert_eq(taken_along(w, ip, old, 1, "the old one is rekeyed"), id);
    a = anew_at(w, w->owner);
    cr_assert(conductor_command(w->nodes[1].conductor, a.without.local_spi, IKE_WANT_DELETE_IKE, 0,
                                &why));
    world_run(w, 20000);
    cr_assert_eq(taken_along(w, ip, old, 0, "the old one is deleted"), id);
    check_leases(w, ip, "in the end");
    cr_assert_eq(w->grants_overlap, 0);
    cr_assert_eq(w->copies_differ, 0);
    log_off(w);
    world_destroy(w);
}

/* Another device of the same identity elsewhere, or another identity: they take nothing. */
Test(families, an_address_in_use_is_taken_along_by_its_own_peer_only)
{
    struct world *w = world_create(both);
    struct ip_addr ip[ADDR_SLOTS];
    struct ike_sa first;

    cr_assert(world_connect(w));
    first = world_sa(w, 0);
    memcpy(ip, first.virtual_ip, sizeof ip);
    begin_anew(w, 0x0a4d0133, ip); /* from another address */
    world_run(w, 5000);
    cr_assert_eq(anew_at(w, 0).n_with, 2, "both have addresses");
    become(w, "other");
    begin_anew(w, 0x0a4d0132, ip); /* from the very address */
    world_run(w, 5000);
    cr_assert_eq(anew_at(w, 0).n_with, 3);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        cr_assert_eq(
            fsm_lease(&w->gateway_log.fsm, span_of(ip[slot].bytes, addr_len(&ip[slot])))->sa->id,
            first.local_spi);
    cr_assert_eq(w->gateway_log.fsm.leases.n_used, 6);
    world_destroy(w);
}

static void same_of_each(struct ike_policy *gateway, struct ike_policy *client)
{
    both(gateway, client);
    client->initial_contact = true;
}

/* A client that forgot all takes its own two over, in the record that ends what it left behind; also
 * where there are no others. */
Test(families, initial_contact_takes_both_over)
{
    for (uint32_t pool = 1; pool < 200; pool += 100) {
        struct world *w = world_create_pool(same_of_each, pool);
        struct ip_addr ip[ADDR_SLOTS];

        cr_assert(world_connect(w));
        memcpy(ip, world_sa(w, 0).virtual_ip, sizeof ip);
        world_restart_client(w);
        cr_assert(world_connect(w));
        check_leases(w, ip, "again");
        world_destroy(w);
    }
}

/* Each identity has its own place in the pools: whoever came and went meanwhile, on whichever node it
 * logs on, with nothing in the log of it. */
Test(families, who_comes_again_has_the_same)
{
    static const char *const order[] = {"client", "other", "other", "client", "third", "client"};
    struct world *w = world_create(both);
    struct ip_addr first[3][ADDR_SLOTS] = {{{0}}};
    unsigned compared = 0;

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++, compared++) {
        size_t who = order[i][0] == 'c' ? 0 : order[i][0] == 'o' ? 1 : 2;
        struct ike_sa sa;

        become(w, order[i]);
        cr_assert(world_connect(w), "%s", order[i]);
        sa = world_sa(w, w->owner);
        if (!addr_is_set(&first[who][0]))
            memcpy(first[who], sa.virtual_ip, sizeof first[who]);
        check_leases(w, first[who], order[i]);
        log_off(w);
        world_assign(w, (w->owner + 1) % 3);
    }
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        cr_assert(!addr_equal(&first[0][slot], &first[1][slot]) &&
                      !addr_equal(&first[1][slot], &first[2][slot]),
                  "one place for all would be kept by nobody");
    printf("compared %u returns\n", compared);
    world_destroy(w);
}

struct seen {
    struct ip_addr ip[64];
    size_t n;
};

static void note(void *self, const struct conductor_sa_view *v)
{
    struct seen *s = self;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        if (!addr_is_set(&v->sa->virtual_ip[slot]))
            continue;
        for (size_t i = 0; i < s->n; i++)
            cr_assert_not(addr_equal(&s->ip[i], &v->sa->virtual_ip[slot]), "given out twice");
        s->ip[s->n++] = v->sa->virtual_ip[slot];
    }
}

/* Make before break (one identity, several SAs): nobody has another's, on no node, until one family
 * is exhausted and then the other. */
Test(families, addresses_are_unique_to_the_last)
{
    struct world *w = world_create_pool(both, 8);
    struct endpoint from = {addr_v4(0x0a4d0132), 500}, to = {addr_v4(0x0a4d0164), 500};
    unsigned nodes = 0;

    for (unsigned i = 0; i < 9; i++) {
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
        world_run(w, 500);
        if (i % 3 == 2)
            world_assign(w, (w->owner + 1) % 3);
    }
    for (; nodes < 3; nodes++) {
        struct seen s = {.n = 0};

        conductor_each_sa(w->nodes[nodes].conductor, note, &s);
        cr_assert_eq(s.n, 16, "node %u has %zu addresses", nodes, s.n);
    }
    cr_assert_eq(w->gateway_log.fsm.leases.n_used, 16);
    printf("compared %u nodes\n", nodes);
    world_destroy(w);
}
