#include "cell.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { STRAGGLERS_MS = 400, SETTLE_MS = 30, IN_FLIGHT_NS = 20000000 };

static bool all_arrived(void *arg)
{
    const struct cell *c = arg;

    for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
        const struct numbers *n = &c->traffic.numbers[d];

        if (n->n_sent && (!n->n_arrivals || n->arrivals[n->n_arrivals - 1].number + 1 < n->n_sent))
            return false;
    }
    return true;
}

/* How long the upload stood still around a takeover: the first is watched until the interrupted
 * exchange has ended, the second until traffic flowed again. */
static uint64_t upload_stall_ns(const struct cell *c, unsigned i)
{
    const struct cell_takeover *t = &c->takeovers[i];
    uint64_t to = i == 0 && c->follow_up_ns ? c->follow_up_ns : t->flowing_ns;
    struct numbers_summary s;

    numbers_judge(&c->traffic.upload_progress, t->kill_ns, to ? to : pump_wall_ns(), &s);
    return s.gap_ns;
}

static void judge_upload(struct cell *c)
{
    for (unsigned i = 0; c->drill->expect & DRILL_EXP_UPLOAD && i < c->n_takeovers; i++) {
        uint64_t stall = c->takeovers[i].flowing_ns ? upload_stall_ns(c, i) : 0;

        if (stall > (uint64_t)c->drill->upload_ms * 1000000u)
            oracle_violation(&c->report,
                             "upload: it stood still for %.1f ms around takeover %u, allowed are "
                             "%u ms",
                             (double)stall / 1e6, i + 1, c->drill->upload_ms);
    }
}

/* The interrupted exchange's message: before its point the dead owner had sent nothing, after it
 * something, and then a copy of it came from another node. */
static void judge_message(struct cell *c)
{
    uint64_t first, before = c->takeovers[0].acting_ns ? c->takeovers[0].acting_ns : UINT64_MAX;
    bool must_have_sent = c->spec->point >= DRILL_SENT;
    unsigned sent;

    if (c->spec->exchange == DRILL_AT_REST || !c->reached || !c->n_takeovers || !c->have_about)
        return;
    sent =
        oracle_sent_by(&c->sniff.capture, &c->about, (uint8_t)c->owner_before, 0, before, &first);
    if (!must_have_sent && sent)
        oracle_violation(&c->report, "before-commit: node %u sent %s %u at %.3f ms, it died at %s",
                         c->owner_before, c->about.response ? "response" : "request",
                         c->about.message_id, (double)(first - c->zero_ns) / 1e6,
                         drill_point_name(c->spec->point));
    else if (must_have_sent && !sent)
        (void)cell_inconclusive(c, "node %u did not send the message that it died after",
                                c->owner_before);
    else if (must_have_sent && c->drill->expect & DRILL_EXP_EXCHANGE && !c->copies.across)
        (void)cell_inconclusive(c, "no copy of the gateway's message from another node was seen");
    if (c->spec->point != DRILL_COMMITTED && c->spec->point != DRILL_SENT)
        return;
    if (!c->step.message)
        (void)cell_inconclusive(c, "the node that died did not tell what its record sends");
    else
        (void)oracle_of_record(&c->sniff.capture, c->zero_ns, &c->about, c->step.message,
                               &c->report);
}

void cell_judge_requests(struct cell *c, uint64_t to_ns, const char *until)
{
    static const char *const names[] = {[DRILL_CLIENT] = "client", [DRILL_GATEWAY] = "gateway"};

    for (unsigned by = DRILL_CLIENT; by <= DRILL_GATEWAY; by++) {
        unsigned n = oracle_count_requests(&c->sniff.capture, c->up_ns, to_ns, by == DRILL_CLIENT,
                                           IKE_HDR_CREATE_CHILD);

        if (n != c->asked[by])
            oracle_violation(&c->report,
                             "second-exchange: the %s sent %u different CREATE_CHILD_SA requests "
                             "until %s, %u belong to it",
                             names[by], n, until, c->asked[by]);
    }
}

bool cell_judge_beginner(struct cell *c, uint64_t asked_ns, bool by_client, const char *what)
{
    if (oracle_count_requests(&c->sniff.capture, asked_ns, UINT64_MAX, by_client,
                              IKE_HDR_CREATE_CHILD))
        return true;
    oracle_violation(&c->report,
                     "check: %s rekey by the %s: it sent no CREATE_CHILD_SA request of its own, "
                     "the other side's rekeyed",
                     what, by_client ? "client" : "gateway");
    return false;
}

