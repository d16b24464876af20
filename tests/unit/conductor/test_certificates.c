/* Certificates under the conductor: jobs off the loop, their bounds, a policy that changes meanwhile,
 * an owner that dies meanwhile. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "certs/certs.h"
#include "conductor/attempts.h"
#include "world.h"

static const struct endpoint gateway = {{ADDR_V4, {10, 77, 1, 100}}, 500};
static struct credentials *both[2], *others, *known;
static unsigned judged;

static enum suite_verdict counting_verify(const void *trust, const struct suite_claim *claim)
{
    judged++;
    return crypto_auth.verify(trust, claim);
}

static struct suite_auth counting;
static struct suite_table suites;

/* The client's certificate is of `client_ca`, the gateway trusts its own CA. */
static void make(bool trusted)
{
    const struct pki_request c = certs_ca_request("CN=test CA"),
                             o = certs_ca_request("CN=other CA");
    const struct pki_request g = certs_server_request("gw"), m = certs_client_request("client");
    struct pki_pair ca = certs_make("p256", &c, NULL), other = certs_make("p256", &o, NULL);
    struct pki_pair gw = certs_make("p256", &g, &ca),
                    client = certs_make("p256", &m, trusted ? &ca : &other),
                    member = certs_make("p256", &m, &ca);

    counting = crypto_auth;
    counting.verify = counting_verify;
    suites = suite_default;
    suites.auth = &counting;
    both[0] = certs_credentials(&gw, NULL, 0, ca.cert);
    both[1] = certs_credentials(&client, NULL, 0, ca.cert);
    others = certs_credentials(&gw, NULL, 0, other.cert);
    known = certs_credentials(&member, NULL, 0, ca.cert);
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

/* Whoever asks why learns the bound that was met, and before it which certificate failed which check. */
static void told_why(struct world *w)
{
    static const uint8_t none[IKE_EVIDENCE_HASH_BYTES];
    struct attempts *all = conductor_attempts(w->nodes[w->owner].conductor);
    const struct attempt *met = attempts_below(all, UINT64_MAX, w->now), *failed;

    cr_assert_not_null(met);
    cr_assert_eq(met->limit, ATTEMPT_LIMIT_AUTHENTICATIONS);
    cr_assert_eq(met->times, 8);
    cr_assert_gt(met->identity.len, 0, "who it said it is");
    failed = attempts_below(all, met->id, w->now);
    cr_assert_not_null(failed);
    cr_assert_eq(failed->times, CONDUCTOR_AUTH_RATE);
    cr_assert(failed->judged && failed->verdict == SUITE_UNTRUSTED);
    cr_assert_eq(failed->evidence.credentials.check, IKE_CHECK_CERTIFICATE);
    cr_assert_gt(failed->evidence.credentials.n_certificates, 0);
    cr_assert_neq(memcmp(failed->evidence.credentials.sha256, none, sizeof none), 0);
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
    told_why(w);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_half_open(w->nodes[w->owner].conductor), 0);
    printf("compared %u\n", judged);
    world_destroy(w);
}

/* A host of IPv6 that asks under ever new addresses of its /64 is one source all the same. */
Test(certificates, judging_is_bounded_by_network_of_ipv6)
{
    struct endpoint from = {addr_v6((const uint8_t[16]){0xfd, 2}), 500};
    const struct endpoint to = {addr_v6((const uint8_t[16]){0xfd, 1}), 500};
    struct world *w;

    make(false);
    w = world_create(tune);
    for (unsigned i = 0; i < CONDUCTOR_AUTH_RATE + 8; i++) {
        world_restart_client(w);
        from.ip.bytes[15] = (uint8_t)i;
        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
        world_run(w, 10);
    }
    cr_assert_eq(judged, CONDUCTOR_AUTH_RATE, "%u judged", judged);
    printf("compared %u\n", judged);
    world_destroy(w);
}

static struct endpoint source(unsigned i)
{
    return (struct endpoint){addr_v4(0x0a4e0000 + i), 500};
}

/* Strangers begin as many as they like, each from another source, and nothing is done yet: so many
 * are being judged at one time, the memory that they take is bounded, and they end by themselves.
 * Then a client gets in. */
Test(certificates, judging_at_one_time_is_bounded)
{
    enum { STRANGERS = CONDUCTOR_AUTH_RATE_ALL + 40 };
    struct endpoint to = gateway;
    struct conductor *client;
    struct world *w;
    unsigned held;

    make(false);
    w = world_create(tune);
    client = w->nodes[WORLD_CLIENT].conductor;
    w->hold_jobs = 1u << IKE_JOB_PROOF;
    for (unsigned i = 0; i < STRANGERS; i++) {
        struct endpoint from = source(i);

        to.ip = source(2000 + i).ip; /* the client has one half-open SA for each peer */
        conductor_initiate(client, WORLD_SHARD, &from, &to);
        world_run(w, 10);
    }
    held = (unsigned)w->n_held;
    cr_assert_eq(held, CONDUCTOR_AUTH_RATE_ALL, "%u at one time", held);
    cr_assert_geq(counted(w, COUNTER_rate_limited), STRANGERS - CONDUCTOR_AUTH_RATE_ALL);
    cr_assert_eq(judged, 0);
    w->hold_jobs = 0;
    world_release_key_exchanges(w);
    world_run(w, 10);
    cr_assert_eq(judged, CONDUCTOR_AUTH_RATE_ALL);
    cr_assert_eq(world_established(w, w->owner), 0);
    world_run(w, 60000);
    cr_assert_eq(conductor_count_half_open(w->nodes[w->owner].conductor), 0);
    world_restart_client(w);
    w->client_policy.credentials = credentials_view(known);
    cr_assert(world_connect(w), "a client is held back by strangers that are gone");
    printf("compared %u held, %zu bytes each\n", held,
           sizeof(struct ike_event) + sizeof(struct ike_job) + IKE_MAX_MESSAGE_BYTES);
    world_destroy(w);
}

