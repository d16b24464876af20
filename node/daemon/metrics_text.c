#include "daemon/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#define LABELS(l) (l), sizeof(l) / sizeof(l)[0]

static const char *const sides[COUNTER_SIDES] = {[IKE_BY_PEER] = "peer", [IKE_BY_US] = "gateway"};

static void family(struct openmetrics *m, struct openmetrics_family *at, const char *name,
                   const char *help, const char *unit, enum openmetrics_type type)
{
    *at = (struct openmetrics_family){name, help, unit, type};
    openmetrics_family(m, at);
}

/* A gauge that is one series. */
static void gauge(struct openmetrics *m, const char *name, const char *help, uint64_t value)
{
    struct openmetrics_family f;

    family(m, &f, name, help, NULL, OPENMETRICS_GAUGE);
    openmetrics_count(m, NULL, 0, value);
}

static void gauge_seconds(struct openmetrics *m, const char *name, const char *help, double value)
{
    struct openmetrics_family f;

    family(m, &f, name, help, "seconds", OPENMETRICS_GAUGE);
    openmetrics_number(m, NULL, 0, value);
}

/* --- counters --- */

static uint64_t value_of(const struct metrics_source *s, const struct metrics_row *row)
{
    switch (row->of) {
    case METRICS_CONDUCTOR:
        return s->counters->value[row->id];
    case METRICS_REASON:
        return s->counters->reason[row->id];
    case METRICS_WORKER:
        return s->worker[row->id];
    case METRICS_REPLICATION:
        break;
    }
    return s->status->counters[row->id];
}

static void plain_counters(struct openmetrics *m, const struct metrics_source *s)
{
    size_t n;
    const struct metrics_row *rows = metrics_rows(&n);

    for (size_t i = 0; i < n; i++) {
        const struct openmetrics_label label[] = {{rows[i].counter->label, rows[i].value}};

        if (i == 0 || rows[i].counter != rows[i - 1].counter)
            openmetrics_family(m, &rows[i].counter->family);
        openmetrics_count(m, LABELS(label), value_of(s, &rows[i]));
    }
}

static void named_counters(struct openmetrics *m, const struct metrics_source *s)
{
    struct openmetrics_family f;

    family(m, &f, "holdfast_ike_refusals",
           "IKE messages dropped, exchanges refused and SAs ended, by reason.", NULL,
           OPENMETRICS_COUNTER);
    for (int i = IKE_REASON_NONE + 1; i < IKE_REASON_COUNT; i++) {
        const struct openmetrics_label l[] = {{"reason", ike_reason_name((enum ike_reason)i)}};

        openmetrics_count(m, LABELS(l), s->counters->reason[i]);
    }
    family(m, &f, "holdfast_certificates_judged", "Certificates of peers, by verdict.", NULL,
           OPENMETRICS_COUNTER);
    for (int i = 0; i < SUITE_VERDICTS; i++) {
        const struct openmetrics_label l[] = {
            {"verdict", suite_verdict_name((enum suite_verdict)i)}};

        openmetrics_count(m, LABELS(l), s->counters->verdict[i]);
    }
    family(m, &f, "holdfast_stray_packets",
           "Packets of shards that another node owns, by what became of them.", NULL,
           OPENMETRICS_COUNTER);
    for (int i = 0; i < STRAY_COUNTERS; i++) {
        const struct openmetrics_label l[] = {
            {"outcome", stray_counter_name((enum stray_counter)i)}};

        openmetrics_count(m, LABELS(l), s->stray[i]);
    }
}

static void direction_counter(struct openmetrics *m, uint64_t in, uint64_t out)
{
    openmetrics_count(m, (const struct openmetrics_label[]){{"direction", "in"}}, 1, in);
    openmetrics_count(m, (const struct openmetrics_label[]){{"direction", "out"}}, 1, out);
}

static void esp(struct openmetrics *m, const struct metrics_source *s)
{
    struct openmetrics_family f;

    family(m, &f, "holdfast_esp_packets", "Packets opened and sealed, all CHILD SAs together.",
           NULL, OPENMETRICS_COUNTER);
    direction_counter(m, s->esp.packets_in, s->esp.packets_out);
    family(m, &f, "holdfast_esp_bytes", "Bytes of the packets inside, all CHILD SAs together.",
           "bytes", OPENMETRICS_COUNTER);
    direction_counter(m, s->esp.bytes_in, s->esp.bytes_out);
    family(m, &f, "holdfast_esp_packets_dropped", "Packets of a CHILD SA that were dropped.", NULL,
           OPENMETRICS_COUNTER);
    for (int i = ESP_DROP_NONE + 1; i < ESP_DROP_WAIT; i++) {
        const char *reason = esp_drop_name((enum esp_drop)i);
        const struct openmetrics_label in[] = {{"direction", "in"}, {"reason", reason}},
                                       out[] = {{"direction", "out"}, {"reason", reason}};

        openmetrics_count(m, LABELS(in), s->esp.in[i]);
        openmetrics_count(m, LABELS(out), s->esp.out[i]);
    }
}

