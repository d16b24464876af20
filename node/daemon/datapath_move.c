/* Handover: what the workers do with a shard, and the exact state of a CHILD SA that no worker uses
 * (rows of conductor_ops). */
#include "daemon/datapath_internal.h"
#include "esp/window.h"

HF_STATIC_ASSERT((int)ESP_WINDOW_MAX_BYTES <= (int)CONDUCTOR_WINDOW_MAX);

struct datapath_shard *datapath_shard_of(struct datapath *d, uint32_t shard, uint32_t *slot)
{
    for (*slot = 0; *slot < d->options.n_shards; (*slot)++)
        if (d->options.shard_ids[*slot] == shard)
            return &d->shards[*slot];
    return NULL;
}

void datapath_mode(void *self, uint32_t shard, enum conductor_esp_mode mode)
{
    static const enum worker_mode modes[] = {[CONDUCTOR_ESP_ACT] = WORKER_ACT,
                                             [CONDUCTOR_ESP_ASIDE] = WORKER_ASIDE,
                                             [CONDUCTOR_ESP_STILL] = WORKER_STILL};
    struct datapath *d = self;
    uint32_t slot;
    struct datapath_shard *s = datapath_shard_of(d, shard, &slot);

    if (s == NULL)
        return;
    s->mode = modes[mode];
    s->ticket = worker_pool_mode(d->options.pool, slot, s->mode);
}

/* Does no worker use an SA of it? */
static bool at_rest(const struct datapath *d, const struct datapath_shard *s, uint32_t slot)
{
    return s->mode != WORKER_ACT && worker_pool_passed(d->options.pool, s->ticket) &&
           worker_pool_waiting(d->options.pool, slot) == 0;
}

bool datapath_passed(void *self, uint32_t shard)
{
    struct datapath *d = self;
    uint32_t slot;
    const struct datapath_shard *s = datapath_shard_of(d, shard, &slot);

    return s != NULL && worker_pool_passed(d->options.pool, s->ticket) &&
           (s->mode != WORKER_ASIDE || worker_pool_waiting(d->options.pool, slot) == 0);
}

size_t datapath_export(void *self, void *esp, uint8_t *out)
{
    struct datapath_child *child = esp;
    struct esp_window w;

    (void)self;
    esp_sa_window(child->sa, &w);
    return esp_window_encode(&w, out);
}

/* Workers that have not gone by yet would read the window while it is written: then a floor. */
bool datapath_resume(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant,
                     struct span window)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;
    uint32_t slot;
    const struct datapath_shard *s = datapath_shard_of(d, child->shard, &slot);

    return s != NULL && at_rest(d, s, slot) && datapath_grant_exact(d, child, epoch, grant, window);
}
