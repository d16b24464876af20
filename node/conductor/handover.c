/* A shard given to another node on purpose: nothing lost, no floor.
 *
 *   ASIDE     workers take nothing new for it; what they and the engine began is let finish
 *   STILL     no SA of it is used any more: their exact windows are written down, some per turn
 *   ASKED     one entry holds windows and assignment; those that do not fit went ahead of it
 *     accepted ─> ASSIGNED: the other node's. refused ─> on with it here.
 *   ABORTING  no answer: our own abort record, which raises the shard's version, so that the
 *     handover can match no more. Accepted ─> on with it here.
 *
 * A shard that stands still goes on here only by the log's word: when that very request was
 * refused, or the abort was accepted. Until then the handover may still be applied, and whatever
 * was accepted or sent meanwhile would be so twice. Losing the lease changes nothing in that. */
#include "conductor/internal.h"

#include <stdlib.h>

enum {
    RETRY_MS = 20,   /* an abort that replication did not take */
    ASIDE_MS = 50,   /* how long what was begun may take */
    STILL_MS = 200,  /* how long workers may take to stop: then they hang, and it is called off */
    ANSWER_MS = 500, /* how long the log may take, before it is taken back */
    EXPORT_TURN = 4096,
    FRAME_BYTES = 6, /* SPI, length */
    OUT_BYTES = RECORD_MAX_WINDOWS_BYTES
};

static struct conductor_handover *handover_of(struct conductor *c, const struct conductor_shard *s)
{
    return &c->handovers[s - c->shards];
}

bool shard_moving(struct conductor *c, uint32_t shard)
{
    const struct conductor_shard *s = shard_find(c, shard);

    return s != NULL && handover_of(c, s)->phase != HANDOVER_NONE;
}

bool handover_still(struct conductor *c, uint32_t shard)
{
    const struct conductor_shard *s = shard_find(c, shard);

    return s != NULL && (handover_of(c, s)->phase > HANDOVER_ASIDE || assigned_granting(c, shard));
}

bool may_step(struct conductor *c, uint32_t shard)
{
    return c->ops.may_act(c->ops.self, shard) && !shard_moving(c, shard) &&
           !assigned_granting(c, shard);
}

bool conductor_moving(struct conductor *c, uint32_t shard)
{
    return shard_moving(c, shard) || assigned_granting(c, shard);
}

static void forget(struct conductor_handover *h)
{
    free(h->spis);
    free(h->out);
    h->spis = NULL;
    h->out = NULL;
    h->n_spis = h->at = h->out_len = 0;
    h->went_ahead = false;
    h->phase = HANDOVER_NONE;
    h->op = NULL;
}

void handover_forget_windows(struct conductor *c, const struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);

    free(h->in);
    h->in = NULL;
    h->in_len = 0;
}

void handover_deinit(struct conductor *c)
{
    for (uint32_t i = 0; i < c->options.n_shards; i++) {
        forget(&c->handovers[i]);
        handover_forget_windows(c, &c->shards[i]);
    }
}

/* On with it: events that waited are taken up. */
static void resume(struct conductor *c, struct conductor_shard *s)
{
    struct conductor_sa *sa, *next;

    forget(handover_of(c, s));
    if (!s->mine)
        return;
    c->ops.esp_mode(c->ops.esp_self, s->id, CONDUCTOR_ESP_ACT);
    HASH_ITER(hh, c->sas, sa, next)
    {
        if (sa->shard == s->id && sa->queue != NULL)
            run_queue(c, sa);
    }
}

void handover_over(struct conductor *c, struct conductor_shard *s)
{
    forget(handover_of(c, s));
    handover_forget_windows(c, s);
    if (c->ops.esp_mode != NULL)
        c->ops.esp_mode(c->ops.esp_self, s->id, s->mine ? CONDUCTOR_ESP_ACT : CONDUCTOR_ESP_ASIDE);
}

/* --- the giver --- */