/* --- exchanges --- */

static void exchange_counter(struct openmetrics *m, const struct metrics_source *s,
                             const char *name, const char *help, size_t offset)
{
    struct openmetrics_family f;

    family(m, &f, name, help, NULL, OPENMETRICS_COUNTER);
    for (int e = IKE_EX_NONE + 1; e < COUNTER_EXCHANGES; e++)
        for (int side = 0; side < COUNTER_SIDES; side++) {
            const struct openmetrics_label l[] = {
                {"exchange", ike_exchange_name((enum ike_exchange)e)}, {"side", sides[side]}};
            const char *at = (const char *)&s->counters->exchange[e][side];

            openmetrics_count(m, LABELS(l), *(const uint64_t *)(const void *)(at + offset));
        }
}

static void histogram(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                      const struct counter_histogram *h, const uint64_t *bounds_ms, size_t n_bounds)
{
    double most[COUNTER_MOST_BOUNDS];

    for (size_t i = 0; i < n_bounds; i++)
        most[i] = (double)bounds_ms[i] / 1e3;
    openmetrics_histogram(m, labels, n,
                          &(struct openmetrics_histogram){.most = most,
                                                          .counts = h->bucket,
                                                          .n_bounds = n_bounds,
                                                          .sum = (double)h->sum_ms / 1e3});
}

static void exchanges(struct openmetrics *m, const struct metrics_source *s)
{
    static const char *const lives[] = {[COUNTER_LIFE_CHILD] = "child", [COUNTER_LIFE_IKE] = "ike"};
    struct openmetrics_family f;

    exchange_counter(m, s, "holdfast_exchanges_started",
                     "Exchanges begun, by who began them; rekeys among them by their kind.",
                     offsetof(struct counter_exchange, started));
    exchange_counter(m, s, "holdfast_exchanges_completed", "Exchanges that ended as meant.",
                     offsetof(struct counter_exchange, completed));
    exchange_counter(m, s, "holdfast_exchanges_failed",
                     "Exchanges that were refused by either end or given up.",
                     offsetof(struct counter_exchange, failed));
    family(
        m, &f, "holdfast_exchange_duration_seconds",
        "Completed exchanges: the gateway's from first sending to the answer's record, the peer's "
        "from arrival to answer.",
        "seconds", OPENMETRICS_HISTOGRAM);
    for (int e = IKE_EX_NONE + 1; e < COUNTER_EXCHANGES; e++)
        for (int side = 0; side < COUNTER_SIDES; side++) {
            const struct openmetrics_label l[] = {
                {"exchange", ike_exchange_name((enum ike_exchange)e)}, {"side", sides[side]}};

            histogram(m, LABELS(l), &s->counters->exchange[e][side].took, counter_took_ms,
                      COUNTER_TOOK_BOUNDS);
        }
    family(m, &f, "holdfast_sa_lifetime_drift_seconds",
           "SAs that were replaced: how long after their soft limit by time; before it is 0.",
           "seconds", OPENMETRICS_HISTOGRAM);
    for (int i = 0; i < COUNTER_LIVES; i++) {
        const struct openmetrics_label l[] = {{"kind", lives[i]}};

        histogram(m, LABELS(l), &s->counters->late[i], counter_late_ms, COUNTER_LATE_BOUNDS);
    }
}

/* --- shards and nodes --- */

static const struct repl_shard_status *shard_status(const struct metrics_source *s, uint32_t id)
{
    for (size_t i = 0; i < s->status->n_shards; i++)
        if (s->status->shards[i].shard == id)
            return &s->status->shards[i];
    return NULL;
}

static const char *id_text(uint32_t id, char out[12])
{
    (void)snprintf(out, 12, "%" PRIu32, id);
    return out;
}

