/* Strangers, wrong certificates, noise, and ends at every point: the honest end never believes, never
 * decrypts, never hangs on. */
#include <criterion/criterion.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ends.h"

static struct cluster_pki pki, other;
static struct end node; /* node 1 */

static void begin(void)
{
    cluster_pki_init(&pki, "lab");
    cluster_pki_init(&other, "lab");
    end_init(&node, cluster_pki_identity(&pki, 1));
}

static void end(void)
{
    end_deinit(&node);
    cluster_pki_deinit(&pki);
    cluster_pki_deinit(&other);
}

TestSuite(tls_hostile, .init = begin, .fini = end);

/* The stranger dials (or is dialled as node 2) with this certificate; the node refuses and says so. */
static void refused(const struct pki_pair *pair, int version, bool dials, const char *says)
{
    struct stranger s;

    end_open(&node, !dials, dials ? 0 : 2);
    stranger_init(&s, pair, version, dials);
    stranger_meet(&s, &node, "HFHELLO");
    cr_assert(node.dead && !node.i->ready(node.session), "%s: it was believed", says);
    cr_assert(node.plain.len == 0 && node.i->peer_node(node.session) == 0);
    cr_assert(strstr(node.i->why(node.session), says) != NULL, "'%s' instead of '%s'",
              node.i->why(node.session), says);
    cr_assert(!end_send(&node, "x", 1));
    stranger_deinit(&s);
}

static void refused_both_ways(const struct cluster_pki *issuer, struct pki_request r,
                              const char *says)
{
    struct pki_pair pair = cluster_pki_make(issuer, &r);

    refused(&pair, TLS1_3_VERSION, true, says);
    refused(&pair, TLS1_3_VERSION, false, says);
    pki_pair_free(&pair);
}

/* The stranger of these tests is one that would be let in, if only its certificate were good. */
Test(tls_hostile, a_good_certificate_is_let_in)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);

    for (int dials = 0; dials <= 1; dials++) {
        struct stranger s;

        end_open(&node, !dials, dials ? 0 : 2);
        stranger_init(&s, &pair, TLS1_3_VERSION, dials);
        stranger_meet(&s, &node, "HFHELLO");
        cr_assert(end_ready(&node), "%s", node.i->why(node.session));
        cr_assert(node.plain.len == 7 && memcmp(node.plain.data, "HFHELLO", 7) == 0);
        /* Nothing to come back with: no ticket, so nothing is resumed and no early data is taken. */
        cr_assert(SSL_SESSION_has_ticket(SSL_get_session(s.ssl)) == 0);
        cr_assert(SSL_SESSION_get_max_early_data(SSL_get_session(s.ssl)) == 0);
        cr_assert_str_eq(SSL_get_cipher_name(s.ssl), "TLS_AES_256_GCM_SHA384");
        stranger_deinit(&s);
    }
    pki_pair_free(&pair);
}

Test(tls_hostile, certificates_that_are_refused)
{
    char urn[CLUSTER_PKI_URN_BYTES], urn3[CLUSTER_PKI_URN_BYTES];
    int64_t now = (int64_t)time(NULL);
    struct pki_request good = cluster_pki_request(cluster_pki_urn("lab", 2, urn)), r = good;

    refused_both_ways(&other, r, "unable to get local issuer certificate");
    refused_both_ways(NULL, r, "self");
    r.until_s = now - 60;
    refused_both_ways(&pki, r, "expired");
    r = good;
    r.from_s = now + 3600;
    refused_both_ways(&pki, r, "not yet valid");
    r = good;
    r.use = PKI_USE_SERVER;
    refused_both_ways(&pki, r, "serverAuth and clientAuth");
    r.use = PKI_USE_CLIENT;
    refused_both_ways(&pki, r, "serverAuth and clientAuth");
    r.use = PKI_USE_NONE;
    refused_both_ways(&pki, r, "serverAuth and clientAuth");
    r = good;
    r.no_signing = true;
    refused_both_ways(&pki, r, "serverAuth and clientAuth");
    r = good;
    r.names[0] = "node-2.example.org";
    refused_both_ways(&pki, r, "names no node");
    r = good;
    r.names[1] = cluster_pki_urn("lab", 3, urn3);
    r.n_names = 2;
    refused_both_ways(&pki, r, "names no node");
    r = good;
    r.names[0] = cluster_pki_urn("other", 2, urn3);
    refused_both_ways(&pki, r, "cluster 'other'");
    r.names[0] = cluster_pki_urn("lab", 1, urn3);
    refused_both_ways(&pki, r, "we are ourselves");
    r.names[0] = PKI_CLUSTER_URN "lab:node:0";
    refused_both_ways(&pki, r, "names no node");
    r = good;
    r.ca = true; /* the CA's own kind */
    r.use = 0;
    refused_both_ways(&pki, r, "serverAuth and clientAuth");
}

