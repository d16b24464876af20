/* L1 of one takeover: an owner dies while all else is well. By when another one acts for its shards, and sends where somebody is served; and
 * that the clients go on under the SAs that they had. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

void sim_watch_owner_dies(struct sim_watch *w, uint32_t node)
{
    w->calm_ms = 0;
    for (size_t i = 0; i < w->n_shards; i++) {
        struct sim_watch_shard *s = &w->shards[i];

        if (s->owner != node)
            continue;
        s->died_epoch = s->newest_epoch;
        s->died_ms = sim_watch_now(w);
        s->acts_ms = s->sends_ms = 0;
    }
}

void sim_watch_followed(struct sim_watch *w, struct sim_watch_shard *s, uint64_t epoch, bool sends)
{
    if (s->died_epoch == 0 || epoch <= s->died_epoch)
        return;
    if (s->acts_ms == 0)
        s->acts_ms = sim_watch_now(w);
    if (sends && s->sends_ms == 0)
        s->sends_ms = sim_watch_now(w);
}

static void judge_time(struct sim_watch *w, const struct sim_watch_shard *s, uint64_t at_ms,
                       uint64_t most_ms, const char *does)
{
    uint64_t took = at_ms == 0 ? UINT64_MAX : at_ms - s->died_ms;

    SIM_WATCH_JUDGE(w, SIM_WATCH_taken_over, took <= most_ms,
                    "shard %u: another owner %s%s %" PRIu64 " ms after the former died; %" PRIu64
                    " are allowed",
                    (unsigned)s->shard, at_ms == 0 ? "never " : "", does,
                    at_ms == 0 ? sim_watch_now(w) - s->died_ms : took, most_ms);
}

void sim_watch_taken_over(struct sim_watch *w, const struct sim_watch_takeover *t)
{
    struct sim_watch_shard *s = sim_watch_shard_of(w, t->shard);

    HF_ASSERT(s != NULL && s->died_epoch != 0);
    judge_time(w, s, s->acts_ms, t->acts_ms, "acts");
    if (t->sends_ms != 0)
        judge_time(w, s, s->sends_ms, t->sends_ms, "sends");
}

void sim_watch_goes_on(struct sim_watch *w, uint32_t client, const struct sim_watch_tunnel *before,
                       const struct sim_watch_tunnel *after, bool ike, bool child)
{
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_tunnels_stay, ike,
                       before->ike[0] == after->ike[0] && before->ike[1] == after->ike[1],
                       "client %u had SA %016" PRIx64 "/%016" PRIx64 ", has %016" PRIx64
                       "/%016" PRIx64 " since its owner died",
                       (unsigned)client, before->ike[0], before->ike[1], after->ike[0],
                       after->ike[1]);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_tunnels_stay, child,
                       before->child[0] == after->child[0] && before->child[1] == after->child[1],
                       "client %u had CHILD SA %08x/%08x, has %08x/%08x since its owner died",
                       (unsigned)client, before->child[0], before->child[1], after->child[0],
                       after->child[1]);
}
