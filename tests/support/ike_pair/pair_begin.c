/* How a pair comes to be: mirrored states without any exchange, or nothing yet. */
#include "ike_pair/pair.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "ike/connection.h"
#include "ike/lifetime.h"

static void random_secret(struct pair *p, struct secret *a, struct secret *b, size_t len)
{
    uint8_t bytes[SECRET_MAX_BYTES];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)pair_roll(p);
    secret_set(a, bytes, len);
    secret_set(b, bytes, len);
}

/* One CHILD SA at each end, mirrored; local is the client's. */
static void mirrored_children(struct pair *p, struct ike_child *c, struct ike_child *g)
{
    const struct pair_side *client = &p->side[CLIENT], *gateway = &p->side[GATEWAY];
    uint8_t entropy[8] = {0};
    struct ike_child_terms terms;

    *c = (struct ike_child){.state = IKE_CHILD_INSTALLED,
                            .begun = IKE_BY_US,
                            .spi_in = 0x1000 + (uint32_t)(pair_roll(p) % 0x10000),
                            .spi_out = 0x2000000 + (uint32_t)(pair_roll(p) % 0x10000),
                            .encr_id = 20,
                            .encr_bits = 256,
                            .outbound = true,
                            .n_local_ts = 1,
                            .n_remote_ts = 1};
    c->local_ts[0] = (struct ike_ts){
        .port_high = 65535, .low = addr_v4(0x0a630002), .high = addr_v4(0x0a630002)};
    c->remote_ts[0] = gateway->policy.local_ts[0];
    *g = *c;
    g->begun = IKE_BY_PEER;
    g->spi_in = c->spi_out;
    g->spi_out = c->spi_in;
    g->local_ts[0] = c->remote_ts[0];
    g->remote_ts[0] = c->local_ts[0];
    random_secret(p, &c->key_in, &g->key_out, 36);
    random_secret(p, &c->key_out, &g->key_in, 36);
    terms = ike_connection_terms(&client->policy, &(struct ike_sa){0}, c->local_ts, c->n_local_ts);
    ike_lifetime_start_child(&terms, c, &(struct ike_start){p->now_ms, entropy, false});
    terms = ike_connection_terms(&gateway->policy, &(struct ike_sa){0}, g->local_ts, g->n_local_ts);
    ike_lifetime_start_child(&terms, g, &(struct ike_start){p->now_ms, entropy, false});
}

static void mirrored_sas(struct pair *p)
{
    struct ike_sa *c = pair_free_sa(p, CLIENT), *g = pair_free_sa(p, GATEWAY);
    uint8_t entropy[8] = {0};

    memset(c, 0, sizeof *c);
    c->state = IKE_SA_ESTABLISHED;
    c->role = IKE_INITIATOR;
    c->local_spi = pair_roll(p);
    c->remote_spi = pair_roll(p);
    c->shard = 1;
    c->local = p->side[CLIENT].at;
    c->remote = p->side[GATEWAY].at;
    c->encap = true;
    c->encr_id = 20;
    c->encr_bits = 256;
    c->prf_id = 5;
    c->ke_id = 31;
    c->iv_next = 3;
    c->next_request_id = 2;
    c->virtual_ip[SLOT_V4] = addr_v4(0x0a630002);
    c->local_part.last_inbound_ms = p->now_ms;
    c->local_part.last_outbound_ms = p->now_ms;
    *g = *c;
    g->role = IKE_RESPONDER;
    g->local_spi = c->remote_spi;
    g->remote_spi = c->local_spi;
    g->local = c->remote;
    g->remote = c->local;
    g->next_request_id = 0;
    g->expected_request_id = 2;
    c->remote_id = p->side[GATEWAY].policy.local_id;
    g->remote_id = p->side[CLIENT].policy.local_id;
    random_secret(p, &c->keys.sk_d, &g->keys.sk_d, 32);
    random_secret(p, &c->keys.sk_e_in, &g->keys.sk_e_out, 36);
    random_secret(p, &c->keys.sk_e_out, &g->keys.sk_e_in, 36);
    random_secret(p, &c->keys.sk_p_in, &g->keys.sk_p_out, 32);
    random_secret(p, &c->keys.sk_p_out, &g->keys.sk_p_in, 32);
    ike_lifetime_start_sa(&p->side[CLIENT].policy, c, IKE_BY_US,
                          &(struct ike_start){p->now_ms, entropy, false});
    ike_lifetime_start_sa(&p->side[GATEWAY].policy, g, IKE_BY_PEER,
                          &(struct ike_start){p->now_ms, entropy, false});
    mirrored_children(p, &c->children[0], &g->children[0]);
}

struct pair *pair_new_unconnected(uint64_t seed)
{
    /* Fresh pages: most of it is never touched, and thousands of pairs are made in one test. */
    struct pair *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    p->rng = seed * 0x9e3779b97f4a7c15ull + 1;
    p->now_ms = 1000000;
    p->latency_ms = 10;
    p->check_codec = true;
    pair_policy_init(&p->side[CLIENT], CLIENT);
    pair_policy_init(&p->side[GATEWAY], GATEWAY);
    for (int i = 0; i < 8; i++)
        (void)pair_roll(p);
    return p;
}

struct pair *pair_new(uint64_t seed)
{
    struct pair *p = pair_new_unconnected(seed);

    mirrored_sas(p);
    return p;
}

void pair_connect(struct pair *p)
{
    struct ike_event ev = {.kind = IKE_EV_INITIATE,
                           .shard = 1,
                           .local = p->side[CLIENT].at,
                           .remote = p->side[GATEWAY].at};

    ev.local.port = 500;
    ev.remote.port = 500;
    (void)pair_event(p, CLIENT, NULL, &ev);
    pair_run(p);
}

void pair_free(struct pair *p)
{
    if (p != NULL)
        (void)munmap(p, sizeof *p);
}
