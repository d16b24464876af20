/* Moving shards and draining nodes: a wish is written down in the log (which is its audit, too) by
 * whichever node was asked.
 *
 *   asked ─> wish ─> the log accepts it ─> the owner follows it: answered
 *              │              └─> not in time: "timeout"
 *              ├─> the log refuses it: refused, with its reason
 *              ├─> a snapshot hides its verdict: answered when it is so; not in time: "outcome-unknown"
 *              └─> no verdict in time: "outcome-unknown", however it looks: another wish may have made it so
 */
#include <stdio.h>

#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/replica.h"

enum {
    MOVE_WAIT_MS = 8000, /* below the server's own limit for a POST */
    REFUSED_BYTES = 128
};

static struct admin_wait *free_wait(struct daemon *d)
{
    for (size_t i = 0; i < ADMIN_WAITS; i++)
        if (d->waits[i].request == NULL)
            return &d->waits[i];
    return NULL;
}

static const struct repl_shard_status *shard_in(const struct repl_status *st, uint32_t shard)
{
    for (size_t i = 0; i < st->n_shards; i++)
        if (st->shards[i].shard == shard)
            return &st->shards[i];
    return NULL;
}

static void answer_move(const struct admin_wait *w, struct api_request *request)
{
    api_request_answer(request, json_pack("{s:I,s:I}", "shard", (json_int_t)w->shard, "owner",
                                          (json_int_t)w->node));
}

static void answer_drain(const struct admin_wait *w, struct api_request *request, size_t shards)
{
    api_request_answer(request, json_pack("{s:I,s:b,s:I}", "node", (json_int_t)w->node, "drained",
                                          w->drained, "shards", (json_int_t)shards));
}

/* wish: 0 = it was not taken. */
static void begin(struct daemon *d, struct api_request *request, struct admin_wait wait,
                  uint64_t wish)
{
    struct admin_wait *w = free_wait(d);

    if (w == NULL || wish == 0) {
        admin_refuse(request, 503, "busy", "too much is under way: try again");
        return;
    }
    wait.request = request;
    wait.wish = wish;
    wait.until_ms = io_boottime_ms() + MOVE_WAIT_MS;
    *w = wait;
}

/* Who has a token only, leaves or has left is in the list, too: of it the log refuses every wish, for ever. */
static bool is_member(const struct repl_node_status *n)
{
    return n != NULL && repl_is_member(n->role);
}

static void refuse_stranger(struct api_request *request)
{
    admin_refuse(request, 404, "unknown-node", "no such member: see GET /v1/cluster");
}

/* A target that cannot take it now would leave the operator waiting for nothing. */
static const char *unable(const struct repl_node_status *n)
{
    if (!n->healthy)
        return "that node is not healthy now: see GET /v1/cluster";
    if (n->drained)
        return "that node is drained: undrain it first";
    return n->reluctant ? "that node is stopping, or its disk is nearly full" : NULL;
}

static void move_shard(void *self, struct api_request *request, const struct api_move *args,
                       const struct api_asker *who)
{
    struct daemon *d = self;
    const struct repl_node_status *n;
    const struct repl_shard_status *s;
    struct repl_status st;
    struct admin_wait w = {.shard = args->shard, .node = args->to};
    struct api_asker asker = admin_asker(who);
    struct repl_admin by = admin_by(&asker);

    repl_status(d->repl, &st);
    n = admin_node(&st, args->to);
    s = shard_in(&st, args->shard);
    if (s == NULL) {
        admin_refuse(request, 404, "unknown-shard", "no such shard: see GET /v1/cluster");
    } else if (!is_member(n)) {
        refuse_stranger(request);
    } else if (unable(n) != NULL && s->owner_node != args->to) {
        admin_refuse(request, 409, "unable-node", unable(n));
    } else {
        begin(d, request, w,
              free_wait(d) == NULL ? 0
                                   : conductor_wish_move(d->conductor, args->shard, args->to, &by));
    }
}