static void shards(struct openmetrics *m, const struct metrics_source *s)
{
    static const char *const states[] = {"unowned", "elsewhere", "owned", "acting"};
    struct openmetrics_family f;
    char id[12];

    family(m, &f, "holdfast_shard_state",
           "Who has the shard as this node sees it; acting: this node, under a lease.", NULL,
           OPENMETRICS_STATESET);
    for (size_t i = 0; i < s->n_shards; i++) {
        const struct repl_shard_status *st = shard_status(s, s->shards[i].id);
        const struct openmetrics_label l[] = {{"shard", id_text(s->shards[i].id, id)}};
        size_t is = st == NULL || st->owner_node == 0 ? 0
                    : !st->mine                       ? 1
                    : !s->shards[i].acting            ? 2
                                                      : 3;

        for (size_t k = 0; k < 4; k++)
            openmetrics_state(m, LABELS(l), states[k], k == is);
    }
    family(m, &f, "holdfast_shard_lease_remaining_seconds",
           "Of this node's lease of the shard; 0: it holds none.", "seconds", OPENMETRICS_GAUGE);
    for (size_t i = 0; i < s->n_shards; i++) {
        const struct repl_shard_status *st = shard_status(s, s->shards[i].id);
        const struct openmetrics_label l[] = {{"shard", id_text(s->shards[i].id, id)}};
        bool held = st != NULL && st->lease_until_ns > s->now_ns;

        openmetrics_number(m, LABELS(l), held ? (double)(st->lease_until_ns - s->now_ns) / 1e9 : 0);
    }
    family(m, &f, "holdfast_shard_assignments", "Assignments of the shard since it exists.", NULL,
           OPENMETRICS_COUNTER);
    for (size_t i = 0; i < s->n_shards; i++) {
        const struct repl_shard_status *st = shard_status(s, s->shards[i].id);
        const struct openmetrics_label l[] = {{"shard", id_text(s->shards[i].id, id)}};

        openmetrics_count(m, LABELS(l), st == NULL ? 0 : st->assignments);
    }
}

static uint64_t node_value(const struct repl_node_status *n, int which)
{
    switch (which) {
    case 0:
        return n->connected;
    case 1:
        return n->healthy;
    case 2:
        return n->drained;
    case 3:
        return n->reluctant;
    case 4:
        return n->votes;
    case 5:
        return n->distrust != REPL_TRUSTED && !repl_distrust_is_new(n->distrust);
    default:
        return n->applied_index;
    }
}

static void nodes(struct openmetrics *m, const struct metrics_source *s)
{
    static const struct openmetrics_family gauges[] = {
        {"holdfast_node_connected", "The node is connected to this one.", NULL, OPENMETRICS_GAUGE},
        {"holdfast_node_healthy", "By its own report, not older than a lease.", NULL,
         OPENMETRICS_GAUGE},
        {"holdfast_node_drained", "An operator drained it.", NULL, OPENMETRICS_GAUGE},
        {"holdfast_node_reluctant", "By its own report: it would rather own nothing.", NULL,
         OPENMETRICS_GAUGE},
        {"holdfast_node_votes", "It counts for the majority.", NULL, OPENMETRICS_GAUGE},
        {"holdfast_node_distrusted", "By its own report: it counts for nothing now.", NULL,
         OPENMETRICS_GAUGE},
        {"holdfast_node_applied_index", "Of the log, as this node heard last.", NULL,
         OPENMETRICS_GAUGE}};
    struct openmetrics_family f;
    char id[12];

    for (int g = 0; g < (int)(sizeof gauges / sizeof gauges[0]); g++) {
        openmetrics_family(m, &gauges[g]);
        for (size_t i = 0; i < s->status->n_nodes; i++) {
            const struct repl_node_status *n = &s->status->nodes[i];
            const struct openmetrics_label l[] = {{"node", id_text(n->node, id)}};

            openmetrics_count(m, LABELS(l), node_value(n, g));
        }
    }
    family(m, &f, "holdfast_node_agreement",
           "The node's replicated state beside this one's, as far as was heard.", NULL,
           OPENMETRICS_STATESET);
    for (size_t i = 0; i < s->status->n_nodes; i++)
        for (int k = REPL_AGREEMENT_UNKNOWN; k <= REPL_TIED; k++) {
            const struct repl_node_status *n = &s->status->nodes[i];
            const struct openmetrics_label l[] = {{"node", id_text(n->node, id)}};

            openmetrics_state(m, LABELS(l), repl_agreement_name((enum repl_agreement)k),
                              (int)n->agreement == k);
        }
}

