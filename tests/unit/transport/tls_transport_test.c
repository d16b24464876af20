/* The transport over mutual TLS and real sockets: frames, strangers, floods, certificates replaced
 * under links that stand. */
#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "cluster_pki/cluster_pki.h"
#include "replication/tls_layer.h"

static struct cluster_pki pki;
static struct tls_layer *layers[4]; /* [node] */
static struct bench b;

static struct tls_layer *layer_of(struct tls_identity *identity)
{
    struct tls_layer *layer = tls_layer_create(identity, 0);

    tls_identity_release(identity);
    return layer;
}

static void begin(void)
{
    cluster_pki_init(&pki, "lab");
    bench_init(&b, false);
    for (uint32_t node = 1; node <= 3; node++)
        layers[node] = layer_of(cluster_pki_identity(&pki, node));
}

static void end(void)
{
    bench_deinit(&b);
    for (uint32_t node = 1; node <= 3; node++)
        tls_layer_destroy(layers[node]);
    cluster_pki_deinit(&pki);
}

TestSuite(transport_tls, .init = begin, .fini = end);

static void start(uint32_t node)
{
    bench_start(&b, node, 11 * node, 0, tls_layer_interface(layers[node]));
}

/* Each knows the two others. */
static void join_three(void)
{
    for (uint32_t node = 1; node <= 3; node++)
        start(node);
    for (uint32_t node = 1; node <= 3; node++) {
        struct tcp_peer p[3];

        for (uint32_t k = 1; k <= 3; k++)
            p[k - 1] = (struct tcp_peer){k, {addr_v4(0x7f000001), tcp_transport_port(b.side[k].t)}};
        tcp_transport_set_peers(b.side[node].t, p, 3);
    }
    BENCH_UNTIL(&b, b.side[1].up == 2 && b.side[2].up == 2 && b.side[3].up == 2);
}

Test(transport_tls, frames_arrive_in_order_both_ways, .timeout = 60)
{
    enum { FRAMES = 5000 };

    start(1);
    start(2);
    bench_join(&b, 1, 2);
    bench_swap_numbers(&b, FRAMES);
    cr_assert(b.side[1].down == 0 && b.side[2].down == 0);
    cr_assert(bench_counters(&b, 1).bad_layer == 0 && bench_counters(&b, 1).limited == 0);
}

/* In the clear, a stranger with its own certificate, another node in node 2's place. */
Test(transport_tls, strangers_get_nothing, .timeout = 60)
{
    struct cluster_pki other;
    struct tls_layer *stranger;
    int fd;

    start(1);
    fd = raw_connect(&b, 1);
    bench_peer(&b, 1, 2, 1);
    raw_hello(fd, 2, 1, BENCH_CLUSTER, 5);
    BENCH_UNTIL(&b, raw_closed(fd));
    (void)close(fd);
    cr_assert(bench_counters(&b, 1).bad_layer == 1);
    cr_assert(strstr(b.side[1].last_note, "127.0.0.1") != NULL, "%s", b.side[1].last_note);
    cluster_pki_init(&other, "lab");
    stranger = layer_of(cluster_pki_identity(&other, 2));
    bench_start(&b, 2, 22, 0, tls_layer_interface(stranger));
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    bench_peer(&b, 1, 2, tcp_transport_port(b.side[2].t));
    BENCH_UNTIL(&b, bench_counters(&b, 1).bad_layer >= 4 && bench_counters(&b, 2).bad_layer >= 4);
    cr_assert(b.side[1].up == 0 && b.side[2].up == 0);
    bench_stop(&b, 2);
    tls_layer_destroy(stranger);
    cluster_pki_deinit(&other);
    /* Node 3, of this cluster, says that it is node 2. */
    bench_start(&b, 2, 33, 0, tls_layer_interface(layers[3]));
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_node >= 1);
    cr_assert(b.side[1].up == 0 && b.side[2].up == 0 && b.side[1].frames == 0);
}

static void replace(uint32_t node, X509_CRL *crl)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES] = "";
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", node, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    enum tls_file which;
    struct tls_identity *identity = cluster_pki_load(node, pki.ca.cert, &pair, crl, &which, why);

    cr_assert(identity != NULL, "%s", why);
    tls_layer_replace(layers[node], identity);
    tcp_transport_recheck(b.side[node].t);
    tls_identity_release(identity);
    pki_pair_free(&pair);
}

