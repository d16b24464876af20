/* Keys that this node lacks: asked for; and given to who asks (seal_message.h).
 *
 *   start ─> is the configuration's key here? ─ no ─> WANT to every peer ─> GIVE ─> kept, start
 *                                             └ another than log and snapshot need ─> refused
 *   a session's key that is lacking (replica_locked.c) ─> WANT ─> GIVE
 *                                              ─> PAST ─> GONE, LACK (replica_lost.c)
 *   a new one (replica_session.c): GIVE to all members ─> HAVE
 *
 * Without the configuration's key the node's raft does not run: it neither votes nor stores.
 */
#include "base/secret.h"
#include "replication/raft_frame.h"
#include "replication/replica_parts.h"
#include "replication/seal_message.h"

static bool holds(const struct replica_set *set, uint32_t node)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->nodes[i] == node)
            return true;
    return false;
}

void replica_set_add(struct replica_set *set, uint32_t node)
{
    if (!holds(set, node) && set->n < REPL_MAX_NODES)
        set->nodes[set->n++] = node;
}

/* By the newest configuration of the log, not by the one applied: a node that waits for a key may stand
 * where only founders are members that have left since, and nobody could ever say that it is lost. Who
 * has left and votes still (members.md) lacks every key and needs none: it counts as one of any such set. */
size_t replica_set_voters(const struct replica *r, const struct replica_set *set, size_t *all)
{
    struct repl_configuration c = raft_driver_newest_configuration(r->driver);
    size_t n = 0;

    *all = 0;
    for (size_t i = 0; i < c.n_servers; i++)
        if (c.servers[i].role == RAFT_DRIVER_VOTER) {
            (*all)++;
            n += holds(set, c.servers[i].node) || replica_has_left(r, c.servers[i].node);
        }
    return n;
}

bool replica_set_all(const struct replica *r, const struct replica_set *set)
{
    struct repl_configuration c = raft_driver_newest_configuration(r->driver);

    for (size_t i = 0; i < c.n_servers; i++)
        if (!holds(set, c.servers[i].node))
            return false;
    return true;
}

static void send(struct replica *r, uint32_t node, const struct seal_message *message)
{
    uint8_t bytes[SEAL_MESSAGE_BYTES];
    struct span part = span_of(bytes, seal_message_encode(message, bytes));

    (void)r->transport.send(r->transport.self, node, REPL_CHANNEL_KEYS, &part, 1);
    secret_wipe_bytes(bytes, sizeof bytes);
}

void replica_keys_give(struct replica *r, uint64_t id, const struct replica_set *except)
{
    struct seal_message give = {.what = SEAL_GIVE, .kind = SEAL_SESSION, .id = id};

    HF_ASSERT(seal_ring_get(r->options.ring, SEAL_SESSION, id, give.key));
    for (size_t i = 0; i < r->n_nodes; i++)
        if (replica_may_have_key(r, r->nodes[i].node) && !holds(except, r->nodes[i].node))
            send(r, r->nodes[i].node, &give);
    secret_wipe_bytes(give.key, sizeof give.key);
}

/* The session's key that this node lacks; 0 = none. */
static uint64_t session_wanted(const struct replica *r)
{
    uint64_t current = r->fsm.session_key;

    if (r->locked.want != 0)
        return r->locked.want;
    if (r->blind != 0)
        return r->blind;
    return current != 0 && !r->diverged && !seal_ring_has(r->options.ring, current) ? current : 0;
}

static bool wants(const struct replica *r, struct seal_message *want)
{
    *want = (struct seal_message){.what = SEAL_WANT, .kind = SEAL_CONFIGURATION};
    if (r->options.ring == NULL)
        return false;
    if (r->waiting != NULL)
        return true;
    want->kind = SEAL_SESSION;
    want->id = session_wanted(r);
    return want->id != 0;
}

void replica_keys_ask(struct replica *r)
{
    struct seal_message past = {
        .what = SEAL_PAST, .kind = SEAL_SESSION, .id = r->need.key, .index = r->need.index};
    struct seal_message want;
    bool stuck = replica_is_stuck(r);

    if (!wants(r, &want) && !stuck)
        return;
    r->asked_ns = r->now_ns;
    for (size_t i = 0; i < r->n_nodes; i++) {
        if (r->nodes[i].node == r->options.node)
            continue;
        if (stuck)
            send(r, r->nodes[i].node, &past);
        if (want.kind != SEAL_SESSION || want.id != 0)
            send(r, r->nodes[i].node, &want);
    }
}

