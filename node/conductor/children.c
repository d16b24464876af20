/* The ESP database as a function of applied states: installed, moved and removed the same way on
 * every node; only the owner of the newest assignment is given numbers. */
#include "base/number.h"
#include "conductor/internal.h"
#include "conductor/many.h"

static const struct ike_child *ike_child_of(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return &sa->children[i];
    return NULL;
}

struct conductor_child *child_find(struct conductor *c, uint32_t spi_in)
{
    struct conductor_child *child = NULL;

    HASH_FIND(hh, c->children, &spi_in, sizeof spi_in, child);
    return child;
}

static struct conductor_child *free_slot(struct conductor_sa *sa)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].spi_in == 0)
            return &sa->children[i];
    return NULL;
}

static void child_remove(struct conductor *c, struct conductor_child *child)
{
    assigned_child_gone(c, child);
    if (child->esp != NULL)
        c->ops.esp_remove(c->ops.esp_self, child->esp);
    HASH_DELETE(hh, c->children, child);
    *child = (struct conductor_child){0};
}

void children_remove_all(struct conductor *c, struct conductor_sa *sa)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].spi_in != 0)
            child_remove(c, &sa->children[i]);
}

void children_add_claim(struct conductor *c, struct conductor_sa *sa,
                        const struct repl_child_state *state, bool applied)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);
    struct conductor_child *child = child_find(c, state->spi_in);

    if (child == NULL) {
        child = free_slot(sa);
        HF_ASSERT(child != NULL); /* the engine's own bound is the same */
        child->spi_in = state->spi_in;
        child->spi_out = state->spi_out;
        child->sa = sa;
        if (applied && shard != NULL && shard->mine)
            child->fresh_epoch = shard->epoch.index;
        child->hard_ms = UINT64_MAX;
        HASH_ADD(hh, c->children, spi_in, sizeof child->spi_in, child);
        if (applied)
            crowd_note(&c->crowd, c->ops.now_ms(c->ops.self));
    }
    child->claim = state->claim;
}

void children_unproven(struct conductor_sa *sa)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        sa->children[i].unproven = sa->children[i].spi_in != 0;
}

void children_move(struct conductor *c, struct conductor_sa *from, struct conductor_sa *to,
                   const struct ike_sa *to_decoded)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct conductor_child *old = &from->children[i], *slot;

        if (old->spi_in == 0 || ike_child_of(to_decoded, old->spi_in) == NULL)
            continue;
        slot = free_slot(to);
        HF_ASSERT(slot != NULL);
        HASH_DELETE(hh, c->children, old);
        *slot = *old;
        slot->sa = to;
        *old = (struct conductor_child){0};
        HASH_ADD(hh, c->children, spi_in, sizeof slot->spi_in, slot);
    }
    if (news_wait(to))
        news_wake(c, to);
}

/* The data path's own end of it: as of this node's view of cluster time, so told anew where it
 * matters. */
static void tell_end(struct conductor *c, const struct conductor_child *child)
{
    uint64_t now = c->ops.now_ms(c->ops.self), in_ms = UINT64_MAX;

    if (child->esp == NULL || c->ops.esp_end == NULL)
        return;
    if (child->hard_ms != UINT64_MAX)
        in_ms = child->hard_ms > now ? child->hard_ms - now : 0;
    c->ops.esp_end(c->ops.esp_self, child->esp, in_ms);
}

/* Fresh only where the very claim was made under our own present assignment: then everything in its
 * record is ours. "Not installed here yet" is not "never used": an install that failed and succeeds
 * later gets no more than what the newest assignment gives. */
static void child_grant(struct conductor *c, const struct conductor_shard *shard,
                        struct conductor_child *child)
{
    struct repl_grant grant;

    if (child->esp == NULL)
        return;
    tell_end(c, child);
    if (child->fresh_epoch != 0 && child->fresh_epoch == shard->epoch.index)
        grant = (struct repl_grant){.first = 1,
                                    .end = child->claim.reservation_end,
                                    .floor = 0,
                                    .ceiling = child->claim.ceiling};
    else
        grant = repl_claim_grant(&child->claim, shard->assignments);
    if (child->window.len > 0 && c->ops.esp_resume != NULL &&
        c->ops.esp_resume(c->ops.esp_self, child->esp, shard->epoch.index, &grant, child->window))
        return;
    c->ops.esp_grant(c->ops.esp_self, child->esp, shard->epoch.index, &grant);
}

