#include "unit/repl/ownership_world.h"

#include <stdlib.h>
#include <string.h>

#include "replication/map.h"
#include "replication/ownership.h"
#include "sim/sim_random.h"

enum { MAX_LOG = 4096, MAX_MESSAGES = 16384, STEP_NS = 250000 };

static const uint64_t MS = 1000000;

struct entry {
    uint64_t at_ns; /* committed */
    bool boot_entry, handover, change_entry;
    unsigned voters; /* CHANGE: bit node - 1 */
    uint64_t number; /* ... of the configuration */
    uint32_t node;
    uint64_t boot;
    struct repl_epoch replaced, epoch;
};

struct message {
    uint64_t at_ns;
    uint32_t from, to;
    uint64_t from_boot;
    bool is_ack;
    struct ownership_heartbeat beat;
    struct ownership_ack ack;
};

struct node {
    struct ownership o;
    int64_t ppm;
    uint64_t offset_ns;
    bool up;
    uint64_t resume_ns;                   /* paused until; 0 = not */
    uint64_t boot, start_ns, announce_ns; /* 0 = announced */
    size_t applied;
    uint64_t lag_ns;
    uint64_t quiesced; /* epoch index for which it stopped by itself */
    uint64_t handover_ns;
    uint64_t leases;
    uint64_t stored; /* newest configuration in its log */
};

/* A change of voters on its way: in the logs of some, not committed. */
struct change {
    unsigned voters;
    uint64_t number; /* 0 = none */
    uint64_t store_ns[REPL_MAX_NODES];
    bool stored[REPL_MAX_NODES];
};

struct world {
    struct sim_random random;
    uint64_t now_ns;
    size_t n;
    struct node nodes[REPL_MAX_NODES];
    uint64_t member_boot[REPL_MAX_NODES];
    struct entry log[MAX_LOG];
    size_t n_log;
    struct repl_epoch epoch;               /* committed */
    struct message messages[MAX_MESSAGES]; /* in no order */
    size_t n_messages;
    uint32_t owner; /* committed */
    bool changing, hasty;
    unsigned voters; /* committed */
    uint64_t number, changed_ns;
    struct change change;
    unsigned cut; /* nodes that the majority does not hear, nor they it */
    uint64_t heal_ns;
    uint64_t heartbeat_ns, max_delay_ns;
    unsigned loss;
    struct world_result result;
};

static uint64_t local_ns(const struct world *w, const struct node *n)
{
    int64_t t = (int64_t)w->now_ns;

    return (uint64_t)((int64_t)n->offset_ns + t + t / 1000000 * n->ppm);
}

static unsigned bit(uint32_t node)
{
    return 1u << (node - 1);
}

static bool apart(const struct world *w, uint32_t a, uint32_t b)
{
    return ((w->cut & bit(a)) != 0) != ((w->cut & bit(b)) != 0);
}

static bool majority(unsigned of, unsigned nodes)
{
    return __builtin_popcount(of & nodes) > __builtin_popcount(of) / 2;
}

/* --- the log --- */

static void append(struct world *w, struct entry e)
{
    if (w->n_log == MAX_LOG)
        return;
    e.at_ns = w->now_ns;
    if (e.change_entry) {
        w->result.changes++;
    } else if (!e.boot_entry) {
        e.replaced = w->epoch;
        e.epoch = (struct repl_epoch){.incarnation = 1, .index = w->n_log + 1};
        w->epoch = e.epoch;
        w->owner = e.node;
        w->result.assignments++;
        w->result.handovers += e.handover;
    } else {
        w->member_boot[e.node - 1] = e.boot;
    }
    w->log[w->n_log++] = e;
}

static void list(const struct world *w, struct node *n, unsigned voters, uint64_t number)
{
    struct ownership_list l = {.configuration = number, .n = w->n};

    for (uint32_t i = 0; i < w->n; i++) {
        l.nodes[i] = i + 1;
        l.voter[i] = (voters & bit(i + 1)) != 0;
    }
    ownership_listed(&n->o, &l);
}

