/* The owner's part of the policy: which of its shards it should hand over, and to whom. An owner
 * alone can hand over (it has to stop first), so it decides; by rules that are the same on every
 * node, over what all of them see: the log's wishes and owners, each node's word on itself.
 *
 * Two owners never move towards the same spot at once for long: only the fullest node spreads, one
 * shard at a time, and nothing follows a move before it has settled. Wrong answers here cost a
 * handover, which nobody notices, never safety. */
#include "replication/ownership.h"

static size_t node_at(const struct ownership *o, uint32_t node)
{
    size_t i = 0;

    while (i < o->options.n_nodes && o->options.nodes[i] != node)
        i++;
    return i;
}

void ownership_wished(struct ownership *o, uint32_t shard, uint32_t home, uint32_t moving_to)
{
    struct ownership_shard *s = ownership_shard(o, shard);

    if (s == NULL)
        return;
    if (s->moving_to != moving_to || s->home != home)
        s->given_ns = 0; /* a new wish is followed at once */
    s->home = home;
    s->moving_to = moving_to;
}

void ownership_drained(struct ownership *o, uint32_t node, bool drained)
{
    size_t i = node_at(o, node);

    if (i < o->options.n_nodes)
        o->peers[i].drained = drained;
}

const char *ownership_reason_name(enum ownership_reason reason)
{
    static const char *const names[] = {"command", "drained", "unfit", "go-home", "spread"};

    return (size_t)reason < sizeof names / sizeof *names ? names[reason] : "?";
}

/* May it be given anything? */
static bool takes(const struct ownership *o, size_t i, uint64_t now_ns)
{
    return i < o->options.n_nodes && o->options.nodes[i] != o->options.self &&
           ownership_candidate(o, i, now_ns) && !o->peers[i].drained && !o->peers[i].reluctant;
}

/* ... by itself, without need: it has been well for a while. */
static bool settled(const struct ownership *o, size_t i, uint64_t now_ns)
{
    return takes(o, i, now_ns) && o->peers[i].healthy_since_ns != 0 &&
           now_ns - o->peers[i].healthy_since_ns >= o->options.settle_ns;
}

static size_t owned_by(const struct ownership *o, size_t node)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_shards; i++)
        n += o->shards[i].epoch.index != 0 && o->shards[i].owner_node == o->options.nodes[node];
    return n;
}

static uint32_t home_of(const struct ownership_shard *s)
{
    return s->home != 0 ? s->home : s->prefer;
}

/* How full a node will be once what is on its way to it has come. */
static size_t load_of(const struct ownership *o, const size_t *given, size_t i)
{
    return owned_by(o, i) + given[i];
}

/* Its home, or who owns fewest, then the lowest id; n_nodes: nobody. given[]: by this very round.
 */
static size_t best(const struct ownership *o, const struct ownership_shard *s, const size_t *given,
                   bool (*may)(const struct ownership *o, size_t i, uint64_t now_ns),
                   uint64_t now_ns)
{
    size_t home = node_at(o, home_of(s)), found = o->options.n_nodes;

    if (may(o, home, now_ns))
        return home;
    for (size_t i = 0; i < o->options.n_nodes; i++) {
        if (!may(o, i, now_ns))
            continue;
        if (found == o->options.n_nodes || load_of(o, given, i) < load_of(o, given, found) ||
            (load_of(o, given, i) == load_of(o, given, found) &&
             o->options.nodes[i] < o->options.nodes[found]))
            found = i;
    }
    return found;
}

/* Is this node the one that has to give, if any: the fullest, of those the lowest id? */
static bool fullest(const struct ownership *o, size_t self)
{
    for (size_t i = 0; i < o->options.n_nodes; i++)
        if (owned_by(o, i) > owned_by(o, self) ||
            (owned_by(o, i) == owned_by(o, self) && o->options.nodes[i] < o->options.self))
            return false;
    return true;
}

/* Of the shards without a home this one goes first: the highest id. */
static bool goes_first(const struct ownership *o, const struct ownership_shard *s)
{
    for (size_t i = 0; i < o->n_shards; i++)
        if (o->shards[i].mine && home_of(&o->shards[i]) == 0 && o->shards[i].shard > s->shard)
            return false;
    return true;
}

static size_t spread_to(const struct ownership *o, const struct ownership_shard *s, size_t self,
                        const size_t *given, uint64_t now_ns)
{
    size_t to = best(o, s, given, settled, now_ns);

    if (to == o->options.n_nodes || owned_by(o, self) < owned_by(o, to) + 2)
        return o->options.n_nodes; /* one more there and one less here would change nothing */
    if (now_ns - o->moved_ns < o->options.settle_ns || !fullest(o, self) || !goes_first(o, s))
        return o->options.n_nodes;
    return to;
}

/* n_nodes: it stays. */
static size_t whither(const struct ownership *o, const struct ownership_shard *s, bool unfit,
                      const size_t *given, uint64_t now_ns, enum ownership_reason *reason)
{
    size_t self = node_at(o, o->options.self), moving = node_at(o, s->moving_to);

    *reason = o->peers[self].drained ? OWNERSHIP_DRAINED : OWNERSHIP_UNFIT;
    if (unfit || o->peers[self].drained)
        return best(o, s, given, takes, now_ns);
    *reason = OWNERSHIP_BY_COMMAND;
    if (s->moving_to != 0)
        return takes(o, moving, now_ns) ? moving : o->options.n_nodes;
    if (!o->options.rebalance || now_ns - s->assigned_ns < o->options.settle_ns)
        return o->options.n_nodes;
    *reason = OWNERSHIP_GO_HOME;
    if (home_of(s) != 0) {
        size_t home = node_at(o, home_of(s));

        return settled(o, home, now_ns) ? home : o->options.n_nodes;
    }
    *reason = OWNERSHIP_SPREAD;
    return spread_to(o, s, self, given, now_ns);
}

bool ownership_give(struct ownership *o, bool unfit, uint64_t now_ns, struct ownership_gift *out)
{
    size_t given[REPL_MAX_NODES] = {0};

    for (size_t i = 0; i < o->n_shards; i++) {
        struct ownership_shard *s = &o->shards[i];
        enum ownership_reason reason;
        size_t to;

        if (!ownership_held(s, now_ns))
            continue;
        to = whither(o, s, unfit, given, now_ns, &reason);
        if (to == o->options.n_nodes)
            continue;
        given[to]++;
        if (s->given_ns != 0 &&
            now_ns - s->given_ns < OWNERSHIP_GIVE_AGAIN_LEASES * o->options.lease_ns)
            continue;
        s->given_ns = now_ns;
        *out = (struct ownership_gift){.shard = s->shard,
                                       .reason = reason,
                                       .node = o->options.nodes[to],
                                       .boot = o->peers[to].boot};
        return true;
    }
    return false;
}

bool ownership_taker(const struct ownership *o, uint64_t now_ns)
{
    for (size_t i = 0; i < o->options.n_nodes; i++)
        if (takes(o, i, now_ns))
            return true;
    return false;
}
