/* Leases and promises. The leader's part is in ownership_decide.c. */
#include "replication/ownership.h"

static size_t node_at(const struct ownership *o, uint32_t node)
{
    size_t i = 0;

    while (i < o->options.n_nodes && o->options.nodes[i] != node)
        i++;
    return i; /* n_nodes: not one of us */
}

void ownership_init(struct ownership *o, const struct ownership_options *options, uint64_t now_ns)
{
    HF_ASSERT(options->n_nodes > 0 && options->n_nodes <= REPL_MAX_NODES);
    *o = (struct ownership){.options = *options, .started_ns = now_ns, .next_beat_ns = now_ns};
    HF_ASSERT(node_at(o, options->self) < options->n_nodes);
    for (size_t i = 0; i < options->n_nodes; i++)
        o->peers[i].voter = true;
}

/* Moves what `old` says of each node to the node's place in the new list. */
static void move_rows(struct ownership *o, const struct ownership *old, size_t to, size_t from)
{
    bool same = old->configuration == o->configuration;

    o->peers[to] = old->peers[from];
    for (size_t i = 0; i < o->n_shards; i++) {
        o->shards[i].lapsed[to] = old->shards[i].lapsed[from];
        o->shards[i].lapsed_ns[to] = old->shards[i].lapsed_ns[from];
        o->shards[i].acked_ns[to] = same ? old->shards[i].acked_ns[from] : 0;
    }
}

void ownership_listed(struct ownership *o, const struct ownership_list *list)
{
    struct ownership old = *o;

    HF_ASSERT(list->n > 0 && list->n <= REPL_MAX_NODES);
    o->configuration = list->configuration;
    o->options.n_nodes = list->n;
    memcpy(o->options.nodes, list->nodes, sizeof o->options.nodes);
    memset(o->peers, 0, sizeof o->peers);
    for (size_t i = 0; i < o->n_shards; i++) {
        memset(o->shards[i].lapsed, 0, sizeof o->shards[i].lapsed);
        memset(o->shards[i].lapsed_ns, 0, sizeof o->shards[i].lapsed_ns);
        memset(o->shards[i].acked_ns, 0, sizeof o->shards[i].acked_ns);
    }
    for (size_t i = 0; i < list->n; i++) {
        size_t from = node_at(&old, list->nodes[i]);

        if (from < old.options.n_nodes)
            move_rows(o, &old, i, from);
        o->peers[i].voter = list->voter[i];
    }
    HF_ASSERT(node_at(o, o->options.self) < list->n);
}

bool ownership_votes(const struct ownership *o)
{
    return o->peers[node_at(o, o->options.self)].voter;
}

bool ownership_majority(const struct ownership *o, size_t n)
{
    size_t voters = 0;

    for (size_t i = 0; i < o->options.n_nodes; i++)
        voters += o->peers[i].voter;
    return n > voters / 2;
}

struct ownership_shard *ownership_shard(struct ownership *o, uint32_t shard)
{
    for (size_t i = 0; i < o->n_shards; i++)
        if (o->shards[i].shard == shard)
            return &o->shards[i];
    return NULL;
}

/* There is room for as many as may be configured beside as many as the state may hold: no file and
 * no history of files comes to more. */
static struct ownership_shard *shard_or_new(struct ownership *o, uint32_t shard)
{
    struct ownership_shard *s = ownership_shard(o, shard);

    if (s != NULL)
        return s;
    HF_ASSERT(o->n_shards < OWNERSHIP_MAX_SHARDS);
    s = &o->shards[o->n_shards++];
    *s = (struct ownership_shard){.shard = shard};
    return s;
}

void ownership_configure(struct ownership *o, uint32_t shard, uint32_t prefer)
{
    struct ownership_shard *s = shard_or_new(o, shard);

    HF_ASSERT(shard != 0);
    s->prefer = prefer;
    s->configured = true;
}

void ownership_timing(struct ownership *o, uint64_t lease_ns, uint64_t heartbeat_ns)
{
    o->options.lease_ns = lease_ns;
    o->options.heartbeat_ns = heartbeat_ns;
}

uint64_t ownership_promise_ns(const struct ownership *o)
{
    return o->options.lease_ns + o->options.lease_ns / 100;
}

uint64_t ownership_lease_ns(const struct ownership *o)
{
    return o->options.lease_ns - o->options.lease_ns / 100;
}

void ownership_booted(struct ownership *o, uint32_t node, uint64_t boot)
{
    size_t i = node_at(o, node);

    if (i == o->options.n_nodes)
        return;
    o->peers[i].member_boot = boot;
    o->peers[i].gone = boot == 0;
    if (node == o->options.self && boot == o->options.boot)
        o->confirmed = true;
}

