/* The text of GET /metrics: OpenMetrics by the strict reader, every counter of the node in it exactly once
 * by its value, states as 0 and 1, and a number of series that nothing but nodes and shards makes larger. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"
#include "unit/api/openmetrics_parse.h"

enum { SHARDS = 3, NODES = 3, FIRST = 1000 };

static struct counters counters;
static struct repl_status status;
static struct metrics_source source;
static uint64_t next;
static struct parsed p;
static char *text;

static uint64_t fresh(void)
{
    return FIRST + next++;
}

/* Each counter has a value of its own, one after the other from FIRST on. */
static void fill_counters(void)
{
    for (int i = 0; i < COUNTER_COUNT; i++)
        counters.value[i] = fresh();
    for (int i = IKE_REASON_NONE + 1; i < IKE_REASON_COUNT; i++)
        counters.reason[i] = fresh();
    for (int i = 0; i < SUITE_VERDICTS; i++)
        counters.verdict[i] = fresh();
    for (int i = 0; i < WORKER_COUNTER_COUNT; i++)
        source.worker[i] = fresh();
    for (int i = 0; i < STRAY_COUNTERS; i++)
        source.stray[i] = fresh();
    for (int i = 0; i < REPL_COUNTERS; i++)
        status.counters[i] = fresh();
    for (int i = ESP_DROP_NONE + 1; i < ESP_DROP_WAIT; i++) {
        source.esp.in[i] = fresh();
        source.esp.out[i] = fresh();
    }
    for (int e = IKE_EX_NONE + 1; e < COUNTER_EXCHANGES; e++)
        for (int side = 0; side < COUNTER_SIDES; side++) {
            counters.exchange[e][side].started = fresh();
            counters.exchange[e][side].completed = fresh();
            counters.exchange[e][side].failed = fresh();
        }
    source.esp.packets_in = fresh();
    source.esp.packets_out = fresh();
    source.esp.bytes_in = fresh();
    source.esp.bytes_out = fresh();
    source.sas = fresh();
    source.children = fresh();
    source.half_open = fresh();
    source.resident_bytes = fresh();
}

static void fill_cluster(void)
{
    static const enum repl_distrust distrusts[NODES] = {REPL_TRUSTED, REPL_DISTRUST_BOOT,
                                                        REPL_DISTRUST_NEW};

    status.node = 2;
    status.leader = 2;
    status.quorum = true;
    status.commit_index = 90;
    status.applied_index = 80;
    status.cluster_ms = 5000;
    status.applied_ms = 2500;
    status.n_nodes = NODES;
    for (uint32_t i = 0; i < NODES; i++)
        status.nodes[i] =
            (struct repl_node_status){.node = i + 1,
                                      .connected = i != 2,
                                      .healthy = i == 1,
                                      .agreement = i == 2 ? REPL_DIFFERS : REPL_AGREES,
                                      .distrust = distrusts[i]};
    status.n_shards = source.n_shards = SHARDS;
    source.now_ns = 1000000000;
    for (uint32_t i = 0; i < SHARDS; i++) {
        status.shards[i] = (struct repl_shard_status){.shard = i + 1,
                                                      .owner_node = i == 0 ? 0 : i + 1,
                                                      .mine = i == 1,
                                                      .assignments = 7,
                                                      .lease_until_ns = i == 1 ? 1100000000 : 0};
        source.shards[i] = (struct metrics_shard){i + 1, i == 1};
    }
}

static void tell(void)
{
    size_t bytes;

    text = metrics_text(&source, &bytes);
    cr_assert_eq(strlen(text), bytes);
    cr_assert(openmetrics_parse(text, &p), "%s in\n%s", p.why, text);
}

static void start(void)
{
    source.version = "1.2.3";
    source.counters = &counters;
    source.status = &status;
    source.has_certificate = true;
    source.certificate_until_s = 1800000000;
    source.cpu_s = 1.5;
    fill_counters();
    fill_cluster();
    tell();
}

static void end(void)
{
    parsed_free(&p);
    free(text);
}

TestSuite(metrics, .init = start, .fini = end);

