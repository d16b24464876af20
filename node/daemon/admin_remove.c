/* A removal drains first, then the node's LEAVE is written down, then it is taken out of the configuration.
 *
 *   asked ─> Drain ─> it owns nothing ─> LEAVE ─> applied ─> in no configuration: answered
 *              │                          │
 *              └────── both say until ────┘
 *                      when they count ─> over, not applied: the drain is taken back, and answered "not removed"
 *                                      ─> that is not known in time: answered "outcome-unknown"
 *
 * What was written down is settled by the log alone, and goes on without this daemon. So an answer is
 * given only of what is settled: a wish that the log has not taken when the cluster's time is past its end
 * is refused by all, however late it comes there. Asked again, it says what is so by then.
 *
 * Taken back is what this removal drained itself, as far as it was seen, and nothing that an operator wished
 * for: its Drain bears a number, by which the log knows that of the two (fsm.c). A take-back has an end, too.
 */
#include <stdio.h>
#include <sys/random.h>

#include "base/secret.h"
#include "daemon/internal.h"
#include "daemon/leave_ask.h"
#include "io/clock.h"
#include "replication/record.h"

/* Behind the end the log needs an entry that says so: the leader stamps one a second. */
enum {
    COUNTS_MS = 7000,
    AGAIN_MS = 500,
    DRAIN_TEXT_BYTES = 96,
    TEXT_BYTES = LEAVE_WHY_BYTES + 128
};

/* Older members know no such end: then it may be taken for ever. */
static uint64_t until_ms(const struct repl_status *st)
{
    return st->speaks >= RECORD_SPEAKS_UNTIL ? st->applied_ms + COUNTS_MS : 0;
}

/* Of this removal. Older members would take any drain back by it: without one there is no take-back. */
static uint64_t new_number(const struct repl_status *st)
{
    uint64_t number = 0;

    while (st->speaks >= RECORD_SPEAKS_REMOVAL && number == 0)
        HF_ASSERT(getrandom(&number, sizeof number, 0) == (ssize_t)sizeof number);
    return number;
}

static void answer_removed(struct api_request *request, uint32_t node)
{
    api_request_answer(request, json_pack("{s:I,s:b}", "node", (json_int_t)node, "removed", 1));
}

void admin_remove_node(void *self, struct api_request *request, uint32_t node,
                       const struct api_asker *who)
{
    struct daemon *d = self;
    const struct repl_node_status *n;
    struct repl_status st;
    struct member_wait w = {.what = MEMBER_REMOVE, .node = node, .by = admin_asker(who)};
    struct repl_admin by = admin_by(&w.by);
    bool gone;
    char why[LEAVE_WHY_BYTES];

    repl_status(d->repl, &st);
    n = admin_node(&st, node);
    gone = leave_is_gone(&st, node);
    w.drained = n != NULL && n->drained;
    w.counts_until_ms = until_ms(&st);
    w.number = new_number(&st);
    if (gone && n == NULL)
        answer_removed(request, node); /* asked once more */
    else if (n == NULL || n->role == REPL_OUTSIDE || n->role == REPL_EXPECTED)
        admin_refuse(request, 404, "unknown-node", "no such member: see GET /v1/cluster");
    else if (node == st.node)
        admin_refuse(request, 409, "itself", "ask another node to remove this one");
    else if (gone)
        (void)admin_members_begin(d, request, w);
    else if (!leave_goes_on(&st, node, why))
        admin_refuse(request, 409, "no-quorum", why);
    else if (admin_members_begin(d, request, w) &&
             !conductor_wish_drain(d->conductor, node, true, w.counts_until_ms, w.number, &by)) {
        secret_wipe_bytes(&d->member, sizeof d->member);
        admin_refuse(request, 503, "busy", "replication takes nothing now: try again");
    }
}

/* Asked anew each time: another one may have gone while its shards were handed over. */
static void wish(struct daemon *d, const struct repl_status *st)
{
    struct member_wait *w = &d->member;
    struct repl_admin by = admin_by(&w->by);
    char why[LEAVE_WHY_BYTES];

    if (admin_owned(st, w->node) > 0 || !leave_goes_on(st, w->node, why) ||
        io_boottime_ms() < w->again_ms)
        return;
    w->wished |= conductor_wish_leave(d->conductor, w->node, w->counts_until_ms, &by);
    w->again_ms = io_boottime_ms() + AGAIN_MS;
}