bool conductor_give(struct conductor *c, uint32_t shard, uint32_t node, uint64_t boot,
                    const char *reason)
{
    struct conductor_shard *s = shard_find(c, shard);
    struct conductor_handover *h;

    if (s == NULL || !s->mine || c->ops.esp_mode == NULL || !c->ops.may_act(c->ops.self, shard) ||
        node == c->options.node)
        return false;
    h = handover_of(c, s);
    if (h->phase != HANDOVER_NONE)
        return false;
    h->phase = HANDOVER_ASIDE;
    h->to_node = node;
    h->to_boot = boot;
    h->since_ms = h->began_ms = c->ops.now_ms(c->ops.self);
    c->ops.esp_mode(c->ops.esp_self, shard, CONDUCTOR_ESP_ASIDE);
    count(&c->counters, COUNTER_handovers_begun);
    log_line(c->log, LOG_INFO, "owner", "shard=%u handover to node %u begins (%s)", shard, node,
             reason);
    conductor_handle_handovers(c);
    return true;
}

static bool steps_under_way(struct conductor *c, uint32_t shard)
{
    struct conductor_op *op;

    DL_FOREACH(c->ops_inflight, op)
    {
        const struct conductor_sa *sa = op->sa_id != 0 ? sa_find(c, op->sa_id) : NULL;

        if (sa != NULL && sa->shard == shard)
            return true;
    }
    return false;
}

static void stand_still(struct conductor *c, struct conductor_shard *s, uint64_t now)
{
    struct conductor_handover *h = handover_of(c, s);
    bool quiet = c->ops.esp_passed(c->ops.esp_self, s->id) && !steps_under_way(c, s->id);

    if (!quiet && now - h->since_ms < ASIDE_MS)
        return;
    h->phase = HANDOVER_STILL;
    h->since_ms = now;
    c->ops.esp_mode(c->ops.esp_self, s->id, CONDUCTOR_ESP_STILL);
}

/* Which CHILD SAs there are, once: some may go while the windows are written. Memory is taken for
 * what they can need, not for what a record may hold: a node that leaves because memory runs short
 * has to get away. */
static void list_children(struct conductor *c, const struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);
    struct conductor_child *child, *next;
    size_t bytes;

    h->spis = calloc(HASH_COUNT(c->children) + 1, sizeof *h->spis);
    HF_ASSERT(h->spis != NULL);
    HASH_ITER(hh, c->children, child, next)
    {
        if (child->sa->shard == s->id && child->esp != NULL)
            h->spis[h->n_spis++] = child->spi_in;
    }
    if (h->n_spis == 0)
        return;
    bytes = h->n_spis * (FRAME_BYTES + CONDUCTOR_WINDOW_MAX);
    h->out = malloc(bytes < OUT_BYTES ? bytes : OUT_BYTES);
    HF_ASSERT(h->out != NULL);
}

static bool submit_windows(struct conductor *c, struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);
    Holdfast__HandoverWindows body = HOLDFAST__HANDOVER_WINDOWS__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.version = s->version;
    body.windows = (ProtobufCBinaryData){.len = h->out_len, .data = h->out};
    record.body_case = HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS;
    record.handover_windows = &body;
    h->out_len = 0;
    if (!submit_other(c, s->id, &record, op_add(c, 0)))
        return false;
    h->went_ahead = true;
    return true;
}

static bool write_window(struct conductor *c, struct conductor_shard *s, uint32_t spi_in)
{
    struct conductor_handover *h = handover_of(c, s);
    struct conductor_child *child = child_find(c, spi_in);
    size_t n;

    if (child == NULL || child->esp == NULL)
        return true;
    if (h->out_len + FRAME_BYTES + CONDUCTOR_WINDOW_MAX > OUT_BYTES && !submit_windows(c, s))
        return false;
    n = c->ops.esp_export(c->ops.esp_self, child->esp, h->out + h->out_len + FRAME_BYTES);
    HF_ASSERT(n <= CONDUCTOR_WINDOW_MAX);
    put_be32(h->out + h->out_len, spi_in);
    put_be16(h->out + h->out_len + 4, (uint16_t)n);
    h->out_len += FRAME_BYTES + n;
    return true;
}