/* Up to the gateway's job of that kind for the client's IKE_AUTH, which is held back. */
static struct world *held_at(enum ike_job_kind kind)
{
    struct world *w;

    make(true);
    w = world_create(tune);
    w->copies_half_open = true;
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD,
                       &(struct endpoint){addr_v4(0x0a4d0132), 500}, &gateway);
    w->hold_jobs = 1u << kind;
    for (int i = 0; i < 20 && w->n_held == 0; i++)
        world_run(w, 1);
    w->hold_jobs = 0;
    cr_assert_eq(w->n_held, 1);
    return w;
}

static enum ike_job_kind kinds[] = {IKE_JOB_PROOF, IKE_JOB_SIGN};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* The owner dies while the client's certificate is judged, or while its own signature is made: nothing
 * of it is in the log, so the next owner answers the client's retransmission from its copy of the
 * half-open SA, and judges and signs itself. No IKE_SA_INIT is made again. */
Test(certificates, owner_dies_in_the_middle_of_a_job)
{
    for (unsigned k = 0; k < N_KINDS; k++) {
        struct world *w = held_at(kinds[k]);
        unsigned inits = w->inits;

        judged = 0;
        w->nodes[0].alive = false;
        world_assign(w, 1);
        world_run(w, 3000); /* the client's first retransmission is due after 1 s */
        cr_assert_eq(world_established(w, 1), 1, "kind %u", k);
        cr_assert_eq(world_established(w, WORLD_CLIENT), 1);
        cr_assert_eq(judged, 2, "kind %u: by the new owner, and its answer by the client: %u", k,
                     judged);
        cr_assert_eq(w->inits, inits, "the client began anew");
        cr_assert_eq(w->copies_differ, 0);
        conductor_job_cancel(w->held_by[0], w->held[0]);
        w->n_held = 0;
        world_destroy(w);
    }
}

/* It only was cut off: its jobs come back when another node is the owner, and are forgotten. */
Test(certificates, owner_is_deposed_in_the_middle_of_a_job)
{
    for (unsigned k = 0; k < N_KINDS; k++) {
        struct world *w = held_at(kinds[k]);
        size_t packets = w->n_packets;
        uint64_t steps = w->nodes[0].steps;

        world_assign(w, 1);
        world_release_key_exchanges(w);
        cr_assert_eq(w->n_packets, packets, "a node that owns nothing sent");
        cr_assert_eq(w->nodes[0].steps, steps, "a node that owns nothing submitted");
        world_run(w, 3000);
        cr_assert_eq(world_established(w, 1), 1, "kind %u", k);
        cr_assert_eq(world_established(w, 0), 1, "the log says the same to everyone");
        cr_assert_eq(world_established(w, WORLD_CLIENT), 1);
        cr_assert_eq(w->copies_differ, 0);
        world_destroy(w);
    }
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
        w->hold_jobs = 1u << IKE_JOB_PROOF;
        world_run(w, 1);
    }
    cr_assert_eq(w->n_held, 1, "the gateway judges the client");
    conductor_set_policy(w->nodes[w->owner].conductor, &strict);
    w->hold_jobs = 0;
    judged = 0;
    world_release_key_exchanges(w);
    world_run(w, 100);
    cr_assert_eq(judged, 2, "judged anew: %u", judged);
    cr_assert_eq(conductor_counters(w->nodes[w->owner].conductor)->verdict[SUITE_UNTRUSTED], 1);
    cr_assert_eq(world_established(w, WORLD_CLIENT), 0, "the old policy's word was taken");
    cr_assert_eq(world_established(w, w->owner), 1, "the SA that stands is not touched");
    world_destroy(w);
}

/* A certificate lets its client in however it writes its domain: it is one identity, whose former SA
 * INITIAL_CONTACT ends, whose address stays the same. */
Test(certificates, one_identity_however_it_is_written)
{
    static const char *const ways[] = {"client", "CLIENT", "Client", "client"};
    struct ip_addr first = {0};
    struct world *w;

    make(true);
    w = world_create(tune);
    w->client_policy.initial_contact = true;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct ike_identity *id = &credentials_view(both[1])->own[0].identity;
        struct ike_sa sa;

        memcpy(id->bytes, ways[i], id->len);
        world_restart_client(w);
        cr_assert(world_connect(w), "%s: %zu SAs", ways[i], world_established(w, w->owner));
        sa = world_sa(w, w->owner);
        cr_assert_eq(memcmp(sa.remote_id.bytes, ways[i], sa.remote_id.len), 0,
                     "shown as it is said");
        if (i == 0)
            first = sa.virtual_ip[SLOT_V4];
        cr_assert(addr_equal(&sa.virtual_ip[SLOT_V4], &first), "%s", ways[i]);
    }
    cr_assert_eq(counted(w, COUNTER_initial_contact_ended), 3);
    world_destroy(w);
}