/* Node 3 where node 2 was dialled. */
Test(tls_hostile, another_node_than_the_one_dialled)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 3, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);

    refused(&pair, TLS1_3_VERSION, false, "node 3, where node 2 was dialled");
    pki_pair_free(&pair);
}

/* A node's certificate without its key: the stranger signs with its own. */
Test(tls_hostile, somebody_elses_certificate)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r), mine = cluster_pki_make(&pki, &r);
    X509 *copy = X509_dup(pair.cert);
    struct pki_pair forged = {.key = mine.key, .cert = copy};

    /* OpenSSL takes no pair that does not match, so its public key is swapped; the bytes that are sent
     * stay those that the CA signed. */
    cr_assert(X509_set_pubkey(copy, mine.key) == 1);
    refused(&forged, TLS1_3_VERSION, true, "bad signature");
    refused(&forged, TLS1_3_VERSION, false, "bad signature");
    X509_free(copy);
    pki_pair_free(&pair);
    pki_pair_free(&mine);
}

Test(tls_hostile, no_certificate_and_other_versions)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);

    refused(NULL, TLS1_3_VERSION, true, "peer did not return a certificate");
    refused(&pair, TLS1_2_VERSION, true, "unsupported protocol");
    refused(&pair, TLS1_2_VERSION, false, "protocol version");
    pki_pair_free(&pair);
}

/* The framing of before, in the clear. */
Test(tls_hostile, plaintext_and_noise)
{
    static const uint8_t hello[] = {0x16, 3, 1,    1, 0, 1,
                                    0,    0, 0xfc, 3, 3}; /* a ClientHello's begin */
    uint8_t noise[4096];
    size_t refusals = 0;

    end_open(&node, false, 0);
    end_receive(&node, "HFHELLO\0\0\0\0\1", 12, 0);
    cr_assert(node.dead);
    for (unsigned round = 0; round < 400; round++) {
        cr_assert(RAND_bytes(noise, sizeof noise) == 1);
        if (round % 2 == 0)
            memcpy(noise, hello, sizeof hello);
        end_open(&node, round % 4 < 2, round % 4 < 2 ? 2 : 0);
        end_receive(&node, noise, 1 + round * 10, round % 3 * 7);
        cr_assert(!node.i->ready(node.session) && node.plain.len == 0);
        refusals += node.dead;
    }
    cr_assert(refusals > 300);
    printf("compared %zu refusals\n", refusals);
}

/* A ClientHello that never ends. */
Test(tls_hostile, what_it_takes_before_it_knows_who_is_bounded)
{
    /* A full record that begins a ClientHello of 131,056 bytes. */
    static uint8_t record[5 + 16384] = {0x16, 3, 1, 0x40, 0, 1, 1, 0xff, 0xf0};
    size_t taken = 0;

    end_open(&node, false, 0);
    for (int i = 0; i < 16 && !node.dead; i++) {
        end_receive(&node, record, sizeof record, 0);
        taken += sizeof record;
        memset(record + 5, 0, 4);
    }
    cr_assert(node.dead && taken <= TLS_MAX_HANDSHAKE_BYTES + sizeof record, "%zu", taken);
    cr_assert(strstr(node.i->why(node.session), "too much") != NULL, "%s",
              node.i->why(node.session));
}

/* Whether the last try kept anything back: a signature is a byte shorter now and then, so that as
 * many bytes as one handshake had may be all of the next. */