static void set_epoch(struct ownership *o, struct ownership_shard *s, struct repl_epoch epoch,
                      uint32_t node, uint64_t boot, uint64_t now_ns)
{
    s->epoch = epoch;
    s->owner_node = node;
    s->owner_boot = boot;
    s->assigned_ns = now_ns;
    s->heard_ns = 0;
    s->mine = false;
    s->given_up = false;
    s->lease_until_ns = 0;
    s->deciding = false;
    s->given_ns = 0;
    o->moved_ns = now_ns;
    memset(s->acked_ns, 0, sizeof s->acked_ns);
    if (repl_epoch_less(s->highest, epoch))
        s->highest = epoch;
}

void ownership_assigned(struct ownership *o, uint32_t shard, struct repl_epoch replaced,
                        struct repl_epoch epoch, uint32_t node, uint64_t boot, bool handover,
                        uint64_t now_ns)
{
    struct ownership_shard *s = shard_or_new(o, shard);

    set_epoch(o, s, epoch, node, boot, now_ns);
    s->mine = node == o->options.self && boot == o->options.boot;
    /* A handover releases the promise to the epoch whose owner asked for it, no older one. */
    if (handover && repl_epoch_equal(s->promised, replaced))
        s->promised_until_ns = 0;
    if (s->mine)
        o->next_beat_ns = now_ns; /* at once */
}

void ownership_restored(struct ownership *o, uint32_t shard, struct repl_epoch epoch, uint32_t node,
                        uint64_t boot, uint64_t now_ns)
{
    struct ownership_shard *s = shard_or_new(o, shard);

    set_epoch(o, s, epoch, node, boot, now_ns);
}

void ownership_disown(struct ownership *o)
{
    for (size_t i = 0; i < o->n_shards; i++) {
        o->shards[i].mine = false;
        o->shards[i].lease_until_ns = 0;
    }
}

/* Who cannot serve it keeps it from nobody who can. */
static bool asked_for(const struct ownership_shard *s)
{
    return s->mine && s->configured && !s->given_up;
}

/* An owner that has no lease yet asks more often: the others' promises to its predecessor end, or
 * are released, at times that it does not know. */
bool ownership_beat_due(struct ownership *o, uint64_t now_ns)
{
    uint64_t interval = o->options.heartbeat_ns;

    if (now_ns < o->next_beat_ns)
        return false;
    for (size_t i = 0; i < o->n_shards; i++)
        if (asked_for(&o->shards[i]) && now_ns >= o->shards[i].lease_until_ns)
            interval = o->options.heartbeat_ns / OWNERSHIP_ASK_RATE;
    o->next_beat_ns = now_ns + interval;
    return true;
}

/* An owner that got no lease for so long stops asking: else a node that is heard but hears nobody
 * would keep the promises of all alive for ever. The leader then assigns anew, perhaps to it. */
static bool gives_up(const struct ownership *o, const struct ownership_shard *s, uint64_t now_ns)
{
    uint64_t since = s->lease_until_ns > s->assigned_ns ? s->lease_until_ns : s->assigned_ns;

    return now_ns > since && now_ns - since > OWNERSHIP_GIVE_UP_LEASES * ownership_promise_ns(o);
}

size_t ownership_heartbeats(struct ownership *o, bool healthy, uint64_t now_ns,
                            struct ownership_heartbeat *out)
{
    size_t n = 0;

    healthy = healthy && ownership_votes(o);
    for (size_t i = 0; healthy && i < o->n_shards; i++) {
        struct ownership_shard *s = &o->shards[i];

        if (!asked_for(s))
            continue;
        s->given_up = gives_up(o, s, now_ns);
        if (s->given_up)
            continue;
        out[n++] = (struct ownership_heartbeat){.shard = s->shard,
                                                .epoch = s->epoch,
                                                .owner_boot = s->owner_boot,
                                                .sent_ns = now_ns,
                                                .lease_ns = o->options.lease_ns,
                                                .configuration = o->configuration};
    }
    return n;
}

/* A node that started anew may have promised anything just before: see the top of ownership.h. */
static bool silent(const struct ownership *o, uint64_t now_ns)
{
    return !o->confirmed || now_ns - o->started_ns < ownership_promise_ns(o);
}

bool ownership_heard(struct ownership *o, const struct ownership_heartbeat *beat, uint64_t now_ns,
                     struct ownership_ack *ack)
{
    struct ownership_shard *s = ownership_shard(o, beat->shard);

