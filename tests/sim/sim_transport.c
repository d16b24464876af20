#include "sim/sim_transport.h"

#include <stdlib.h>

enum { MAX_QUEUED_BYTES = 16 << 20 };

struct packet {
    uint64_t due_ms;
    enum repl_channel channel;
    size_t len;
    uint8_t *bytes;
};

/* One direction between two nodes. */
struct link {
    struct packet *ring;
    size_t head, count, capacity; /* a power of two or 0 */
    size_t bytes;
    bool partitioned;
};

struct endpoint {
    struct sim_network *network;
    uint32_t node; /* 0 = free */
    bool up, stopped;
    bool choosy; /* it knows these alone, a bit for each id */
    uint64_t knows;
    uint64_t incarnation; /* in its hello */
    struct repl_transport_listener listener;
};

struct sim_network {
    struct sim_random random;
    const uint64_t *now_ms;
    uint32_t min_ms, max_ms;
    unsigned duplicate, reorder;
    struct endpoint endpoints[SIM_MAX_NODES];
    struct link links[SIM_MAX_NODES][SIM_MAX_NODES];      /* [from][to] */
    uint64_t down_until_ms[SIM_MAX_NODES][SIM_MAX_NODES]; /* symmetric; 0 = it is up */
    unsigned n_down;
    struct sim_network_counters counters;
    uint64_t trace;
};

struct sim_network *sim_network_create(uint64_t seed, const uint64_t *now_ms)
{
    struct sim_network *n = calloc(1, sizeof *n);
    HF_ASSERT(n != NULL);
    n->random.state = seed;
    n->now_ms = now_ms;
    n->max_ms = 4;
    return n;
}

static struct packet *at(struct link *l, size_t i)
{
    return &l->ring[(l->head + i) & (l->capacity - 1)];
}

static void pop(struct link *l)
{
    l->bytes -= at(l, 0)->len;
    free(at(l, 0)->bytes);
    l->head = (l->head + 1) & (l->capacity - 1);
    l->count--;
}

static void clear(struct sim_network *n, struct link *l)
{
    n->counters.lost += l->count;
    while (l->count > 0)
        pop(l);
}

void sim_network_destroy(struct sim_network *n)
{
    if (n == NULL)
        return;
    for (size_t a = 0; a < SIM_MAX_NODES; a++)
        for (size_t b = 0; b < SIM_MAX_NODES; b++) {
            clear(n, &n->links[a][b]);
            free(n->links[a][b].ring);
        }
    free(n);
}

void sim_network_set_delay(struct sim_network *n, uint32_t min_ms, uint32_t max_ms)
{
    n->min_ms = min_ms;
    n->max_ms = max_ms;
}

void sim_network_set_misorder(struct sim_network *n, unsigned duplicate_permille,
                              unsigned reorder_permille)
{
    n->duplicate = duplicate_permille;
    n->reorder = reorder_permille;
}

static size_t slot(struct sim_network *n, uint32_t node, bool make)
{
    size_t free_slot = SIM_MAX_NODES;
    HF_ASSERT(node > 0);
    for (size_t i = 0; i < SIM_MAX_NODES; i++) {
        if (n->endpoints[i].node == node)
            return i;
        if (n->endpoints[i].node == 0 && free_slot == SIM_MAX_NODES)
            free_slot = i;
    }
    if (!make)
        return SIM_MAX_NODES;
    HF_ASSERT(free_slot < SIM_MAX_NODES);
    n->endpoints[free_slot] = (struct endpoint){.network = n, .node = node};
    return free_slot;
}

static bool knows(const struct endpoint *a, const struct endpoint *b)
{
    return !a->choosy || (a->knows >> b->node & 1) != 0;
}

static bool strangers(const struct endpoint *a, const struct endpoint *b)
{
    return a->incarnation != 0 && b->incarnation != 0 && a->incarnation != b->incarnation;
}

static bool joined(const struct sim_network *n, size_t a, size_t b)
{
    const struct endpoint *x = &n->endpoints[a], *y = &n->endpoints[b];

    return a != b && x->up && y->up && n->down_until_ms[a][b] == 0 && knows(x, y) && knows(y, x) &&
           !strangers(x, y);
}

static void tell(struct sim_network *n, size_t a, size_t b, bool up)
{
    struct endpoint *e = &n->endpoints[a];
    if (e->up && e->listener.link != NULL)
        e->listener.link(e->listener.self, n->endpoints[b].node, up);
}

