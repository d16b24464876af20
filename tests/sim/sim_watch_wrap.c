/* Between the conductor and its rows: every row is passed on as it is; what the watch wants to know is read
 * on the way. */
#include <stdlib.h>

#include "sim/sim_watch_internal.h"

enum { HANDLES = 1024 };

/* A CHILD SA's handle of the data path, with what it stands for. */
struct handle {
    void *esp;
    uint64_t key_in, key_out;
    uint32_t shard;
    struct handle *next;
};

struct sim_watch_wrap {
    struct sim_watch *watch;
    uint32_t node;
    struct conductor_ops inner;
    struct handle *handles[HANDLES];
};

static struct handle **handle_at(struct sim_watch_wrap *wrap, const void *esp)
{
    struct handle **at = &wrap->handles[sim_watch_mix((uint64_t)(uintptr_t)esp, 1) % HANDLES];

    while (*at != NULL && (*at)->esp != esp)
        at = &(*at)->next;
    return at;
}

void sim_watch_judge_installed(struct sim_watch *w, uint32_t node)
{
    const struct sim_watch_wrap *wrap = w->wraps[node];

    for (size_t i = 0; wrap != NULL && i < HANDLES; i++)
        for (const struct handle *h = wrap->handles[i]; h != NULL; h = h->next) {
            const struct sim_watch_esp *e = sim_watch_esp_of(w, h->key_in);

            SIM_WATCH_JUDGE_IF(w, SIM_WATCH_not_restored, e->gone_index != 0,
                               e->gone_index > w->nodes[node].applied,
                               "node %u still has SPI %08x after a snapshot of %llu, it went with "
                               "index %llu",
                               (unsigned)node, (unsigned)e->spi_in,
                               (unsigned long long)w->nodes[node].applied,
                               (unsigned long long)e->gone_index);
        }
}

/* --- rows of `self` --- */

static uint64_t now_ms(void *self)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.now_ms(wrap->inner.self);
}

static void entropy(void *self, uint8_t *out, size_t n)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.entropy(wrap->inner.self, out, n);
}

static uint64_t wall_s(void *self)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.wall_s(wrap->inner.self);
}

static bool submit(void *self, struct Holdfast__Record *record, void *op)
{
    struct sim_watch_wrap *wrap = self;
    struct sim_watch_node *n = &wrap->watch->nodes[wrap->node];

    n->submitted |= n->forged;
    return wrap->inner.submit(wrap->inner.self, record, op);
}

static bool may_act(void *self, uint32_t shard)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.may_act(wrap->inner.self, shard);
}

static bool leader(void *self)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.leader(wrap->inner.self);
}

static void send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                 const struct endpoint *to, struct span bytes)
{
    struct sim_watch_wrap *wrap = self;

    sim_watch_ike_sent(wrap->watch, wrap->node, shard, bytes);
    wrap->inner.send(wrap->inner.self, shard, natt, from, to, bytes);
}

static void ike_aside(void *self, uint32_t shard, const struct endpoint *local,
                      const struct endpoint *remote, struct span bytes)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.ike_aside(wrap->inner.self, shard, local, remote, bytes);
}

static void run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.run_job(wrap->inner.self, c, work);
}

static void copy_half_open(void *self, struct span encoded)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.copy_half_open(wrap->inner.self, encoded);
}

/* --- rows of `esp_self` --- */

static void *esp_install(void *self, const struct conductor_esp_child *child)
{
    struct sim_watch_wrap *wrap = self;
    void *esp = wrap->inner.esp_install(wrap->inner.esp_self, child);
    struct handle **at, *h;

    if (esp == NULL)
        return NULL;
    at = handle_at(wrap, esp);
    HF_ASSERT(*at == NULL); /* it was told of every removal */
    h = calloc(1, sizeof *h);
    HF_ASSERT(h != NULL);
    *h = (struct handle){.esp = esp,
                         .key_in = sim_watch_key(&child->child->key_in),
                         .key_out = sim_watch_key(&child->child->key_out),
                         .shard = child->shard};
    *at = h;
    sim_watch_installed(wrap->watch, wrap->node, child->child);
    return esp;
}

static void esp_update(void *self, void *esp, const struct conductor_esp_child *child)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_update(wrap->inner.esp_self, esp, child);
}

static void esp_remove(void *self, void *esp)
{
    struct sim_watch_wrap *wrap = self;
    struct handle **at = handle_at(wrap, esp), *gone = *at;

    if (gone != NULL) {
        *at = gone->next;
        free(gone);
    }
    wrap->inner.esp_remove(wrap->inner.esp_self, esp);
}

static void esp_first(void *self, void *esp, uint64_t *numbers, uint64_t *ceiling)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_first(wrap->inner.esp_self, esp, numbers, ceiling);
}

