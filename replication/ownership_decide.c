/* The leader's part: when to assign a shard, and to whom. Wrong answers here cost time, never
 * safety. */
#include "replication/ownership.h"

static size_t node_at(const struct ownership *o, uint32_t node)
{
    size_t i = 0;

    while (i < o->options.n_nodes && o->options.nodes[i] != node)
        i++;
    return i;
}

void ownership_report(struct ownership *o, uint32_t node, uint64_t boot, bool healthy,
                      uint64_t applied_index, uint64_t now_ns)
{
    size_t i = node_at(o, node);

    if (i == o->options.n_nodes)
        return;
    if (!healthy)
        o->peers[i].healthy_since_ns = 0;
    else if (o->peers[i].healthy_since_ns == 0 || o->peers[i].boot != boot ||
             now_ns - o->peers[i].heard_ns > ownership_promise_ns(o))
        o->peers[i].healthy_since_ns = now_ns;
    o->peers[i].heard_ns = now_ns;
    o->peers[i].boot = boot;
    o->peers[i].healthy = healthy;
    o->peers[i].applied_index = applied_index;
}

void ownership_report_reluctant(struct ownership *o, uint32_t node, bool reluctant)
{
    size_t i = node_at(o, node);

    if (i < o->options.n_nodes)
        o->peers[i].reluctant = reluctant;
}

void ownership_report_lapse(struct ownership *o, uint32_t node, uint32_t shard,
                            struct repl_epoch epoch, uint64_t now_ns)
{
    struct ownership_shard *s = ownership_shard(o, shard);
    size_t i = node_at(o, node);

    if (s == NULL || i == o->options.n_nodes)
        return;
    s->lapsed[i] = epoch;
    s->lapsed_ns[i] = now_ns;
}

void ownership_leading(struct ownership *o, bool able, uint64_t now_ns)
{
    if (able == (o->leading_since_ns != 0))
        return;
    o->leading_since_ns = able ? now_ns : 0;
    for (size_t i = 0; i < o->n_shards; i++)
        o->shards[i].deciding = false; /* whatever was submitted belongs to another term */
}

bool ownership_candidate(const struct ownership *o, size_t i, uint64_t now_ns)
{
    const struct ownership_peer *p = &o->peers[i];

    return p->heard_ns != 0 && now_ns - p->heard_ns <= ownership_promise_ns(o) && p->healthy &&
           p->boot != 0 && p->boot == p->member_boot && p->voter;
}

/* It applies nothing any more, so of the present epoch it can say nothing: it objects to nothing. */
static bool is_left_voter(const struct ownership *o, size_t i, uint64_t now_ns)
{
    const struct ownership_peer *p = &o->peers[i];

    return p->gone && p->voter && p->heard_ns != 0 &&
           now_ns - p->heard_ns <= ownership_promise_ns(o);
}

/* Does a majority, this node included, say that the present owner's promises ran out? */
static bool lapsed_by_majority(const struct ownership *o, const struct ownership_shard *s,
                               uint64_t now_ns)
{
    size_t n = ownership_votes(o);

    if (!ownership_lapsed(o, s, now_ns))
        return false;
    for (size_t i = 0; i < o->options.n_nodes; i++) {
        bool says = o->peers[i].voter && s->lapsed_ns[i] != 0 &&
                    now_ns - s->lapsed_ns[i] <= ownership_promise_ns(o) &&
                    repl_epoch_equal(s->lapsed[i], s->epoch);

        n += o->options.nodes[i] != o->options.self && (says || is_left_voter(o, i, now_ns));
    }
    return ownership_majority(o, n);
}

static size_t owned_by(const struct ownership *o, uint32_t node)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_shards; i++) {
        const struct ownership_shard *s = &o->shards[i];

        n += s->deciding ? s->deciding_for == node : s->epoch.index != 0 && s->owner_node == node;
    }
    return n;
}

static bool applied_alike(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) <= OWNERSHIP_APPLIED_ALIKE;
}

/* Is x the better choice? The node that just failed last of all, then one that would rather not,
 * then the shard's home first, then who has applied clearly more (it acts sooner), then who owns
 * fewest, then the lowest id. */
