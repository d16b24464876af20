/* IKE_AUTH by certificate, both ways, as traces: who shows what, who refuses whom. Every step is
 * made twice from the encoded state (ike_pair), so a signature that is random must be an input. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "certs/certs.h"
#include "crypto/tables.h"
#include "ike_pair/pair.h"

static const char client_name[] = "client@holdfast.test", gateway_name[] = "gw.holdfast.test";

static struct ike_identity named(const char *name)
{
    struct ike_identity id = {.type = strchr(name, '@') != NULL ? 3 : 2,
                              .len = (uint8_t)strlen(name)};

    memcpy(id.bytes, name, id.len);
    return id;
}

/* What was signed with, in order: a client signs first, then its gateway. */
static const struct suite_signature *signatures[64];
static size_t n_signatures;
static unsigned judged;

static bool noting_sign(const void *key, const struct suite_signature *how, struct span data,
                        uint8_t *out, size_t cap, size_t *len)
{
    cr_assert(n_signatures < 64);
    signatures[n_signatures++] = how;
    return crypto_auth.sign(key, how, data, out, cap, len);
}

static enum suite_verdict noting_verify(const void *trust, const struct suite_claim *claim)
{
    judged++;
    return crypto_auth.verify(trust, claim);
}

static struct suite_auth noting;
static struct suite_table suites;

/* One CA for both ends; each end's certificate of some kind of key. */
struct scene {
    struct pki_pair ca, end[2];
    struct credentials *credentials[2];
    struct pair *p;
};

static void use(struct scene *s, enum pair_who who, struct credentials *c)
{
    struct ike_policy *policy = &s->p->side[who].policy;

    s->credentials[who] = c;
    policy->suites = &suites;
    policy->credentials = credentials_view(c);
    policy->n_psks = 0;
    if (who == CLIENT)
        policy->expect = named(gateway_name);
}

static struct scene scene_of(const char *client_kind, const char *gateway_kind)
{
    const struct pki_request ca = certs_ca_request("CN=test CA"),
                             client = certs_client_request(client_name),
                             gateway = certs_server_request(gateway_name);
    struct scene s = {.p = pair_new_unconnected(7)};

    n_signatures = 0;
    judged = 0;
    noting = crypto_auth;
    noting.sign = noting_sign;
    noting.verify = noting_verify;
    suites = suite_default;
    suites.auth = &noting;
    s.ca = certs_make("p256", &ca, NULL);
    s.end[CLIENT] = certs_make(client_kind, &client, &s.ca);
    s.end[GATEWAY] = certs_make(gateway_kind, &gateway, &s.ca);
    use(&s, CLIENT, certs_credentials(&s.end[CLIENT], NULL, 0, s.ca.cert));
    use(&s, GATEWAY, certs_credentials(&s.end[GATEWAY], NULL, 0, s.ca.cert));
    s.p->wall_s = CERTS_NOW;
    return s;
}

static void scene_end(struct scene *s)
{
    pair_free(s->p);
    credentials_free(s->credentials[CLIENT]);
    credentials_free(s->credentials[GATEWAY]);
}

static void expect_up(struct scene *s)
{
    const struct ike_sa *c = pair_sa(s->p, CLIENT, IKE_SA_ESTABLISHED),
                        *g = pair_sa(s->p, GATEWAY, IKE_SA_ESTABLISHED);

    cr_assert(c != NULL && g != NULL, "not established");
    cr_assert_null(pair_disagreement(s->p), "%s", pair_disagreement(s->p));
    cr_assert(c->remote_id.len == strlen(gateway_name) &&
              memcmp(c->remote_id.bytes, gateway_name, c->remote_id.len) == 0);
    cr_assert(g->remote_id.type == 3 && g->remote_id.len == strlen(client_name));
}

static void expect_refused_by_gateway(struct scene *s)
{
    pair_connect(s->p);
    cr_assert_null(pair_sa(s->p, GATEWAY, IKE_SA_ESTABLISHED));
    cr_assert_null(pair_sa(s->p, CLIENT, IKE_SA_ESTABLISHED));
    cr_assert_eq(pair_count_reason(s->p, GATEWAY, IKE_REASON_AUTH_FAILED), 1);
    cr_assert_eq(pair_count_children(s->p, GATEWAY), 0);
    pair_pass(s->p, 100000);
    cr_assert_eq(pair_count_sas(s->p, GATEWAY, IKE_SA_NONE), PAIR_MAX_SAS, "something is left");
}

static void expect_refused_by_client(struct scene *s)
{
    pair_connect(s->p);
    cr_assert_null(pair_sa(s->p, CLIENT, IKE_SA_ESTABLISHED));
    cr_assert_eq(pair_count_reason(s->p, CLIENT, IKE_REASON_AUTH_FAILED), 1);
    pair_pass(s->p, 100000);
    cr_assert_null(pair_sa(s->p, GATEWAY, IKE_SA_ESTABLISHED), "the gateway was not told");
}

