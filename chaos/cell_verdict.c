/* What a cell was like, as JSON. */
#include "cell.h"

#include <stdlib.h>
#include <string.h>

static json_t *spis_json(const struct cell_spis *spis)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < spis->n; i++)
        (void)json_array_append_new(list, json_string(spis->text[i]));
    return list;
}

static json_t *ms_or_null(bool known, uint64_t ns)
{
    return known ? json_real((double)ns / 1e6) : json_null();
}

static json_t *count_json(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;

    return json_integer((json_int_t)sum);
}

static json_t *gaps_json(struct cell *c)
{
    const struct cell_takeover *t = &c->takeovers[0];
    struct numbers_summary in, out;
    bool known = c->n_takeovers && t->flowing_ns;

    traffic_judge(&c->traffic, TRAFFIC_IN, t->kill_ns, t->flowing_ns, &in);
    traffic_judge(&c->traffic, TRAFFIC_OUT, t->kill_ns, t->flowing_ns, &out);
    return json_pack("{s:o, s:o}", "in", ms_or_null(known && c->drill->directions & 1, in.gap_ns),
                     "out", ms_or_null(known && c->drill->directions & 2, out.gap_ns));
}

/* The longest time without a packet from the fault's beginning to its end, moves or none. */
static json_t *pauses_json(struct cell *c)
{
    struct numbers_summary in, out;

    traffic_judge(&c->traffic, TRAFFIC_IN, c->fault_from_ns, c->fault_to_ns, &in);
    traffic_judge(&c->traffic, TRAFFIC_OUT, c->fault_from_ns, c->fault_to_ns, &out);
    return json_pack("{s:o, s:o}", "in", ms_or_null(c->fault_to_ns != 0, in.gap_ns), "out",
                     ms_or_null(c->fault_to_ns != 0, out.gap_ns));
}

static json_t *takeovers_json(const struct cell *c)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        (void)json_array_append_new(
            list,
            json_pack("{s:i, s:i, s:i, s:I, s:o, s:o}", "from", (int)t->from, "to", (int)t->to,
                      "replayed", (int)t->replayed, "refused", (json_int_t)t->refused, "acting_ms",
                      ms_or_null(t->acting_ns > t->kill_ns, t->acting_ns - t->kill_ns),
                      "upload_stall_ms",
                      ms_or_null(t->flowing_ns != 0, cell_upload_stall_ns(c, i))));
    }
    return list;
}

static void way_json(json_t *j, const char *key, const struct relay_count *counts)
{
    static const char *const names[] = {"init",          "auth", "create-child",
                                        "informational", "esp",  "other"};
    json_t *list = json_object();

    for (unsigned i = 0; i < RELAY_CLASSES; i++) {
        const struct relay_count *n = &counts[i];

        if (n->seen)
            (void)json_object_set_new(
                list, names[i],
                json_pack("{s:I, s:I, s:I, s:I, s:I}", "seen", (json_int_t)n->seen, "dropped",
                          (json_int_t)n->dropped, "duplicated", (json_int_t)n->duplicated,
                          "reordered", (json_int_t)n->reordered, "caught", (json_int_t)n->caught));
    }
    (void)json_object_set_new(j, key, list);
}

/* What the relay did, by way and class; null: there was none. */
static json_t *relay_json(const struct cell *c)
{
    json_t *j;

    if (!c->relay.lab)
        return json_null();
    j = json_object();
    way_json(j, "in", c->relay.core.counts[RELAY_IN]);
    way_json(j, "out", c->relay.core.counts[RELAY_OUT]);
    return j;
}

/* Each client's account, where there are several; the gap is the longest of the moves. */
static json_t *clients_json(const struct cell *c)
{
    json_t *list = json_array();

    for (unsigned i = 0; c->traffic.lab && i < c->traffic.plan.clients; i++) {
        const struct traffic_client *client = &c->traffic.clients[i];
        struct numbers_summary sum[TRAFFIC_DIRECTIONS] = {0};
        double gap[TRAFFIC_DIRECTIONS];

        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
            numbers_judge(&client->numbers[d], 0, 0, &sum[d]);
            sum[d].gap_ns = 0;
            for (unsigned k = 0; k < c->n_takeovers; k++) {
                const struct cell_takeover *t = &c->takeovers[k];
                uint64_t ns =
                    t->flowing_ns ? numbers_gap(&client->numbers[d], t->kill_ns, t->flowing_ns) : 0;

                if (ns > sum[d].gap_ns)
                    sum[d].gap_ns = ns;
            }
            gap[d] = (double)sum[d].gap_ns / 1e6;
        }
        (void)json_array_append_new(
            list, json_pack("{s:i, s:i, s:o, s:o, s:{s:f, s:f}}", "client", (int)i + 1, "shard",
                            (int)swan_shard(i + 1, c->drill->shards), "lost",
                            count_json(sum[0].lost, sum[1].lost), "duplicated",
                            count_json(sum[0].duplicated, sum[1].duplicated), "gap_ms", "in",
                            gap[TRAFFIC_IN], "out", gap[TRAFFIC_OUT]));
    }
    return list;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Of all moves of the cell: the longest gap of any client in each, as median and maximum. */