static void judge_captures(struct cell *c)
{
    struct capture *cap = &c->sniff.capture;
    uint64_t dropped = sniff_dropped(&c->sniff);

    if (dropped || cap->out_of_memory)
        (void)cell_inconclusive(c, "the capture has holes: %llu frames lost",
                                (unsigned long long)dropped);
    capture_sort(cap);
    oracle_unique_numbers(cap, c->zero_ns, &c->report);
    oracle_no_plaintext(cap, c->zero_ns, &c->report);
    if (c->up_ns)
        oracle_no_renegotiation(cap, c->zero_ns, c->up_ns, &c->report);
    oracle_identical_copies(cap, c->zero_ns, c->have_about ? &c->about : NULL, &c->copies,
                            &c->report);
    judge_message(c);
    if (c->finished && !cell_by_lifetime(c) && /* there each new SA soon asks for the next */
        (c->spec->exchange == DRILL_AT_REST || c->drill->expect & DRILL_EXP_EXCHANGE))
        cell_judge_requests(c, UINT64_MAX, "the end");
    for (unsigned i = 0; i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        oracle_dead_is_silent(cap, c->zero_ns, (uint8_t)t->from, t->dead_ns + IN_FLIGHT_NS,
                              t->return_ns ? t->return_ns : UINT64_MAX, &c->report);
    }
    oracle_delivered_once(&c->traffic.numbers[TRAFFIC_IN], "client to server", c->zero_ns,
                          &c->report);
    oracle_delivered_once(&c->traffic.numbers[TRAFFIC_OUT], "server to client", c->zero_ns,
                          &c->report);
}

static void judge_client(struct cell *c)
{
    const struct swan_log *log = &c->client.log;

    for (unsigned i = 0; i < log->n_complaints && i < SWAN_LOG_COMPLAINTS; i++)
        oracle_violation(&c->report, "client: %s", log->complaints[i]);
}

/* A node may die only by SIGKILL, and only when it was its turn. */
static void judge_nodes(struct cell *c)
{
    for (unsigned n = 1; !cell_is_reference(c) && n <= c->lab.nodes; n++) {
        const struct chaos_proc *procs[] = {&c->nodes[n].earlier, &c->nodes[n].proc};
        bool victim = false;

        for (unsigned i = 0; i < c->n_takeovers; i++)
            victim = victim || c->takeovers[i].from == n;
        for (unsigned i = 0; i < 2; i++) {
            const struct chaos_proc *p = procs[i];
            size_t tail = p->log_len > 150 ? p->log_len - 150 : 0;

            if (p->ended && !(victim && WIFSIGNALED(p->status) && WTERMSIG(p->status) == SIGKILL))
                oracle_violation(&c->report, "node %u ended by itself (status %#x): ...%s", n,
                                 (unsigned)p->status, p->log ? p->log + tail : "");
        }
    }
}

static void judge_gaps(struct cell *c)
{
    static const char *const names[] = {"client to server", "server to client"};
    const struct cell_takeover *t = &c->takeovers[0];
    const struct drill *d = c->drill;

    if (!c->n_takeovers || !t->flowing_ns)
        return;
    for (unsigned i = 0; i < TRAFFIC_DIRECTIONS; i++) {
        struct numbers_summary s;

        numbers_judge(&c->traffic.numbers[i], t->kill_ns, t->flowing_ns, &s);
        if (d->gap_ms && d->directions >> i & 1 && s.gap_ns > (uint64_t)d->gap_ms * 1000000u)
            oracle_violation(&c->report, "gap: %s: %.1f ms without a packet, allowed are %u ms",
                             names[i], (double)s.gap_ns / 1e6, d->gap_ms);
    }
}

/* Without a fault nothing may be lost. */
static void judge_loss(struct cell *c)
{
    static const char *const names[] = {"client to server", "server to client"};

    for (unsigned i = 0; c->drill->fault == DRILL_NONE && i < TRAFFIC_DIRECTIONS; i++) {
        struct numbers_summary s;

        numbers_judge(&c->traffic.numbers[i], 0, 0, &s);
        if (s.lost)
            oracle_violation(
                &c->report, "loss: %s: %llu of %llu numbers, the first is %llu, sent at %.3f ms",
                names[i], (unsigned long long)s.lost, (unsigned long long)s.sent,
                (unsigned long long)s.first_lost,
                (double)(c->traffic.numbers[i].sent_ns[s.first_lost] - c->zero_ns) / 1e6);
    }
}

