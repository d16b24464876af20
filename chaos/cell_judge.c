#include "cell.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "oracle_tenures.h"

enum { STRAGGLERS_MS = 400, SETTLE_MS = 30 };
enum { BATCH_IN_HAND = 64 }; /* packets of a worker: design/invariants I5 */

static bool all_arrived(void *arg)
{
    const struct traffic *t = &((const struct cell *)arg)->traffic;

    for (unsigned i = 0; i < t->plan.clients * TRAFFIC_DIRECTIONS; i++) {
        const struct numbers *n =
            &t->clients[i / TRAFFIC_DIRECTIONS].numbers[i % TRAFFIC_DIRECTIONS];

        if (n->n_sent && (!n->n_arrivals || n->arrivals[n->n_arrivals - 1].number + 1 < n->n_sent))
            return false;
    }
    return true;
}

uint64_t cell_upload_stall_ns(const struct cell *c, unsigned i)
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
        uint64_t stall = c->takeovers[i].flowing_ns ? cell_upload_stall_ns(c, i) : 0;

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

uint64_t cell_recoveries(struct cell *c)
{
    uint64_t sum = c->recoveries_gone;

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        node_look(&c->nodes[n], &v);
        sum += v.recoveries;
    }
    return sum;
}

void cell_judge_requests(struct cell *c, uint64_t to_ns, const char *until)
{
    static const char *const names[] = {[DRILL_CLIENT] = "client", [DRILL_GATEWAY] = "gateway"};
    uint64_t recoveries = cell_recoveries(c);

    for (unsigned by = DRILL_CLIENT; by <= DRILL_GATEWAY; by++) {
        unsigned n = oracle_count_requests(&c->sniff.capture, c->up_ns, to_ns, by == DRILL_CLIENT,
                                           IKE_HDR_CREATE_CHILD);

        if (n < c->asked[by] || n > c->asked[by] + (by == DRILL_GATEWAY ? recoveries : 0))
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

/* What the drill stopped empties its hands as it goes on, at once. list: CELL_MAX_TAKEOVERS of them. */
static struct oracle_hands hands_of(const struct cell *c, struct oracle_hand *list)
{
    struct oracle_hands hands = {.slack_ns = CELL_IN_FLIGHT_NS,
                                 .batch = BATCH_IN_HAND * c->workers,
                                 .list = list,
                                 .held_up = c->unasked > 0};

    for (unsigned i = 0; i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        if (t->goes_on_to_ns)
            list[hands.n++] = (struct oracle_hand){.node = (uint8_t)t->from,
                                                   .from_ns = t->goes_on_from_ns,
                                                   .to_ns = t->goes_on_to_ns + CELL_IN_FLIGHT_NS,
                                                   .left = hands.batch};
    }
    return hands;
}

static void judge_one_speaker(struct cell *c, const struct oracle_tenure *tenures, size_t n)
{
    struct oracle_hand list[CELL_MAX_TAKEOVERS];
    struct oracle_hands hands = hands_of(c, list);

    oracle_one_speaker(&c->sniff.capture, c->zero_ns, tenures, n, &hands, &c->report);
}

/* Owner or not: without a lease it says nothing. */
static void judge_leases(struct cell *c)
{
    for (unsigned n = 1; !cell_is_reference(c) && n <= c->lab.nodes; n++) {
        const struct node *node = &c->nodes[n];
        const char *const logs[] = {node->older, node->earlier.log, node->proc.log};
        struct oracle_hand list[CELL_MAX_TAKEOVERS];
        struct oracle_hands hands = hands_of(c, list);

        c->lease_ends += oracle_lease_over(&c->sniff.capture, c->zero_ns, (uint8_t)n, logs,
                                           sizeof logs / sizeof logs[0], &hands, &c->report);
    }
}

/* Only the owner speaks. Who owned what when is known twice: from all assignments by the nodes' own logs,
 * and from what the drill did (cell_fault.c) as long as no shard moved unasked. Where neither is known,
 * nothing is, and the cell concludes nothing. */
static void judge_owners(struct cell *c)
{
    struct oracle_tellings told = {0};
    unsigned violations = c->report.n;
    struct oracle_tenure *tenures;
    const char *why;

    for (unsigned n = 1; !cell_is_reference(c) && n <= c->lab.nodes; n++) {
        const struct node *node = &c->nodes[n];
        const char *const logs[] = {node->older, node->earlier.log, node->proc.log};

        for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
            oracle_take_tellings(&told, n, logs[i], c->zero_ns, &c->report);
    }
    tenures = oracle_told_tenures(&told, &c->sniff.capture, c->made, c->drill->shards,
                                  &c->n_told_tenures, &why);
    if (tenures)
        judge_one_speaker(c, tenures, c->n_told_tenures);
    else if (c->unasked)
        (void)cell_inconclusive(c, "%llu assignments that the fault does not explain, and %s",
                                (unsigned long long)c->unasked, why);
    if (c->n_told_tenures == 0 && (c->unasked || c->n_tenures == 0))
        (void)cell_inconclusive(c, "nobody knows who owned what: who spoke was not judged");
    if (!c->unasked && c->report.n == violations)
        judge_one_speaker(c, c->tenures, c->n_tenures);
    free(tenures);
    oracle_tellings_deinit(&told);
}

/* A node that was killed says nothing until it is started again, one that was stopped nothing until
 * it goes on. And whatever befell it: only the owner speaks. */
static void judge_speakers(struct cell *c)
{
    const struct capture *cap = &c->sniff.capture;

    for (unsigned i = 0; i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        if (c->killed >> t->from & 1)
            oracle_dead_is_silent(cap, c->zero_ns, (uint8_t)t->from, t->dead_ns + CELL_IN_FLIGHT_NS,
                                  t->return_ns ? t->return_ns : UINT64_MAX, &c->report);
        if (t->stopped_ns)
            oracle_dead_is_silent(cap, c->zero_ns, (uint8_t)t->from,
                                  t->stopped_ns + CELL_IN_FLIGHT_NS,
                                  t->continued_ns ? t->continued_ns : UINT64_MAX, &c->report);
    }
    judge_owners(c);
    judge_leases(c);
    if (c->unasked && c->drill->expect & DRILL_EXP_NOBODY_ELSE)
        oracle_violation(&c->report,
                         "nobody-else: %llu assignments that the fault does not explain",
                         (unsigned long long)c->unasked);
}

static void judge_deliveries(struct cell *c)
{
    static const char *const names[] = {"client to server", "server to client"};

    for (unsigned i = 0; c->traffic.lab && i < c->traffic.plan.clients; i++) {
        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
            char text[64];

            (void)snprintf(text, sizeof text,
                           c->traffic.plan.clients > 1 ? "%s of client %u" : "%s", names[d], i + 1);
            oracle_delivered_once(&c->traffic.clients[i].numbers[d], text, c->zero_ns, &c->report);
        }
    }
}

/* Behind the gateway the server hears what comes at once; a client's own program takes its time. */
static void judge_minority(struct cell *c)
{
    static const char *const names[] = {"client to server", "server to client"};
    size_t sent[TRAFFIC_DIRECTIONS] = {0};

    if (!c->minority_to_ns)
        return;
    oracle_minority_silent(&c->sniff.capture, c->zero_ns, c->minority_from_ns, c->minority_to_ns,
                           &c->report);
    for (unsigned i = 0; c->traffic.lab && i < c->traffic.plan.clients; i++)
        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++)
            sent[d] += oracle_minority_delivers_nothing(
                &c->traffic.clients[i].numbers[d], names[d], c->zero_ns, c->minority_from_ns,
                c->minority_to_ns, d == TRAFFIC_OUT ? BATCH_IN_HAND * c->workers : 0, &c->report);
    for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++)
        if (c->drill->directions >> d & 1 && sent[d] == 0)
            (void)cell_inconclusive(c, "%s: nothing was sent while no majority was there",
                                    names[d]);
}

