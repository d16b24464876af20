/* Liveness, once faults have ended: L1 (an owner that emits), L2 (rekeys end), L3 (digests, elections); and
 * what must be so when all is quiet: both ends agree (I7), nothing acknowledged is missing (I12). */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

/* Who has acted all the while needs no new word. */
static bool held_by_its_owner(struct sim_watch *w, const struct sim_watch_shard *s)
{
    const struct sim_watch_view *v;

    if (s->owner == 0 || !w->nodes[s->owner].running)
        return false;
    v = sim_watch_view(w, s->owner, s->shard);
    return v != NULL && v->epoch == s->newest_epoch && sim_watch_may_act(w, s->owner, s->shard);
}

void sim_watch_heal(struct sim_watch *w, const struct sim_watch_healing *healing)
{
    HF_ASSERT(healing->n_shards <= REPL_MAX_SHARDS);
    w->healing = true;
    w->healing_ms = sim_watch_now(w);
    w->calm_ms = w->healing_ms + healing->owner_ms;
    w->flapping = 0;
    w->limits = *healing;
    memcpy(w->heal_shards, healing->shards, healing->n_shards * sizeof *healing->shards);
    w->elections = 0;
    for (size_t i = 0; i < w->n_shards; i++)
        w->shards[i].first_ms = held_by_its_owner(w, &w->shards[i]) ? w->healing_ms : 0;
}

void sim_watch_owners(struct sim_watch *w)
{
    HF_ASSERT(w->healing);
    for (size_t i = 0; i < w->limits.n_shards; i++) {
        const struct sim_watch_shard *s = sim_watch_shard_of(w, w->heal_shards[i]);
        uint64_t took = s == NULL || s->first_ms == 0 ? UINT64_MAX : s->first_ms - w->healing_ms;

        SIM_WATCH_JUDGE(w, SIM_WATCH_owner_acts, took <= w->limits.owner_ms,
                        "shard %u: its owner (epoch %" PRIu64 ") %s, %" PRIu64
                        " ms after the healing; %" PRIu64 " are allowed",
                        (unsigned)w->heal_shards[i], s == NULL ? 0 : s->newest_epoch,
                        took == UINT64_MAX ? "never acted" : "acted",
                        (took == UINT64_MAX ? sim_watch_now(w) - w->healing_ms : took),
                        w->limits.owner_ms);
    }
}

static void judge_nodes(struct sim_watch *w)
{
    uint64_t newest = 0;

    for (size_t i = 1; i <= SIM_WATCH_NODES; i++)
        if (w->nodes[i].running && sim_watch_is_member(w, i) && w->nodes[i].digest_index > newest)
            newest = w->nodes[i].digest_index;
    for (size_t i = 1; i <= SIM_WATCH_NODES; i++) {
        const struct sim_watch_node *n = &w->nodes[i];

        if (!sim_watch_is_member(w, i))
            continue; /* whoever left, or never came in, hears nothing more */
        if (n->boot != 0)
            SIM_WATCH_JUDGE(w, SIM_WATCH_digest_reached, n->running || n->gone,
                            "node %zu does not come back", i);
        if (!n->running)
            continue;
        SIM_WATCH_JUDGE(w, SIM_WATCH_digest_reached, n->digest_index == newest,
                        "node %zu has applied %" PRIu64 ", others %" PRIu64, i, n->digest_index,
                        newest);
        SIM_WATCH_JUDGE_IF(w, SIM_WATCH_nothing_lost, w->acknowledged > 0,
                           n->applied >= w->acknowledged,
                           "node %zu has applied %" PRIu64 ", acknowledged was %" PRIu64, i,
                           n->applied, w->acknowledged);
    }
    SIM_WATCH_JUDGE(w, SIM_WATCH_elections_end, w->elections <= w->limits.elections,
                    "%" PRIu64 " elections since all is well, %u are allowed", w->elections,
                    (unsigned)w->limits.elections);
}

static bool unfinished(const struct ike_sa *sa)
{
    if (sa->pending.exchange != IKE_EX_NONE || sa->state == IKE_SA_REKEYED ||
        sa->state == IKE_SA_DELETING)
        return true;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].state != IKE_CHILD_INSTALLED)
            return true;
    return false;
}

bool sim_watch_quiet(const struct sim_watch *w)
{
    for (size_t i = 0; i < w->n_sa; i++)
        if (w->sa[i]->alive && unfinished(w->sa[i]->state))
            return false;
    return true;
}

static size_t children_of(const struct ike_sa *sa)
{
    size_t n = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        n += sa->children[i].state != IKE_CHILD_NONE;
    return n;
}

static bool mirrored(const struct ike_sa *a, const struct ike_sa *b)
{
    size_t met = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        for (size_t k = 0; k < IKE_MAX_CHILDREN; k++)
            met += a->children[i].state != IKE_CHILD_NONE &&
                   b->children[k].state != IKE_CHILD_NONE &&
                   a->children[i].spi_in == b->children[k].spi_out &&
                   a->children[i].spi_out == b->children[k].spi_in &&
                   a->children[i].key_in.len == b->children[k].key_out.len &&
                   memcmp(a->children[i].key_in.bytes, b->children[k].key_out.bytes,
                          a->children[i].key_in.len) == 0;
    return met == children_of(a) && met == children_of(b);
}

/* A client's SA that stands has its other end in the log, with the same CHILD SAs, and the reverse. */
static void judge_ends(struct sim_watch *w, const struct sim_watch_sa *sa, bool quiet)
{
    const struct sim_watch_sa *other = NULL;

    if (sa->owner_of != 0) {
        other = sim_watch_sa_of(w, 0, sa->remote_spi);
    } else {
        for (uint32_t i = 0; i < SIM_WATCH_CLIENTS && other == NULL; i++) {
            other = sim_watch_sa_of(w, i + 1, sa->remote_spi);
            if (other != NULL && (!other->alive || other->remote_spi != sa->id))
                other = NULL;
        }
    }
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_both_ends, quiet,
                       other != NULL && other->alive && other->remote_spi == sa->id &&
                           mirrored(sa->state, other->state),
                       "SA %016" PRIx64 "/%016" PRIx64 " of %s: %s", sa->id, sa->remote_spi,
                       sa->owner_of == 0 ? "the gateway" : "a client",
                       other == NULL || !other->alive ? "the other end has it not"
                                                      : "the other end has other CHILD SAs");
    SIM_WATCH_JUDGE(w, SIM_WATCH_rekey_ends, !unfinished(sa->state),
                    "SA %016" PRIx64 "/%016" PRIx64 " of %s: %s is still under way", sa->id,
                    sa->remote_spi, sa->owner_of == 0 ? "the gateway" : "a client",
                    ike_exchange_name(sa->state->pending.exchange));
}

void sim_watch_healed(struct sim_watch *w)
{
    bool quiet = sim_watch_quiet(w); /* if not, that is what is wrong (L2) */

    HF_ASSERT(w->healing);
    judge_nodes(w);
    for (uint32_t i = 1; i <= SIM_WATCH_NODES; i++)
        sim_watch_judge_copied(w, i, UINT64_MAX);
    for (size_t i = 0; i < w->n_sa; i++)
        if (w->sa[i]->alive && w->sa[i]->state != NULL &&
            w->sa[i]->state->state != IKE_SA_HALF_OPEN)
            judge_ends(w, w->sa[i], quiet);
    w->healing = false;
}