/* --- the cluster, the process --- */

static void cluster(struct openmetrics *m, const struct metrics_source *s)
{
    const struct repl_status *st = s->status;

    gauge(m, "holdfast_quorum", "1: a leader is known, and a majority is heard.", st->quorum);
    gauge(m, "holdfast_leader", "1: this node leads.", st->leader != 0 && st->leader == st->node);
    gauge(m, "holdfast_leader_node", "The id of the node that leads; 0: none is known.",
          st->leader);
    gauge(m, "holdfast_term", "Of Raft.", st->term);
    gauge(m, "holdfast_commit_index", "Of the log, as this node knows it.", st->commit_index);
    gauge(m, "holdfast_applied_index", "Of the log, applied here.", st->applied_index);
    gauge(m, "holdfast_last_index", "Of the log, stored here.", st->last_index);
    gauge(m, "holdfast_snapshot_index", "Of the newest snapshot here.", st->snapshot_index);
    gauge(m, "holdfast_apply_lag", "Entries that are committed and not applied here.",
          st->commit_index > st->applied_index ? st->commit_index - st->applied_index : 0);
    gauge_seconds(m, "holdfast_applied_age_seconds",
                  "Cluster time since the entry applied last; one comes each second.",
                  st->cluster_ms > st->applied_ms ? (double)(st->cluster_ms - st->applied_ms) / 1e3
                                                  : 0);
    gauge(m, "holdfast_requests_outstanding", "Records of this node whose fate is not known yet.",
          st->outstanding);
    gauge_seconds(m, "holdfast_session_key_age_seconds",
                  "Of what seals the sessions' records; 0: there is none.",
                  st->key.session != 0 && st->cluster_ms > st->key.came_ms
                      ? (double)(st->cluster_ms - st->key.came_ms) / 1e3
                      : 0);
    if (s->majority_ms != UINT64_MAX)
        gauge_seconds(m, "holdfast_majority_age_seconds", "Since a majority was there last.",
                      (double)s->majority_ms / 1e3);
    gauge(m, "holdfast_sas", "IKE SAs in this node's tables, half-open ones not counted.", s->sas);
    gauge(m, "holdfast_child_sas", "CHILD SAs in this node's tables.", s->children);
    gauge(m, "holdfast_half_open_sas", "Half-open IKE SAs in this node's memory.", s->half_open);
}

static void process(struct openmetrics *m, const struct metrics_source *s)
{
    struct openmetrics_family f;
    char id[12];
    const struct openmetrics_label version[] = {{"version", s->version}},
                                   node[] = {{"node", id_text(s->status->node, id)}},
                                   own[] = {{"certificate", "cluster"}};

    family(m, &f, "holdfast_build", "The program that runs.", NULL, OPENMETRICS_INFO);
    openmetrics_info(m, LABELS(version));
    family(m, &f, "holdfast_node", "The node that this is.", NULL, OPENMETRICS_INFO);
    openmetrics_info(m, LABELS(node));
    gauge_seconds(m, "holdfast_uptime_seconds", "Since the daemon began.",
                  (double)s->uptime_ms / 1e3);
    family(m, &f, "holdfast_process_cpu_seconds", "Processor time, user and system.", "seconds",
           OPENMETRICS_COUNTER);
    openmetrics_total(m, NULL, 0, s->cpu_s);
    family(m, &f, "holdfast_process_resident_memory_bytes", "Memory in use.", "bytes",
           OPENMETRICS_GAUGE);
    openmetrics_count(m, NULL, 0, s->resident_bytes);
    gauge_seconds(m, "holdfast_control_loop_longest_turn_seconds",
                  "Since the start; as long as a lease, and it is lost.",
                  (double)s->longest_turn_ns / 1e9);
    if (!s->has_certificate)
        return;
    family(m, &f, "holdfast_certificate_expiry_timestamp_seconds",
           "When this node's certificate among the nodes ends, in seconds since 1970.", "seconds",
           OPENMETRICS_GAUGE);
    openmetrics_number(m, LABELS(own), (double)s->certificate_until_s);
}

char *metrics_text(const struct metrics_source *s, size_t *bytes)
{
    struct openmetrics m;

    openmetrics_begin(&m);
    process(&m, s);
    cluster(&m, s);
    shards(&m, s);
    nodes(&m, s);
    exchanges(&m, s);
    plain_counters(&m, s);
    named_counters(&m, s);
    esp(&m, s);
    return openmetrics_end(&m, bytes);
}