static void cut(struct sim_network *n, size_t a, size_t b)
{
    clear(n, &n->links[a][b]);
    clear(n, &n->links[b][a]);
}

static void tell_stranger(const struct endpoint *e, const struct endpoint *other)
{
    if (e->listener.stranger != NULL)
        e->listener.stranger(e->listener.self, other->node, other->incarnation);
}

/* A hello passes between them, if both are up. */
static bool hears(const struct sim_network *n, size_t a, size_t b)
{
    const struct endpoint *x = &n->endpoints[a], *y = &n->endpoints[b];

    return a != b && x->node != 0 && y->node != 0 && n->down_until_ms[a][b] == 0 &&
           !n->links[a][b].partitioned && !n->links[b][a].partitioned && !x->stopped &&
           !y->stopped && (knows(x, y) || knows(y, x));
}

/* Who would be connected with it but for their incarnations, in both directions: each greets, is refused,
 * and both learn why. It is enough that one of them knows the other, and dials. */
static void meet(struct sim_network *n, size_t a)
{
    struct endpoint *x = &n->endpoints[a];

    for (size_t b = 0; b < SIM_MAX_NODES && x->up; b++) {
        struct endpoint *y = &n->endpoints[b];

        if (!y->up || !strangers(x, y) || !hears(n, a, b))
            continue;
        n->counters.strangers++;
        tell_stranger(x, y);
        tell_stranger(y, x);
    }
}

bool sim_network_meets(const struct sim_network *n, uint32_t node)
{
    size_t a = 0;

    while (a < SIM_MAX_NODES && n->endpoints[a].node != node)
        a++;
    for (size_t b = 0; b < SIM_MAX_NODES && a < SIM_MAX_NODES; b++)
        if (n->endpoints[b].up && n->endpoints[b].incarnation != 0 && hears(n, a, b))
            return true;
    return false;
}

void sim_network_attach(struct sim_network *n, uint32_t node,
                        const struct repl_transport_listener *listener)
{
    size_t a = slot(n, node, true);
    HF_ASSERT(!n->endpoints[a].up);
    n->endpoints[a].listener = *listener;
    n->endpoints[a].up = true;
    for (size_t b = 0; b < SIM_MAX_NODES; b++)
        if (joined(n, a, b)) {
            tell(n, a, b, true);
            tell(n, b, a, true);
        }
    meet(n, a);
}

void sim_network_detach(struct sim_network *n, uint32_t node)
{
    size_t a = slot(n, node, false);
    bool was[SIM_MAX_NODES];

    if (a == SIM_MAX_NODES || !n->endpoints[a].up)
        return;
    for (size_t b = 0; b < SIM_MAX_NODES; b++)
        was[b] = n->endpoints[b].node != 0 && joined(n, a, b);
    n->endpoints[a].up = n->endpoints[a].stopped = false; /* who is told sends nothing to it */
    for (size_t b = 0; b < SIM_MAX_NODES; b++) {
        cut(n, a, b);
        if (was[b])
            tell(n, b, a, false);
    }
}

/* Which others it is connected with. */
static void connections(const struct sim_network *n, size_t a, bool with[SIM_MAX_NODES])
{
    for (size_t b = 0; b < SIM_MAX_NODES; b++)
        with[b] = n->endpoints[b].node != 0 && joined(n, a, b);
}

static void tell_changes(struct sim_network *n, size_t a, const bool was[SIM_MAX_NODES])
{
    for (size_t b = 0; b < SIM_MAX_NODES; b++) {
        bool now = n->endpoints[b].node != 0 && joined(n, a, b);

        if (was[b] && !now)
            cut(n, a, b);
        if (was[b] != now) {
            tell(n, a, b, now);
            tell(n, b, a, now);
        }
    }
}

void sim_network_know(struct sim_network *n, uint32_t node, const uint32_t *nodes, size_t count)
{
    size_t a = slot(n, node, true);
    struct endpoint *e = &n->endpoints[a];
    bool was[SIM_MAX_NODES];

    connections(n, a, was);
    e->choosy = true;
    e->knows = 0;
    for (size_t i = 0; i < count; i++) {
        HF_ASSERT(nodes[i] < 64);
        e->knows |= (uint64_t)1 << nodes[i];
    }
    tell_changes(n, a, was);
}

