/* What was found, and the life of processes and disks: I9 (node ids), I10, I12, I14, I15. */
#include "sim/sim_watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "sim/sim_watch_internal.h"

static const char *const invariants[] = {
#define SIM_WATCH_RULE(name, invariant, words) invariant,
#include "sim/sim_watch_rules.def"
#undef SIM_WATCH_RULE
};

static const char *const rules[] = {
#define SIM_WATCH_RULE(name, invariant, words) invariant "-" #name,
#include "sim/sim_watch_rules.def"
#undef SIM_WATCH_RULE
};

static const char *const demands[] = {
#define SIM_WATCH_RULE(name, invariant, words) words,
#include "sim/sim_watch_rules.def"
#undef SIM_WATCH_RULE
};

const char *sim_watch_rule_name(enum sim_watch_rule rule)
{
    HF_ASSERT(rule < SIM_WATCH_RULES);
    return rules[rule];
}

const char *sim_watch_rule_invariant(enum sim_watch_rule rule)
{
    HF_ASSERT(rule < SIM_WATCH_RULES);
    return invariants[rule];
}

const char *sim_watch_rule_words(enum sim_watch_rule rule)
{
    HF_ASSERT(rule < SIM_WATCH_RULES);
    return demands[rule];
}

struct sim_watch *sim_watch_create(const struct sim_watch_options *options)
{
    struct sim_watch *w = calloc(1, sizeof *w);

    HF_ASSERT(w != NULL && options->nodes >= 1 && options->nodes <= SIM_WATCH_NODES);
    w->options = *options;
    w->incarnations[0] = 1;
    sim_watch_founded(w);
    return w;
}

static void free_sas(struct sim_watch *w)
{
    for (size_t i = 0; i < w->n_sa; i++) {
        free(w->sa[i]->state);
        free(w->sa[i]);
    }
    free(w->sa);
    for (size_t i = 0; i < w->n_esp; i++) {
        free(w->esp[i]->grants);
        free(w->esp[i]);
    }
    free(w->esp);
}

void sim_watch_destroy(struct sim_watch *w)
{
    struct sim_watch_map *const maps[] = {
        &w->sealed,  &w->delivered, &w->esps,    &w->by_spi,  &w->sas,    &w->addresses,
        &w->records, &w->requests,  &w->digests, &w->epochs,  &w->boots,  &w->messages,
        &w->copies,  &w->ivs,       &w->known,   &w->winners, &w->stored, NULL,
    };

    HF_ASSERT(w != NULL);
    for (size_t i = 0; maps[i] != NULL; i++)
        free(maps[i]->entries);
    free_sas(w);
    free(w->wishes);
    free(w);
}

void sim_watch_break(struct sim_watch *w, enum sim_watch_rule rule, const char *format, ...)
{
    struct sim_watch_violation *v;
    va_list args;

    w->broken[rule]++;
    if (w->violations++ >= SIM_WATCH_KEPT)
        return;
    v = &w->kept[w->violations - 1];
    v->rule = rule;
    v->at_ms = sim_watch_now(w);
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
}

uint64_t sim_watch_violations(const struct sim_watch *w, const struct sim_watch_violation **kept)
{
    if (kept != NULL)
        *kept = w->kept;
    return w->violations;
}

uint64_t sim_watch_judged(const struct sim_watch *w, enum sim_watch_rule rule)
{
    return w->judged[rule];
}

uint64_t sim_watch_broken(const struct sim_watch *w, enum sim_watch_rule rule)
{
    return w->broken[rule];
}

uint64_t sim_watch_reached(const struct sim_watch *w, enum sim_watch_case which)
{
    return w->reached[which];
}

struct sim_watch_entry *sim_watch_at(struct sim_watch *w, struct sim_watch_map *m, uint64_t key,
                                     bool *made)
{
    struct sim_watch_entry *e = sim_watch_put(m, key, made);

    if (e == NULL)
        sim_watch_break(w, SIM_WATCH_room, "a table is full at %zu entries", m->n);
    return e;
}

struct sim_watch_node *sim_watch_node(struct sim_watch *w, uint32_t node)
{
    bool known = node >= 1 && node <= SIM_WATCH_NODES;

    SIM_WATCH_JUDGE(w, SIM_WATCH_room, known, "node %u is beyond the bound of %d", (unsigned)node,
                    SIM_WATCH_NODES);
    return known ? &w->nodes[node] : NULL;
}

struct sim_watch_view *sim_watch_view(struct sim_watch *w, uint32_t node, uint32_t shard)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n == NULL)
        return NULL;
    for (size_t i = 0; i < n->n_shards; i++)
        if (n->shards[i].shard == shard)
            return &n->shards[i];
    if (n->n_shards == REPL_MAX_SHARDS) {
        sim_watch_break(w, SIM_WATCH_room, "shard %u is one too many", (unsigned)shard);
        return NULL;
    }
    n->shards[n->n_shards] = (struct sim_watch_view){.shard = shard};
    return &n->shards[n->n_shards++];
}

struct sim_watch_shard *sim_watch_shard_of(struct sim_watch *w, uint32_t shard)
{
    for (size_t i = 0; i < w->n_shards; i++)
        if (w->shards[i].shard == shard)
            return &w->shards[i];
    if (w->n_shards == REPL_MAX_SHARDS) {
        sim_watch_break(w, SIM_WATCH_room, "shard %u is one too many", (unsigned)shard);
        return NULL;
    }
    w->shards[w->n_shards] = (struct sim_watch_shard){.shard = shard};
    return &w->shards[w->n_shards++];
}

/* --- processes and disks --- */

