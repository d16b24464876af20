/* Are the sessions lost to the cluster? A node is stuck when it lacks a key and cannot go on without: it
 * waits for one, is blind, or awaits a snapshot. It asks all others ten times a second.
 *
 *   PAST {key, index} ─> one that has it gives it (replica_keys.c)
 *                     ─> GONE: "I went on behind that place with another key": its snapshot is the way
 *                     ─> LACK: "I cannot go on either"
 *                     ─> nothing: one that has yet to apply so much will know which it is
 *
 * They are lost when a majority of the voters is stuck, this node among them or not, and hears of nobody
 * who is not: at once when all say so, learners too; after half a second when of the others nothing is to be
 * hoped for (away for three seconds, or under distrust: I10); else when it stayed so for three seconds.
 * Who is under distrust counts for nothing in that majority, and words grow old.
 *
 * Why all are one state all the same, whoever was right: what follows from it is a record, and at that
 * record all sessions end, also of a node that had them. All else in the state does not depend on them.
 * Why somebody always goes on: of a majority that is up each node is sound or stuck once it has applied
 * what is committed. If one is sound, it gives each of the others the key or its state; if none is, they
 * all say so, and agree on the next key.
 */
#include "base/secret.h"
#include "replication/replica_parts.h"

static bool is_recent(const struct replica *r, uint64_t at_ns, uint64_t ms)
{
    return at_ns != 0 && r->now_ns - at_ns <= ms * 1000000ull;
}

bool replica_is_stuck(const struct replica *r)
{
    return r->locked.want != 0 || r->blind != 0 || r->awaits_above != 0;
}

void replica_need_key(struct replica *r, uint64_t key)
{
    r->need = (struct replica_need){.key = key, .index = replica_wanted_at(r)};
}

/* --- what this node says of itself --- */

static bool hears_a_sound_one(const struct replica *r)
{
    for (size_t i = 0; i < r->need.n_words; i++)
        if (is_recent(r, r->need.words[i].sound_ns, LOST_WAIT_MS))
            return true;
    return false;
}

/* One that can go on will give its state, unless others keep it from it: those to whom it cannot speak
 * must not wait for ever. */
static bool hopes(const struct replica *r)
{
    return r->awaits_above != 0 && hears_a_sound_one(r) &&
           is_recent(r, r->need.awaits_ns, AWAIT_MS);
}

/* Its state has all sessions, it is behind that place, and another key is in use there. */
static bool went_on(const struct replica *r, const struct seal_message *in)
{
    return !replica_is_stuck(r) && !r->diverged && r->fsm.applied_index >= in->index &&
           r->fsm.session_key != 0 && r->fsm.session_key != in->id &&
           !seal_ring_has(r->options.ring, in->id);
}

/* ... or stands where that key is in use, and just has not met anything yet that it sealed. */
static bool cannot_go_on(const struct replica *r, const struct seal_message *in, bool gives)
{
    bool has = seal_ring_has(r->options.ring, in->id);

    if (replica_is_muted(r) || (has && gives))
        return false;
    if (!replica_is_stuck(r))
        return !has && r->fsm.applied_index >= in->index && r->fsm.session_key == in->id;
    return !hopes(r);
}

enum seal_what replica_answer_past(const struct replica *r, const struct seal_message *in,
                                   bool gives)
{
    if (r->forgotten) /* it has left: it has none, and never will */
        return SEAL_LACK;
    if (went_on(r, in))
        return SEAL_GONE;
    return cannot_go_on(r, in, gives) ? SEAL_LACK : SEAL_NOTHING;
}

/* --- what others say --- */

static struct replica_word *word_of(struct replica_need *need, uint32_t node)
{
    for (size_t i = 0; i < need->n_words; i++)
        if (need->words[i].node == node)
            return &need->words[i];
    if (need->n_words == REPL_MAX_NODES)
        return NULL;
    need->words[need->n_words] = (struct replica_word){.node = node};
    return &need->words[need->n_words++];
}

void replica_need_heard(struct replica *r, uint32_t from, const struct seal_message *in)
{
    struct replica_word *word;

    if (in->kind != SEAL_SESSION || in->id == 0 || in->id != r->need.key || !replica_is_stuck(r) ||
        !replica_may_speak_of_keys(r, from) || (word = word_of(&r->need, from)) == NULL)
        return;
    word->stuck_ns = in->what == SEAL_LACK ? r->now_ns : 0;
    word->sound_ns = in->what == SEAL_GONE ? r->now_ns : 0;
    /* A snapshot that is being restored is seen to its end first; the other says it again. */
    if (in->what == SEAL_GONE && r->awaits_above == 0 && r->restoring == NULL) {
        r->need.awaits_ns = r->now_ns;
        replica_await_state(r);
    }
}

bool replica_was_sound(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->need.n_words; i++)
        if (r->need.words[i].node == node)
            return is_recent(r, r->need.words[i].sound_ns, SOUND_MS);
    return false;
}

/* Who says so at present, and counts. */
static void add_stuck(const struct replica *r, struct replica_set *stuck)
{
    if (!replica_is_muted(r))
        replica_set_add(stuck, r->options.node);
    for (size_t i = 0; i < r->need.n_words; i++)
        if (is_recent(r, r->need.words[i].stuck_ns, WORD_MS))
            replica_set_add(stuck, r->need.words[i].node);
}

/* How many voters are stuck; *all: voters in all. */
static size_t stuck_voters(const struct replica *r, size_t *all)
{
    struct replica_set stuck = {.n = 0};

    add_stuck(r, &stuck);
    return replica_set_voters(r, &stuck, all);
}

/* It has had the time to give the key, and would have; of itself it says nothing. */
static bool has_nothing_to_give(const struct replica *r, const struct replica_node *n)
{
    uint64_t since_ns =
        n->unlinked_ns > r->ownership.started_ns ? n->unlinked_ns : r->ownership.started_ns;

    if (!n->link) /* it was waited for at a key that was lost before this one */
        return r->now_ns - since_ns >= LOST_WAIT_MS * 1000000ull;
    return is_recent(r, n->distrusted_ns, WORD_MS) &&
           r->now_ns - since_ns >= ANSWER_MS * 1000000ull;
}

/* Nobody is left to wait for, learners among them: they may have the key; and so may who has left, as long as
 * it leads. All say so, or there is nothing to be had from who does not. */
static bool all_are_known(const struct replica *r)
{
    struct replica_set known = {.n = 0};

    add_stuck(r, &known);
    if (replica_set_all(r, &known))
        return true;
    if (r->now_ns - r->need.lost_ns < ANSWER_MS * 1000000ull)
        return false; /* another may just come to hear of it */
    for (size_t i = 0; i < r->n_nodes; i++)
        if (has_nothing_to_give(r, &r->nodes[i]))
            replica_set_add(&known, r->nodes[i].node);
    return replica_set_all(r, &known);
}

void replica_need_poll(struct replica *r)
{
    size_t voters;
    size_t n = stuck_voters(r, &voters);

    if (n <= voters / 2 || hears_a_sound_one(r))
        r->need.lost_ns = 0;
    else if (r->need.lost_ns == 0)
        r->need.lost_ns = r->now_ns;
}

bool replica_is_lost(const struct replica *r)
{
    size_t voters;
    size_t n = stuck_voters(r, &voters);

    return replica_is_stuck(r) && r->need.lost_ns != 0 && n > voters / 2 &&
           (all_are_known(r) || r->now_ns - r->need.lost_ns >= LOST_WAIT_MS * 1000000ull);
}
