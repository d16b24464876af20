/* Who is of the cluster, as the log says: tokens, joins, starts, leaves. */
#include <stdlib.h>

#include "replication/fsm_parts.h"

static void set_address(struct fsm_member *m, const char *address)
{
    size_t n = strlen(address);

    HF_ASSERT(n <= RECORD_MAX_ADDRESS_TEXT);
    memset(m->address, 0, sizeof m->address);
    memcpy(m->address, address, n);
}

static struct fsm_member *add_member(struct fsm *fsm, uint32_t node)
{
    struct fsm_member *m = repl_alloc_zero(1, sizeof *m);

    m->node = node;
    m->floor = 1; /* 0 means "no request" */
    fsm->members[fsm->n_members++] = m;
    return m;
}

/* They count from the beginning: until it has said what it knows, a founder knows version 1. */
void fsm_found(struct fsm *fsm, uint32_t node)
{
    if (fsm_find_member(fsm, node) == NULL && fsm->n_members < FSM_MAX_MEMBERS)
        (void)add_member(fsm, node);
}

static struct fsm_token *find_token(struct fsm *fsm, uint32_t node)
{
    for (size_t i = 0; i < fsm->n_tokens; i++)
        if (fsm->tokens[i].node == node)
            return &fsm->tokens[i];
    return NULL;
}

static void drop_token(struct fsm *fsm, struct fsm_token *t)
{
    *t = fsm->tokens[--fsm->n_tokens];
    fsm->tokens[fsm->n_tokens] = (struct fsm_token){0};
}

void fsm_expire_tokens(struct fsm *fsm)
{
    for (size_t i = fsm->n_tokens; i-- > 0;)
        if (fsm->cluster_ms >= fsm->tokens[i].expires_ms)
            drop_token(fsm, &fsm->tokens[i]);
}

size_t fsm_present(const struct fsm *fsm)
{
    size_t n = 0;

    for (size_t i = 0; i < fsm->n_members; i++)
        n += !fsm->members[i]->left;
    return n;
}

uint32_t fsm_spoken(const struct fsm *fsm)
{
    uint32_t lowest = RECORD_SPEAKS;

    for (size_t i = 0; i < fsm->n_members; i++) {
        uint32_t speaks = fsm->members[i]->speaks == 0 ? 1 : fsm->members[i]->speaks;

        if (!fsm->members[i]->left && speaks < lowest)
            lowest = speaks;
    }
    return fsm->n_members == 0 ? 1 : lowest;
}

/* A later one for the same node takes the place of the former. An id is never used again (I9). */
enum repl_verdict fsm_apply_token(struct fsm *fsm, const Holdfast__JoinToken *body)
{
    struct fsm_token *t = find_token(fsm, body->node);

    if (fsm_find_member(fsm, body->node) != NULL || body->node <= fsm->used_ids)
        return REPL_REFUSED_EXISTS;
    if (t == NULL && (fsm_present(fsm) + fsm->n_tokens >= REPL_MAX_MEMBERS ||
                      fsm->n_members + fsm->n_tokens >= FSM_MAX_MEMBERS))
        return REPL_REFUSED_UNKNOWN;
    if (t == NULL)
        t = &fsm->tokens[fsm->n_tokens++];
    *t = (struct fsm_token){.node = body->node, .expires_ms = fsm->cluster_ms + body->valid_ms};
    memcpy(t->address, body->address, strlen(body->address));
    memcpy(t->hash, body->hash.data, sizeof t->hash);
    return REPL_ACCEPTED;
}

/* Once: the token goes with it. Who speaks less than the others would stop at their next record. */
static enum repl_verdict apply_join(struct fsm *fsm, const Holdfast__Member *body)
{
    struct fsm_token *t = find_token(fsm, body->node);
    struct fsm_member *m;

    if (fsm_find_member(fsm, body->node) != NULL)
        return REPL_REFUSED_EXISTS;
    if (t == NULL || memcmp(t->hash, body->token.data, sizeof t->hash) != 0)
        return REPL_REFUSED_UNKNOWN;
    if (body->speaks < fsm_spoken(fsm))
        return REPL_REFUSED_VERSION;
    m = add_member(fsm, body->node);
    m->speaks = body->speaks;
    set_address(m, t->address);
    drop_token(fsm, t);
    return REPL_ACCEPTED;
}

/* Nobody leaves with a shard, nor as the last one. */
static enum repl_verdict apply_leave(struct fsm *fsm, const Holdfast__Member *body)
{
    struct fsm_member *m = fsm_find_member(fsm, body->node);

    if (fsm_is_late(fsm, body->until_ms)) /* it was answered: not removed */
        return REPL_REFUSED_VERSION;
    if (m == NULL || m->left || fsm_present(fsm) == 1)
        return REPL_REFUSED_UNKNOWN;
    for (size_t i = 0; i < fsm->n_shards; i++)
        if (fsm->shards[i].owner_node == body->node)
            return REPL_REFUSED_EXISTS;
    m->left = true;
    m->boot = 0;
    /* It has the key of sessions: the others get another (replica_rotate.c). */
    if (fsm->session_key != 0 && fsm_spoken(fsm) >= RECORD_SPEAKS_ROTATION)
        fsm->rotate_wish = fsm->applied_index;
    return REPL_ACCEPTED;
}

/* A first BOOT joins by itself; a node id that left is never used again (I9). */
static enum repl_verdict apply_boot(struct fsm *fsm, const Holdfast__Member *body)
{
    struct fsm_member *m = fsm_find_member(fsm, body->node);

    /* Who waits with a token joins by that. */
    if (m == NULL && (fsm->n_members == FSM_MAX_MEMBERS || find_token(fsm, body->node) != NULL))
        return REPL_REFUSED_UNKNOWN;
    if (m != NULL ? m->left : body->node <= fsm->used_ids)
        return REPL_REFUSED_EXISTS;
    if ((m == NULL ? 0 : m->boot) != body->replaces_boot)
        return REPL_REFUSED_VERSION;
    /* What is written it could not read: once all know a version there is no way back. */
    if ((body->speaks == 0 ? 1 : body->speaks) < fsm_spoken(fsm))
        return REPL_REFUSED_VERSION;
    if (m == NULL)
        m = add_member(fsm, body->node);
    m->boot = body->boot;
    m->speaks = body->speaks;
    m->floor = 1;
    memset(m->judged, 0, sizeof m->judged);
    set_address(m, body->address);
    return REPL_ACCEPTED;
}

enum repl_verdict fsm_apply_member(struct fsm *fsm, const Holdfast__Record *r)
{
    const Holdfast__Member *body = r->member;

    switch (body->change) {
    case HOLDFAST__MEMBER__CHANGE__BOOT:
        return r->node == body->node && r->boot == body->boot ? apply_boot(fsm, body)
                                                              : REPL_REFUSED_MALFORMED;
    case HOLDFAST__MEMBER__CHANGE__JOIN:
        return apply_join(fsm, body);
    case HOLDFAST__MEMBER__CHANGE__LEAVE:
        return apply_leave(fsm, body);
    case _HOLDFAST__MEMBER__CHANGE_IS_INT_SIZE:
    default:
        return REPL_REFUSED_MALFORMED;
    }
}