/* The configuration's key that what is stored here was sealed with: a snapshot begins with its header, a
 * log with its first record. 0 = nothing was. */
static uint64_t configuration_needed(const struct repl_loaded *l)
{
    uint64_t key = 0;

    if (l->snapshot.index != 0)
        return snapshot_key(l->snapshot_data);
    for (size_t i = 0; i < l->n_entries && key == 0; i++) {
        Holdfast__Entry *e = NULL;

        if (l->entries[i].kind == REPL_ENTRY_COMMAND &&
            raft_entry_valid(REPL_ENTRY_COMMAND, l->entries[i].data))
            e = entry_unpack(raft_command_get(l->entries[i].data));
        if (e != NULL && e->format <= RECORD_SPEAKS && e->n_records > 0)
            key = seal_key_of(record_span(e->records[0]));
        if (e != NULL)
            entry_free(e);
    }
    return key;
}

bool replica_keys_wait(struct replica *r, const struct repl_loaded *loaded)
{
    uint64_t current;

    if (r->options.ring == NULL)
        return false;
    current = seal_ring_current(r->options.ring, SEAL_CONFIGURATION);
    r->needs_key = configuration_needed(loaded);
    if (current != 0 && (r->needs_key == 0 || r->needs_key == current))
        return false;
    if (current != 0) {
        replica_log(r, REPL_LOG_ERROR,
                    "what is stored here is sealed with the key %016llx, configuration.key is "
                    "%016llx",
                    (unsigned long long)r->needs_key, (unsigned long long)current);
        replica_fail(r, "configuration.key is not the one that this node's log and snapshot are "
                        "sealed with: put the cluster's own back or, where there are other nodes, "
                        "move the file away and start again: they give it theirs");
        return true;
    }
    if (r->n_nodes == 1) {
        replica_fail(r, "the configuration's sealing key is gone, and no other node has it");
        return true;
    }
    replica_log(r, REPL_LOG_INFO, "no sealing key here yet: asking the other nodes for it");
    return true;
}

uint64_t replica_keys_next_ns(const struct replica *r)
{
    struct seal_message want;

    return wants(r, &want) || replica_is_stuck(r) ? r->asked_ns + ASK_KEY_MS * 1000000ull
                                                  : UINT64_MAX;
}

void replica_keys_tick(struct replica *r)
{
    if (r->now_ns >= replica_keys_next_ns(r))
        replica_keys_ask(r);
}

/* A key of sessions goes to whoever lacks it once its record is applied here. It may have been drawn behind
 * a removal, and who was removed is a member in this state until that is applied, too. Who stands still
 * gives what it has, to whom the end of its log names: it may never come there, and the one that asks may
 * be the only one who can. */
static bool is_known(const struct replica *r, uint32_t to, const struct seal_message *in)
{
    bool goes_on = !replica_is_stuck(r) && !r->diverged && !r->halted;

    return in->kind != SEAL_SESSION || in->id == 0 || fsm_names_key(&r->fsm, in->id) ||
           (!goes_on && replica_newest_names(r, to));
}

static void answer(struct replica *r, uint32_t to, const struct seal_message *in)
{
    struct seal_message out = {.what = SEAL_GIVE, .kind = in->kind};

    if (!replica_may_have_key(r, to) || !is_known(r, to, in) ||
        !seal_ring_get(r->options.ring, in->kind, in->id, out.key))
        return;
    out.id = seal_key_id(&r->options.ring->means, in->kind, out.key);
    replica_log(r, REPL_LOG_INFO, "node %u is given the sealing key %016llx", (unsigned)to,
                (unsigned long long)out.id);
    send(r, to, &out);
    secret_wipe_bytes(out.key, sizeof out.key);
}