static bool ask(struct conductor *c, struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);
    Holdfast__Assign body = HOLDFAST__ASSIGN__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Epoch replaces = HOLDFAST__EPOCH__INIT;

    replaces.incarnation = s->epoch.incarnation;
    replaces.index = s->epoch.index;
    body.shard = s->id;
    body.replaces = &replaces;
    body.owner_node = h->to_node;
    body.owner_boot = h->to_boot;
    body.handover = true;
    body.version = s->version;
    body.windows = (ProtobufCBinaryData){.len = h->out_len, .data = h->out};
    record.body_case = HOLDFAST__RECORD__BODY_ASSIGN;
    record.assign = &body;
    h->op = op_add(c, 0);
    h->op->handover = HANDOVER_OP_ASSIGN;
    h->op->shard = s->id;
    return submit_other(c, s->id, &record, h->op);
}

/* Nothing is submitted any more that could still hand it over. But windows that went ahead are of this
 * version, and the log may take them at any time, also behind those of the next try, which they
 * would then roll back (I2); or it has taken them, and the next try's come too late. So their version
 * has to go before anything is accepted here again. */
static void go_on(struct conductor *c, struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);

    if (!h->went_ahead) {
        resume(c, s);
        return;
    }
    h->op = NULL;
    if (h->phase == HANDOVER_ABORTING)
        return;                /* their version goes with this one */
    h->phase = HANDOVER_ASKED; /* ... nothing; for the time being */
    h->since_ms = c->ops.now_ms(c->ops.self) - ANSWER_MS;
}

static void call_off(struct conductor *c, struct conductor_shard *s, const char *why)
{
    log_line(c->log, LOG_WARN, "owner", "shard=%u handover called off: %s", s->id, why);
    count(&c->counters, COUNTER_handovers_called_off);
    go_on(c, s);
}

static void write_down(struct conductor *c, struct conductor_shard *s, uint64_t now)
{
    struct conductor_handover *h = handover_of(c, s);

    if (!c->ops.esp_passed(c->ops.esp_self, s->id)) {
        if (now - h->since_ms >= STILL_MS)
            call_off(c, s, "the workers do not stop");
        return;
    }
    if (h->spis == NULL)
        list_children(c, s);
    HF_ASSERT(h->spis != NULL);
    for (int i = 0; i < EXPORT_TURN && h->at < h->n_spis; i++)
        if (!write_window(c, s, h->spis[h->at++])) {
            call_off(c, s, "replication takes nothing now");
            return;
        }
    if (h->at < h->n_spis)
        return; /* the loop's other sources have their turn */
    if (!ask(c, s)) {
        call_off(c, s, "replication takes nothing now");
        return;
    }
    h->phase = HANDOVER_ASKED;
    h->since_ms = now;
}

static void take_back(struct conductor *c, struct conductor_shard *s, uint64_t now)
{
    struct conductor_handover *h = handover_of(c, s);
    Holdfast__HandoverAbort body = HOLDFAST__HANDOVER_ABORT__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    struct conductor_op *op;

    if (now < h->since_ms + ANSWER_MS)
        return;
    body.version = s->version;
    record.body_case = HOLDFAST__RECORD__BODY_HANDOVER_ABORT;
    record.handover_abort = &body;
    op = op_add(c, 0);
    op->handover = HANDOVER_OP_ABORT;
    op->shard = s->id;
    h->since_ms = now - ANSWER_MS + RETRY_MS;
    if (!submit_other(c, s->id, &record, op))
        return;
    if (h->op != NULL)
        log_line(c->log, LOG_WARN, "owner", "shard=%u handover: no answer in %d ms, taken back",
                 s->id, ANSWER_MS);
    h->phase = HANDOVER_ABORTING;
}