/* All nodes lost their power, and the key of sessions with it. */
static void judge_ended(struct cell *c)
{
    static const char *const names[] = {"client to server", "server to client"};
    uint64_t anew_ns;

    if (!c->ended_ns)
        return;
    if (oracle_ended_silent(&c->sniff.capture, c->zero_ns, c->ended_ns, &c->report) == 0)
        (void)cell_inconclusive(c, "no node had sent anything before all lost their power");
    anew_ns = oracle_began_anew(&c->sniff.capture, c->ended_ns);
    for (unsigned d = 0; c->traffic.lab && d < TRAFFIC_DIRECTIONS; d++) {
        size_t sent = 0;

        for (unsigned i = 0; i < c->traffic.plan.clients; i++)
            sent += oracle_ended_delivers_nothing(&c->traffic.clients[i].numbers[d], names[d],
                                                  c->zero_ns, c->ended_ns, anew_ns, &c->report);
        if (c->drill->directions >> d & 1 && sent == 0)
            (void)cell_inconclusive(c, "%s: nothing was sent between the tunnels", names[d]);
    }
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
        oracle_no_renegotiation(cap, c->zero_ns, c->up_ns, c->ended_ns ? c->ended_ns : UINT64_MAX,
                                &c->report);
    if (c->again_ns)
        oracle_no_renegotiation(cap, c->zero_ns, c->again_ns, UINT64_MAX, &c->report);
    oracle_identical_copies(cap, c->zero_ns, c->have_about ? &c->about : NULL, &c->copies,
                            &c->report);
    judge_message(c);
    if (c->finished && !cell_by_lifetime(c) && /* there each new SA soon asks for the next */
        (c->spec->exchange == DRILL_AT_REST || c->drill->expect & DRILL_EXP_EXCHANGE))
        cell_judge_requests(c, UINT64_MAX, "the end");
    judge_speakers(c);
    judge_minority(c);
    judge_ended(c);
    judge_deliveries(c);
}