static void apply(struct world *w, struct node *n, uint32_t id)
{
    while ((w->cut & bit(id)) == 0 && n->applied < w->n_log &&
           w->log[n->applied].at_ns + n->lag_ns <= w->now_ns) {
        const struct entry *e = &w->log[n->applied++];

        if (e->change_entry) {
            n->stored = e->number > n->stored ? e->number : n->stored;
            list(w, n, e->voters, e->number);
        } else if (e->boot_entry)
            ownership_booted(&n->o, e->node, e->boot);
        else
            ownership_assigned(&n->o, 1, e->replaced, e->epoch, e->node, e->boot, e->handover,
                               local_ns(w, n));
    }
}

/* --- messages --- */

static void post(struct world *w, struct message m)
{
    if (apart(w, m.from, m.to) || sim_chance(&w->random, w->loss))
        return;
    m.at_ns = w->now_ns + sim_between(&w->random, 0, w->max_delay_ns);
    if (sim_chance(&w->random, 20)) /* now and then very late: an ack of long ago */
        m.at_ns += sim_between(&w->random, 0, 400 * MS);
    if (w->n_messages < MAX_MESSAGES)
        w->messages[w->n_messages++] = m;
}

static void beat(struct world *w, struct node *n, uint32_t id)
{
    struct ownership_heartbeat beats[REPL_MAX_SHARDS];
    uint64_t now = local_ns(w, n);
    size_t count;

    n->o.stored = n->stored;
    if (!ownership_beat_due(&n->o, now))
        return;
    count = ownership_heartbeats(&n->o, true, now, beats);
    for (size_t i = 0; i < count; i++) {
        struct ownership_ack ack;

        if (ownership_heard(&n->o, &beats[i], now, &ack))
            (void)ownership_acked(&n->o, id, n->boot, &ack, now);
        for (uint32_t to = 1; to <= w->n; to++)
            if (to != id)
                post(w, (struct message){
                            .from = id, .to = to, .from_boot = n->boot, .beat = beats[i]});
    }
}

static void deliver(struct world *w, const struct message *m)
{
    struct node *n = &w->nodes[m->to - 1];
    struct ownership_ack ack;

    if (!n->up || apart(w, m->from, m->to))
        return;
    n->o.stored = n->stored;
    if (m->is_ack) {
        (void)ownership_acked(&n->o, m->from, m->from_boot, &m->ack, local_ns(w, n));
        return;
    }
    if (ownership_heard(&n->o, &m->beat, local_ns(w, n), &ack))
        post(w,
             (struct message){
                 .from = m->to, .to = m->from, .from_boot = n->boot, .is_ack = true, .ack = ack});
}

static void deliver_due(struct world *w)
{
    for (size_t i = 0; i < w->n_messages;) {
        struct message m = w->messages[i];

        /* A paused node's wait for it. */
        if (m.at_ns > w->now_ns || w->nodes[m.to - 1].resume_ns != 0) {
            i++;
            continue;
        }
        w->messages[i] = w->messages[--w->n_messages];
        deliver(w, &m);
    }
}

/* --- faults --- */

static void start(struct world *w, uint32_t id)
{
    struct node *n = &w->nodes[id - 1];
    struct ownership_options options = {
        .self = id, .n_nodes = w->n, .lease_ns = 150 * MS, .heartbeat_ns = w->heartbeat_ns};

    for (uint32_t i = 0; i < w->n; i++)
        options.nodes[i] = i + 1;
    n->boot = sim_next(&w->random) | 1;
    options.boot = n->boot;
    n->up = true;
    n->applied = 0;
    n->quiesced = 0;
    n->handover_ns = 0;
    n->resume_ns = 0;
    n->lag_ns = sim_chance(&w->random, 300) ? sim_between(&w->random, 0, 400 * MS)
                                            : sim_between(&w->random, 0, 2 * MS);
    ownership_init(&n->o, &options, local_ns(w, n));
    ownership_configure(&n->o, 1, 0);
    if (w->changing)
        list(w, n, 0, 0); /* what it has applied it applies again */
    n->announce_ns = w->now_ns + sim_between(&w->random, 1, 20 * MS);
}

