/* What the nodes of a world hold, and what they are asked for. */
#include "conductor/internal.h"
#include "world.h"

struct seen {
    size_t established, children;
    uint64_t with_address;
    struct ike_sa sa;
};

static void look(void *self, const struct conductor_sa_view *v)
{
    struct seen *s = self;

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        s->children += v->sa->children[i].state != IKE_CHILD_NONE;
    if (v->sa->state != IKE_SA_ESTABLISHED)
        return;
    s->established++;
    s->sa = *v->sa;
    if (v->sa->virtual_ip[SLOT_V4].family != ADDR_NONE)
        s->with_address = v->sa->local_spi;
}

uint64_t world_some_sa(struct world *w, unsigned node)
{
    struct seen s = {0};

    conductor_each_sa(w->nodes[node].conductor, look, &s);
    return s.with_address;
}

struct ike_sa world_sa(struct world *w, unsigned node)
{
    struct seen s = {0};

    conductor_each_sa(w->nodes[node].conductor, look, &s);
    HF_ASSERT(s.established == 1);
    return s.sa;
}

size_t world_established(struct world *w, unsigned node)
{
    struct seen s = {0};

    conductor_each_sa(w->nodes[node].conductor, look, &s);
    return s.established;
}

size_t world_children(struct world *w, unsigned node)
{
    struct seen s = {0};

    conductor_each_sa(w->nodes[node].conductor, look, &s);
    return s.children;
}

bool world_want(struct world *w, unsigned node, uint32_t want)
{
    struct ike_sa sa = world_sa(w, node);
    uint32_t spi = 0;
    const char *why = "";

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa.children[i].state == IKE_CHILD_INSTALLED && sa.children[i].outbound)
            spi = sa.children[i].spi_in;
    return conductor_command(w->nodes[node].conductor, sa.local_spi, want,
                             (want & IKE_WANT_REKEY_IKE) != 0 ? 0 : spi, &why);
}

void world_release_key_exchanges(struct world *w)
{
    for (size_t i = 0; i < w->n_held; i++) {
        conductor_job_run(w->held[i]);
        conductor_job_done(w->held_by[i], w->held[i]);
    }
    w->n_held = 0;
    w->hold_key_exchanges = false;
}

bool world_connect(struct world *w)
{
    struct endpoint from = {addr_v4(0x0a4d0132), 500}, to = {addr_v4(0x0a4d0164), 500};

    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
    world_run(w, 3000);
    return world_established(w, WORLD_CLIENT) == 1 && world_established(w, w->owner) == 1;
}

const struct conductor_sa *world_answered(struct world *w)
{
    struct endpoint from = {addr_v4(0xc6336401), 500}, to = {addr_v4(0xc0000201), 500};
    const struct conductor *owner = w->nodes[0].conductor;

    w->drop_to_client = 1000;
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
    world_run(w, 10);
    HF_ASSERT(HASH_COUNT(owner->sas) == 1 && owner->sas->half_open);
    return owner->sas;
}

void world_own_record(struct world *w, Holdfast__Record *record, Holdfast__Epoch *epoch)
{
    struct world_node *n = &w->nodes[w->owner];
    const struct conductor_shard *s = conductor_shard(n->conductor, WORLD_SHARD);

    epoch->incarnation = s->epoch.incarnation;
    epoch->index = s->epoch.index;
    record->node = n->id;
    record->boot = n->boot;
    record->request = ++n->request;
    record->shard = WORLD_SHARD;
    record->epoch = epoch;
}

void world_rest(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++)
        if (w->nodes[i].alive)
            conductor_rest(w->nodes[i].conductor);
}
