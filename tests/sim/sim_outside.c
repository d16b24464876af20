/* Everything around the nodes but the links between them: the network of the clients with its NAT
 * and its troubles, the neighbours' idea of who owns a service address, the network of the server. */
#include <stdlib.h>

#include "sim/sim_world.h"

enum { PUBLIC = 0xc6336401, SERVICE = 0xc0000200, STALE_PERMILLE = 60, INSIDE_MS = 1 };
enum { NOBODY = 0xcb007107 }; /* 203.0.113.7 */

struct ip_addr sim_service_address(uint32_t shard)
{
    return addr_v4(SERVICE + shard);
}

void sim_outside_init(struct sim_world *w)
{
    w->outside = (struct sim_outside){.random.state = sim_next(&w->random),
                                      .forger.state = sim_mix(w->seed ^ 0x666f72676572ULL)};
}

static void forget(struct sim_flight *f)
{
    free(f->bytes);
    f->bytes = NULL;
}

void sim_outside_deinit(struct sim_world *w)
{
    for (size_t i = 0; i < w->outside.n; i++)
        forget(&w->outside.heap[i]);
    for (size_t i = 0; i < w->outside.n_seen; i++)
        forget(&w->outside.seen[i]);
    free(w->outside.heap);
}

/* --- packets on their way --- */

static bool before(const struct sim_flight *a, const struct sim_flight *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static uint8_t *copy_of(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len + 1);

    HF_ASSERT(copy != NULL);
    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void launch(struct sim_world *w, const struct sim_flight *flight)
{
    struct sim_outside *o = &w->outside;
    size_t i = o->n++;

    if (o->n > o->capacity) {
        o->capacity = o->capacity == 0 ? 256 : o->capacity * 2;
        o->heap = realloc(o->heap, o->capacity * sizeof *o->heap);
        HF_ASSERT(o->heap != NULL);
    }
    o->heap[i] = *flight;
    o->heap[i].order = o->order++;
    o->heap[i].bytes = copy_of(span_of(flight->bytes, flight->len));
    while (i > 0 && before(&o->heap[i], &o->heap[(i - 1) / 2])) {
        struct sim_flight up = o->heap[(i - 1) / 2];

        o->heap[(i - 1) / 2] = o->heap[i];
        o->heap[i] = up;
        i = (i - 1) / 2;
    }
}

static struct sim_flight land(struct sim_outside *o)
{
    struct sim_flight first = o->heap[0];
    size_t i = 0;

    o->heap[0] = o->heap[--o->n];
    for (;;) {
        size_t least = i;

        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < o->n; k++)
            least = before(&o->heap[k], &o->heap[least]) ? k : least;
        if (least == i)
            return first;
        struct sim_flight down = o->heap[least];

        o->heap[least] = o->heap[i];
        o->heap[i] = down;
        i = least;
    }
}

/* Some of what passes is remembered, for who sends it again. */
static void remember(struct sim_outside *o, const struct sim_flight *f)
{
    const size_t most = sizeof o->seen / sizeof o->seen[0];
    size_t i = o->n_seen < most ? o->n_seen++ : (size_t)sim_between(&o->random, 0, 4 * most);

    if (i >= most)
        return;
    forget(&o->seen[i]);
    o->seen[i] = *f;
    o->seen[i].bytes = copy_of(span_of(f->bytes, f->len));
}

static bool is_ike(const struct sim_flight *f)
{
    return (f->from.port != 4500 && f->to.port != 4500) || (f->len > 4 && get_be32(f->bytes) == 0);
}

/* In half of the seeds, until all heals, somebody on the path sends copies of what goes to a node, a bit
 * of the IKE message another one: ahead of it, taken for what the node awaits but for the ICV, and close behind, where it
 * waits until the step is in the log. */
static void damage(struct sim_world *w, struct sim_flight f)
{
    enum { PERMILLE = 60, MARKER = 4 };
    struct sim_outside *o = &w->outside;
    size_t skip = f.to.port == 4500 ? MARKER : 0;

    if (w->seed % 2 == 0 || w->healed || f.kind != SIM_TO_NODE || !is_ike(&f) || f.len <= skip ||
        !sim_chance(&o->forger, PERMILLE))
        return;
    f.bytes = copy_of(span_of(f.bytes, f.len));
    f.bytes[sim_between(&o->forger, skip, f.len - 1)] ^=
        (uint8_t)(1u << sim_between(&o->forger, 0, 7));
    o->forged[o->n_forged++ % (sizeof o->forged / sizeof o->forged[0])] =
        span_fnv1a64(span_of(f.bytes + skip, f.len - skip));
    launch(w, &f);
    forget(&f);
    w->stats.faults[SIM_FAULT_forged]++;
}

