/* IKE_AUTH by certificate, both ways, as traces: who shows what, who refuses whom. Every step is
 * made twice from the encoded state (ike_pair), so a signature that is random must be an input. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "certs/certs.h"
#include "crypto/tables.h"
#include "ike/message.h"
#include "ike_pair/pair.h"
#include "wire/header.h"
#include "wire/signature.h"

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

/* --- what is announced, what is signed --- */

/* The SIGNATURE_HASH_ALGORITHMS of this unprotected message: four numbers, to be bent. */
static uint8_t *hashes_in(uint8_t *bytes, size_t len)
{
    for (size_t i = WIRE_HEADER_BYTES; i + 10 <= len; i++)
        if (memcmp(bytes + i, "\0\0\x40\x2f\0\2\0\3\0\4\0\5", 12) == 0)
            return bytes + i + 4;
    cr_assert_fail("no SIGNATURE_HASH_ALGORITHMS");
    return NULL;
}

/* The client's IKE_SA_INIT request or, with GATEWAY, its answer: held back. */
static struct pair_flying *first_message(struct scene *s, enum pair_who from)
{
    s->p->held[from] = true;
    pair_connect(s->p);
    s->p->held[from] = false;
    cr_assert_eq(s->p->n_flying, 1);
    return &s->p->flying[0];
}

/* RFC 7296 2.15: nothing but AUTH protects what is announced in the open; whoever takes the better
 * hashes out on the way is noticed by who gets them. */
Test(certificates, announced_hashes_bent_on_the_way)
{
    struct scene s = scene_of("p256", "p256");
    struct pair_flying *m = first_message(&s, CLIENT);

    hashes_in(m->bytes, m->len)[1] = 1;
    pair_run(s.p);
    cr_assert_eq(pair_count_reason(s.p, GATEWAY, IKE_REASON_AUTH_FAILED), 1);
    cr_assert_null(pair_sa(s.p, GATEWAY, IKE_SA_ESTABLISHED));
    scene_end(&s);
    s = scene_of("p256", "p256");
    m = first_message(&s, GATEWAY);
    hashes_in(m->bytes, m->len)[1] = 1;
    pair_run(s.p);
    cr_assert_eq(pair_count_reason(s.p, CLIENT, IKE_REASON_AUTH_FAILED), 1);
    cr_assert_null(pair_sa(s.p, CLIENT, IKE_SA_ESTABLISHED));
    scene_end(&s);
}

/* A client that announces just this hash (the client signs by what it really has): RFC 7427 4, and RFC
 * 4754 where there is nothing in common. NULL: it is refused, and told. */
Test(certificates, the_gateway_signs_by_what_is_announced)
{
    static const struct {
        const char *kind;
        bool pss;
        uint8_t hash;
        const char *name;
    } cases[] = {
        {"p256", false, 2, "ECDSA_SHA2_256"},
        {"p256", false, 3, "ECDSA_SHA2_384"},
        {"p256", false, 4, "ECDSA_SHA2_512"},
        {"p256", false, 1, "ECDSA_256"},
        {"p256", false, 5, "ECDSA_256"},
        {"p256", false, 77, "ECDSA_256"},
        {"p384", false, 2, "ECDSA_384"},
        {"p384", false, 4, "ECDSA_SHA2_512"},
        {"p521", false, 3, "ECDSA_521"},
        {"p521", false, 4, "ECDSA_SHA2_512"},
        {"ed25519", false, 5, "ED25519"},
        {"ed25519", false, 4, NULL},
        {"rsa2048", false, 4, "RSA_PKCS1_SHA2_512"},
        {"rsa2048", true, 3, "RSA_PSS_SHA2_384"},
        {"rsa2048", false, 1, NULL},
        {"rsa2048", true, 5, NULL},
    };
    size_t n = sizeof cases / sizeof cases[0];

    for (size_t i = 0; i < n; i++) {
        struct scene s = scene_of("p256", cases[i].kind);
        struct pair_flying *m;
        struct ike_message *kept;
        uint8_t *list;

        credentials_view(s.credentials[GATEWAY])->own[0].pss = cases[i].pss;
        m = first_message(&s, CLIENT);
        kept = &pair_sa(s.p, CLIENT, IKE_SA_HALF_OPEN)->handshake.init_request;
        list = hashes_in(m->bytes, m->len);
        for (size_t k = 0; k < 4; k++) /* on the wire, and in what the client signs */
            list[2 * k + 1] = cases[i].hash;
        cr_assert_eq(m->len, kept->len);
        memcpy(kept->bytes, m->bytes, m->len);
        pair_run(s.p);
        if (cases[i].name != NULL) {
            expect_up(&s);
            cr_expect_str_eq(signatures[1]->name, cases[i].name, "case %zu: %s", i,
                             signatures[1]->name);
        } else {
            cr_expect_eq(pair_count_reason(s.p, GATEWAY, IKE_REASON_NO_COMMON_SIGNATURE), 1,
                         "case %zu", i);
            cr_expect_null(pair_sa(s.p, CLIENT, IKE_SA_ESTABLISHED), "case %zu", i);
        }
        scene_end(&s);
    }
    printf("compared %zu\n", n);
}