static json_t *moves_json(const struct cell *c)
{
    json_t *j = json_object();

    for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
        double gaps[CELL_MAX_TAKEOVERS];
        unsigned n = 0;

        for (unsigned i = 0; i < c->n_takeovers; i++) {
            const struct cell_takeover *t = &c->takeovers[i];
            struct numbers_summary s;

            if (!t->flowing_ns)
                continue;
            traffic_judge(&c->traffic, (enum traffic_direction)d, t->kill_ns, t->flowing_ns, &s);
            gaps[n++] = (double)s.gap_ns / 1e6;
        }
        qsort(gaps, n, sizeof *gaps, by_size);
        (void)json_object_set_new(
            j, d == TRAFFIC_IN ? "in" : "out",
            n ? json_pack("{s:f, s:f}", "median", gaps[n / 2], "max", gaps[n - 1]) : json_null());
    }
    (void)json_object_set_new(j, "n", json_integer(c->n_takeovers));
    return j;
}

static const char *verdict_of(const struct cell *c)
{
    if (c->report.n)
        return "fail";
    if (c->lab.failed)
        return "aborted";
    return c->inconclusive ? "inconclusive" : "pass";
}

json_t *cell_verdict(struct cell *c)
{
    struct numbers_summary in, out;
    json_t *j = json_object(), *violations = json_array();
    bool exchange = c->spec->exchange != DRILL_AT_REST;

    traffic_judge(&c->traffic, TRAFFIC_IN, 0, 0, &in);
    traffic_judge(&c->traffic, TRAFFIC_OUT, 0, 0, &out);
    for (unsigned i = 0; i < c->report.n && i < ORACLE_MAX_VIOLATIONS; i++)
        (void)json_array_append_new(
            violations, json_stringn_nocheck(c->report.text[i], strlen(c->report.text[i])));
    (void)json_object_set_new(j, "id", json_string(c->spec->id));
    (void)json_object_set_new(j, "round", json_integer(c->spec->round));
    (void)json_object_set_new(j, "verdict", json_string(verdict_of(c)));
    (void)json_object_set_new(j, "reached", json_boolean(c->reached));
    (void)json_object_set_new(j, "epoch", json_integer((json_int_t)c->epoch));
    (void)json_object_set_new(j, "owner_before", json_integer(c->owner_before));
    (void)json_object_set_new(j, "owner_after",
                              json_integer(c->n_takeovers ? c->takeovers[0].to : c->owner));
    (void)json_object_set_new(j, "leader", json_integer(c->leader_before));
    (void)json_object_set_new(j, "log_index", json_integer((json_int_t)c->step.log_index));
    (void)json_object_set_new(j, "begun_again", json_boolean(c->begun_again));
    (void)json_object_set_new(j, "record_survived",
                              exchange && c->committed.known ? json_boolean(c->record_survived)
                                                             : json_null());
    (void)json_object_set_new(j, "spis_before", spis_json(&c->before));
    (void)json_object_set_new(j, "spis_committed", spis_json(&c->committed));
    (void)json_object_set_new(j, "spis_after", spis_json(&c->after));
    (void)json_object_set_new(j, "copies_compared",
                              count_json(exchange ? c->copies.of_message : c->copies.compared, 0));
    (void)json_object_set_new(j, "copies_of_gateway", count_json(c->copies.of_gateway, 0));
    (void)json_object_set_new(j, "copies_across", count_json(c->copies.across, 0));
    (void)json_object_set_new(j, "sent", count_json(in.sent, out.sent));
    (void)json_object_set_new(j, "lost", count_json(in.lost, out.lost));
    (void)json_object_set_new(j, "duplicated", count_json(in.duplicated, out.duplicated));
    (void)json_object_set_new(j, "reordered", count_json(in.reordered, out.reordered));
    (void)json_object_set_new(j, "gap_ms", gaps_json(c));
    (void)json_object_set_new(j, "pause_ms", pauses_json(c));
    (void)json_object_set_new(j, "upload_stall_ms",
                              ms_or_null(c->n_takeovers && c->takeovers[0].flowing_ns,
                                         c->n_takeovers ? cell_upload_stall_ns(c, 0) : 0));
    (void)json_object_set_new(j, "takeovers", takeovers_json(c));
    (void)json_object_set_new(j, "moves_ms", moves_json(c));
    (void)json_object_set_new(j, "replay_recoveries", json_integer((json_int_t)cell_recoveries(c)));
    (void)json_object_set_new(j, "unasked_moves", json_integer((json_int_t)c->unasked));
    (void)json_object_set_new(j, "before_fault", json_boolean(c->before_fault));
    (void)json_object_set_new(j, "told_tenures", json_integer((json_int_t)c->n_told_tenures));
    (void)json_object_set_new(j, "lease_ends", json_integer((json_int_t)c->lease_ends));
    (void)json_object_set_new(j, "relay", relay_json(c));
    (void)json_object_set_new(j, "clients", clients_json(c));
    if (c->spec->mode == DRILL_BEHIND_DELETE)
        (void)json_object_set_new(j, "behind_delete", json_boolean(c->behind_delete));
    (void)json_object_set_new(j, "client_won", json_integer((json_int_t)c->client.log.n_won));
    (void)json_object_set_new(j, "client_lost", json_integer((json_int_t)c->client.log.n_lost));
    (void)json_object_set_new(j, "client_collisions",
                              json_integer((json_int_t)c->client.log.n_collisions));
    (void)json_object_set_new(j, "frames", json_integer((json_int_t)c->sniff.capture.n_frames));
    (void)json_object_set_new(j, "violations", violations);
    (void)json_object_set_new(j, "why",
                              c->lab.failed
                                  ? json_stringn_nocheck(c->lab.error, strlen(c->lab.error))
                              : c->inconclusive ? json_string(c->why)
                                                : json_null());
    (void)json_object_set_new(j, "seconds",
                              json_real((double)(c->ended_mono_ns - c->began_mono_ns) / 1e9));
    return j;
}
