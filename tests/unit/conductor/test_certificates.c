/* Certificates under the conductor: jobs off the loop, their bounds, a policy that changes meanwhile,
 * an owner that dies meanwhile. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "certs/certs.h"
#include "world.h"

static const struct endpoint gateway = {{ADDR_V4, {10, 77, 1, 100}}, 500};
static struct credentials *both[2], *others;
static unsigned judged;

static enum suite_verdict counting_verify(const void *trust, const struct suite_claim *claim)
{
    judged++;
    return crypto_auth.verify(trust, claim);
}

static struct suite_auth counting;
static struct suite_table suites;

/* The client's certificate is of `client_ca`, the gateway trusts its own CA. */
static void make(bool known)
{
    const struct pki_request c = certs_ca_request("CN=test CA"),
                             o = certs_ca_request("CN=other CA");
    const struct pki_request g = certs_server_request("gw"), m = certs_client_request("client");
    struct pki_pair ca = certs_make("p256", &c, NULL), other = certs_make("p256", &o, NULL);
    struct pki_pair gw = certs_make("p256", &g, &ca),
                    client = certs_make("p256", &m, known ? &ca : &other);

    counting = crypto_auth;
    counting.verify = counting_verify;
    suites = suite_default;
    suites.auth = &counting;
    both[0] = certs_credentials(&gw, NULL, 0, ca.cert);
    both[1] = certs_credentials(&client, NULL, 0, ca.cert);
    others = certs_credentials(&gw, NULL, 0, other.cert);
    judged = 0;
}

static void tune(struct ike_policy *g, struct ike_policy *c)
{
    g->suites = c->suites = &suites;
    g->n_psks = c->n_psks = 0;
    g->credentials = credentials_view(both[0]);
    c->credentials = credentials_view(both[1]);
    c->expect = g->local_id;
}

static uint64_t counted(struct world *w, enum counter_id id)
{
    return conductor_counters(w->nodes[w->owner].conductor)->value[id];
}

Test(certificates, connects_and_goes_on_after_a_takeover)
{
    struct world *w;

    make(true);
    w = world_create(tune);
    cr_assert(world_connect(w));
    cr_assert_eq(judged, 2);
    world_assign(w, 1);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD_PFS));
    world_run(w, 5000);
    cr_assert_eq(world_established(w, w->owner), 1);
    cr_assert_eq(judged, 2, "a takeover asks for no certificate");
    cr_assert_eq(w->copies_differ, 0);
    world_destroy(w);
}

/* Who fails gets no more than a source's failures judged, however much it asks. */
Test(certificates, judging_is_bounded_by_source)
{
    struct endpoint from = {addr_v4(0x0a4d0132), 500};
    struct world *w;

    make(false);
    w = world_create(tune);
    for (unsigned i = 0; i < CONDUCTOR_AUTH_RATE + 8; i++) {
        world_restart_client(w);
        from.port = (uint16_t)(1000 + i);
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
        world_run(w, 10);
    }
    cr_assert_eq(judged, CONDUCTOR_AUTH_RATE, "%u judged", judged);
    cr_assert_eq(counted(w, COUNTER_rate_limited), 8);
    cr_assert_eq(conductor_counters(w->nodes[w->owner].conductor)->verdict[SUITE_UNTRUSTED],
                 CONDUCTOR_AUTH_RATE);
    cr_assert_eq(world_established(w, w->owner), 0);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_half_open(w->nodes[w->owner].conductor), 0);
    printf("compared %u\n", judged);
    world_destroy(w);
}

/* The same for those that are being judged at one time. */
Test(certificates, judging_at_one_time_is_bounded)
{
    struct endpoint from = {addr_v4(0x0a4d0132), 500};
    struct world *w;
    size_t proofs;

    make(false);
    w = world_create(tune);
    for (unsigned i = 0; i < 6; i++) {
        world_restart_client(w);
        from.port = (uint16_t)(2000 + i);
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
        world_run(w, 5);
    }
    proofs = judged;
    cr_assert_eq(proofs, 6);
    cr_assert_eq(conductor_counters(w->nodes[w->owner].conductor)->verdict[SUITE_GOOD], 0);
    world_destroy(w);
}

/* The CA is taken out while its client is being judged: what was found is forgotten, and found
 * anew under the policy that is in force. */
Test(certificates, another_policy_while_a_peer_is_judged)
{
    struct ike_policy strict;
    struct world *w;

    make(true);
    w = world_create(tune);
    cr_assert(world_connect(w));
    world_run(w, 1000);
    strict = w->gateway_policy;
    strict.credentials = credentials_view(others);
    world_restart_client(w);
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD,
                       &(struct endpoint){addr_v4(0x0a4d0132), 500}, &gateway);
    for (int i = 0; i < 20 && w->n_held == 0; i++) {
        /* up to the client's IKE_AUTH at the gateway: only its proof is held back */
        w->hold_proofs = true;
        world_run(w, 1);
    }
    cr_assert_eq(w->n_held, 1, "the gateway judges the client");
    conductor_set_policy(w->nodes[w->owner].conductor, &strict);
    w->hold_proofs = false;
    judged = 0;
    world_release_key_exchanges(w);
    world_run(w, 100);
    cr_assert_eq(judged, 2, "judged anew: %u", judged);
    cr_assert_eq(conductor_counters(w->nodes[w->owner].conductor)->verdict[SUITE_UNTRUSTED], 1);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 0, "the old policy's word was taken");
    cr_assert_eq(world_established(w, w->owner), 1, "the SA that stands is not touched");
    world_destroy(w);
}