void sim_network_greet(struct sim_network *n, uint32_t node, uint64_t incarnation)
{
    size_t a = slot(n, node, true);
    bool was[SIM_MAX_NODES];

    if (n->endpoints[a].incarnation == incarnation)
        return;
    connections(n, a, was);
    n->endpoints[a].incarnation = incarnation;
    tell_changes(n, a, was);
    meet(n, a);
}

static void put(struct link *l, struct packet p)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        struct packet *ring = calloc(capacity, sizeof *ring);
        HF_ASSERT(ring != NULL);
        for (size_t i = 0; i < l->count; i++)
            ring[i] = *at(l, i);
        free(l->ring);
        l->ring = ring;
        l->capacity = capacity;
        l->head = 0;
    }
    l->count++;
    l->bytes += p.len;
    *at(l, l->count - 1) = p;
}

static uint8_t *copy(const uint8_t *bytes, size_t len)
{
    uint8_t *p = malloc(len == 0 ? 1 : len);
    HF_ASSERT(p != NULL);
    memcpy(p, bytes, len);
    return p;
}

/* Breaks FIFO on purpose: swaps the last two, or sends the last again. */
static void misorder(struct sim_network *n, struct link *l)
{
    if (l->count > 1 && sim_chance(&n->random, n->reorder)) {
        struct packet *a = at(l, l->count - 1), *b = at(l, l->count - 2), c = *a;
        uint64_t due = a->due_ms;
        *a = *b;
        *b = c;
        b->due_ms = a->due_ms;
        a->due_ms = due;
        n->counters.reordered++;
    }
    if (sim_chance(&n->random, n->duplicate)) {
        struct packet again = *at(l, (size_t)sim_between(&n->random, 0, l->count - 1));
        again.bytes = copy(again.bytes, again.len);
        again.due_ms = at(l, l->count - 1)->due_ms;
        put(l, again);
        n->counters.duplicated++;
    }
}

static bool net_send(void *self, uint32_t node, enum repl_channel channel, const struct span *parts,
                     size_t n_parts)
{
    struct endpoint *e = self;
    struct sim_network *n = e->network;
    size_t a = slot(n, e->node, false), b = slot(n, node, false), len = 0;
    for (size_t i = 0; i < n_parts; i++)
        len += parts[i].len;
    if (b == SIM_MAX_NODES || !joined(n, a, b) || n->links[a][b].bytes + len > MAX_QUEUED_BYTES) {
        n->counters.refused++;
        return false;
    }
    struct link *l = &n->links[a][b];
    struct packet p = {.channel = channel, .len = len, .bytes = malloc(len == 0 ? 1 : len)};
    HF_ASSERT(p.bytes != NULL);
    size_t used = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > 0)
            memcpy(p.bytes + used, parts[i].data, parts[i].len);
        used += parts[i].len;
    }
    p.due_ms = *n->now_ms + sim_between(&n->random, n->min_ms, n->max_ms);
    if (l->count > 0 && at(l, l->count - 1)->due_ms > p.due_ms)
        p.due_ms = at(l, l->count - 1)->due_ms;
    put(l, p);
    n->counters.sent++;
    if (n->reorder + n->duplicate > 0)
        misorder(n, l);
    return true;
}

static bool net_connected(void *self, uint32_t node)
{
    struct endpoint *e = self;
    size_t b = slot(e->network, node, false);
    return b != SIM_MAX_NODES && joined(e->network, slot(e->network, e->node, false), b);
}

struct repl_transport sim_network_transport(struct sim_network *n, uint32_t node)
{
    return (struct repl_transport){
        .self = &n->endpoints[slot(n, node, true)], .send = net_send, .connected = net_connected};
}

void sim_network_break(struct sim_network *n, uint32_t x, uint32_t y, uint32_t down_ms)
{
    size_t a = slot(n, x, true), b = slot(n, y, true);
    bool was = joined(n, a, b);
    cut(n, a, b);
    n->n_down += n->down_until_ms[a][b] == 0;
    n->down_until_ms[a][b] = n->down_until_ms[b][a] = *n->now_ms + down_ms + 1;
    n->counters.broken++;
    if (was) {
        tell(n, a, b, false);
        tell(n, b, a, false);
    }
}