static bool is_drained_since(const struct member_wait *w, const struct repl_status *st)
{
    const struct repl_node_status *n = admin_node(st, w->node);

    return !w->drained && n != NULL && n->drained;
}

/* It is as if it had not been asked for. */
static void take_back(struct daemon *d, const struct repl_status *st)
{
    struct member_wait *w = &d->member;
    struct repl_admin by = admin_by(&w->by);

    if (w->number != 0 && is_drained_since(w, st) && !w->taken_back)
        w->taken_back =
            conductor_wish_drain(d->conductor, w->node, false, until_ms(st), w->number, &by);
}

static bool drain_is_open(const struct member_wait *w, const struct repl_status *st)
{
    return !w->drained && (w->counts_until_ms == 0 || st->applied_ms < w->counts_until_ms);
}

/* What became of the drain, as far as it is known. */
static void tell_drain(const struct member_wait *w, const struct repl_status *st,
                       char out[DRAIN_TEXT_BYTES])
{
    const char *is = is_drained_since(w, st) ? "is drained yet"
                     : drain_is_open(w, st)  ? "may be drained yet"
                                             : NULL;

    out[0] = '\0';
    if (is != NULL)
        (void)snprintf(out, DRAIN_TEXT_BYTES, "; it %s: `holdfast node undrain %u`", is,
                       (unsigned)w->node);
}

static void refuse_written(const struct member_wait *w, const struct repl_status *st)
{
    char why[LEAVE_WHY_BYTES], text[TEXT_BYTES];
    bool goes_on = leave_goes_on(st, w->node, why);

    (void)snprintf(text, sizeof text,
                   "written down, but it is not out yet: see GET /v1/cluster, and ask again%s%s",
                   goes_on ? "" : ": ", why);
    admin_refuse(w->request, 504, "timeout", text);
}

static void refuse_unknown(const struct member_wait *w, const struct repl_status *st)
{
    char text[TEXT_BYTES], drained[DRAIN_TEXT_BYTES];

    tell_drain(w, st, drained);
    (void)snprintf(
        text, sizeof text,
        "it is written down at this node, and the log has not settled it in time (is there "
        "a majority?): node %u may be removed yet. See GET /v1/cluster, and ask again: "
        "that does no harm%s",
        (unsigned)w->node, drained);
    admin_refuse(w->request, 504, "outcome-unknown", text);
}

static void refuse_never(const struct member_wait *w, const struct repl_status *st)
{
    char why[LEAVE_WHY_BYTES], text[TEXT_BYTES], drained[DRAIN_TEXT_BYTES];

    tell_drain(w, st, drained);
    if (!leave_goes_on(st, w->node, why)) {
        (void)snprintf(text, sizeof text, "%s%s", why, drained);
        admin_refuse(w->request, 409, "no-quorum", text);
        return;
    }
    (void)snprintf(text, sizeof text, "not removed: %s in time: ask again%s",
                   w->wished ? "the log did not take it" : "its shards were not handed over",
                   drained);
    admin_refuse(w->request, 504, "timeout", text);
}

bool admin_remove_step(struct daemon *d, const struct repl_status *st)
{
    struct member_wait *w = &d->member;
    bool late = io_boottime_ms() >= w->until_ms;

    switch (leave_fate(st, w->node, w->wished, w->counts_until_ms)) {
    case LEAVE_OUT:
        answer_removed(w->request, w->node);
        return true;
    case LEAVE_WRITTEN:
        if (late)
            refuse_written(w, st);
        return late;
    case LEAVE_NEVER:
        take_back(d, st);
        if (!late && w->taken_back && is_drained_since(w, st))
            return false;
        refuse_never(w, st);
        return true;
    case LEAVE_UNASKED:
    case LEAVE_OPEN:
    default:
        if (!late) {
            wish(d, st);
            return false;
        }
        take_back(d, st);
        if (w->wished)
            refuse_unknown(w, st);
        else
            refuse_never(w, st);
        return true;
    }
}

void admin_remove_stop(const struct member_wait *w)
{
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof text,
                   "this node is stopping, and node %u may be removed yet: ask another one",
                   (unsigned)w->node);
    admin_refuse(w->request, 503, "stopping",
                 w->wished ? text : "this node is stopping: ask another one");
}