static void fault(struct world *w)
{
    uint32_t id = (uint32_t)sim_between(&w->random, 1, w->n);
    struct node *n = &w->nodes[id - 1];

    switch (sim_between(&w->random, 0, 9)) {
    case 0: /* stops; is back within 60 ms, faster than any promise lasts */
        if (n->up) {
            n->up = false;
            n->start_ns = w->now_ns + sim_between(&w->random, 1, 60 * MS);
            w->result.restarts++;
        }
        break;
    case 1:
        if (n->up && n->resume_ns == 0) {
            n->resume_ns = w->now_ns + sim_between(&w->random, 1, 300 * MS);
            w->result.pauses++;
        }
        break;
    case 2: /* what it had applied it has; what comes now it sees late */
        n->lag_ns = sim_between(&w->random, 0, 300 * MS);
        break;
    case 3:
        n->lag_ns = 0;
        break;
    case 4:
    case 5: { /* the owner stops and asks for a handover */
        struct node *o = w->owner == 0 ? NULL : &w->nodes[w->owner - 1];
        const struct ownership_shard *s = o == NULL ? NULL : ownership_shard(&o->o, 1);

        if (o == NULL || !o->up || o->resume_ns != 0 || s == NULL || !s->mine ||
            o->handover_ns != 0 || !repl_epoch_equal(s->epoch, w->epoch))
            break;
        o->quiesced = s->epoch.index;
        o->handover_ns = w->now_ns + sim_between(&w->random, 1, 5 * MS);
        break;
    }
    default: /* the leader assigns, lapse or no lapse: that must be harmless */
        if (w->member_boot[id - 1] != 0 && (w->voters & bit(id)) != 0 &&
            majority(w->voters, ~w->cut))
            append(w, (struct entry){.node = id, .boot = w->member_boot[id - 1]});
        break;
    }
}

/* The rest can always go on: it has a majority of the newest voters in its leader's log. */
static void partition(struct world *w)
{
    unsigned cut = (unsigned)sim_between(&w->random, 1, (1u << w->n) - 2);
    unsigned next = w->change.number != 0 ? w->change.voters : w->voters;

    if (!majority(next, ~cut))
        return;
    w->cut = cut;
    w->heal_ns = w->now_ns + sim_between(&w->random, 50 * MS, 900 * MS);
    w->result.partitions++;
}

static void begin_change(struct world *w)
{
    uint32_t id = (uint32_t)sim_between(&w->random, 1, w->n);
    unsigned next = w->voters ^ bit(id);
    uint64_t wait = w->hasty ? 0 : 154 * MS; /* a promise, by the slowest clock */

    if (next == 0 || w->now_ns < w->changed_ns + wait || !majority(next, ~w->cut))
        return;
    w->change = (struct change){.voters = next, .number = w->number + 1};
    for (size_t i = 0; i < w->n; i++)
        w->change.store_ns[i] = w->now_ns + sim_between(&w->random, 0, 20 * MS);
}

static void run_change(struct world *w)
{
    struct change *c = &w->change;
    unsigned stored = 0;

    if (c->number == 0) {
        if (w->changing && sim_chance(&w->random, w->hasty ? 200 : 20))
            begin_change(w);
        return;
    }
    for (uint32_t i = 1; i <= w->n; i++) {
        if (!c->stored[i - 1] && (w->cut & bit(i)) == 0 && w->now_ns >= c->store_ns[i - 1]) {
            c->stored[i - 1] = true;
            w->nodes[i - 1].stored = c->number;
        }
        stored |= c->stored[i - 1] ? bit(i) : 0;
    }
    if (!majority(c->voters, stored))
        return;
    w->voters = c->voters;
    w->number = c->number;
    w->changed_ns = w->now_ns;
    append(w, (struct entry){.change_entry = true, .voters = c->voters, .number = c->number});
    c->number = 0;
}