Test(metrics, every_counter_is_in_it)
{
    const char *keep = getenv("HF_EXPOSITION");
    unsigned compared = 0;

    for (uint64_t v = FIRST; v < FIRST + next; v++) {
        unsigned found = 0;

        for (size_t i = 0; i < p.n_samples; i++)
            found += p.samples[i].value == (double)v;
        /* A dead peer is a reason and a forced deletion. */
        cr_assert_eq(found, v == counters.reason[IKE_REASON_PEER_DEAD] ? 2 : 1,
                     "the counter with %lu stands %u times", (unsigned long)v, found);
        compared++;
    }
    cr_assert_gt(compared, 200);
    printf("compared %u counters in %zu families, %zu samples, %zu bytes\n", compared, p.n_families,
           p.n_samples, strlen(text));
    if (keep != NULL) {
        FILE *f = fopen(keep, "w");

        cr_assert_not_null(f);
        cr_assert_geq(fputs(text, f), 0);
        cr_assert_eq(fclose(f), 0);
    }
}

static void is(const char *name, const char *labels, double value)
{
    const struct parsed_sample *s = parsed_find(&p, name, labels);

    cr_assert_not_null(s, "no %s{%s}", name, labels);
    cr_assert_float_eq(s->value, value, 1e-9, "%s{%s} is %g, not %g", name, labels, s->value,
                       value);
}

Test(metrics, states_and_times_are_what_the_node_sees)
{
    is("holdfast_build_info", "version=1.2.3", 1);
    is("holdfast_node_info", "node=2", 1);
    is("holdfast_quorum", "", 1);
    is("holdfast_leader", "", 1);
    is("holdfast_apply_lag", "", 10);
    is("holdfast_applied_age_seconds", "", 2.5);
    is("holdfast_shard_state", "shard=1,holdfast_shard_state=unowned", 1);
    is("holdfast_shard_state", "shard=1,holdfast_shard_state=acting", 0);
    is("holdfast_shard_state", "shard=2,holdfast_shard_state=acting", 1);
    is("holdfast_shard_state", "shard=3,holdfast_shard_state=elsewhere", 1);
    is("holdfast_shard_lease_remaining_seconds", "shard=2", 0.1);
    is("holdfast_shard_lease_remaining_seconds", "shard=1", 0);
    is("holdfast_shard_assignments_total", "shard=3", 7);
    is("holdfast_node_connected", "node=3", 0);
    is("holdfast_node_healthy", "node=2", 1);
    is("holdfast_node_distrusted", "node=1", 0);
    is("holdfast_node_distrusted", "node=2", 1);
    is("holdfast_node_distrusted", "node=3", 0);
    is("holdfast_node_agreement", "node=3,holdfast_node_agreement=differs", 1);
    is("holdfast_node_agreement", "node=1,holdfast_node_agreement=differs", 0);
    is("holdfast_process_cpu_seconds_total", "", 1.5);
    is("holdfast_certificate_expiry_timestamp_seconds", "certificate=cluster", 1800000000);
}

/* What has no value is left out; what has not begun is 0. */
Test(metrics, a_node_that_knows_nothing_yet_says_so)
{
    end();
    source.has_certificate = false;
    source.majority_ms = UINT64_MAX;
    memset(&status, 0, sizeof status);
    tell();
    cr_assert_null(
        parsed_find(&p, "holdfast_certificate_expiry_timestamp_seconds", "certificate=cluster"));
    cr_assert_null(parsed_find(&p, "holdfast_majority_age_seconds", ""));
    is("holdfast_quorum", "", 0);
    is("holdfast_leader", "", 0);
    is("holdfast_shard_state", "shard=2,holdfast_shard_state=unowned", 1);
    is("holdfast_session_key_age_seconds", "", 0);
}

/* Prefix, and at most so many series a node and a shard: none is of an SA. */
Test(metrics, the_number_of_series_is_bounded)
{
    size_t few, most;

    for (size_t i = 0; i < p.n_families; i++)
        cr_assert_eq(strncmp(p.families[i].name, "holdfast_", 9), 0, "%s", p.families[i].name);
    few = p.n_samples;
    end();
    status.n_nodes = REPL_MAX_NODES;
    status.n_shards = source.n_shards = REPL_MAX_SHARDS;
    for (uint32_t i = 0; i < REPL_MAX_NODES; i++)
        status.nodes[i].node = i + 1;
    for (uint32_t i = 0; i < REPL_MAX_SHARDS; i++)
        source.shards[i].id = status.shards[i].shard = i + 1;
    source.sas = 100000;
    tell();
    most = p.n_samples;
    cr_assert_eq(most - few, (REPL_MAX_NODES - NODES) * 11 + (REPL_MAX_SHARDS - SHARDS) * 6);
    cr_assert_lt(strlen(text), 128 << 10);
    printf("compared %zu series, at most %zu\n", few, most);
}