/* What was to be tried but was not tried proves nothing. */
static void judge_completeness(struct cell *c)
{
    const struct drill *d = c->drill;

    if (d->fault == DRILL_KILL && !c->reached)
        (void)cell_inconclusive(c, "the fault was not injected");
    if (!c->finished && !c->report.n)
        (void)cell_inconclusive(c, "the script did not come to its end");
    for (unsigned i = 0; d->expect & DRILL_EXP_REPLAY && i < c->n_takeovers; i++) {
        if (c->takeovers[i].acting_ns &&
            (!c->takeovers[i].replayed || !c->takeovers[i].replay_first))
            (void)cell_inconclusive(
                c, "takeover %u: %u packets replayed, %s", i + 1, c->takeovers[i].replayed,
                c->takeovers[i].replay_first ? "none to replay"
                                             : "but a live packet of the client was faster");
    }
    for (unsigned i = 0; d->expect & DRILL_EXP_REPLAY && i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        if (t->acting_ns && t->tried < t->replayed)
            (void)cell_inconclusive(c, "takeover %u: of %u replayed packets node %u took %llu",
                                    i + 1, t->replayed, t->to, (unsigned long long)t->tried);
    }
    if (d->expect & DRILL_EXP_EXCHANGE && c->spec->exchange != DRILL_AT_REST &&
        !c->copies.of_message)
        (void)cell_inconclusive(
            c, "no second copy of the gateway's message was seen (sent %llu times)",
            (unsigned long long)c->copies.sent_of_message);
}

void cell_judge(struct cell *c)
{
    if (c->traffic.lab) {
        traffic_pause(&c->traffic);
        (void)lab_until(&c->lab, all_arrived, c, STRAGGLERS_MS);
    }
    if (c->lab.pump.epoll_fd >= 0 && c->lab.home_ns >= 0)
        (void)lab_until(&c->lab, NULL, NULL, SETTLE_MS);
    judge_captures(c);
    judge_client(c);
    judge_nodes(c);
    judge_gaps(c);
    judge_upload(c);
    judge_loss(c);
    if (!c->lab.failed)
        judge_completeness(c);
}

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

    numbers_judge(&c->traffic.numbers[TRAFFIC_IN], t->kill_ns, t->flowing_ns, &in);
    numbers_judge(&c->traffic.numbers[TRAFFIC_OUT], t->kill_ns, t->flowing_ns, &out);
    return json_pack("{s:o, s:o}", "in", ms_or_null(known && c->drill->directions & 1, in.gap_ns),
                     "out", ms_or_null(known && c->drill->directions & 2, out.gap_ns));
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
                      "upload_stall_ms", ms_or_null(t->flowing_ns != 0, upload_stall_ns(c, i))));
    }
    return list;
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

    numbers_judge(&c->traffic.numbers[TRAFFIC_IN], 0, 0, &in);
    numbers_judge(&c->traffic.numbers[TRAFFIC_OUT], 0, 0, &out);
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
    (void)json_object_set_new(j, "spis_after", spis_json(&c->after));
    (void)json_object_set_new(j, "copies_compared",
                              count_json(exchange ? c->copies.of_message : c->copies.compared, 0));
    (void)json_object_set_new(j, "copies_across", count_json(c->copies.across, 0));
    (void)json_object_set_new(j, "sent", count_json(in.sent, out.sent));
    (void)json_object_set_new(j, "lost", count_json(in.lost, out.lost));
    (void)json_object_set_new(j, "duplicated", count_json(in.duplicated, out.duplicated));
    (void)json_object_set_new(j, "reordered", count_json(in.reordered, out.reordered));
    (void)json_object_set_new(j, "gap_ms", gaps_json(c));
    (void)json_object_set_new(j, "upload_stall_ms",
                              ms_or_null(c->n_takeovers && c->takeovers[0].flowing_ns,
                                         c->n_takeovers ? upload_stall_ns(c, 0) : 0));
    (void)json_object_set_new(j, "takeovers", takeovers_json(c));
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
