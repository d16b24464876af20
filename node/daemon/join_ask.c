#include "daemon/join_ask.h"

#include <string.h>

#include "base/assert.h"

enum { TAG_BYTES = 4 };

static const struct repl_node_status *row_of(const struct repl_status *st, uint32_t node)
{
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node == node)
            return &st->nodes[i];
    return NULL;
}

static bool is_member(const struct repl_status *st, uint32_t node)
{
    const struct repl_node_status *row = row_of(st, node);

    return row != NULL && repl_is_member(row->role);
}

const struct repl_token_status *join_token_of(const struct repl_status *st, uint32_t node)
{
    for (size_t i = 0; i < st->n_tokens; i++)
        if (st->tokens[i].node == node)
            return &st->tokens[i];
    return NULL;
}

enum join_answer join_answer(const struct repl_status *st, uint32_t from, const uint8_t hash[32])
{
    const struct repl_token_status *t = join_token_of(st, from);

    if (!is_member(st, st->node))
        return JOIN_SILENCE;
    if (t != NULL && memcmp(t->hash, hash, sizeof t->hash) == 0)
        return JOIN_TAKEN;
    /* Asked once more: it is in, and will hear of it. And a state that may be old refuses nobody. */
    if ((t == NULL && is_member(st, from)) || !st->quorum)
        return JOIN_SILENCE;
    return JOIN_REFUSED;
}

bool join_ids_used_up(const struct repl_status *st, uint32_t node)
{
    size_t n = st->n_gone;

    for (size_t i = 0; i < st->n_nodes; i++)
        n += repl_is_member(st->nodes[i].role);
    for (size_t i = 0; i < st->n_tokens; i++)
        n += st->tokens[i].node != node;
    return n >= REPL_MAX_IDS;
}

static bool has_refused(const struct join_refusals *r, uint32_t node)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->nodes[i] == node)
            return true;
    return false;
}

/* It goes to the operator's terminal, and never says nothing. */
static void take_reason(char why[JOIN_WHY_BYTES], const uint8_t *text, size_t len)
{
    static const char none[] = "refused, and no reason was given";

    len = len < JOIN_WHY_BYTES ? len : JOIN_WHY_BYTES - 1;
    for (size_t i = 0; i < len; i++)
        why[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    why[len] = '\0';
    if (len == 0)
        memcpy(why, none, sizeof none);
}

bool join_refused(struct join_refusals *r, const struct repl_status *st, uint32_t from,
                  struct span said, const uint8_t hash[32])
{
    const uint8_t *end = memchr(said.data, '\0', said.len);
    size_t len = end == NULL ? said.len : (size_t)(end - said.data);

    if (end != NULL && (said.len != len + 1 + TAG_BYTES || memcmp(end + 1, hash, TAG_BYTES) != 0))
        return false;
    take_reason(r->why, said.data, len);
    if (!has_refused(r, from) && r->n < REPL_MAX_NODES)
        r->nodes[r->n++] = from;
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node != st->node && st->nodes[i].connected &&
            !has_refused(r, st->nodes[i].node))
            return false;
    return true;
}

size_t join_refusal(const char *why, const uint8_t hash[32], uint8_t *out)
{
    size_t len = strlen(why) + 1;

    HF_ASSERT(len + TAG_BYTES <= JOIN_WHY_BYTES);
    memcpy(out, why, len);
    memcpy(out + len, hash, TAG_BYTES);
    return len + TAG_BYTES;
}