static bool better(const struct ownership *o, const struct ownership_shard *s, size_t x, size_t y)
{
    const uint32_t *id = o->options.nodes;
    uint32_t home = s->home != 0 ? s->home : s->prefer;
    bool failed_x =
        s->epoch.index != 0 && id[x] == s->owner_node && o->peers[x].boot == s->owner_boot;
    bool failed_y =
        s->epoch.index != 0 && id[y] == s->owner_node && o->peers[y].boot == s->owner_boot;

    if (failed_x != failed_y)
        return failed_y;
    if (o->peers[x].reluctant != o->peers[y].reluctant)
        return o->peers[y].reluctant;
    if ((id[x] == home) != (id[y] == home))
        return id[x] == home;
    if (!applied_alike(o->peers[x].applied_index, o->peers[y].applied_index))
        return o->peers[x].applied_index > o->peers[y].applied_index;
    if (owned_by(o, id[x]) != owned_by(o, id[y]))
        return owned_by(o, id[x]) < owned_by(o, id[y]);
    return id[x] < id[y];
}

/* n_nodes when nobody can take it. */
static size_t choose(const struct ownership *o, const struct ownership_shard *s, uint64_t now_ns)
{
    size_t best = o->options.n_nodes;

    for (size_t i = 0; i < o->options.n_nodes; i++)
        if (ownership_candidate(o, i, now_ns) && !o->peers[i].drained &&
            (best == o->options.n_nodes || better(o, s, i, best)))
            best = i;
    return best;
}

/* A shard that nobody ever owned waits a little for the node that should have it. */
static bool wait_for_preferred(const struct ownership *o, const struct ownership_shard *s,
                               size_t chosen, uint64_t now_ns)
{
    return s->epoch.index == 0 && s->prefer != 0 && o->options.nodes[chosen] != s->prefer &&
           node_at(o, s->prefer) < o->options.n_nodes &&
           now_ns - o->leading_since_ns < OWNERSHIP_FIRST_CHOICE_LEASES * o->options.lease_ns;
}

static bool is_full(const struct ownership *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_shards; i++)
        n += o->shards[i].epoch.index != 0 || o->shards[i].deciding;
    return n >= REPL_MAX_SHARDS;
}

/* Would the log refuse it? Its place: the state has no more, and what is decided may take the last.
 * Or it did just now. */
static bool in_vain(const struct ownership *o, const struct ownership_shard *s, uint64_t now_ns)
{
    return (s->refused_ns != 0 && now_ns - s->refused_ns < o->options.lease_ns) ||
           (s->epoch.index == 0 && is_full(o));
}

/* A shard that is not in this node's file is others' business (files differ while they are
 * changed), but for one thing: nobody is removed while he has one. So what a drained node has, and
 * nobody acts for, goes to another, who serves it no more than the drained one did. */
static bool concerns(const struct ownership *o, const struct ownership_shard *s)
{
    size_t owner = node_at(o, s->owner_node);

    return s->configured ||
           (s->epoch.index != 0 && owner < o->options.n_nodes && o->peers[owner].drained);
}

bool ownership_decide(struct ownership *o, uint64_t now_ns, struct ownership_decision *out)
{
    if (o->leading_since_ns == 0)
        return false;
    for (size_t i = 0; i < o->n_shards; i++) {
        struct ownership_shard *s = &o->shards[i];

        if (!concerns(o, s) || s->deciding || in_vain(o, s, now_ns) ||
            (s->epoch.index != 0 && !lapsed_by_majority(o, s, now_ns)))
            continue;

        size_t chosen = choose(o, s, now_ns);

        if (chosen == o->options.n_nodes || wait_for_preferred(o, s, chosen, now_ns))
            continue;
        s->deciding = true;
        s->deciding_for = o->options.nodes[chosen];
        *out = (struct ownership_decision){.shard = s->shard,
                                           .replaces = s->epoch,
                                           .node = o->options.nodes[chosen],
                                           .boot = o->peers[chosen].boot};
        return true;
    }
    return false;
}

void ownership_undecided(struct ownership *o, uint32_t shard)
{
    struct ownership_shard *s = ownership_shard(o, shard);

    if (s != NULL)
        s->deciding = false;
}

void ownership_refused(struct ownership *o, uint32_t shard, uint64_t now_ns)
{
    struct ownership_shard *s = ownership_shard(o, shard);

    ownership_undecided(o, shard);
    if (s != NULL)
        s->refused_ns = now_ns;
}

uint32_t ownership_without_place(const struct ownership *o)
{
    for (size_t i = 0; is_full(o) && i < o->n_shards; i++)
        if (o->shards[i].configured && o->shards[i].epoch.index == 0 && !o->shards[i].deciding)
            return o->shards[i].shard;
    return 0;
}