/* The next connection that is to come up again; false: none. */
static bool next_up(const struct sim_network *n, size_t *x, size_t *y)
{
    uint64_t best = UINT64_MAX;

    for (size_t a = 0; a < SIM_MAX_NODES && n->n_down > 0; a++)
        for (size_t b = a + 1; b < SIM_MAX_NODES; b++)
            if (n->down_until_ms[a][b] != 0 && n->down_until_ms[a][b] < best) {
                best = n->down_until_ms[a][b];
                *x = a;
                *y = b;
            }
    return best != UINT64_MAX;
}

static void reconnect(struct sim_network *n)
{
    size_t a = 0, b = 0;

    while (next_up(n, &a, &b) && n->down_until_ms[a][b] <= *n->now_ms) {
        n->down_until_ms[a][b] = n->down_until_ms[b][a] = 0;
        n->n_down--;
        if (joined(n, a, b)) {
            tell(n, a, b, true);
            tell(n, b, a, true);
        }
    }
}

void sim_network_partition(struct sim_network *n, uint32_t from, uint32_t to)
{
    n->links[slot(n, from, true)][slot(n, to, true)].partitioned = true;
}

/* Another connection instead of this one. */
static void renew(struct sim_network *n, size_t a, size_t b)
{
    cut(n, a, b);
    if (!joined(n, a, b))
        return;
    tell(n, a, b, false);
    tell(n, b, a, false);
    cut(n, a, b); /* nothing sent in between arrives */
    tell(n, a, b, true);
    tell(n, b, a, true);
}

void sim_network_heal(struct sim_network *n)
{
    for (size_t a = 0; a < SIM_MAX_NODES; a++)
        for (size_t b = 0; b < SIM_MAX_NODES; b++)
            if (n->links[a][b].partitioned) {
                n->links[a][b].partitioned = n->links[b][a].partitioned = false;
                renew(n, a, b);
            }
}

void sim_network_stop(struct sim_network *n, uint32_t node, bool stopped)
{
    n->endpoints[slot(n, node, true)].stopped = stopped;
}

static bool may_run(const struct sim_network *n, size_t a, size_t b)
{
    const struct link *l = &n->links[a][b];

    return l->count > 0 && !l->partitioned && !n->endpoints[b].stopped;
}

uint64_t sim_network_next(const struct sim_network *n)
{
    uint64_t next = UINT64_MAX;
    size_t x = 0, y = 0;
    if (next_up(n, &x, &y))
        next = n->down_until_ms[x][y];
    for (size_t a = 0; a < SIM_MAX_NODES; a++) {
        if (!n->endpoints[a].up)
            continue;
        for (size_t b = 0; b < SIM_MAX_NODES; b++) {
            const struct link *l = &n->links[a][b];
            if (may_run(n, a, b) && l->ring[l->head].due_ms < next)
                next = l->ring[l->head].due_ms;
        }
    }
    return next;
}

static void deliver(struct sim_network *n, size_t a, size_t b)
{
    struct link *l = &n->links[a][b];
    struct packet p = *at(l, 0);
    struct endpoint *to = &n->endpoints[b];
    l->bytes -= p.len;
    l->head = (l->head + 1) & (l->capacity - 1);
    l->count--;
    n->counters.delivered++;
    n->trace = sim_mix(n->trace ^ (*n->now_ms << 16) ^ (a << 8) ^ b);
    for (size_t i = 0; i + 8 <= p.len; i += 8) {
        uint64_t word;
        memcpy(&word, p.bytes + i, sizeof word);
        n->trace = sim_mix(n->trace ^ word);
    }
    to->listener.frame(to->listener.self, n->endpoints[a].node, p.channel, span_of(p.bytes, p.len));
    free(p.bytes);
}

bool sim_network_run(struct sim_network *n)
{
    if (n->n_down > 0)
        reconnect(n);
    uint64_t best = UINT64_MAX;
    size_t from = 0, to = 0;
    for (size_t a = 0; a < SIM_MAX_NODES; a++) {
        if (!n->endpoints[a].up)
            continue;
        for (size_t b = 0; b < SIM_MAX_NODES; b++) {
            const struct link *l = &n->links[a][b];
            if (may_run(n, a, b) && l->ring[l->head].due_ms < best) {
                best = l->ring[l->head].due_ms;
                from = a;
                to = b;
            }
        }
    }
    if (best > *n->now_ms)
        return false;
    deliver(n, from, to);
    return true;
}

const struct sim_network_counters *sim_network_counters(const struct sim_network *n)
{
    return &n->counters;
}

uint64_t sim_network_trace(const struct sim_network *n)
{
    return n->trace;
}