void sim_watch_started(struct sim_watch *w, uint32_t node, uint64_t boot, bool lost)
{
    struct sim_watch_node *n = sim_watch_node(w, node);
    struct sim_watch_entry *e;
    uint64_t needs;
    bool made;

    if (n == NULL || (e = sim_watch_at(w, &w->boots, boot, &made)) == NULL)
        return;
    SIM_WATCH_JUDGE(w, SIM_WATCH_node_unique, made && !n->running,
                    "node %u starts as boot %016llx, %s", (unsigned)node, (unsigned long long)boot,
                    n->running ? "though it runs" : "which was used before");
    e->a = node;
    needs = n->lost ? n->needs : 0; /* a restart mends nothing */
    if (lost && needs < n->durable)
        needs = n->durable < w->highest ? n->durable : w->highest;
    *n = (struct sim_watch_node){.running = true,
                                 .era = n->boot == 0 ? w->era : n->era,
                                 .boot = boot,
                                 .lost = lost || n->lost,
                                 .needs = needs,
                                 .had = n->lost ? n->had : n->durable,
                                 .began_ms = sim_watch_now(w),
                                 .began_behind = w->highest,
                                 .disregarded = n->lost && n->disregarded,
                                 .counted_to = n->counted_to,
                                 .durable = n->durable};
}

void sim_watch_stopped(struct sim_watch *w, uint32_t node)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n != NULL)
        n->running = false;
}

void sim_watch_gone(struct sim_watch *w, uint32_t node)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n != NULL)
        n->gone = true;
}

void sim_watch_durable(struct sim_watch *w, uint32_t node, uint64_t last_index)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n != NULL)
        n->durable = sim_watch_place(w, node, last_index);
}

void sim_watch_counts(struct sim_watch *w, uint32_t node)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_data_lost, n->lost, n->durable >= n->needs,
                       "node %u lost what it had acknowledged, and counts again with %llu of %llu",
                       (unsigned)node, (unsigned long long)n->durable,
                       (unsigned long long)n->needs);
    n->lost = false;
}

static bool somebody_withholds(const struct sim_watch *w)
{
    bool any = false;

    for (size_t i = 1; i <= SIM_WATCH_NODES; i++)
        any |= w->nodes[i].running && w->nodes[i].lost;
    return any;
}

void sim_watch_takes_part(struct sim_watch *w, uint32_t node, const char *how)
{
    const struct sim_watch_node *n = sim_watch_node(w, node);

    if (n != NULL)
        SIM_WATCH_JUDGE_IF(w, SIM_WATCH_withholds, n->lost || somebody_withholds(w), !n->lost,
                           "node %u lost what it had acknowledged, and %s", (unsigned)node, how);
}

/* --- input that is nobody's, and the wall clock --- */

void sim_watch_forged(struct sim_watch *w, uint32_t node, bool begins)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n == NULL)
        return;
    if (!begins)
        SIM_WATCH_JUDGE(w, SIM_WATCH_no_entry, !n->submitted,
                        "node %u submits a record for a datagram that is not its peer's",
                        (unsigned)node);
    n->forged = begins;
    n->submitted = false;
}

void sim_watch_forged_late(struct sim_watch *w, uint32_t node, bool for_the_log)
{
    SIM_WATCH_JUDGE(
        w, SIM_WATCH_no_entry_late, !for_the_log,
        "node %u steps an SA of the log for a datagram that is not its peer's and waited",
        (unsigned)node);
}

void sim_watch_half_open(struct sim_watch *w, uint32_t node, size_t in_all, size_t of_one_source)
{
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_half_open_bound, in_all > 0,
                       in_all <= CONDUCTOR_HALF_OPEN_MAX &&
                           of_one_source <= CONDUCTOR_HALF_OPEN_SOURCE_MAX,
                       "node %u holds %zu half-open SAs, %zu of one source", (unsigned)node, in_all,
                       of_one_source);
}

static bool is_ike(struct span bytes)
{
    struct wire_header h;

    return wire_header_decode(bytes, &h) == WIRE_OK;
}

/* RFC 3948 2.1 to 2.3. */
static bool is_encapsulated(struct span bytes)
{
    enum { MARKER = 4, KEEPALIVE = 0xff, FIRST_SPI = 256, ESP_LEAST = 16 };

    if (bytes.len == 1)
        return bytes.data[0] == KEEPALIVE;
    if (bytes.len < ESP_LEAST)
        return false;
    if (get_be32(bytes.data) == 0)
        return is_ike(span_of(bytes.data + MARKER, bytes.len - MARKER));
    return get_be32(bytes.data) >= FIRST_SPI;
}

void sim_watch_outside(struct sim_watch *w, uint32_t node, bool natt, struct span bytes)
{
    static const char plain[] = SIM_WATCH_PLAIN;
    const size_t n = sizeof plain - 1;
    bool fits = natt ? is_encapsulated(bytes) : is_ike(bytes), found = false;

    for (size_t i = 0; i + n <= bytes.len && !found; i++)
        found = bytes.data[i] == (uint8_t)plain[0] && memcmp(bytes.data + i, plain, n) == 0;
    SIM_WATCH_JUDGE(w, SIM_WATCH_no_plaintext, fits && !found,
                    "node %u sends %s outside, %zu bytes", (unsigned)node,
                    found ? "an inner packet in plaintext" : "what is neither IKE nor ESP",
                    bytes.len);
}

void sim_watch_same_run(struct sim_watch *w, uint64_t trace, uint64_t trace_with_jumps)
{
    SIM_WATCH_JUDGE(w, SIM_WATCH_no_wall_clock, trace == trace_with_jumps,
                    "the trace is %016llx, with wall clocks that jump %016llx",
                    (unsigned long long)trace, (unsigned long long)trace_with_jumps);
}