void conductor_handle_handovers(struct conductor *c)
{
    uint64_t now = c->ops.now_ms(c->ops.self);

    for (uint32_t i = 0; i < c->options.n_shards; i++) {
        struct conductor_shard *s = &c->shards[i];

        if (c->handovers[i].phase == HANDOVER_ASIDE)
            stand_still(c, s, now);
        if (c->handovers[i].phase == HANDOVER_STILL)
            write_down(c, s, now);
        if (c->handovers[i].phase == HANDOVER_ASKED)
            take_back(c, s, now);
    }
}

uint64_t handover_wake_ms(const struct conductor *c)
{
    uint64_t now = c->ops.now_ms(c->ops.self), at = UINT64_MAX;

    for (uint32_t i = 0; i < c->options.n_shards; i++) {
        const struct conductor_handover *h = &c->handovers[i];
        uint64_t then = h->phase == HANDOVER_ASKED ? h->since_ms + ANSWER_MS : now + 1;

        if (h->phase != HANDOVER_NONE && h->phase != HANDOVER_ABORTING && then < at)
            at = then;
    }
    return at;
}

void handover_settled(struct conductor *c, const struct conductor_op *op,
                      const struct repl_event *ev)
{
    struct conductor_shard *s = shard_find(c, op->shard);
    struct conductor_handover *h;
    bool judged = ev->kind == REPL_EV_APPLIED;

    if (s == NULL || op->handover == HANDOVER_OP_NONE || !judged)
        return; /* of unknown fate: RESET follows, and nothing is ours after it */
    h = handover_of(c, s);
    if (op->handover == HANDOVER_OP_ASSIGN && h->op == op) {
        if (ev->verdict == REPL_ACCEPTED) { /* ASSIGNED follows */
            count(&c->counters, COUNTER_handovers_done);
            log_line(c->log, LOG_INFO, "owner", "shard=%u handed over to node %u in %llu ms", s->id,
                     h->to_node, (unsigned long long)(c->ops.now_ms(c->ops.self) - h->began_ms));
            return;
        }
        count(&c->counters, COUNTER_handovers_refused);
        log_line(c->log, LOG_WARN, "owner", "shard=%u handover refused: %s", s->id,
                 repl_verdict_name(ev->verdict));
        if (ev->verdict == REPL_REFUSED_VERSION) /* theirs is gone already */
            resume(c, s);
        else
            go_on(c, s);
    } else if (op->handover == HANDOVER_OP_ABORT && ev->verdict == REPL_ACCEPTED &&
               h->phase == HANDOVER_ABORTING) {
        count(&c->counters, COUNTER_handovers_taken_back);
        resume(c, s);
    }
}

/* --- the taker, and everybody who watches --- */

static void keep_windows(struct conductor *c, struct conductor_shard *s, uint64_t version,
                         struct span windows)
{
    struct conductor_handover *h = handover_of(c, s);

    if (h->in_version != version)
        handover_forget_windows(c, s);
    h->in_version = version;
    if (windows.len == 0)
        return;
    h->in = realloc(h->in, h->in_len + windows.len);
    HF_ASSERT(h->in != NULL);
    memcpy(h->in + h->in_len, windows.data, windows.len);
    h->in_len += windows.len;
}

void handover_applied(struct conductor *c, const struct Holdfast__Record *r)
{
    struct conductor_shard *s = shard_find(c, r->shard);

    if (s == NULL)
        return;
    if (r->body_case == HOLDFAST__RECORD__BODY_HANDOVER_ABORT) {
        s->version++;
        handover_forget_windows(c, s);
    } else if (r->body_case == HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS) {
        keep_windows(c, s, r->handover_windows->version, record_span(r->handover_windows->windows));
    } else if (r->body_case == HOLDFAST__RECORD__BODY_ASSIGN && r->assign->handover) {
        keep_windows(c, s, r->assign->version, record_span(r->assign->windows));
    }
}

/* Every CHILD SA learns where its window lies; what is not well-formed is left out: that one has a
 * floor. */
