/* ESP: I1 (numbers), I1c, I2 (ceilings, floors, delivery), I5 (who speaks, the batch in hand), I8 (keys
 * that are gone), I13 (no packet without an assignment), and the hard limit of L2. */
#include <inttypes.h>
#include <stdlib.h>

#include "esp/window.h"
#include "sim/sim_watch_internal.h"

/* The end of a CHILD SA by time is kept by each node's own clock from when it was told. */
enum { HARD_SLACK_MS = 5000 };

uint64_t sim_watch_key(const struct secret *key)
{
    return span_fnv1a64(secret_span(key));
}

struct sim_watch_esp *sim_watch_esp_find(struct sim_watch *w, uint64_t key)
{
    const struct sim_watch_entry *e = sim_watch_find(&w->esps, key);

    return e == NULL ? NULL : w->esp[e->a];
}

struct sim_watch_esp *sim_watch_esp_of(struct sim_watch *w, uint64_t key)
{
    bool made;
    struct sim_watch_entry *e = sim_watch_at(w, &w->esps, key, &made);

    HF_ASSERT(e != NULL); /* far fewer keys than the map has room for */
    if (!made)
        return w->esp[e->a];
    if (w->n_esp == w->esp_capacity) {
        w->esp_capacity = w->esp_capacity == 0 ? 64 : 2 * w->esp_capacity;
        w->esp = realloc(w->esp, w->esp_capacity * sizeof(struct sim_watch_esp *));
        HF_ASSERT(w->esp != NULL);
    }
    e->a = w->n_esp;
    w->esp[w->n_esp] = calloc(1, sizeof *w->esp[0]);
    HF_ASSERT(w->esp[w->n_esp] != NULL);
    w->esp[w->n_esp]->key = key;
    w->esp[w->n_esp]->hard_ms = UINT64_MAX;
    return w->esp[w->n_esp++];
}

/* Marks the number in a set of (key, number / 64). True: it was marked already. */
static bool mark(struct sim_watch *w, struct sim_watch_map *set, uint64_t key, uint64_t seq)
{
    bool made, before;
    struct sim_watch_entry *e = sim_watch_at(w, set, sim_watch_mix(key, seq / 64), &made);

    if (e == NULL)
        return false;
    before = (e->a >> (seq % 64) & 1) != 0;
    e->a |= (uint64_t)1 << (seq % 64);
    return before;
}

static bool marked(const struct sim_watch_map *set, uint64_t key, uint64_t seq)
{
    const struct sim_watch_entry *e = sim_watch_find(set, sim_watch_mix(key, seq / 64));

    return e != NULL && (e->a >> (seq % 64) & 1) != 0;
}

/* --- what was granted --- */

static struct sim_watch_grant *grant_of(struct sim_watch_esp *e, uint32_t node, uint64_t boot,
                                        uint64_t epoch)
{
    for (size_t i = e->n_grants; i-- > 0;) /* the newest ones are asked for */
        if (e->grants[i].epoch == epoch && e->grants[i].node == node && e->grants[i].boot == boot)
            return &e->grants[i];
    return NULL;
}

/* Kept by epoch; nodes take their assignments at different times, so seldom not at the end. */
static struct sim_watch_grant *add_grant(struct sim_watch_esp *e, struct sim_watch_grant grant)
{
    size_t at = e->n_grants;

    if (e->n_grants == e->grants_capacity) {
        e->grants_capacity = e->grants_capacity == 0 ? 8 : 2 * e->grants_capacity;
        e->grants = realloc(e->grants, e->grants_capacity * sizeof *e->grants);
        HF_ASSERT(e->grants != NULL);
    }
    while (at > 0 && e->grants[at - 1].epoch > grant.epoch) {
        e->grants[at] = e->grants[at - 1];
        at--;
    }
    e->grants[at] = grant;
    e->n_grants++;
    return &e->grants[at];
}

static bool is_empty(const struct sim_watch_grant *g)
{
    return g->first >= g->end;
}

