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

static void become(struct world *w, const char *id)
{
    struct ike_identity who = {.type = 2, .len = (uint8_t)strlen(id)};

    memcpy(who.bytes, id, who.len);
    w->client_policy.local_id = w->gateway_psk.remote = who;
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