static void esp_grant(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant)
{
    struct sim_watch_wrap *wrap = self;
    const struct handle *h = *handle_at(wrap, esp);

    if (h != NULL)
        sim_watch_granted(wrap->watch, wrap->node, h->key_in, h->key_out, epoch, grant,
                          (struct span){0});
    wrap->inner.esp_grant(wrap->inner.esp_self, esp, epoch, grant);
}

static void esp_limits(void *self, void *esp, uint64_t reservation_end, uint64_t ceiling)
{
    struct sim_watch_wrap *wrap = self;
    const struct handle *h = *handle_at(wrap, esp);

    if (h != NULL)
        sim_watch_limits(wrap->watch, wrap->node, h->shard, h->key_in, h->key_out, reservation_end,
                         ceiling);
    wrap->inner.esp_limits(wrap->inner.esp_self, esp, reservation_end, ceiling);
}

static void esp_refused(void *self, void *esp, uint64_t reservation_end, uint64_t ceiling)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_refused(wrap->inner.esp_self, esp, reservation_end, ceiling);
}

static void esp_revoke(void *self, void *esp)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_revoke(wrap->inner.esp_self, esp);
}

static void esp_mode(void *self, uint32_t shard, enum conductor_esp_mode mode)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_mode(wrap->inner.esp_self, shard, mode);
}

static bool esp_passed(void *self, uint32_t shard)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.esp_passed(wrap->inner.esp_self, shard);
}

static size_t esp_export(void *self, void *esp, uint8_t *out)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.esp_export(wrap->inner.esp_self, esp, out);
}

static bool esp_resume(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant,
                       struct span window)
{
    struct sim_watch_wrap *wrap = self;
    const struct handle *h = *handle_at(wrap, esp);
    bool done = wrap->inner.esp_resume(wrap->inner.esp_self, esp, epoch, grant, window);

    if (done && h != NULL)
        sim_watch_granted(wrap->watch, wrap->node, h->key_in, h->key_out, epoch, grant, window);
    return done;
}

static void esp_end(void *self, void *esp, uint64_t in_ms)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_end(wrap->inner.esp_self, esp, in_ms);
}

static uint64_t esp_pass(void *self)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.esp_pass(wrap->inner.esp_self);
}

static bool esp_pass_done(void *self, uint64_t ticket)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.esp_pass_done(wrap->inner.esp_self, ticket);
}

static bool esp_waiting(void *self, void *esp)
{
    struct sim_watch_wrap *wrap = self;

    return wrap->inner.esp_waiting(wrap->inner.esp_self, esp);
}

static void esp_idle(void *self, void *esp, uint64_t *in_ms, uint64_t *out_ms)
{
    struct sim_watch_wrap *wrap = self;

    wrap->inner.esp_idle(wrap->inner.esp_self, esp, in_ms, out_ms);
}

/* A row is there when the inner one is. */
#define ROW(name) .name = ops->name == NULL ? NULL : name

struct sim_watch_wrap *sim_watch_wrap(struct sim_watch *w, uint32_t node, struct conductor_ops *ops)
{
    struct sim_watch_wrap *wrap = calloc(1, sizeof *wrap);

    HF_ASSERT(wrap != NULL && sim_watch_node(w, node) != NULL);
    wrap->watch = w;
    wrap->node = node;
    w->wraps[node] = wrap;
    wrap->inner = *ops;
    *ops = (struct conductor_ops){.self = wrap,
                                  ROW(now_ms),
                                  ROW(entropy),
                                  ROW(wall_s),
                                  ROW(submit),
                                  ROW(may_act),
                                  ROW(leader),
                                  ROW(send),
                                  ROW(ike_aside),
                                  ROW(run_job),
                                  ROW(copy_half_open),
                                  .esp_self = wrap,
                                  ROW(esp_install),
                                  ROW(esp_update),
                                  ROW(esp_remove),
                                  ROW(esp_first),
                                  ROW(esp_grant),
                                  ROW(esp_limits),
                                  ROW(esp_refused),
                                  ROW(esp_revoke),
                                  ROW(esp_mode),
                                  ROW(esp_passed),
                                  ROW(esp_export),
                                  ROW(esp_resume),
                                  ROW(esp_end),
                                  ROW(esp_pass),
                                  ROW(esp_pass_done),
                                  ROW(esp_waiting),
                                  ROW(esp_idle)};
    return wrap;
}

void sim_watch_unwrap(struct sim_watch_wrap *wrap)
{
    if (wrap->watch->wraps[wrap->node] == wrap)
        wrap->watch->wraps[wrap->node] = NULL;
    for (size_t i = 0; i < HANDLES; i++)
        while (wrap->handles[i] != NULL) {
            struct handle *next = wrap->handles[i]->next;

            free(wrap->handles[i]);
            wrap->handles[i] = next;
        }
    free(wrap);
}