/* New certificates on all nodes, while frames pass: no link is lost. */
Test(transport_tls, certificates_are_renewed_without_losing_a_link, .timeout = 60)
{
    join_three();
    for (uint32_t node = 1; node <= 3; node++) {
        replace(node, NULL);
        cr_assert(bench_send_number(&b, node, node % 3 + 1, 0, 100));
    }
    BENCH_UNTIL(&b, b.side[1].frames == 1 && b.side[2].frames == 1 && b.side[3].frames == 1);
    for (uint32_t node = 1; node <= 3; node++)
        cr_assert(b.side[node].down == 0);
}

/* Node 3 is revoked: at node 1's reload both its links with node 3 end, those with node 2 stay. */
Test(transport_tls, a_revoked_peer_is_dropped_at_the_reload, .timeout = 60)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[PKI_WHY_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 3, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    int64_t now = (int64_t)time(NULL);
    X509_CRL *crl = pki_revoke(&pki.ca, &pair.cert, 1, now - 60, now + 60, why);
    enum tls_file which;
    char words[TLS_WHY_BYTES];

    tls_layer_destroy(layers[3]);
    layers[3] = layer_of(cluster_pki_load(3, pki.ca.cert, &pair, NULL, &which, words));
    join_three();
    replace(1, crl);
    BENCH_UNTIL(&b, b.side[1].down == 1 && b.side[3].down == 1);
    BENCH_UNTIL(&b, bench_counters(&b, 1).bad_layer >= 6); /* both try again, in vain */
    cr_assert(!b.side[1].i->connected(b.side[1].i->self, 3));
    cr_assert(!b.side[3].i->connected(b.side[3].i->self, 1));
    cr_assert(b.side[2].down == 0 && b.side[1].up == 2);
    cr_assert(bench_send_number(&b, 1, 2, 0, 10) && bench_send_number(&b, 3, 2, 1, 10));
    BENCH_UNTIL(&b, b.side[2].frames == 2);
    X509_CRL_free(crl);
    pki_pair_free(&pair);
}

/* Who has not proven anything yet began under certificates that are no longer in force. */
Test(transport_tls, who_waits_at_a_reload_begins_anew, .timeout = 60)
{
    int fd;

    start(1);
    fd = raw_connect(&b, 1);
    BENCH_UNTIL(&b, bench_counters(&b, 1).accepts == 1);
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    cr_assert(!raw_closed(fd));
    replace(1, NULL);
    BENCH_UNTIL(&b, raw_closed(fd));
    cr_assert(bench_counters(&b, 1).bad_layer == 1 && bench_counters(&b, 1).silent == 0);
    (void)close(fd);
}

/* A flood of connections from one address: few wait, few are tried, and the links of others (here:
 * those that stand) feel nothing. */
Test(transport_tls, a_flood_is_limited, .timeout = 60)
{
    enum { MANY = 300, WAITING = 8 };
    struct tcp_counters c;
    int fd[MANY], open_now = 0;
    uint64_t accepted;

    start(1);
    start(2);
    bench_join(&b, 1, 2);
    accepted = bench_counters(&b, 1).accepts;
    for (int i = 0; i < MANY; i++) {
        fd[i] = raw_connect(&b, 1);
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    BENCH_UNTIL(&b, bench_counters(&b, 1).accepts == accepted + MANY);
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    c = bench_counters(&b, 1);
    for (int i = 0; i < MANY; i++)
        open_now += !raw_closed(fd[i]);
    cr_assert(open_now <= WAITING, "%d wait", open_now);
    cr_assert(c.limited >= MANY / 2, "%d were limited", (int)c.limited);
    cr_assert(bench_send_number(&b, 1, 2, 0, 10) && bench_send_number(&b, 2, 1, 0, 10));
    BENCH_UNTIL(&b, b.side[1].frames == 1 && b.side[2].frames == 1);
    cr_assert(b.side[1].down == 0 && b.side[2].down == 0);
    for (int i = 0; i < MANY; i++)
        (void)close(fd[i]);
}
