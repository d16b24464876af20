/* Moving shards and draining nodes: a wish is written down in the log (which is its audit, too) by
 * whichever node was asked; the answer comes when the owner has followed it. */
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/replica.h"

enum { MOVE_WAIT_MS = 8000 }; /* below the server's own limit for a POST */

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

static void begin(struct daemon *d, struct api_request *request, struct admin_wait wait, bool taken)
{
    struct admin_wait *w = free_wait(d);

    if (w == NULL || !taken) {
        admin_refuse(request, 503, "busy", "too much is under way: try again");
        return;
    }
    wait.request = request;
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
              free_wait(d) != NULL &&
                  conductor_wish_move(d->conductor, args->shard, args->to, &by));
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
          free_wait(d) != NULL &&
              conductor_wish_drain(d->conductor, args->node, args->drained, 0, 0, &by));
}

/* True: answered. */
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

        if (w->request == NULL)
            continue;
        if (look(w, &st)) {
            w->request = NULL;
        } else if (!is_member(admin_node(&st, w->node))) {
            admin_refuse(w->request, 404, "unknown-node",
                         "it has left meanwhile: see GET /v1/cluster");
            w->request = NULL;
        } else if (io_boottime_ms() >= w->until_ms) {
            admin_refuse(w->request, 504, "timeout",
                         "written down, but not followed yet: see GET /v1/cluster for the owners");
            w->request = NULL;
        }
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