/* The client's path, either way. */
static void cross(struct sim_client *c, struct sim_flight *f)
{
    struct sim_world *w = c->world;
    struct sim_outside *o = &w->outside;
    bool again = sim_chance(&o->random, c->duplicate);
    uint64_t late_ms = 0;

    if (sim_chance(&o->random, c->loss) ||
        (c->muted == (int)f->kind && c->mute_from_ms <= w->now_ms &&
         w->now_ms < c->mute_until_ms)) {
        w->stats.faults[SIM_FAULT_loss]++;
        return;
    }
    remember(o, f);
    w->stats.faults[SIM_FAULT_duplication] += again;
    if (c->late_after >= 0 && c->late_kind == (int)f->kind && is_ike(f) && c->late_after-- == 0)
        late_ms = c->late_ms;
    for (int i = 0; i <= again; i++) {
        f->due_ms = w->now_ms + late_ms + c->delay_ms + sim_between(&o->random, 0, c->jitter_ms);
        if (sim_chance(&o->random, c->reorder)) {
            f->due_ms += sim_between(&o->random, 2, 60);
            w->stats.faults[SIM_FAULT_reordering]++;
        }
        damage(w, *f);
        launch(w, f);
        damage(w, *f);
    }
}

/* --- NAT --- */

static struct endpoint public_end(const struct sim_client *c, uint16_t port)
{
    struct endpoint e = {addr_v4(PUBLIC + c->index), port};

    if (c->natted)
        e.port = c->nat_ports[port == 4500];
    return e;
}

static struct endpoint private_end(const struct sim_client *c, uint16_t public_port)
{
    if (!c->natted)
        return (struct endpoint){addr_v4(PUBLIC + c->index), public_port};
    return (struct endpoint){addr_v4(0x0a000001 + c->index),
                             public_port == c->nat_ports[1] ? 4500 : 500};
}

void sim_outside_nat(struct sim_client *c)
{
    for (int i = 0; i < 2; i++)
        c->nat_ports[i] = (uint16_t)(sim_between(&c->world->outside.random, 10, 300) * 100 +
                                     c->index * 2 + (uint64_t)i);
}

struct sim_client *sim_client_at(struct sim_world *w, const struct endpoint *end)
{
    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        struct endpoint a = public_end(&w->clients[i], 500), b = public_end(&w->clients[i], 4500);

        if (endpoint_equal(end, &a) || endpoint_equal(end, &b))
            return &w->clients[i];
    }
    return NULL;
}

void sim_outside_from_client(struct sim_client *c, const struct endpoint *from,
                             const struct endpoint *to, struct span bytes)
{
    struct sim_flight f = {.kind = SIM_TO_NODE,
                           .target = to->ip.bytes[3],
                           .from = public_end(c, from->port),
                           .to = *to,
                           .len = bytes.len,
                           .bytes = (uint8_t *)(uintptr_t)bytes.data};

    cross(c, &f);
}

void sim_outside_from_node(struct sim_node *n, const struct endpoint *from,
                           const struct endpoint *to, struct span bytes)
{
    struct sim_client *c = sim_client_at(n->world, to);
    struct sim_flight f = {.kind = SIM_TO_CLIENT,
                           .from = *from,
                           .len = bytes.len,
                           .bytes = (uint8_t *)(uintptr_t)bytes.data};

    sim_fold(n->world, (n->world->now_ms << 8) ^ n->id ^ span_fnv1a64(bytes));
    sim_watch_outside(n->world->watch, n->id, from->port == 4500, bytes);
    if (c == NULL || !n->outside_up)
        return; /* no such mapping any more; no link */
    f.target = c->index;
    f.to = private_end(c, to->port);
    cross(c, &f);
}

/* --- who owns a service address, as neighbours believe --- */

void sim_outside_announce(struct sim_node *n, uint32_t shard)
{
    struct sim_world *w = n->world;

    for (int side = 0; side < 2; side++) {
        struct sim_route *r = &w->outside.routes[shard - 1][side];
        bool stale =
            r->node != 0 && !w->routes_known && sim_chance(&w->outside.random, STALE_PERMILLE);

        w->stats.faults[SIM_FAULT_stale_neighbour] += stale;
        r->next = n->id;
        r->from_ms = w->now_ms + (stale ? sim_between(&w->outside.random, 100, 2000)
                                        : sim_between(&w->outside.random, 0, 3));
    }
}

static struct sim_node *routed(struct sim_world *w, uint32_t shard, int side)
{
    struct sim_route *r = &w->outside.routes[shard - 1][side];

    if (r->next != 0 && r->from_ms <= w->now_ms) {
        r->node = r->next;
        r->next = 0;
    }
    return r->node == 0 ? NULL : &w->nodes[r->node - 1];
}

void sim_outside_to_pool(struct sim_world *w, uint32_t shard, struct span inner)
{
    struct sim_flight f = {.kind = SIM_TO_TUN,
                           .target = shard,
                           .due_ms = w->now_ms + INSIDE_MS,
                           .len = inner.len,
                           .bytes = (uint8_t *)(uintptr_t)inner.data};

    launch(w, &f);
}