/* Between its neighbours by epoch that hold numbers at all. */
static void judge_disjoint(struct sim_watch *w, const struct sim_watch_esp *e,
                           const struct sim_watch_grant *g)
{
    const struct sim_watch_grant *end = e->grants + e->n_grants, *after = g + 1, *before = NULL;

    for (const struct sim_watch_grant *i = e->grants; i < g; i++)
        before = is_empty(i) ? before : i;
    while (after < end && is_empty(after))
        after++;
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_grants_disjoint, before != NULL && !is_empty(g), before->end <= g->first,
        "key %016" PRIx64 ": node %u may use [%" PRIu64 ", %" PRIu64 ") in epoch %" PRIu64
        ", behind [%" PRIu64 ", %" PRIu64 ")",
        e->key, (unsigned)g->node, g->first, g->end, g->epoch, before->first, before->end);
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_grants_disjoint, after < end && !is_empty(g), g->end <= after->first,
        "key %016" PRIx64 ": node %u may use [%" PRIu64 ", %" PRIu64 ") in epoch %" PRIu64
        ", before [%" PRIu64 ", %" PRIu64 ")",
        e->key, (unsigned)g->node, g->first, g->end, g->epoch, after->first, after->end);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_grants_disjoint, g > e->grants, g[-1].epoch != g->epoch,
                       "key %016" PRIx64 ": node %u is given [%" PRIu64 ", %" PRIu64
                       ") in epoch %" PRIu64 ", which gave numbers to node %u",
                       e->key, (unsigned)g->node, g->first, g->end, g->epoch, (unsigned)g[-1].node);
    SIM_WATCH_JUDGE(w, SIM_WATCH_no_wrap, e->esn || g->end <= (uint64_t)UINT32_MAX + 1,
                    "key %016" PRIx64 ": a reservation ends at %" PRIu64, e->key, g->end);
}

/* What earlier owners delivered must not be new to this one. */
static void judge_floor(struct sim_watch *w, const struct sim_watch_esp *e,
                        const struct sim_watch_grant *g)
{
    uint64_t top = 0;

    for (size_t i = 0; i < e->n_grants; i++)
        if (e->grants[i].epoch < g->epoch && e->grants[i].top > top)
            top = e->grants[i].top;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_floor, top > 0, top <= g->floor,
                       "key %016" PRIx64 ": node %u begins above %" PRIu64 " in epoch %" PRIu64
                       ", but %" PRIu64 " was delivered",
                       e->key, (unsigned)g->node, g->floor, g->epoch, top);
}

/* The same with a handover's exact window: each number that was delivered above its floor is in it. */
static void judge_window(struct sim_watch *w, const struct sim_watch_esp *e,
                         const struct sim_watch_grant *g, const struct esp_window *window)
{
    uint64_t top = 0, first;

    for (size_t i = 0; i < e->n_grants; i++)
        if (e->grants[i].epoch < g->epoch && e->grants[i].top > top)
            top = e->grants[i].top;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_floor, top > 0,
                       top <= window->replay.top || top <= window->floor,
                       "key %016" PRIx64 ": node %u goes on from a window up to %" PRIu64
                       ", but %" PRIu64 " was delivered",
                       e->key, (unsigned)g->node, window->replay.top, top);
    first = window->replay.top > ESP_REPLAY_WINDOW ? window->replay.top - ESP_REPLAY_WINDOW : 0;
    if (first < window->floor)
        first = window->floor;
    for (uint64_t seq = first + 1; seq <= window->replay.top; seq++)
        SIM_WATCH_JUDGE_IF(w, SIM_WATCH_floor, marked(&w->delivered, e->key, seq),
                           esp_replay_look(&window->replay, seq) != ESP_SEEN_NEW,
                           "key %016" PRIx64 ": node %u takes %" PRIu64
                           " for new, it was delivered",
                           e->key, (unsigned)g->node, seq);
}

void sim_watch_granted(struct sim_watch *w, uint32_t node, uint64_t key_in, uint64_t key_out,
                       uint64_t epoch, const struct repl_grant *grant, struct span window)
{
    struct sim_watch_esp *in = sim_watch_esp_of(w, key_in), *out = sim_watch_esp_of(w, key_out);
    struct sim_watch_node *n = sim_watch_node(w, node);
    struct sim_watch_grant g = {.epoch = sim_watch_place(w, node, epoch), .node = node};
    struct esp_window decoded;
    size_t used;

    if (n == NULL || sim_watch_is_former(w, node))
        return;
    g.boot = n->boot;
    g.first = grant->first > 0 ? grant->first : 1;
    g.end = grant->end;
    judge_disjoint(w, out, add_grant(out, g));
    g.first = g.end = 0;
    g.floor = grant->floor;
    g.ceiling = grant->ceiling;
    if (window.len > 0 && esp_window_decode(window, &decoded, &used)) {
        g.exact = true;
        g.floor = decoded.floor;
        judge_window(w, in, add_grant(in, g), &decoded);
    } else {
        judge_floor(w, in, add_grant(in, g));
    }
}