/* client: IDi, CERT, CERTREQ, IDr, AUTH ... -> gateway: IDr, CERT, AUTH ..., by every kind of key. */
Test(certificates, every_kind_of_key)
{
    static const struct {
        const char *kind, *name;
        bool pss;
    } cases[] = {
        {"p256", "ECDSA_SHA2_256", false},        {"p384", "ECDSA_SHA2_384", false},
        {"p521", "ECDSA_SHA2_512", false},        {"ed25519", "ED25519", false},
        {"rsa2048", "RSA_PKCS1_SHA2_256", false}, {"rsa2048", "RSA_PSS_SHA2_256", true},
    };
    size_t n = sizeof cases / sizeof cases[0];

    for (size_t i = 0; i < n; i++) {
        const char *other = cases[(i + 1) % n].kind; /* the ends need not have the same kind */
        struct scene s = scene_of(cases[i].kind, other);
        struct credentials *c = s.credentials[CLIENT];

        credentials_view(c)->own[0].pss = cases[i].pss;
        pair_connect(s.p);
        expect_up(&s);
        cr_assert_eq(n_signatures, 2);
        cr_assert_str_eq(signatures[0]->name, cases[i].name);
        printf("compared 2: %s to a gateway with %s\n", signatures[0]->name, signatures[1]->name);
        scene_end(&s);
    }
}

/* Lost and repeated messages get the very same bytes, though each ECDSA signature would differ;
 * pair.h ends the program when a message ID carries other bytes. */
Test(certificates, repeated_and_lost)
{
    struct scene s = scene_of("p256", "p256");
    unsigned before;

    s.p->duplicate_percent = 60;
    s.p->loss_percent = 30;
    pair_connect(s.p);
    pair_pass(s.p, 60000);
    s.p->loss_percent = 0;
    pair_pass(s.p, 10000);
    expect_up(&s);
    before = judged;
    cr_assert_leq(before, 8, "a repetition is not judged again: %u", before);
    scene_end(&s);
}

/* The node dies after each step; another one goes on. */
Test(certificates, takeover_after_every_step)
{
    struct scene s = scene_of("p384", "ed25519");

    s.p->takeover_always = true;
    pair_connect(s.p);
    pair_pass(s.p, 1000);
    expect_up(&s);
    scene_end(&s);
}

Test(certificates, intermediates_are_sent)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request m = certs_ca_request("CN=middle"),
                             g = certs_server_request(gateway_name),
                             c = certs_client_request(client_name);
    struct pki_pair middle = certs_make("p256", &m, &s.ca);
    struct pki_pair gateway = certs_make("rsa2048", &g, &middle),
                    client = certs_make("rsa2048", &c, &middle);

    use(&s, GATEWAY, certs_credentials(&gateway, &middle.cert, 1, s.ca.cert));
    use(&s, CLIENT, certs_credentials(&client, &middle.cert, 1, s.ca.cert));
    pair_connect(s.p);
    expect_up(&s);
    scene_end(&s);
}

Test(certificates, client_of_another_ca)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request ca = certs_ca_request("CN=other CA"),
                             c = certs_client_request(client_name);
    struct pki_pair other = certs_make("p256", &ca, NULL), client = certs_make("p256", &c, &other);

    use(&s, CLIENT, certs_credentials(&client, NULL, 0, s.ca.cert));
    expect_refused_by_gateway(&s);
    scene_end(&s);
}

Test(certificates, client_expired)
{
    struct scene s = scene_of("p256", "p256");

    s.p->wall_s = CERTS_NOW + 366 * CERTS_DAY;
    expect_refused_by_gateway(&s);
    scene_end(&s);
}

/* It says to be somebody else than its certificate does. */
Test(certificates, client_under_a_false_name)
{
    struct scene s = scene_of("p256", "p256");

    credentials_view(s.credentials[CLIENT])->own[0].identity = named("root@holdfast.test");
    expect_refused_by_gateway(&s);
    scene_end(&s);
}

/* The key behind another certificate than its own. */
Test(certificates, client_with_anothers_certificate)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request c = certs_client_request("mallory@holdfast.test");
    struct pki_pair mallory = certs_make("p256", &c, &s.ca);
    struct credentials *own = certs_credentials(&mallory, NULL, 0, s.ca.cert);
    struct ike_own_certificate *shown =
        &credentials_view(s.credentials[CLIENT])->own[0]; /* the victim's, as anyone can see it */

    shown->key = crypto_own_key(credentials_own(own, 0));
    expect_refused_by_gateway(&s);
    scene_end(&s);
    credentials_free(own);
}

