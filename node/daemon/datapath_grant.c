/* Numbers given and taken back: grants of an assignment, exact windows of a handover. */
#include "base/number.h"
#include "daemon/datapath_internal.h"

struct esp_pace_now datapath_pace_now(const struct datapath *d, const struct esp_sa_view *v)
{
    return (struct esp_pace_now){.now_ms = datapath_now_ms(d),
                                 .next_out = v->next_out,
                                 .packets_in = v->in_packets,
                                 .last_in = v->last_seq,
                                 .verified_in = v->verified_seq};
}

void datapath_first(void *self, void *esp, uint64_t *numbers, uint64_t *ceiling)
{
    const struct esp_pacer *p = &((struct datapath_child *)esp)->pacer;

    (void)self;
    *numbers = 2 * esp_pace_numbers(p->out.per_second);
    *ceiling = esp_pace_headroom(p->in.per_second);
}

static bool past(uint64_t limit, uint64_t counted)
{
    return limit != 0 && counted >= limit;
}

/* The SA has the grant: what its control loop keeps begins anew. */
static void begin_grant(struct datapath *d, struct datapath_child *child,
                        const struct esp_sa_grant *g)
{
    struct esp_pace_now now;
    struct esp_pacer old;
    struct esp_sa_view v;

    child->told_in = g->counted_in;
    child->told_out = g->counted_out;
    child->told_in_bytes = g->counted_in_bytes;
    child->told_out_bytes = g->counted_out_bytes;
    /* Workers tell it of a packet; an idle SA has none until its hard limit, some takeovers later.
     */
    child->past_soft =
        past(child->soft_packets, number_larger(g->counted_in, g->counted_out)) ||
        past(child->soft_bytes, number_larger(g->counted_in_bytes, g->counted_out_bytes));
    child->near_soft = false;
    child->telling = false;
    child->granted = true;
    child->recovered = false;
    child->below_since_ms = 0;
    child->granted_ms = datapath_now_ms(d);
    esp_sa_read(child->sa, &v);
    child->granted_packets = v.in_packets;
    child->ticket = 0;
    now = datapath_pace_now(d, &v);
    /* Workers have not taken the grant up yet: what it gives is what counts from now on. */
    now.next_out = number_larger(now.next_out, g->first);
    now.last_in = number_larger(now.last_in, g->floor);
    old = child->pacer;
    esp_pace_init(&child->pacer, &now, g->end, g->ceiling, child->pacer.last_number);
    if (child->follows)
        esp_pace_follow(&child->pacer, &old);
    child->follows = false;
    heap_set(&d->heap, &child->due, now.now_ms);
}

static struct esp_sa_grant grant_of(uint64_t epoch, const struct repl_grant *grant)
{
    return (struct esp_sa_grant){.epoch = epoch,
                                 .first = grant->first,
                                 .end = grant->end,
                                 .floor = grant->floor,
                                 .ceiling = grant->ceiling};
}

void datapath_grant(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant)
{
    struct datapath_child *child = esp;
    struct esp_sa_grant g = grant_of(epoch, grant);

    g.counted_in = esp_tally_at_grant(grant->packets_in, grant->untold, child->slack);
    g.counted_out = esp_tally_at_grant(grant->packets_out, grant->untold, child->slack);
    g.counted_in_bytes = esp_tally_at_grant(grant->bytes_in, grant->untold, child->slack_bytes);
    g.counted_out_bytes = esp_tally_at_grant(grant->bytes_out, grant->untold, child->slack_bytes);
    esp_sa_grant(child->sa, &g);
    begin_grant(self, child, &g);
}

/* A grant that goes on from the exact state of one (esp/window.h). False: it is not one of this
 * SA's; nothing was done. */
bool datapath_grant_exact(struct datapath *d, struct datapath_child *child, uint64_t epoch,
                          const struct repl_grant *grant, struct span window)
{
    struct esp_sa_grant g = grant_of(epoch, grant);
    struct esp_window w;
    size_t used;

    if (!esp_window_decode(window, &w, &used) || used != window.len || w.spi_in != child->spi_in ||
        w.replay.top > grant->ceiling)
        return false;
    g.floor = w.floor;
    g.counted_in = w.counted_in;
    g.counted_out = w.counted_out;
    g.counted_in_bytes = w.counted_in_bytes;
    g.counted_out_bytes = w.counted_out_bytes;
    esp_sa_grant_exact(child->sa, &g, &w.replay);
    begin_grant(d, child, &g);
    return true;
}

void datapath_revoke(void *self, void *esp)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;

    /* The lease of the old epoch is gone, so workers emit and accept nothing under its grant. */
    child->granted = false;
    heap_remove(&d->heap, &child->due);
}