void sim_watch_limits(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t key_in,
                      uint64_t key_out, uint64_t end, uint64_t ceiling)
{
    struct sim_watch_esp *in = sim_watch_esp_of(w, key_in), *out = sim_watch_esp_of(w, key_out);
    struct sim_watch_view *v = sim_watch_view(w, node, shard);
    struct sim_watch_grant *sends, *receives;

    if (v == NULL || sim_watch_is_former(w, node))
        return;
    SIM_WATCH_JUDGE(w, SIM_WATCH_number_granted, end <= out->committed_end,
                    "key %016" PRIx64 ": node %u is told the end %" PRIu64
                    ", the log says %" PRIu64,
                    key_out, (unsigned)node, end, out->committed_end);
    SIM_WATCH_JUDGE(w, SIM_WATCH_ceiling, ceiling <= in->committed_ceiling,
                    "key %016" PRIx64 ": node %u is told the ceiling %" PRIu64
                    ", the log says %" PRIu64,
                    key_in, (unsigned)node, ceiling, in->committed_ceiling);
    sends = grant_of(out, node, w->nodes[node].boot, v->epoch);
    receives = grant_of(in, node, w->nodes[node].boot, v->epoch);
    if (sends != NULL && end > sends->end) {
        sends->end = end;
        judge_disjoint(w, out, sends);
    }
    if (receives != NULL && ceiling > receives->ceiling)
        receives->ceiling = ceiling;
}

void sim_watch_installed(struct sim_watch *w, uint32_t node, const struct ike_child *child)
{
    const uint64_t keys[] = {sim_watch_key(&child->key_in), sim_watch_key(&child->key_out)};
    const struct sim_watch_node *n = sim_watch_node(w, node);

    for (size_t i = 0; n != NULL && !sim_watch_is_former(w, node) && i < 2; i++) {
        const struct sim_watch_esp *e = sim_watch_esp_of(w, keys[i]);

        SIM_WATCH_JUDGE_IF(
            w, SIM_WATCH_not_restored, e->gone_index != 0, e->gone_index > n->applied,
            "spi %08x: node %u installs it as of %" PRIu64 ", it went with index %" PRIu64,
            (unsigned)child->spi_in, (unsigned)node, n->applied, e->gone_index);
    }
}

/* --- packets --- */

static void judge_key(struct sim_watch *w, const struct sim_watch_esp *e, uint32_t node,
                      const char *does)
{
    const struct sim_watch_node *n = &w->nodes[node];

    SIM_WATCH_JUDGE(w, SIM_WATCH_sa_committed, e->committed && e->made_index <= n->applied,
                    "key %016" PRIx64 ": node %u %s, its record is %" PRIu64
                    ", applied is %" PRIu64,
                    e->key, (unsigned)node, does, e->made_index, n->applied);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_key_gone, e->gone_index != 0, e->gone_index > n->turn_applied,
                       "spi %08x: node %u %s, it went with index %" PRIu64 ", applied was %" PRIu64
                       " when its turn began",
                       (unsigned)e->spi_in, (unsigned)node, does, e->gone_index, n->turn_applied);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_rekey_ends, e->hard_ms != UINT64_MAX,
                       n->turn_cluster_ms <= e->hard_ms + HARD_SLACK_MS,
                       "spi %08x: node %u %s at cluster time %" PRIu64
                       " ms, the hard limit is %" PRIu64,
                       (unsigned)e->spi_in, (unsigned)node, does, n->turn_cluster_ms, e->hard_ms);
}