/* For replay recovery: an ended or rekeyed IKE SA rekeys nothing any more, so it counts as done. */
static bool rekeying(const struct ike_sa *sa, const struct ike_child *child)
{
    const uint32_t rekeys =
        IKE_WANT_REKEY_CHILD | IKE_WANT_REKEY_CHILD_PFS | IKE_WANT_REKEY_CHILD_NOPFS;

    return sa->state != IKE_SA_ESTABLISHED || child->state != IKE_CHILD_INSTALLED ||
           child->soft_reached ||
           ((sa->wanted & rekeys) != 0 && sa->wanted_child_spi_in == child->spi_in);
}

/* The data path's handle of the CHILD SA that this one replaces. */
static void *predecessor(struct conductor *c, const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].successor_spi_in == spi_in) {
            const struct conductor_child *old = child_find(c, sa->children[i].spi_in);

            return old == NULL ? NULL : old->esp;
        }
    return NULL;
}

static void child_sync(struct conductor *c, struct conductor_sa *sa, struct conductor_child *child,
                       struct conductor_esp_child *e, const struct ike_sa *decoded)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);

    if (child->outbound && (e->child == NULL || !e->child->outbound))
        sa->sender_moved = true;
    child->outbound = e->child != NULL && e->child->outbound;
    if (e->child != NULL)
        child->hard_ms = e->child->hard_ms;
    if (e->child == NULL) {
        child_remove(c, child);
    } else if (child->esp == NULL) {
        e->follows = predecessor(c, decoded, child->spi_in);
        e->mine = shard != NULL && shard->mine;
        e->unproven = child->unproven && e->child->begun == IKE_BY_PEER;
        child->esp = c->ops.esp_install(c->ops.esp_self, e);
        if (child->esp == NULL)
            log_line(c->log, LOG_ERROR, "esp", "sa=%016llx spi=%08x cannot be installed",
                     (unsigned long long)sa->id, child->spi_in);
        else if (shard != NULL && shard->mine)
            child_grant(c, shard, child);
    } else {
        c->ops.esp_update(c->ops.esp_self, child->esp, e);
    }
}

/* Those that send come first: workers look at any time, and at no instant does no SA send. */
void children_sync(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
            struct conductor_child *child = &sa->children[i];
            const struct ike_child *now = ike_child_of(decoded, child->spi_in);
            struct conductor_esp_child e = {.sa_id = sa->id,
                                            .shard = sa->shard,
                                            .local = decoded->local,
                                            .remote = decoded->remote,
                                            .encap = decoded->encap,
                                            .child = now};

            if (child->spi_in == 0 || (now != NULL && now->outbound) != (pass == 0))
                continue;
            e.rekeying = now != NULL && rekeying(decoded, now);
            child_sync(c, sa, child, &e, decoded);
        }
}

void child_assigned(struct conductor *c, const struct conductor_shard *shard,
                    struct conductor_child *child)
{
    child->news = 0; /* a new grant's are told anew */
    if (child->esp == NULL)
        return;
    if (shard->mine)
        child_grant(c, shard, child);
    else
        c->ops.esp_revoke(c->ops.esp_self, child->esp);
    child->window = (struct span){0};
}

/* Who lives longest under this policy decides: the others are spread a little more than they need
 * be. About two thirds of its life lie between two rekeys. */
void children_crowds(const struct conductor *c, struct ike_event *event)
{
    uint64_t child_ms = c->policy->child_life.hard_ms, sa_ms = c->policy->ike_life.hard_ms;

    for (uint32_t i = 0; i < c->policy->n_connections; i++) {
        const struct ike_connection *k = &c->policy->connections[i];

        child_ms = number_larger(child_ms, k->child.life.hard_ms);
        sa_ms = number_larger(sa_ms, k->ike_life.hard_ms);
    }
    event->crowded = crowd_now(&c->crowd, event->now_ms, HASH_COUNT(c->children), child_ms / 3 * 2);
    event->crowded_sas =
        crowd_now(&c->crowd_sas, event->now_ms, c->n_sas - c->n_half_open, sa_ms / 3 * 2);
}