static void take_configuration(struct replica *r, uint32_t from, const struct seal_message *in)
{
    if (r->waiting == NULL || !replica_may_give_key(r, from))
        return;
    if (r->needs_key != 0 && in->id != r->needs_key) {
        replica_log(r, REPL_LOG_WARN,
                    "node %u gives the sealing key %016llx, this node's log and snapshot need "
                    "%016llx: not taken",
                    (unsigned)from, (unsigned long long)in->id, (unsigned long long)r->needs_key);
        return;
    }
    if (r->callbacks.keep_key != NULL && !r->callbacks.keep_key(r->callbacks.self, in->key)) {
        replica_fail(r, "the sealing key cannot be stored");
        return;
    }
    if (seal_ring_add(r->options.ring, in->kind, in->key) != in->id ||
        !seal_ring_use(r->options.ring, SEAL_CONFIGURATION, in->id)) {
        replica_fail(r, "no room for a sealing key");
        return;
    }
    replica_begin(r);
}

/* What is neither in use nor needed: keys of leaders that did not stay to use them. */
static void make_room(struct replica *r)
{
    uint64_t ids[SEAL_RING_KEYS];
    size_t n = seal_ring_list(r->options.ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    for (size_t i = 0; i < n; i++)
        if (!fsm_names_key(&r->fsm, ids[i]) && ids[i] != r->locked.want && ids[i] != r->making.id)
            seal_ring_erase(r->options.ring, ids[i]);
}

void replica_keys_changed(struct replica *r)
{
    if (r->callbacks.keys_changed != NULL)
        r->callbacks.keys_changed(r->callbacks.self);
}

uint64_t replica_keys_add(struct replica *r, const uint8_t key[SEAL_KEY_BYTES])
{
    uint64_t id = seal_ring_add(r->options.ring, SEAL_SESSION, key);

    if (id == 0) {
        make_room(r);
        id = seal_ring_add(r->options.ring, SEAL_SESSION, key);
    }
    if (id != 0)
        replica_keys_changed(r);
    return id;
}

static void take_session(struct replica *r, uint32_t from, const struct seal_message *in)
{
    struct seal_message out = {.what = SEAL_HAVE, .kind = SEAL_SESSION, .id = in->id};

    /* The one that is asked for is itself, whoever gives it: its id is made from it. */
    if (!replica_may_speak_of_keys(r, from) && in->id != session_wanted(r))
        return;
    if (replica_keys_add(r, in->key) != in->id)
        return;
    send(r, from, &out);
    if (in->id == r->blind) {
        /* What was left out is in the log: from the beginning, with the key. */
        replica_fail(r, "the key of the sessions was not lost: starting anew");
        return;
    }
    if (in->id == r->fsm.session_key)
        replica_session_use(r);
    replica_unlock(r, in->id);
}

/* Who has left and votes still may not know it: it started anew, and stands before its LEAVE. It is given no key, but
 * while it hears no word, and leads, all wait for it (tests/sim 1631). */
static bool may_hear(const struct replica *r, uint32_t to, bool left)
{
    return replica_may_speak_of_keys(r, to) || (left && replica_newest_names(r, to));
}

static void answer_past(struct replica *r, uint32_t to, const struct seal_message *in)
{
    struct seal_message out = {.kind = in->kind, .id = in->id};
    bool left = replica_has_left(r, to);

    if (in->kind != SEAL_SESSION || !may_hear(r, to, left))
        return;
    out.what = replica_answer_past(r, in, !left);
    if (out.what != SEAL_NOTHING)
        send(r, to, &out);
}

/* What is taken is what it says it is. */
static void take(struct replica *r, uint32_t from, const struct seal_message *in)
{
    if (seal_key_id(&r->options.ring->means, in->kind, in->key) != in->id) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        return;
    }
    if (in->kind == SEAL_CONFIGURATION)
        take_configuration(r, from, in);
    else
        take_session(r, from, in);
}

void replica_on_keys(struct replica *r, uint32_t from, struct span bytes)
{
    struct seal_message in;

    if (r->options.ring == NULL || !seal_message_decode(bytes, &in)) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        return;
    }
    if (in.what == SEAL_WANT)
        answer(r, from, &in);
    if (in.what == SEAL_GIVE)
        take(r, from, &in);
    if (in.what == SEAL_PAST)
        answer_past(r, from, &in);
    if (in.what == SEAL_GONE || in.what == SEAL_LACK)
        replica_need_heard(r, from, &in);
    if (in.what == SEAL_HAVE && in.id == r->making.id)
        replica_set_add(&r->making.have, from);
    secret_wipe_bytes(&in, sizeof in);
    replica_pump(r);
}