static void judge_client(struct cell *c)
{
    const struct swan_log *log = &c->client.log;

    for (unsigned i = 0; i < log->n_complaints && i < SWAN_LOG_COMPLAINTS; i++)
        oracle_violation(&c->report, "client: %s", log->complaints[i]);
}

/* Its disk failed, or it had none: it ends by itself, and says by its status which. */
static bool excused(const struct cell *c, unsigned node, int status)
{
    int exited = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    return (c->broke >> node & 1 && exited == NODE_EXIT_DISK) ||
           (c->refused >> node & 1 && exited == NODE_EXIT_REFUSED);
}

/* One of a node's processes has ended so; `log`, what it had said up to then, `len` bytes of it. */
static void judge_end(struct cell *c, unsigned node, int status, const char *log, size_t len)
{
    bool killed = c->killed >> node & 1, asked = c->ended >> node & 1;
    size_t tail = len > 150 ? len - 150 : 0;

    for (unsigned i = 0; i < c->n_takeovers; i++) /* by itself, at its step */
        killed = killed || (c->drill->fault == DRILL_KILL && c->takeovers[i].from == node);
    if (!excused(c, node, status) &&
        !(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
        !(asked && WIFEXITED(status) && WEXITSTATUS(status) == 0))
        oracle_violation(&c->report, "node %u ended by itself (status %#x): ...%.*s", node,
                         (unsigned)status, (int)(len - tail), log ? log + tail : "");
}

/* A node may die only by SIGKILL, and only when it was its turn, or end well when it was asked to: each
 * of its processes. */
static void judge_nodes(struct cell *c)
{
    for (unsigned n = 1; !cell_is_reference(c) && n <= c->lab.nodes; n++) {
        const struct node *node = &c->nodes[n];
        const struct chaos_proc *procs[] = {&node->earlier, &node->proc};

        for (size_t i = 0; i < node->n_past; i++) {
            size_t at = i ? node->past[i - 1].log_end : 0;

            judge_end(c, n, node->past[i].status, node->older + at, node->past[i].log_end - at);
        }
        for (unsigned i = 0; i < 2; i++)
            if (procs[i]->ended)
                judge_end(c, n, procs[i]->status, procs[i]->log, procs[i]->log_len);
    }
}

static const char *const direction_names[] = {"client to server", "server to client"};

static void judge_gaps(struct cell *c)
{
    const struct drill *d = c->drill;

    for (unsigned i = 0; d->gap_ms && i < c->n_takeovers; i++) {
        const struct cell_takeover *t = &c->takeovers[i];

        if (!t->flowing_ns || (d->fault == DRILL_KILL && i > 0))
            continue;
        for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++) {
            struct numbers_summary s;

            traffic_judge(&c->traffic, (enum traffic_direction)way, t->kill_ns, t->flowing_ns, &s);
            if (d->directions >> way & 1 && s.gap_ns > (uint64_t)d->gap_ms * 1000000u)
                oracle_violation(&c->report, "gap: %s: %.1f ms without a packet, allowed are %u ms",
                                 direction_names[way], (double)s.gap_ns / 1e6, d->gap_ms);
        }
    }
}