/* What is signed is the last IKE_SA_INIT request, with the cookie and the other group in it (RFC 7296
 * 2.6, 2.15). */
Test(certificates, after_a_cookie_and_another_group)
{
    struct scene s = scene_of("p384", "rsa2048");
    struct ike_policy *client = &s.p->side[CLIENT].policy;

    s.p->cookies = true;
    client->ike[1] = client->ike[0];
    client->ike[0].ke_id = 19;
    pair_connect(s.p);
    expect_up(&s);
    cr_assert_geq(pair_count_reason(s.p, GATEWAY, IKE_REASON_COOKIE_SENT), 1);
    cr_assert_eq(pair_count_reason(s.p, GATEWAY, IKE_REASON_INVALID_KE), 1);
    scene_end(&s);
}

/* RFC 7296 3.7: SHA-1 of the CA's SubjectPublicKeyInfo, in the answer to IKE_SA_INIT. */
Test(certificates, the_gateway_names_its_cas)
{
    struct scene s = scene_of("p256", "p256");
    const struct pair_flying *m = first_message(&s, GATEWAY);
    uint8_t *der = NULL, want[20];
    struct wire_header h;
    struct wire_body body;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(s.ca.cert), &der);

    cr_assert(n > 0 && EVP_Digest(der, (size_t)n, want, NULL, EVP_sha1(), NULL) == 1);
    OPENSSL_free(der);
    cr_assert_eq(wire_header_decode(span_of(m->bytes, m->len), &h), WIRE_OK);
    cr_assert_eq(wire_body_decode(h.next_payload,
                                  span_of(m->bytes + WIRE_HEADER_BYTES, m->len - WIRE_HEADER_BYTES),
                                  &body),
                 WIRE_OK);
    cr_assert_eq(body.n_certreqs, 1);
    cr_assert_eq(body.certreqs[0].encoding, 4);
    cr_assert(span_equal(body.certreqs[0].hashes, span_of(want, sizeof want)));
    scene_end(&s);
}

/* AUTH values that cost no judging: SHA-1 (RFC 8247 4.2), unknown ways, PSS by its SHA-1 defaults
 * (RFC 4055 3.1), method 1 and DSS, no certificate; and the control. */
Test(certificates, what_is_not_even_judged)
{
    static const struct {
        const char *what, *auth;
        size_t len;
        bool certificate;
        unsigned judged;
    } cases[] = {
        {"ECDSA by RFC 7427", "\x0e\0\0\0\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02zzzz",
         21, true, 1},
        {"no certificate", "\x0e\0\0\0\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02zzzz", 21,
         false, 0},
        {"RSA with SHA-1",
         "\x0e\0\0\0\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\0zzzz", 24, true,
         0},
        {"RSA with SHA-256",
         "\x0e\0\0\0\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\0zzzz", 24, true,
         1},
        {"PSS by its defaults",
         "\x0e\0\0\0\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\0zzzz", 24, true,
         0},
        {"PSS without parameters",
         "\x0e\0\0\0\x0d\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0azzzz", 22, true, 0},
        {"an unknown way", "\x0e\0\0\0\x05\x30\x03\x06\x01\x2azzzz", 14, true, 0},
        {"ECDSA with SHA-1", "\x0e\0\0\0\x0b\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01zzzz", 20,
         true, 0},
        {"method 1", "\x01\0\0\0zzzz", 8, true, 0},
        {"method 3 (DSS)", "\x03\0\0\0zzzz", 8, true, 0},
        {"method 9 (ECDSA-256)", "\x09\0\0\0zzzz", 8, true, 1},
        {"method 12", "\x0c\0\0\0zzzz", 8, true, 0},
    };
    size_t n = sizeof cases / sizeof cases[0];

    for (size_t i = 0; i < n; i++) {
        struct scene s = scene_of("p256", "p256");
        struct ike_sa client;
        struct ike_draft d;

        s.p->held[CLIENT] = true;
        pair_connect(s.p);
        cr_assert(pair_deliver(s.p, CLIENT));
        pair_run(s.p); /* its IKE_AUTH is held; another one comes instead */
        client = *pair_sa(s.p, CLIENT, IKE_SA_HALF_OPEN);
        ike_pending_clear(&client);
        client.next_request_id = 1;
        ike_draft_begin(&d);
        wire_put_id(&d.b, WIRE_PL_IDI, 3, span_of(client_name, strlen(client_name)));
        if (cases[i].certificate)
            wire_put_cert(&d.b, WIRE_CERT_X509, certs_der(s.end[CLIENT].cert));
        wire_put_auth(&d.b, (uint8_t)cases[i].auth[0],
                      span_of(cases[i].auth + 4, cases[i].len - 4));
        cr_assert(ike_seal_request(&s.p->side[CLIENT].policy, &client, IKE_EX_AUTH, 1, &d));
        judged = 0;
        (void)pair_inject(s.p, GATEWAY,
                          span_of(client.pending.request.bytes, client.pending.request.len));
        cr_expect_eq(judged, cases[i].judged, "%s: %u judged", cases[i].what, judged);
        cr_expect_eq(pair_count_reason(s.p, GATEWAY, IKE_REASON_AUTH_FAILED), 1, "%s",
                     cases[i].what);
        scene_end(&s);
    }
    printf("compared %zu\n", n);
}
