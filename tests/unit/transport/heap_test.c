/* What goes over a link stays in no memory that is given back: frames carry keys. (OpenSSL's own memory
 * is looked through by unit/tls.) */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "cluster_pki/cluster_pki.h"
#include "replication/tls_layer.h"
#include "unit/repl/heap_look.h"

static const uint8_t key[32] = "a key on its way, between nodes";
static const uint8_t zeros[1 << 20];

static struct cluster_pki pki;
static struct tls_layer *layers[3]; /* [node] */
static struct bench b;

static void begin(void)
{
    cluster_pki_init(&pki, "lab");
    bench_init(&b, false);
    for (uint32_t node = 1; node <= 2; node++) {
        struct tls_identity *identity = cluster_pki_identity(&pki, node);

        layers[node] = tls_layer_create(identity, 0);
        tls_identity_release(identity);
        bench_start(&b, node, 11 * node, 0, tls_layer_interface(layers[node]));
    }
    bench_join(&b, 1, 2);
}

static void end(void)
{
    bench_deinit(&b);
    for (uint32_t node = 1; node <= 2; node++)
        tls_layer_destroy(layers[node]);
    cluster_pki_deinit(&pki);
}

TestSuite(transport_heap, .init = begin, .fini = end);

static void pass(size_t before, size_t behind)
{
    const struct repl_transport *i = b.side[1].i;
    struct span parts[3] = {span_of(zeros, before), span_of(key, sizeof key),
                            span_of(zeros, behind)};
    uint64_t frames = b.side[2].frames;

    cr_assert(i->send(i->self, 2, REPL_CHANNEL_ADMIN, parts, 3));
    BENCH_UNTIL(&b, b.side[2].frames == frames + 1);
}

/* Small ones, such as fit no TLS record, such as make the receiver's buffer grow, and be given back. */
Test(transport_heap, nothing_of_a_frame_is_given_back, .timeout = 60)
{
    static const size_t sizes[] = {0, 100, 4000, 17000, 70000, 500000};
    size_t n = sizeof sizes / sizeof *sizes;

    heap_look_for(key, sizeof key);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            pass(sizes[i], sizes[k]);
    bench_stop(&b, 2);
    bench_stop(&b, 1);
    cr_assert_eq(heap_look_found(), 0, "%zu pieces with the key in them", heap_look_found());
    cr_assert_gt(heap_look_looked(), 36);
    (void)printf("compared %zu pieces\n", heap_look_looked());
    heap_look_for(NULL, 0);
}