static bool kept_back;

/* Moves what waits, up to byte `keep` of all that way, with byte `turn` turned. */
static size_t pass(struct end *from, struct end *to, size_t *passed, size_t keep, size_t turn)
{
    struct bytes in = from->wire;
    size_t n = in.len < keep - *passed ? in.len : keep - *passed;

    kept_back |= n < in.len;
    from->wire = (struct bytes){0};
    if (turn >= *passed && turn - *passed < n)
        in.data[turn - *passed] ^= 0x11;
    end_receive(to, in.data, n, 0);
    *passed += n;
    free(in.data);
    return n;
}

/* A node that says a word as soon as it may, and ours, whose input is cut after `keep` bytes or has
 * byte `turn` turned (SIZE_MAX: neither). Returns how many bytes came to ours. */
static size_t spoiled(struct end *peer, bool ours_dials, size_t keep, size_t turn)
{
    size_t in = 0, out = 0, moved;
    bool said = false;

    kept_back = false;
    end_open(peer, !ours_dials, ours_dials ? 0 : 1);
    end_open(&node, ours_dials, ours_dials ? 2 : 0);
    do {
        if (end_ready(peer) && !said)
            said = end_send(peer, "spoken", 6);
        moved = pass(peer, &node, &in, keep, turn) + pass(&node, peer, &out, SIZE_MAX, SIZE_MAX);
    } while (moved > 0);
    return in;
}

static bool heard_it(void)
{
    return end_ready(&node) && node.plain.len == 6 && memcmp(node.plain.data, "spoken", 6) == 0;
}

/* And closed there: in every state. */
Test(tls_hostile, broken_off_at_every_point)
{
    struct end peer;
    size_t cut = 0;

    end_init(&peer, cluster_pki_identity(&pki, 2));
    for (int dials = 0; dials <= 1; dials++) {
        size_t all = spoiled(&peer, dials, SIZE_MAX, SIZE_MAX);

        cr_assert(heard_it() && all > 500);
        for (size_t keep = 0; keep < all; keep += 23) {
            (void)spoiled(&peer, dials, keep, SIZE_MAX);
            if (kept_back)
                cr_assert(!heard_it() && node.plain.len == 0, "%zu of %zu bytes", keep, all);
            else
                cr_assert(heard_it() && keep + 8 > all, "%zu of %zu bytes", keep, all);
            cut += kept_back;
        }
    }
    printf("compared %zu points\n", cut);
    cr_assert(cut > 50);
    end_deinit(&peer);
}

/* Nothing else than what was said is ever heard. A few bytes do not count (record versions). */
Test(tls_hostile, turned_at_every_point)
{
    size_t refusals = 0, turns = 0;
    struct end peer;

    end_init(&peer, cluster_pki_identity(&pki, 2));
    for (int dials = 0; dials <= 1; dials++) {
        size_t all = spoiled(&peer, dials, SIZE_MAX, SIZE_MAX);

        for (size_t turn = 0; turn < all; turn += 19, turns++) {
            (void)spoiled(&peer, dials, SIZE_MAX, turn);
            cr_assert(heard_it() || node.plain.len == 0, "byte %zu", turn);
            refusals += !heard_it();
        }
    }
    printf("compared %zu turned bytes, %zu refused\n", turns, refusals);
    cr_assert(refusals * 100 > turns * 95);
    end_deinit(&peer);
}

/* The peer ends it properly; nothing is heard from it any more. */
Test(tls_hostile, closed_by_the_peer)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    struct stranger s;
    char *data;
    long n;

    end_open(&node, false, 0);
    stranger_init(&s, &pair, TLS1_3_VERSION, true);
    stranger_meet(&s, &node, "HFHELLO");
    cr_assert(end_ready(&node));
    (void)SSL_shutdown(s.ssl);
    n = BIO_get_mem_data(s.out, &data);
    end_receive(&node, data, (size_t)n, 0);
    cr_assert(node.dead && !end_send(&node, "x", 1));
    cr_assert(strstr(node.i->why(node.session), "clos") != NULL, "%s", node.i->why(node.session));
    stranger_deinit(&s);
    pki_pair_free(&pair);
}
