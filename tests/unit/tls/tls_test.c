/* Nodes among themselves: they prove who they are, frames pass whole however they are cut, keys
 * change, certificates are replaced under links that stand. */
#include <criterion/criterion.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ends.h"

static struct cluster_pki pki;
static struct end a, b; /* nodes 1 and 2; a dials b */

static void begin(void)
{
    cluster_pki_init(&pki, "lab");
    end_init(&a, cluster_pki_identity(&pki, 1));
    end_init(&b, cluster_pki_identity(&pki, 2));
}

static void end(void)
{
    end_deinit(&a);
    end_deinit(&b);
    cluster_pki_deinit(&pki);
}

TestSuite(tls, .init = begin, .fini = end);

static void connect_both(size_t piece)
{
    end_open(&a, true, 2);
    end_open(&b, false, 0);
    (void)ends_pump(&a, &b, piece);
}

/* n bytes of a pattern, in writes of `write` bytes. */
static void say(struct end *from, struct end *to, size_t n, size_t write, size_t piece)
{
    uint8_t *bytes = malloc(n);

    cr_assert(bytes != NULL && RAND_bytes(bytes, (int)n) == 1);
    to->plain.len = 0;
    for (size_t at = 0; at < n; at += write)
        cr_assert(end_send(from, bytes + at, n - at < write ? n - at : write));
    (void)ends_pump(from, to, piece);
    cr_assert(!to->dead, "%s", to->i->why(to->session));
    cr_assert(to->plain.len == n && memcmp(to->plain.data, bytes, n) == 0, "%zu of %zu bytes",
              to->plain.len, n);
    free(bytes);
}

Test(tls, two_nodes_prove_themselves_and_talk)
{
    struct tls_counters c;

    connect_both(0);
    cr_assert(end_ready(&a) && end_ready(&b), "%s / %s", a.i->why(a.session), b.i->why(b.session));
    cr_assert(a.i->peer_node(a.session) == 2 && b.i->peer_node(b.session) == 1);
    say(&a, &b, 100, 100, 0);
    say(&b, &a, 3000000, 1000000, 65536);
    say(&a, &b, 3000000, 7001, 1500);
    tls_layer_get_counters(a.layer, &c);
    cr_assert(c.handshakes == 1 && c.refused == 0 && c.key_updates == 0);
}

Test(tls, byte_by_byte)
{
    connect_both(1);
    cr_assert(end_ready(&a) && end_ready(&b));
    say(&a, &b, 40000, 40000, 1);
    say(&b, &a, 40000, 100, 1);
}

/* Nothing may be said, and nobody is known, before both have proven themselves. */
Test(tls, not_before_it_is_ready)
{
    end_open(&a, true, 2);
    end_open(&b, false, 0);
    cr_assert(!end_ready(&a) && !end_ready(&b));
    cr_assert(!end_send(&a, "x", 1) && !end_send(&b, "x", 1));
    cr_assert(a.i->peer_node(a.session) == 0 && b.i->peer_node(b.session) == 0);
    (void)ends_pump(&a, &b, 0);
    cr_assert(end_send(&a, "x", 1) && end_send(&b, "x", 1));
}

/* What is sent shows nothing of what was said. */
Test(tls, nothing_is_readable_on_the_way)
{
    static const char secret[] = "the quick brown fox and its keys";
    size_t looked = 0;

    connect_both(0);
    for (int i = 0; i < 100; i++) {
        cr_assert(end_send(&a, secret, sizeof secret));
        cr_assert(a.wire.len > sizeof secret);
        cr_assert(memmem(a.wire.data, a.wire.len, secret, 8) == NULL);
        looked += a.wire.len;
        (void)ends_pump(&a, &b, 0);
    }
    cr_assert(b.plain.len == 100 * sizeof secret);
    printf("compared %zu bytes\n", looked);
}

/* RFC 8446 5.5: no key protects more records than it may. */
Test(tls, keys_change_after_so_many_records)
{
    struct tls_identity *identity = cluster_pki_identity(&pki, 1);
    struct tls_counters c;

    end_deinit(&a);
    a = (struct end){.layer = tls_layer_create(identity, 16)};
    a.i = tls_layer_interface(a.layer);
    tls_identity_release(identity);
    connect_both(0);
    for (int i = 0; i < 20; i++)
        say(&a, &b, 1000, 100, 0); /* ten records */
    say(&a, &b, 3000000, 3000000, 0);
    tls_layer_get_counters(a.layer, &c);
    cr_assert(c.key_updates >= 12 + 11, "%d", (int)c.key_updates);
    say(&b, &a, 100000, 1000, 0);
    tls_layer_get_counters(b.layer, &c);
    cr_assert(c.key_updates == 0);
}

/* ---- certificates are replaced while links stand */

static struct tls_identity *node_with(uint32_t node, struct pki_request r, X509_CRL *crl)
{
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    char why[TLS_WHY_BYTES] = "";
    enum tls_file which;
    struct tls_identity *identity = cluster_pki_load(node, pki.ca.cert, &pair, crl, &which, why);

