/* Who is of the cluster and who votes, by the log: I9 (node ids), I12 (a majority of whom). */
#include <inttypes.h>

#include "proto/records.pb-c.h"
#include "replication/record.h"
#include "sim/sim_watch_internal.h"

static uint32_t bit(uint32_t node)
{
    return node >= 1 && node <= SIM_WATCH_NODES ? (uint32_t)1 << node : 0;
}

void sim_watch_founded(struct sim_watch *w)
{
    uint32_t founders = 0;

    for (uint32_t i = 1; i <= w->options.nodes; i++) {
        w->members[i].member = true;
        founders |= bit(i);
    }
    w->voters[w->n_voters++] = (struct sim_watch_voters){.nodes = founders, .committed = true};
}

/* A gap says nothing about those that were members before it. */
bool sim_watch_is_member(const struct sim_watch *w, size_t node)
{
    return w->members[node].member && !w->members[node].left;
}

/* --- who votes --- */

static void forget(struct sim_watch *w, size_t at)
{
    w->n_voters--;
    memmove(&w->voters[at], &w->voters[at + 1], (w->n_voters - at) * sizeof w->voters[0]);
}

/* Those that stand before it and were not committed never will be. */
static void forget_overwritten(struct sim_watch *w, uint64_t committed)
{
    for (size_t i = w->n_voters; i-- > 0;)
        if (w->voters[i].index < committed && !w->voters[i].committed)
            forget(w, i);
}

void sim_watch_voters(struct sim_watch *w, uint64_t place, bool committed, const uint32_t *nodes,
                      size_t n)
{
    struct sim_watch_voters told = {.index = place, .committed = committed};
    size_t at;

    for (size_t i = 0; i < n; i++)
        if (sim_watch_node(w, nodes[i]) != NULL)
            told.nodes |= bit(nodes[i]);
    for (size_t i = 0; i < w->n_voters; i++)
        if (w->voters[i].index == place && w->voters[i].nodes == told.nodes) {
            w->voters[i].committed |= committed;
            return;
        }
    if (w->n_voters == SIM_WATCH_VOTERS)
        forget(w, 0); /* what was counted by the oldest is applied long since */
    for (at = w->n_voters; at > 0 && w->voters[at - 1].index > place; at--)
        w->voters[at] = w->voters[at - 1];
    w->voters[at] = told;
    w->n_voters++;
    if (committed)
        forget_overwritten(w, place);
}

void sim_watch_disregarded(struct sim_watch *w, uint32_t node, uint64_t place)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n == NULL || !n->lost || n->disregarded)
        return;
    n->disregarded = true;
    n->counted_to = place;
}

/* Of who lost data only what it may have acknowledged before: that may be told as applied later, also when
 * it is gone meanwhile, as far as it was committed before the leader heard of that start (it may stand still,
 * in a pause). */
static bool copy_counts(const struct sim_watch *w, const struct sim_watch_node *n, uint64_t index)
{
    enum { UNHEARD_MS = 5000 };

    if (!n->lost)
        return n->durable >= index;
    return index <= n->had &&
           (n->durable >= index ||
            (index > n->began_behind && (!n->disregarded || index <= n->counted_to) &&
             sim_watch_now(w) < n->began_ms + UNHEARD_MS));
}

static bool stored_by_majority(const struct sim_watch *w, uint32_t voters, uint32_t without,
                               uint64_t index)
{
    size_t n = 0, stored = 0;

    for (uint32_t i = 1; i <= SIM_WATCH_NODES; i++)
        if ((voters & bit(i)) != 0) {
            n++;
            stored += i != without && copy_counts(w, &w->nodes[i], index);
        }
    return stored > n / 2;
}

/* An entry is counted by the configuration before it, or by the next one when that is in the leader's
 * log already: no other begins before it is committed, and then so is all that stands before it. One
 * that is not committed yet may be of a log that is overwritten, so each of those counts. *before: the
 * configuration before it. */
static bool held(const struct sim_watch *w, uint64_t index, uint32_t without, uint64_t *before)
{
    uint64_t next = UINT64_MAX;
    bool is = false;

    *before = 0;
    for (size_t i = 0; i < w->n_voters; i++) {
        uint64_t at = w->voters[i].index;

        if (w->voters[i].committed) {
            *before = at <= index && at > *before ? at : *before;
            next = at > index && at < next ? at : next;
        }
    }
    for (size_t i = 0; i < w->n_voters && !is; i++)
        if (w->voters[i].index >= *before && w->voters[i].index <= next)
            is = stored_by_majority(w, w->voters[i].nodes, without, index);
    return is;
}

void sim_watch_judge_stored(struct sim_watch *w, uint64_t index)
{
    uint64_t before;
    size_t durable = 0;
    bool is = held(w, index, 0, &before);

    for (size_t i = 1; i <= SIM_WATCH_NODES; i++)
        durable += w->nodes[i].durable >= index;
    SIM_WATCH_JUDGE(w, SIM_WATCH_majority_stored, is,
                    "index %" PRIu64 " is applied and durable on %zu nodes, which are no majority "
                    "that counts by the configuration of index %" PRIu64,
                    index, durable, before);
}

/* A leader has all in its log that was committed before its term, so what it appends after that start
 * lies behind all that was applied then. */
void sim_watch_trusts(struct sim_watch *w, uint32_t from, uint32_t node, uint64_t boot,
                      uint64_t index)
{
    const struct sim_watch_node *n = sim_watch_node(w, node);
    uint64_t place = sim_watch_place(w, from, index), before;
    bool by_others;

    if (n == NULL || !n->lost || n->boot != boot)
        return;
    by_others = held(w, place, node, &before);
    SIM_WATCH_JUDGE(
        w, SIM_WATCH_trusted_by_others, by_others && place > n->began_behind,
        "node %u is trusted by node %u up to index %" PRIu64 ", %s", (unsigned)node, (unsigned)from,
        place, by_others ? "which was there before its start" : "which no majority without it has");
}