/* A client's certificate of the same CA, with the gateway's name even, makes no gateway. */
Test(certificates, gateway_with_a_clients_certificate)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request c = certs_client_request(gateway_name);
    struct pki_pair fake = certs_make("p256", &c, &s.ca);

    use(&s, GATEWAY, certs_credentials(&fake, NULL, 0, s.ca.cert));
    expect_refused_by_client(&s);
    scene_end(&s);
}

Test(certificates, gateway_of_another_name)
{
    struct scene s = scene_of("p256", "p256");

    s.p->side[CLIENT].policy.expect = named("other.holdfast.test");
    expect_refused_by_client(&s);
    scene_end(&s);
}

/* No CA at the client: whatever the gateway shows is nothing. */
Test(certificates, client_that_trusts_nobody)
{
    struct scene s = scene_of("p256", "p256");

    use(&s, CLIENT, certs_credentials(&s.end[CLIENT], NULL, 0, NULL));
    expect_refused_by_client(&s);
    scene_end(&s);
}

/* Nothing is judged for who holds a shared key; and a certificate peer beside it. */
Test(certificates, shared_keys_beside_certificates)
{
    struct scene s = scene_of("p256", "p256");
    struct pair_side *g = &s.p->side[GATEWAY], *c = &s.p->side[CLIENT];

    g->policy.n_psks = c->policy.n_psks = 1;
    g->psk.remote = c->policy.local_id = named(client_name);
    pair_connect(s.p);
    expect_up(&s);
    cr_assert_eq(judged, 0);
    pair_free(s.p);
    s.p = pair_new_unconnected(8);
    s.p->wall_s = CERTS_NOW;
    use(&s, CLIENT, s.credentials[CLIENT]);
    use(&s, GATEWAY, s.credentials[GATEWAY]);
    s.p->side[GATEWAY].policy.n_psks = 1;
    pair_connect(s.p);
    expect_up(&s);
    cr_assert_eq(judged, 2);
    scene_end(&s);
}

/* Only where it is said does the gateway show a certificate to who came with a shared key. */
Test(certificates, certificate_to_a_shared_key_peer)
{
    struct scene s = scene_of("p256", "p256");
    struct pair_side *g = &s.p->side[GATEWAY], *c = &s.p->side[CLIENT];

    g->policy.n_psks = c->policy.n_psks = 1;
    g->psk.remote = c->policy.local_id = named(client_name);
    credentials_view(s.credentials[GATEWAY])->for_psk = true;
    pair_connect(s.p);
    expect_up(&s);
    cr_assert_eq(judged, 1, "the gateway's certificate");
    scene_end(&s);
}

/* Two names, two certificates: the IDr that is asked for decides. */
Test(certificates, gateway_certificate_by_name)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request r = certs_server_request("second.holdfast.test");
    struct pki_pair second = certs_make("ed25519", &r, &s.ca);
    struct credentials *c = certs_credentials(&second, NULL, 0, s.ca.cert);

    credentials_add_own(c, certs_own(&s.end[GATEWAY], NULL, 0), NULL, false);
    use(&s, GATEWAY, c);
    pair_connect(s.p);
    expect_up(&s);
    cr_assert_str_eq(signatures[1]->name, "ECDSA_SHA2_256");
    pair_free(s.p);
    s.p = pair_new_unconnected(9);
    s.p->wall_s = CERTS_NOW;
    use(&s, CLIENT, s.credentials[CLIENT]);
    use(&s, GATEWAY, c);
    s.p->side[CLIENT].policy.expect = named("SECOND.holdfast.test");
    pair_connect(s.p);
    cr_assert_not_null(pair_sa(s.p, CLIENT, IKE_SA_ESTABLISHED));
    cr_assert_str_eq(signatures[3]->name, "ED25519");
    scene_end(&s);
}

/* The same name under two CAs: the client's CERTREQ decides. */
Test(certificates, gateway_certificate_by_ca)
{
    struct scene s = scene_of("p256", "p256");
    const struct pki_request ca = certs_ca_request("CN=new CA"),
                             r = certs_server_request(gateway_name);
    struct pki_pair fresh = certs_make("p384", &ca, NULL), gw = certs_make("p384", &r, &fresh);
    struct credentials *c = credentials_new();
    X509 *both[2] = {s.ca.cert, fresh.cert};

    credentials_add_own(c, certs_own(&gw, NULL, 0), NULL, false); /* the first, but not asked for */
    credentials_add_own(c, certs_own(&s.end[GATEWAY], NULL, 0), NULL, false);
    credentials_set_trust(c, certs_trust(both, 2));
    use(&s, GATEWAY, c);
    pair_connect(s.p);
    expect_up(&s);
    scene_end(&s);
}