    cr_assert(identity != NULL, "%s", why);
    pki_pair_free(&pair);
    return identity;
}

static void replace(struct end *e, struct tls_identity *identity)
{
    tls_layer_replace(e->layer, identity);
    tls_identity_release(identity);
}

Test(tls, a_renewed_certificate_leaves_the_link)
{
    connect_both(0);
    replace(&a, cluster_pki_identity(&pki, 1));
    cr_assert(a.i->recheck(a.session) && b.i->recheck(b.session));
    say(&a, &b, 5000, 5000, 0);
    say(&b, &a, 5000, 5000, 0);
    connect_both(0); /* and makes new ones */
    cr_assert(end_ready(&a) && end_ready(&b));
    say(&a, &b, 5000, 5000, 0);
}

Test(tls, one_that_began_under_the_old_certificates_begins_anew)
{
    end_open(&a, true, 2);
    replace(&a, cluster_pki_identity(&pki, 1));
    cr_assert(!a.i->recheck(a.session));
    cr_assert(strstr(a.i->why(a.session), "anew") != NULL);
    cr_assert(!end_send(&a, "x", 1));
}

/* What is on its way on a link that was refused is not heard any more. */
static void deaf_to_node_1(void *link_to_1)
{
    void *other = b.session;

    a.wire.len = b.plain.len = 0;
    cr_assert(end_send(&a, "late", 4));
    b.session = link_to_1;
    end_receive(&b, a.wire.data, a.wire.len, 0);
    cr_assert(b.dead && b.plain.len == 0);
    b.session = other;
    b.dead = false;
}

/* A list that revokes node 1, older than it may be or not: at the reload the link ends, and no new
 * one begins, by either side. Node 3's stays. */
static void revoked(int64_t from_s, int64_t until_s)
{
    char urn[CLUSTER_PKI_URN_BYTES], urn2[CLUSTER_PKI_URN_BYTES], why[PKI_WHY_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 1, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    enum tls_file which;
    X509_CRL *crl = pki_revoke(&pki.ca, &pair.cert, 1, from_s, until_s, why);
    struct end third;
    void *link_to_1;

    cr_assert(crl != NULL, "%s", why);
    end_deinit(&a);
    end_init(&a, cluster_pki_load(1, pki.ca.cert, &pair, NULL, &which, why));
    end_init(&third, cluster_pki_identity(&pki, 3));
    connect_both(0);
    cr_assert(end_ready(&b));
    link_to_1 = b.session;
    b.session = NULL;
    end_open(&third, true, 2);
    end_open(&b, false, 0);
    (void)ends_pump(&third, &b, 0);
    cr_assert(end_ready(&b) && end_ready(&third));
    r = cluster_pki_request(cluster_pki_urn("lab", 2, urn2));
    replace(&b, node_with(2, r, crl));
    cr_assert(b.i->recheck(b.session));
    say(&third, &b, 1000, 1000, 0);
    cr_assert(!b.i->recheck(link_to_1));
    cr_assert(strstr(b.i->why(link_to_1), "revoked") != NULL, "%s", b.i->why(link_to_1));
    deaf_to_node_1(link_to_1);
    b.i->close(link_to_1);
    connect_both(0);
    cr_assert(b.dead && !end_ready(&b));
    cr_assert(strstr(b.i->why(b.session), "revoked") != NULL, "%s", b.i->why(b.session));
    end_open(&b, true, 1);
    end_open(&a, false, 0);
    (void)ends_pump(&a, &b, 0);
    cr_assert(b.dead && !end_ready(&a));
    cr_assert(strstr(a.i->why(a.session), "revoked") != NULL, "the peer says so: %s",
              a.i->why(a.session));
    X509_CRL_free(crl);
    end_deinit(&third);
    pki_pair_free(&pair);
}

Test(tls, a_revoked_node_is_dropped_and_the_others_stay)
{
    int64_t now = (int64_t)time(NULL);

    revoked(now - 60, now + 3600);
}

Test(tls, an_old_list_revokes_too)
{
    int64_t now = (int64_t)time(NULL);

    revoked(now - 7200, now - 3600);
}

/* The end of a certificate ends no link that stands, and lets none begin. */
Test(tls, an_expired_certificate)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 1, urn));

    connect_both(0);
    cr_assert(end_ready(&a) && end_ready(&b));
    r.until_s = (int64_t)time(NULL) - 10;
    replace(&a, node_with(1, r, NULL));
    cr_assert(a.i->recheck(a.session) && b.i->recheck(b.session));
    say(&a, &b, 100, 100, 0);
    connect_both(0);
    cr_assert(b.dead && strstr(b.i->why(b.session), "expired") != NULL, "%s", b.i->why(b.session));
    (void)ends_pump(&a, &b, 0);
    cr_assert(!end_ready(&a) || a.dead);
}