/* A fault that moves no shard: from its beginning to its end, whoever decides. Over a second election inward
 * traffic may stand as well; outward it may not. */
static void judge_pauses(struct cell *c)
{
    const unsigned allowed[] = {
        [TRAFFIC_IN] = c->drill->pause_in_ms, [TRAFFIC_OUT] = c->drill->pause_out_ms};

    for (unsigned way = 0; c->fault_to_ns && way < TRAFFIC_DIRECTIONS; way++) {
        struct numbers_summary s;

        if (!allowed[way] || (way == TRAFFIC_IN && c->vote_split))
            continue;
        traffic_judge(&c->traffic, (enum traffic_direction)way, c->fault_from_ns, c->fault_to_ns,
                      &s);
        oracle_no_pause(&s, direction_names[way], allowed[way], &c->report);
    }
}

static void tell_drops(struct cell *c, char *to, size_t size)
{
    struct node_view views[LAB_MAX_NODES];

    for (unsigned n = 1; n <= c->drill->nodes; n++)
        node_look(&c->nodes[n], &views[n - 1]);
    node_tell_drops(views, c->drill->nodes, to, size);
}

/* Without a fault, where the drill says so and where rekeys collide nothing may be lost but what the
 * relay dropped. */
static void judge_loss(struct cell *c)
{
    const struct drill *d = c->drill;
    bool judged =
        d->fault == DRILL_NONE || d->fault == DRILL_COLLISION || d->expect & DRILL_EXP_NOTHING_LOST;
    char counted[ORACLE_TEXT - CELL_TEXT];

    if (judged)
        tell_drops(c, counted, sizeof counted);
    for (unsigned i = 0; judged && i < TRAFFIC_DIRECTIONS; i++) {
        struct numbers_summary s;

        traffic_judge(&c->traffic, (enum traffic_direction)i, 0, 0, &s);
        if (c->traffic.lab)
            oracle_loss_explained(&s, c->zero_ns, direction_names[i],
                                  relay_dropped_esp(&c->relay, (enum relay_way)i), counted,
                                  &c->report);
    }
    if (c->quiet_to_ns)
        oracle_begins_nothing(&c->sniff.capture, c->zero_ns, IKE_HDR_INFORMATIONAL,
                              c->quiet_from_ns, c->quiet_to_ns, &c->report);
}

void cell_judge_addresses(struct cell *c)
{
    for (unsigned i = 0; i < c->drill->clients; i++) {
        for (unsigned k = 0; k < i; k++) {
            for (unsigned family = 0; family < TRAFFIC_FAMILIES; family++) {
                uint32_t a = c->client.inner[i][family];
                char text[LAB_ADDRESS_TEXT];

                if (a && a == c->client.inner[k][family])
                    oracle_violation(&c->report, "addresses: clients %u and %u both have %s", k + 1,
                                     i + 1, lab_address(a, family == TRAFFIC_V6, text));
            }
        }
    }
}

void cell_count_unasked(struct cell *c, const struct node_view *views, size_t n)
{
    for (unsigned s = 1; s <= c->drill->shards; s++) {
        uint64_t made = c->assignments[s];

        for (size_t i = 0; i < n; i++)
            if (views[i].answered && views[i].shards[s - 1].assignments > made)
                made = views[i].shards[s - 1].assignments;
        c->made[s] = made;
        made -= c->assignments[s];
        if (made > c->moves[s])
            c->unasked += made - c->moves[s];
    }
}

static void count_unasked(struct cell *c)
{
    struct node_view views[LAB_MAX_NODES] = {0};

    for (unsigned n = 1; n <= c->drill->nodes && c->n_tenures; n++)
        node_look(&c->nodes[n], &views[n - 1]);
    cell_count_unasked(c, views, c->drill->nodes);
}

/* What was to be tried but was not tried proves nothing. */
static void judge_completeness(struct cell *c)
{
    const struct drill *d = c->drill;

    if (d->fault != DRILL_NONE && !c->reached)
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
    if (!cell_is_reference(c))
        count_unasked(c);
    judge_captures(c);
    judge_client(c);
    judge_nodes(c);
    judge_gaps(c);
    judge_pauses(c);
    judge_upload(c);
    judge_loss(c);
    if (c->relay.overflow)
        (void)cell_inconclusive(c, "the relay had no room for %llu frames",
                                (unsigned long long)c->relay.overflow);
    if (!c->lab.failed)
        judge_completeness(c);
}