    if (s == NULL || beat->epoch.index == 0)
        return false;
    if (repl_epoch_equal(beat->epoch, s->epoch) && beat->owner_boot != s->owner_boot)
        return false;
    /* Heard, acknowledged or not: its owner lives, so this is no lapse. */
    if (repl_epoch_equal(beat->epoch, s->epoch))
        s->heard_ns = now_ns;
    if (silent(o, now_ns))
        return false;
    if (beat->lease_ns >
        o->options.lease_ns) /* a promise of ours would be shorter than its lease */
        return false;
    if (beat->configuration < o->stored) /* its majority may meet no other: members.md */
        return false;
    if (repl_epoch_less(beat->epoch, s->highest))
        return false;
    if (now_ns < s->promised_until_ns && !repl_epoch_equal(beat->epoch, s->promised))
        return false;
    s->highest = beat->epoch;
    s->promised = beat->epoch;
    s->promised_until_ns = now_ns + ownership_promise_ns(o);
    *ack = (struct ownership_ack){.shard = beat->shard,
                                  .epoch = beat->epoch,
                                  .owner_boot = beat->owner_boot,
                                  .sent_ns = beat->sent_ns,
                                  .configuration = beat->configuration};
    return true;
}

/* The newest send time that a majority has acknowledged; 0 = none. */
static uint64_t majority_ns(const struct ownership *o, const struct ownership_shard *s)
{
    uint64_t best = 0;

    for (size_t i = 0; i < o->options.n_nodes; i++) {
        size_t n = 0;

        for (size_t k = 0; k < o->options.n_nodes; k++)
            n += o->peers[k].voter && s->acked_ns[k] >= s->acked_ns[i];
        if (ownership_majority(o, n) && s->acked_ns[i] > best)
            best = s->acked_ns[i];
    }
    return best;
}

/* By the node's present boot. The state does not tell that of one that has left: a start of it behind its LEAVE
 * is never confirmed and so stays silent, and what an earlier one promised the later ones kept. */
static bool is_present(const struct ownership_peer *p, uint64_t boot)
{
    return boot != 0 && (boot == p->member_boot || p->gone);
}

bool ownership_acked(struct ownership *o, uint32_t node, uint64_t boot,
                     const struct ownership_ack *ack, uint64_t now_ns)
{
    struct ownership_shard *s = ownership_shard(o, ack->shard);
    size_t i = node_at(o, node);

    if (s == NULL || i == o->options.n_nodes || !s->mine)
        return false;
    /* Of this epoch and this boot of ours, by the node's present boot, for a heartbeat that we sent
     * and that counted the voters as they are now. */
    if (!repl_epoch_equal(ack->epoch, s->epoch) || ack->owner_boot != o->options.boot ||
        ack->configuration != o->configuration || !is_present(&o->peers[i], boot) ||
        ack->sent_ns > now_ns || ack->sent_ns < s->assigned_ns || ack->sent_ns <= s->acked_ns[i])
        return false;
    s->acked_ns[i] = ack->sent_ns;

    uint64_t newest = majority_ns(o, s);

    if (newest == 0 || newest + ownership_lease_ns(o) <= s->lease_until_ns)
        return false;
    s->lease_until_ns = newest + ownership_lease_ns(o);
    return true;
}

bool ownership_held(const struct ownership_shard *s, uint64_t now_ns)
{
    return s->mine && now_ns < s->lease_until_ns;
}

struct ownership_shard *ownership_lease_change(struct ownership *o, uint64_t now_ns)
{
    for (size_t i = 0; i < o->n_shards; i++) {
        struct ownership_shard *s = &o->shards[i];
        bool held = ownership_held(s, now_ns);

        if (held != s->was_held) {
            s->was_held = held;
            return s;
        }
    }
    return NULL;
}

bool ownership_lapsed(const struct ownership *o, const struct ownership_shard *s, uint64_t now_ns)
{
    uint64_t since = s->heard_ns > s->assigned_ns ? s->heard_ns : s->assigned_ns;

    return s->epoch.index != 0 && now_ns >= since + ownership_promise_ns(o) &&
           now_ns >= s->promised_until_ns;
}

static uint64_t earlier(uint64_t x, uint64_t at, uint64_t now_ns)
{
    return at > now_ns && at < x ? at : x;
}

uint64_t ownership_next_ns(const struct ownership *o, uint64_t now_ns)
{
    uint64_t next = o->next_beat_ns;

    for (size_t i = 0; i < o->n_shards; i++) {
        const struct ownership_shard *s = &o->shards[i];
        uint64_t since = s->heard_ns > s->assigned_ns ? s->heard_ns : s->assigned_ns;

        if (s->was_held && s->lease_until_ns < next)
            next = s->lease_until_ns;
        if (s->epoch.index != 0) {
            next = earlier(next, since + ownership_promise_ns(o), now_ns);
            next = earlier(next, s->promised_until_ns, now_ns);
        }
    }
    return next;
}