/* --- what is not told yet --- */

void sim_watch_gap_opens(struct sim_watch *w, uint32_t node, uint64_t snapshot)
{
    struct sim_watch_gap *g = &w->gap;

    w->nodes[node].since = snapshot;
    if (snapshot <= w->highest || (g->open && snapshot <= g->to))
        return;
    if (!g->open) {
        g->from = w->highest;
        w->gaps++;
    }
    g->open = true;
    g->to = snapshot;
}

/* Each record is told once by whoever applied it, at the latest when its process ends; so the one that has
 * told all of them without a snapshot in between closes it. */
void sim_watch_gap_told(struct sim_watch *w, uint32_t node, uint64_t index)
{
    if (w->gap.open && w->nodes[node].since <= w->gap.from && index >= w->gap.to)
        w->gap.open = false;
}

uint64_t sim_watch_gaps(const struct sim_watch *w, bool *open)
{
    *open = w->gap.open;
    return w->gaps;
}

/* --- who is a member --- */

static struct sim_watch_member *member_of(struct sim_watch *w, uint32_t node)
{
    return sim_watch_node(w, node) == NULL ? NULL : &w->members[node];
}

static void take_token(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__JoinToken *body = event->record->join_token;
    struct sim_watch_member *m = member_of(w, body->node);

    if (m == NULL)
        return;
    m->token = span_fnv1a64(record_span(body->hash));
    m->expires_ms = event->cluster_ms + body->valid_ms;
}

static void take_join(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Member *body = event->record->member;
    struct sim_watch_member *m = member_of(w, body->node);

    if (m == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_id_once, !w->gap.open,
                       !m->member && m->token != 0 && event->cluster_ms < m->expires_ms &&
                           m->token == span_fnv1a64(record_span(body->token)),
                       "index %" PRIu64 ": node %u joins, %s", event->index, (unsigned)body->node,
                       m->member       ? "its id was used before"
                       : m->token == 0 ? "no token of the log permits it"
                                       : "its token is another one, or too old");
    sim_watch_judge_copied(w, body->node, event->index);
    m->member = true;
    m->token = 0;
}

static void take_leave(struct sim_watch *w, const struct repl_event *event)
{
    struct sim_watch_member *m = member_of(w, event->record->member->node);

    if (m == NULL || m->left)
        return;
    m->left = true;
    w->n_left++;
    m->left_index = event->index;
}

void sim_watch_unseen_member(struct sim_watch *w, uint32_t node, bool left)
{
    struct sim_watch_member *m = member_of(w, node);

    if (m == NULL || !w->unseen)
        return;
    if (!m->member) {
        m->member = true;
        m->copied = m->token = 0; /* from where on it was one nobody knows */
    }
    if (left && !m->left) {
        m->left = true;
        w->n_left++;
        m->left_index = w->lost_place;
    }
}

void sim_watch_unseen_token(struct sim_watch *w, uint32_t node, struct span hash,
                            uint64_t expires_ms)
{
    struct sim_watch_member *m = member_of(w, node);

    if (m == NULL || !w->unseen)
        return;
    m->token = span_fnv1a64(hash);
    m->expires_ms = expires_ms;
}

void sim_watch_copied(struct sim_watch *w, uint32_t to, uint64_t applied)
{
    struct sim_watch_member *m = member_of(w, to);

    if (m == NULL || w->gap.open || sim_watch_is_over(w, applied))
        return;
    if (m->member)
        SIM_WATCH_JUDGE_IF(w, SIM_WATCH_copied_to_members, w->n_left > 0,
                           !m->left || applied < m->left_index,
                           "node %u, which left, is sent a copy of a half-open SA", (unsigned)to);
    else if (m->copied == 0 || applied < m->copied)
        m->copied = applied;
}

void sim_watch_judge_copied(struct sim_watch *w, uint32_t node, uint64_t joined)
{
    struct sim_watch_member *m = &w->members[node];

    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_copied_to_members, m->copied != 0 && !w->gap.open,
                       joined <= m->copied,
                       "node %u is no member and is sent a copy of a half-open SA", (unsigned)node);
    m->copied = 0;
}

static void judge_present(struct sim_watch *w, uint32_t node, uint64_t index, const char *what)
{
    const struct sim_watch_member *m = member_of(w, node);

    if (m == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_left_is_out, !w->gap.open && (w->n_left > 0 || !m->member),
                       m->member && !m->left, "index %" PRIu64 ": node %u %s, and %s", index,
                       (unsigned)node, what, m->left ? "has left" : "is no member");
}

/* What it writes itself: its starts, and whatever it submits. */
void sim_watch_member_record(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;
    bool of_members = r->body_case == HOLDFAST__RECORD__BODY_MEMBER;

    if (r->node != 0 && r->request != 0)
        judge_present(w, r->node, event->index, "submits a record");
    if (r->body_case == HOLDFAST__RECORD__BODY_JOIN_TOKEN)
        take_token(w, event);
    if (of_members && r->member->change == HOLDFAST__MEMBER__CHANGE__JOIN)
        take_join(w, event);
    if (of_members && r->member->change == HOLDFAST__MEMBER__CHANGE__BOOT)
        judge_present(w, r->member->node, event->index, "starts");
    if (of_members && r->member->change == HOLDFAST__MEMBER__CHANGE__LEAVE)
        take_leave(w, event);
}

void sim_watch_member_assigned(struct sim_watch *w, const struct repl_event *event)
{
    if (event->kind == REPL_EV_ASSIGNED)
        judge_present(w, event->owner_node, event->index, "is assigned a shard");
}