static void drain_node(void *self, struct api_request *request, const struct api_drain *args,
                       const struct api_asker *who)
{
    struct daemon *d = self;
    struct repl_status st;
    struct admin_wait w = {.node = args->node, .drained = args->drained};
    struct api_asker asker = admin_asker(who);
    struct repl_admin by = admin_by(&asker);

    repl_status(d->repl, &st);
    if (!is_member(admin_node(&st, args->node))) {
        refuse_stranger(request);
        return;
    }
    begin(d, request, w,
          free_wait(d) == NULL
              ? 0
              : conductor_wish_drain(d->conductor, args->node, args->drained, 0, 0, &by));
}

void admin_moves_settled(struct daemon *d, uint64_t wish, bool judged, enum repl_verdict verdict)
{
    for (size_t i = 0; i < ADMIN_WAITS; i++) {
        struct admin_wait *w = &d->waits[i];

        if (w->request == NULL || w->wish != wish)
            continue;
        w->fate = judged ? WISH_JUDGED : WISH_UNJUDGED;
        w->verdict = verdict;
    }
}

/* True: it is so, and was answered. */
static bool look(const struct admin_wait *w, const struct repl_status *st)
{
    const struct repl_shard_status *s = shard_in(st, w->shard);
    const struct repl_node_status *n = admin_node(st, w->node);

    if (w->shard != 0) {
        if (s == NULL || s->owner_node != w->node || s->home != w->node)
            return false;
        answer_move(w, w->request);
        return true;
    }
    if (n == NULL || n->drained != w->drained || (w->drained && admin_owned(st, w->node) > 0))
        return false;
    answer_drain(w, w->request, admin_owned(st, w->node));
    return true;
}

static void refuse_judged(const struct admin_wait *w)
{
    char text[REFUSED_BYTES];

    if (w->verdict == REPL_REFUSED_UNKNOWN) {
        admin_refuse(w->request, 404, "unknown-node",
                     "the log has refused it: there is no such member (any more), or the shard had "
                     "no owner yet");
        return;
    }
    (void)snprintf(text, sizeof text, "the log has refused it (%s), so nothing was changed",
                   repl_verdict_name(w->verdict));
    admin_refuse(w->request, 409, "refused", text);
}

static void refuse_late(const struct admin_wait *w)
{
    if (w->fate == WISH_JUDGED)
        admin_refuse(w->request, 504, "timeout",
                     "written down, but not followed yet: see GET /v1/cluster for the owners");
    else
        admin_refuse(w->request, 504, "outcome-unknown",
                     "it was given to the log, whose verdict is not known here (is there a "
                     "majority?): it may be followed yet. See GET /v1/cluster, and ask again: that "
                     "does no harm");
}

/* True: it was answered. */
static bool step(const struct admin_wait *w, const struct repl_status *st)
{
    if (w->fate == WISH_JUDGED && w->verdict != REPL_ACCEPTED) {
        refuse_judged(w);
        return true;
    }
    if (w->fate != WISH_OPEN && look(w, st))
        return true;
    if (!is_member(admin_node(st, w->node))) {
        admin_refuse(w->request, 404, "unknown-node", "it has left meanwhile: see GET /v1/cluster");
        return true;
    }
    if (io_boottime_ms() < w->until_ms)
        return false;
    refuse_late(w);
    return true;
}

void admin_moves_tick(struct daemon *d)
{
    struct repl_status st;
    bool any = false;

    for (size_t i = 0; i < ADMIN_WAITS; i++)
        any |= d->waits[i].request != NULL;
    if (!any)
        return;
    repl_status(d->repl, &st);
    for (size_t i = 0; i < ADMIN_WAITS; i++) {
        struct admin_wait *w = &d->waits[i];

        if (w->request != NULL && step(w, &st))
            w->request = NULL;
    }
}

void admin_moves_stop(struct daemon *d)
{
    for (size_t i = 0; i < ADMIN_WAITS; i++) {
        if (d->waits[i].request != NULL)
            admin_refuse(d->waits[i].request, 503, "stopping",
                         "this node is stopping: ask another one");
        d->waits[i].request = NULL;
    }
}

void admin_moves_fill(struct api_backend *b)
{
    b->move_shard = move_shard;
    b->drain_node = drain_node;
}
