#include "replication/witness.h"

static struct witness_node *slot_of(struct witness *w, uint32_t node)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++)
        if (w->nodes[i].node == node)
            return &w->nodes[i];
    return NULL;
}

static const struct witness_mark *mark_at(const struct witness_node *n, uint64_t index)
{
    for (size_t i = 0; n->node != 0 && i < WITNESS_MARKS; i++)
        if (n->marks[i].index == index)
            return &n->marks[i];
    return NULL;
}

/* How many voters said the same at that index. */
static size_t voices_for(const struct witness *w, uint64_t index, struct digest digest)
{
    size_t n = 0;

    for (size_t i = 0; i < REPL_MAX_NODES; i++) {
        const struct witness_mark *m = mark_at(&w->nodes[i], index);

        n += m != NULL && w->nodes[i].votes && digest_equal(m->digest, digest);
    }
    return n;
}

static bool any_differs(const struct witness *w, uint64_t index, struct digest digest)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++) {
        const struct witness_mark *m = mark_at(&w->nodes[i], index);

        if (m != NULL && !digest_equal(m->digest, digest))
            return true;
    }
    return false;
}

static bool majority_spoke(const struct witness *w, uint64_t index, size_t voters)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++) {
        const struct witness_mark *m = mark_at(&w->nodes[i], index);

        if (m != NULL && voices_for(w, index, m->digest) > voters / 2)
            return true;
    }
    return false;
}

static void judge(struct witness *w, uint64_t index, size_t voters)
{
    bool majority = majority_spoke(w, index, voters);

    for (size_t i = 0; i < REPL_MAX_NODES; i++) {
        struct witness_node *n = &w->nodes[i];
        const struct witness_mark *m = mark_at(n, index);
        bool agrees = m != NULL && majority && voices_for(w, index, m->digest) > voters / 2;

        if (agrees && index > n->agreed_index)
            n->agreed_index = index;
        if (m == NULL || index < n->judged_index)
            continue;
        if (majority)
            n->verdict = agrees ? WITNESS_AGREES : WITNESS_OUTVOTED;
        else if (any_differs(w, index, m->digest))
            n->verdict = WITNESS_TIED;
        else
            continue;
        n->judged_index = index;
        if (!agrees && n->agreed_index >= index) /* it said so, and fell over since */
            n->agreed_index = index - 1;
    }
}

void witness_say(struct witness *w, uint32_t node, bool votes, size_t voters, uint64_t index,
                 struct digest digest)
{
    struct witness_node *n = slot_of(w, node);
    struct witness_mark *m;

    if (index == 0 || node == 0)
        return;
    if (n == NULL) {
        n = slot_of(w, 0);
        if (n == NULL)
            return;
        *n = (struct witness_node){.node = node};
    }
    n->votes = votes;
    m = (struct witness_mark *)(uintptr_t)mark_at(n, index);
    if (m == NULL) {
        m = &n->marks[n->next];
        n->next = (n->next + 1) % WITNESS_MARKS;
    }
    *m = (struct witness_mark){.index = index, .digest = digest};
    judge(w, index, voters);
}

void witness_forget(struct witness *w, uint32_t node)
{
    struct witness_node *n = slot_of(w, node);

    if (n != NULL && node != 0)
        *n = (struct witness_node){0};
}

static bool is_one_of(uint32_t node, const uint32_t *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

void witness_keep(struct witness *w, const uint32_t *nodes, size_t n)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++)
        if (w->nodes[i].node != 0 && !is_one_of(w->nodes[i].node, nodes, n))
            w->nodes[i] = (struct witness_node){0};
}

enum witness_verdict witness_verdict(const struct witness *w, uint32_t node)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++)
        if (node != 0 && w->nodes[i].node == node)
            return w->nodes[i].verdict;
    return WITNESS_UNKNOWN;
}

uint64_t witness_agreed(const struct witness *w, uint32_t node)
{
    for (size_t i = 0; i < REPL_MAX_NODES; i++)
        if (node != 0 && w->nodes[i].node == node)
            return w->nodes[i].agreed_index;
    return 0;
}
