/* The data path of a handover: what the workers do with a shard, and a number that stands for the
 * exact window of a CHILD SA. */
#include "world.h"

static void op_mode(void *self, uint32_t shard, enum conductor_esp_mode mode)
{
    ((struct world_node *)self)->mode[shard - 1] = mode;
}

static bool op_passed(void *self, uint32_t shard)
{
    (void)shard;
    return !((struct world_node *)self)->stuck;
}

static size_t op_export(void *self, void *esp, uint8_t *out)
{
    struct world_node *n = self;
    size_t len = n->world->window_bytes == 0 ? 8 : n->world->window_bytes;

    n->exported++;
    memset(out, 0, len);
    put_be64(out, ((struct world_esp *)esp)->window);
    return len;
}

static bool op_resume(void *self, void *esp, uint64_t epoch, const struct repl_grant *g,
                      struct span window)
{
    struct world_node *n = self;
    struct world_esp *e = esp;

    n->grant(self, esp, epoch, g);
    e->window = get_be64(window.data);
    e->floor = 0;
    n->resumed++;
    return true;
}

/* Strays: it comes again, to whoever owns the shard by then. */
static void op_aside(void *self, uint32_t shard, const struct endpoint *local,
                     const struct endpoint *remote, struct span bytes)
{
    struct world *w = ((struct world_node *)self)->world;
    struct world_packet *p = &w->packets[(w->head + w->n_packets) % WORLD_PACKETS];

    (void)shard;
    HF_ASSERT(w->n_packets < WORLD_PACKETS && bytes.len <= sizeof p->bytes);
    memset(p, 0, sizeof *p);
    p->from = *remote;
    p->to = *local;
    p->natt = local->port == 4500;
    p->len = bytes.len;
    memcpy(p->bytes, bytes.data, bytes.len);
    w->n_packets++;
    w->asides++;
}

static void op_wish_settled(void *self, uint64_t wish, bool judged, enum repl_verdict verdict)
{
    struct world_node *n = self;

    n->wishes_settled++;
    n->wish = wish;
    n->wish_judged = judged;
    n->wish_verdict = verdict;
}

void world_handover_ops(struct conductor_ops *ops)
{
    struct world_node *n = ops->self;

    n->grant = ops->esp_grant;
    ops->ike_aside = op_aside;
    ops->wish_settled = op_wish_settled;
    ops->esp_mode = op_mode;
    ops->esp_passed = op_passed;
    ops->esp_export = op_export;
    ops->esp_resume = op_resume;
}
