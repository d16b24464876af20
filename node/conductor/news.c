/* What the data path tells once and never again: kept by its CHILD SA until it has become a step.
 *
 *   conductor_handle_esp ─> bit ─> event in the SA's queue ─> step ─> record accepted ─> bit gone
 *                            └──── the SA's timer offers it again ──┘
 *
 * Workers raise each once per grant. At that instant the lease may be away, the queue full or
 * replication busy, and the record may be refused: none of it may lose a rekey or a limit.
 */
#include "conductor/internal.h"

static const struct {
    enum ike_event_kind kind;
} events[] = {[CONDUCTOR_ESP_SOFT] = {IKE_EV_CHILD_SOFT},
              [CONDUCTOR_ESP_HARD] = {IKE_EV_CHILD_HARD},
              [CONDUCTOR_ESP_FIRST_INBOUND] = {IKE_EV_CHILD_INBOUND},
              /* due in the state from then on, as at a soft limit: the engine sees it through */
              [CONDUCTOR_ESP_RECOVER] = {IKE_EV_CHILD_SOFT}};

enum { N_NEWS = sizeof events / sizeof events[0] };

bool news_wait(const struct conductor_sa *sa)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].news != 0)
            return true;
    return false;
}

void news_wake(struct conductor *c, struct conductor_sa *sa)
{
    uint64_t soon = c->ops.now_ms(c->ops.self) + CONDUCTOR_REFUSED_MS;

    if (news_wait(sa) && sa->wake.at_ms > soon)
        sa_set_wake(c, sa, soon);
}

static void offer(struct conductor *c, struct conductor_child *child, enum conductor_esp_news news)
{
    struct conductor_work *w;

    if (!may_step(c, child->sa->shard))
        return;
    w = work_new((struct span){0});
    w->event.kind = events[news].kind;
    w->event.child_spi_in = child->spi_in;
    w->news = (uint8_t)(1u << news);
    (void)sa_enqueue(c, child->sa, w);
}

bool news_raise(struct conductor *c, struct conductor_child *child, enum conductor_esp_news news)
{
    const struct conductor_shard *shard = shard_find(c, child->sa->shard);

    if (shard == NULL || !shard->mine) /* of a grant that is over: the next one's are told anew */
        return false;
    if ((child->news >> news & 1) != 0) /* the timer offers it */
        return false;
    child->news |= (uint8_t)(1u << news);
    news_wake(c, child->sa);
    offer(c, child, news);
    return true;
}

static bool busy(const struct conductor_sa *sa)
{
    return sa->inflight != NULL || sa->job_work != NULL || sa->queue != NULL;
}

bool news_offer(struct conductor *c, struct conductor_sa *sa)
{
    static const enum conductor_esp_news order[N_NEWS] = {
        CONDUCTOR_ESP_HARD, CONDUCTOR_ESP_SOFT, CONDUCTOR_ESP_FIRST_INBOUND, CONDUCTOR_ESP_RECOVER};

    for (int k = 0; k < N_NEWS; k++)
        for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
            struct conductor_child *child = &sa->children[i];

            if ((child->news >> order[k] & 1) == 0)
                continue;
            offer(c, child, order[k]);
            if (busy(sa)) /* the others wait for their turn, not in a queue for the peer's events */
                return true;
        }
    return false;
}

void news_done(struct conductor *c, const struct conductor_sa *sa, uint32_t spi_in, uint8_t news)
{
    struct conductor_child *child = child_find(c, spi_in);

    /* An IKE rekey may have moved it before its old SA had a word to say. */
    if (child != NULL && child->sa == sa)
        child->news &= (uint8_t)~news;
}

/* One of this second's is left. */
static bool take_turn(struct conductor *c)
{
    uint64_t now = c->ops.now_ms(c->ops.self);

    if (now - c->recovery_window_ms >= 1000) {
        c->recovery_window_ms = now;
        c->recoveries_used = 0;
    }
    if (c->recoveries_used >= c->options.recoveries_per_second)
        return false;
    c->recoveries_used++;
    return true;
}

bool conductor_recover(struct conductor *c, uint32_t spi_in)
{
    struct conductor_child *child = child_find(c, spi_in);
    const struct conductor_shard *shard = child == NULL ? NULL : shard_find(c, child->sa->shard);

    if (shard == NULL || !shard->mine)
        return false;
    if (c->options.recovery == CONDUCTOR_RECOVER_WAIT) {
        count(&c->counters, COUNTER_replay_recoveries_waited);
        return true;
    }
    if ((child->news >> CONDUCTOR_ESP_RECOVER & 1) != 0)
        return true;
    if (c->options.recovery == CONDUCTOR_RECOVER_BOUNDED && !take_turn(c)) {
        count(&c->counters, COUNTER_replay_recoveries_held);
        return false;
    }
    if (!news_raise(c, child, CONDUCTOR_ESP_RECOVER))
        return false;
    count(&c->counters, COUNTER_replay_recoveries);
    return true;
}