/* --- attackers --- */

/* It arrives at once, and what a node does with it is counted against it (I15). */
static void launch_forged(struct sim_world *w, struct sim_flight *f)
{
    enum { MARKER = 4 };
    struct sim_outside *o = &w->outside;
    static const uint8_t ike[MARKER] = {0};
    /* where the marker itself was changed it is no IKE message any more, and what stood behind it is
     * as its sender sent it */
    bool marked = f->len > MARKER && memcmp(f->bytes, ike, MARKER) == 0;
    size_t skip = f->to.port == 4500 && marked ? MARKER : 0;

    f->due_ms = w->now_ms + 1;
    o->forged[o->n_forged++ % (sizeof o->forged / sizeof o->forged[0])] =
        span_fnv1a64(span_of(f->bytes + skip, f->len - skip));
    launch(w, f);
}

void sim_outside_replay(struct sim_world *w)
{
    struct sim_outside *o = &w->outside;

    if (o->n_seen == 0)
        return;
    struct sim_flight f = o->seen[sim_between(&o->random, 0, o->n_seen - 1)];

    f.due_ms = w->now_ms + 1;
    launch(w, &f);
    w->stats.faults[SIM_FAULT_replay]++;
}

void sim_outside_forge(struct sim_world *w)
{
    struct sim_outside *o = &w->outside;

    if (o->n_seen == 0)
        return;
    struct sim_flight f = o->seen[sim_between(&o->random, 0, o->n_seen - 1)];
    uint8_t *bytes = copy_of(span_of(f.bytes, f.len));

    if (f.len > 0)
        bytes[sim_between(&o->random, 0, f.len - 1)] ^=
            (uint8_t)(1u << sim_between(&o->random, 0, 7));
    f.bytes = bytes;
    launch_forged(w, &f);
    free(bytes);
    w->stats.faults[SIM_FAULT_forged]++;
}

/* One that nobody can be reached at asks for IKE SAs: as a client did, under SPIs of its own. */
void sim_outside_flood(struct sim_world *w, struct sim_random *r, uint64_t n)
{
    enum { SPI_BYTES = 8, EXCHANGE_AT = 18, IKE_SA_INIT = 34 };
    struct sim_outside *o = &w->outside;
    struct sim_flight f = {.len = 0};
    uint8_t *bytes;

    for (size_t i = 0; i < o->n_seen; i++)
        if (o->seen[i].kind == SIM_TO_NODE && o->seen[i].to.port == 500 &&
            o->seen[i].len > EXCHANGE_AT && o->seen[i].bytes[EXCHANGE_AT] == IKE_SA_INIT)
            f = o->seen[i];
    if (f.len == 0)
        return;
    bytes = copy_of(span_of(f.bytes, f.len));
    f.bytes = bytes;
    for (uint64_t i = 0; i < n; i++) {
        put_be64(bytes, sim_next(r) | 1);
        f.from = (struct endpoint){addr_v4(NOBODY), (uint16_t)sim_between(r, 1024, 65535)};
        launch_forged(w, &f);
    }
    free(bytes);
    w->stats.faults[SIM_FAULT_flood]++;
}

/* As the conductor has it: an IKE message without the marker before it. */
bool sim_outside_is_forged(const struct sim_world *w, struct span message)
{
    const struct sim_outside *o = &w->outside;
    uint64_t hash = span_fnv1a64(message);

    for (size_t i = 0; i < sizeof o->forged / sizeof o->forged[0]; i++)
        if (o->forged[i] == hash)
            return true;
    return false;
}

/* --- arrivals --- */

uint64_t sim_outside_due(const struct sim_world *w)
{
    return w->outside.n > 0 ? w->outside.heap[0].due_ms : UINT64_MAX;
}

bool sim_outside_run(struct sim_world *w)
{
    struct sim_flight f;
    struct sim_node *n;

    if (sim_outside_due(w) > w->now_ms)
        return false;
    f = land(&w->outside);
    sim_fold(w, (w->now_ms << 8) ^ f.target ^ span_fnv1a64(span_of(f.bytes, f.len)));
    switch (f.kind) {
    case SIM_TO_CLIENT:
        sim_client_datagram(&w->clients[f.target], &f.from, &f.to, span_of(f.bytes, f.len));
        break;
    case SIM_TO_NODE:
        n = routed(w, f.target, 0);
        if (n != NULL)
            sim_node_datagram(n, f.target, &f.from, &f.to, span_of(f.bytes, f.len));
        break;
    case SIM_TO_TUN:
        n = routed(w, f.target, 1);
        if (n != NULL)
            sim_node_inner(n, span_of(f.bytes, f.len));
        break;
    }
    forget(&f);
    return true;
}