void sim_watch_sealed(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                      const struct sim_watch_right *with)
{
    struct sim_watch_esp *e = sim_watch_esp_of(w, key);
    const struct sim_watch_grant *g;
    struct sim_watch_right right;

    if (sim_watch_node(w, node) == NULL)
        return;
    right = sim_watch_begins(w, node, with, "seals");
    SIM_WATCH_JUDGE(w, SIM_WATCH_number_once, !mark(w, &w->sealed, key, seq),
                    "key %016" PRIx64 ": node %u seals number %" PRIu64 " again", key,
                    (unsigned)node, seq);
    SIM_WATCH_JUDGE(w, SIM_WATCH_no_wrap, e->esn || seq <= UINT32_MAX,
                    "key %016" PRIx64 ": number %" PRIu64, key, seq);
    judge_key(w, e, node, "seals");
    g = grant_of(e, node, w->nodes[node].boot, right.epoch);
    SIM_WATCH_JUDGE(w, SIM_WATCH_assignment_applied, g != NULL,
                    "key %016" PRIx64 ": node %u seals in epoch %" PRIu64 ", which gave it nothing",
                    key, (unsigned)node, right.epoch);
    if (g != NULL)
        SIM_WATCH_JUDGE(w, SIM_WATCH_number_granted, seq >= g->first && seq < g->end,
                        "key %016" PRIx64 ": node %u seals %" PRIu64 ", granted is [%" PRIu64
                        ", %" PRIu64 ")",
                        key, (unsigned)node, seq, g->first, g->end);
}

void sim_watch_acted(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t epoch)
{
    struct sim_watch_shard *s = sim_watch_shard_of(w, shard);

    if (s == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_one_speaker, s->spoke_epoch != 0 && epoch != s->spoke_epoch,
                       epoch > s->spoke_epoch,
                       "shard %u: node %u acts in epoch %" PRIu64 ", epoch %" PRIu64 " has acted",
                       (unsigned)shard, (unsigned)node, epoch, s->spoke_epoch);
    if (epoch > s->spoke_epoch)
        s->spoke_epoch = epoch;
}

void sim_watch_spoke(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t epoch)
{
    struct sim_watch_shard *s = sim_watch_shard_of(w, shard);

    if (s == NULL)
        return;
    sim_watch_acted(w, node, shard, epoch);
    sim_watch_followed(w, s, epoch, true);
    if (w->healing && s->first_ms == 0 && epoch == s->newest_epoch)
        s->first_ms = sim_watch_now(w);
}

void sim_watch_delivered(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                         const struct sim_watch_right *with)
{
    struct sim_watch_node *n = sim_watch_node(w, node);
    struct sim_watch_esp *e = sim_watch_esp_of(w, key);
    struct sim_watch_grant *g;
    struct sim_watch_right right;

    if (n == NULL)
        return;
    right = sim_watch_begins(w, node, with, "accepts");
    SIM_WATCH_JUDGE(w, SIM_WATCH_delivered_once, !mark(w, &w->delivered, key, seq),
                    "key %016" PRIx64 ": node %u delivers number %" PRIu64 " again", key,
                    (unsigned)node, seq);
    judge_key(w, e, node, "delivers");
    g = grant_of(e, node, n->boot, right.epoch);
    SIM_WATCH_JUDGE(w, SIM_WATCH_assignment_applied, g != NULL,
                    "key %016" PRIx64 ": node %u delivers in epoch %" PRIu64
                    ", which gave it nothing",
                    key, (unsigned)node, right.epoch);
    if (g == NULL)
        return;
    SIM_WATCH_JUDGE(w, SIM_WATCH_ceiling, seq > g->floor && seq <= g->ceiling,
                    "key %016" PRIx64 ": node %u delivers %" PRIu64 ", it may (%" PRIu64
                    ", %" PRIu64 "]",
                    key, (unsigned)node, seq, g->floor, g->ceiling);
    if (seq > g->top)
        g->top = seq;
    for (g++; g < e->grants + e->n_grants; g++)
        SIM_WATCH_JUDGE(w, SIM_WATCH_floor, seq <= g->floor,
                        "key %016" PRIx64 ": node %u delivers %" PRIu64
                        ", node %u of epoch %" PRIu64 " begins above %" PRIu64,
                        key, (unsigned)node, seq, (unsigned)g->node, g->epoch, g->floor);
}

void sim_watch_client_sealed(struct sim_watch *w, uint32_t client, uint64_t key, uint64_t seq)
{
    SIM_WATCH_JUDGE(w, SIM_WATCH_number_once, !mark(w, &w->sealed, key, seq),
                    "key %016" PRIx64 ": client %u seals number %" PRIu64 " again", key,
                    (unsigned)client, seq);
}

void sim_watch_client_delivered(struct sim_watch *w, uint32_t client, uint64_t key, uint64_t seq)
{
    SIM_WATCH_JUDGE(w, SIM_WATCH_delivered_once, !mark(w, &w->delivered, key, seq),
                    "key %016" PRIx64 ": client %u delivers number %" PRIu64 " again", key,
                    (unsigned)client, seq);
}