void handover_spread_windows(struct conductor *c, const struct conductor_shard *s)
{
    struct conductor_handover *h = handover_of(c, s);
    size_t at = 0;

    while (h->in_len - at >= FRAME_BYTES) {
        struct conductor_child *child = child_find(c, get_be32(h->in + at));
        size_t n = get_be16(h->in + at + 4);

        at += FRAME_BYTES;
        if (n > h->in_len - at)
            return;
        if (child != NULL && child->sa->shard == s->id)
            child->window = span_of(h->in + at, n);
        at += n;
    }
}

/* --- wishes of operators: any node may write them down --- */

/* Who asked goes with the wish, in one record, so that it is in the log before anything follows from it (I17). To a member
 * that knows no such thing the record would be malformed: it goes without, as that member would write it. */
static uint64_t wish(struct conductor *c, uint32_t shard, Holdfast__Record *record,
                     const struct repl_admin *by)
{
    struct conductor_op *op = op_add(c, 0);
    uint64_t number = ++c->wishes;
    Holdfast__Admin admin;
    bool taken;

    op->wish = number;
    if (by != NULL && c->speaks >= RECORD_SPEAKS_DOCUMENTS) {
        admin = record_admin(by, "");
        record->admin = &admin;
    }
    taken = submit_other(c, shard, record, op);
    record->admin = NULL;
    return taken ? number : 0;
}

uint64_t conductor_wish_move(struct conductor *c, uint32_t shard, uint32_t node,
                             const struct repl_admin *by)
{
    Holdfast__Move body = HOLDFAST__MOVE__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.node = node;
    record.body_case = HOLDFAST__RECORD__BODY_MOVE;
    record.move = &body;
    return wish(c, shard, &record, by);
}

uint64_t conductor_wish_token(struct conductor *c, uint32_t node, const char *address,
                              const uint8_t hash[32], uint64_t valid_ms,
                              const struct repl_admin *by)
{
    Holdfast__JoinToken body = HOLDFAST__JOIN_TOKEN__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.node = node;
    body.address = (char *)(uintptr_t)address;
    body.hash = (ProtobufCBinaryData){.len = 32, .data = (uint8_t *)(uintptr_t)hash};
    body.valid_ms = valid_ms;
    record.body_case = HOLDFAST__RECORD__BODY_JOIN_TOKEN;
    record.join_token = &body;
    return wish(c, 0, &record, by);
}

uint64_t conductor_wish_join(struct conductor *c, uint32_t node, const uint8_t hash[32],
                             uint32_t speaks, const struct repl_admin *by)
{
    Holdfast__Member body = HOLDFAST__MEMBER__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.node = node;
    body.change = HOLDFAST__MEMBER__CHANGE__JOIN;
    body.token = (ProtobufCBinaryData){.len = 32, .data = (uint8_t *)(uintptr_t)hash};
    body.speaks = speaks;
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &body;
    return wish(c, 0, &record, by);
}

uint64_t conductor_wish_leave(struct conductor *c, uint32_t node, uint64_t until_ms,
                              const struct repl_admin *by)
{
    Holdfast__Member body = HOLDFAST__MEMBER__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.node = node;
    body.change = HOLDFAST__MEMBER__CHANGE__LEAVE;
    body.until_ms = until_ms;
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &body;
    return wish(c, 0, &record, by);
}

uint64_t conductor_wish_drain(struct conductor *c, uint32_t node, bool drained, uint64_t until_ms,
                              uint64_t removal, const struct repl_admin *by)
{
    Holdfast__Drain body = HOLDFAST__DRAIN__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    body.node = node;
    body.drained = drained;
    body.until_ms = until_ms;
    body.removal = removal;
    record.body_case = HOLDFAST__RECORD__BODY_DRAIN;
    record.drain = &body;
    return wish(c, 0, &record, by);
}

uint64_t conductor_wish_rotation(struct conductor *c, const struct repl_admin *by)
{
    Holdfast__RotateKeys body = HOLDFAST__ROTATE_KEYS__INIT;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    record.body_case = HOLDFAST__RECORD__BODY_ROTATE_KEYS;
    record.rotate_keys = &body;
    return wish(c, 0, &record, by);
}