static void handover(struct world *w, struct node *n)
{
    uint32_t to = (uint32_t)sim_between(&w->random, 1, w->n);

    n->handover_ns = 0;
    if (!majority(w->voters, ~w->cut) || (w->cut & bit(w->owner)) != 0 ||
        (w->voters & bit(to)) == 0)
        return; /* not heard; what it asked for may come later, or never */
    /* Compare-and-set: refused when another epoch came first; then the node resumes nothing, for it
     * has that one behind it in its log. */
    if (n->quiesced == w->epoch.index && w->member_boot[to - 1] != 0)
        append(w, (struct entry){.node = to, .boot = w->member_boot[to - 1], .handover = true});
}

static void run_node(struct world *w, uint32_t id)
{
    struct node *n = &w->nodes[id - 1];

    if (!n->up) {
        if (w->now_ns >= n->start_ns)
            start(w, id);
        return;
    }
    if (n->resume_ns != 0) {
        if (w->now_ns < n->resume_ns)
            return;
        n->resume_ns = 0;
    }
    if (n->announce_ns != 0 && w->now_ns >= n->announce_ns && (w->cut & bit(id)) == 0) {
        n->announce_ns = 0;
        append(w, (struct entry){.boot_entry = true, .node = id, .boot = n->boot});
    }
    if (n->handover_ns != 0 && w->now_ns >= n->handover_ns)
        handover(w, n);
    apply(w, n, id);
    beat(w, n, id);
}

static void look(struct world *w)
{
    size_t acting = 0;

    for (size_t i = 0; i < w->n; i++) {
        struct node *n = &w->nodes[i];
        const struct ownership_shard *s = n->up ? ownership_shard(&n->o, 1) : NULL;

        /* A paused node counts: it may wake at any instant, and then looks at its own clock. */
        if (s != NULL && ownership_held(s, local_ns(w, n)) && n->quiesced != s->epoch.index)
            acting++;
    }
    w->result.instants++;
    w->result.acting += acting > 0;
    w->result.two += acting > 1;
}

static struct world_result run(struct world *w, uint64_t until_ns)
{
    struct world_result result;
    uint64_t next_fault_ns = w->now_ns + 200 * MS;

    while (w->now_ns < until_ns) {
        if (w->now_ns >= w->heal_ns)
            w->cut = 0;
        if (w->changing && w->cut == 0 && sim_chance(&w->random, 2))
            partition(w);
        run_change(w);
        deliver_due(w);
        for (uint32_t i = 1; i <= w->n; i++)
            run_node(w, i);
        if (w->now_ns >= next_fault_ns) {
            fault(w);
            next_fault_ns = w->now_ns + sim_between(&w->random, 1, 120 * MS);
        }
        look(w);
        w->now_ns += STEP_NS;
    }
    result = w->result;
    free(w);
    return result;
}

static struct world *create(uint64_t seed, bool changing, bool hasty)
{
    struct world *w = repl_alloc_zero(1, sizeof *w);

    w->random.state = seed;
    w->n = sim_chance(&w->random, 700) ? 3 : 5;
    w->changing = changing;
    w->hasty = hasty;
    w->now_ns = 1000 * MS;
    w->heartbeat_ns = sim_chance(&w->random, 500) ? 2 * MS : 30 * MS;
    w->max_delay_ns = sim_chance(&w->random, 500) ? 1 : sim_between(&w->random, 0, 40 * MS);
    w->loss = sim_chance(&w->random, 500) ? 0 : 300;
    w->voters = (1u << w->n) - 1;
    if (changing) {
        w->n += w->n == 3 ? 2 : 1; /* who may join */
        append(w, (struct entry){.change_entry = true, .voters = w->voters, .number = 1});
        w->number = 1;
    }
    for (uint32_t i = 1; i <= w->n; i++) {
        struct node *n = &w->nodes[i - 1];

        n->offset_ns = sim_between(&w->random, 0, 1000000) * MS;
        n->ppm = sim_chance(&w->random, 500) ? (sim_chance(&w->random, 500) ? 10000 : -10000)
                                             : (int64_t)sim_between(&w->random, 0, 20000) - 10000;
        start(w, i);
    }
    return w;
}

struct world_result world_run(uint64_t seed)
{
    return run(create(seed, false, false), 4000 * MS);
}

struct world_result world_run_changing(uint64_t seed, bool hasty)
{
    return run(create(seed, true, hasty), 4000 * MS);
}
