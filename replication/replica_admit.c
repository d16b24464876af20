/* Whom this node gives sealing keys to, and whom it takes them from.
 *
 * Being connected says nothing: who has a token is, so that it can ask to join, and so is who an older
 * list names. Being heard by Raft is not enough either: a node that started anew must hear whoever
 * leads by now, also one that it does not know. A key goes to who is known to be a member:
 *
 *   own start is applied ─> the state's members that have not left
 *   not yet (or never: no majority) ─> whom the newest configuration of log and snapshot names, and a
 *                                      sealed word, too: that state, a JOIN behind it, or our file (founders)
 *
 * A configuration is not sealed, for Raft must read it without a key: it is the word of whoever led. A node
 * that has just started hears whoever says that he leads, so one that is no member could name itself. To say
 * what became of a key it is enough, for a node that waits may have nothing else of those who came since.
 */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/raft_frame.h"
#include "replication/replica_parts.h"

/* --- what is sealed, and not applied yet --- */

/* Its place; n_sealed: there is no word of it. */
static size_t sealed_at(const struct replica *r, uint32_t node)
{
    size_t i = 0;

    while (i < r->n_sealed && r->sealed[i].node != node)
        i++;
    return i;
}

/* Who has left comes back under another id. */
static void note(struct replica *r, uint32_t node, bool left)
{
    size_t i = sealed_at(r, node);

    if (i == r->n_sealed && i < FSM_MAX_MEMBERS) /* no more ids are ever used */
        r->sealed[r->n_sealed++] = (struct replica_sealed){.node = node};
    if (i < r->n_sealed)
        r->sealed[i].left |= left;
}

/* What the log's end says came later. */
void replica_note_unread_member(struct replica *r, uint32_t node)
{
    if (sealed_at(r, node) == r->n_sealed)
        note(r, node, false);
}

static void note_record(struct replica *r, struct span sealed)
{
    uint8_t *plain;
    size_t n = 0;
    Holdfast__Record *record = NULL;

    if (seal_key_of(sealed) != seal_ring_current(r->options.ring, SEAL_CONFIGURATION))
        return; /* of a session */
    plain = repl_alloc_zero(1, sealed.len + 1);
    if (r->options.seal->open(r->options.seal->self, SEAL_RECORD, sealed, plain, &n))
        record = record_unpack(span_of(plain, n));
    secret_wipe_bytes(plain, n);
    free(plain);
    if (record == NULL)
        return;
    if (record->body_case == HOLDFAST__RECORD__BODY_MEMBER && record_valid(record) &&
        record->member->change != HOLDFAST__MEMBER__CHANGE__BOOT)
        note(r, record->member->node, record->member->change == HOLDFAST__MEMBER__CHANGE__LEAVE);
    record_free(record);
}

void replica_note_sealed(struct replica *r, const struct repl_loaded *l)
{
    for (size_t i = 0; i < l->n_entries && r->options.ring != NULL; i++) {
        Holdfast__Entry *e = NULL;

        if (l->entries[i].kind == REPL_ENTRY_COMMAND &&
            raft_entry_valid(REPL_ENTRY_COMMAND, l->entries[i].data))
            e = entry_unpack(raft_command_get(l->entries[i].data));
        if (e == NULL)
            continue;
        for (size_t k = 0; k < e->n_records && e->format <= r->options.speaks; k++)
            note_record(r, record_span(e->records[k]));
        entry_free(e);
    }
}

/* --- who is a member --- */

bool replica_loaded_configuration(const struct repl_loaded *l, struct repl_configuration *out)
{
    *out = l->snapshot.configuration;
    for (size_t i = 0; i < l->n_entries; i++) {
        struct span data = l->entries[i].data;

        if (l->entries[i].kind == REPL_ENTRY_CHANGE && !raft_configuration_take(&data, out))
            return false;
    }
    return true;
}

struct repl_configuration replica_newest_configuration(const struct replica *r)
{
    struct repl_configuration c = {.n_servers = 0};

    if (r->waiting == NULL)
        return raft_driver_newest_configuration(r->driver);
    if (!replica_loaded_configuration(r->waiting, &c))
        c.n_servers = 0;
    return c;
}

bool replica_newest_names(const struct replica *r, uint32_t node)
{
    struct repl_configuration c = replica_newest_configuration(r);

    for (size_t i = 0; i < c.n_servers; i++)
        if (c.servers[i].node == node)
            return true;
    return false;
}

/* By a sealed word, the last one that is here: the state stands before the log's end. */
static bool is_sealed(const struct replica *r, uint32_t node)
{
    size_t i = sealed_at(r, node);

    if (i < r->n_sealed)
        return !r->sealed[i].left;
    return fsm_member(&r->fsm, node) != NULL || replica_is_founder(r, node);
}

static bool is_another(const struct replica *r, uint32_t node)
{
    return node != r->options.node && !replica_has_left(r, node);
}

bool replica_may_have_key(const struct replica *r, uint32_t node)
{
    if (!is_another(r, node))
        return false;
    /* Also one that joined, and is in no configuration yet. */
    if (r->ownership.confirmed)
        return fsm_member(&r->fsm, node) != NULL;
    return replica_newest_names(r, node) && is_sealed(r, node);
}

bool replica_may_speak_of_keys(const struct replica *r, uint32_t node)
{
    if (!is_another(r, node))
        return false;
    return (r->ownership.confirmed && fsm_member(&r->fsm, node) != NULL) ||
           replica_newest_names(r, node);
}

/* A node that joins has heard of no member yet: it believes those that it was told to ask. It has nothing
 * to lose: what a wrong key sealed is left out by all others, and it ends itself at the first record that
 * the key does not open. */
bool replica_may_give_key(const struct replica *r, uint32_t node)
{
    return replica_may_speak_of_keys(r, node) ||
           (r->waiting != NULL && replica_newest_configuration(r).n_servers == 0);
}
