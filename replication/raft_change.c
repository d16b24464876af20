#include "replication/raft_internal.h"

#include <stdlib.h>

static bool enter(struct raft_driver *d, uint64_t now_ms)
{
    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    return !d->failed;
}

int raft_submit_entries(struct raft_driver *d, const struct repl_entry *entries, size_t n)
{
    struct raft_event event = {.type = RAFT_SUBMIT};
    struct raft_payload payload = {.first = raft_log_last(&d->log) + 1, .entries = entries, .n = n};
    struct raft_entry *array;
    void *batch;
    if (!raft_core_entries(entries, n, &array, &batch)) {
        raft_fail(d, "out of memory");
        return RAFT_NOMEM;
    }
    event.submit.entries = array;
    event.submit.n = (unsigned)n;
    int rv = raft_core_step(d, &event, &payload);
    if (rv != 0)
        raft_free(batch); /* a refused batch stays ours */
    if (rv == RAFT_NOMEM)
        raft_fail(d, "out of memory");
    raft_free(array);
    return rv;
}

/* May n entries be submitted now? The library has no backpressure of its own. */
static enum raft_driver_result may_submit(const struct raft_driver *d, size_t n)
{
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (d->raft.state != RAFT_LEADER)
        return RAFT_DRIVER_NOT_LEADER;
    if (d->transfer.node != 0 || raft_transferee(&d->raft) != 0)
        return RAFT_DRIVER_BUSY;
    uint64_t uncommitted = raft_log_last(&d->log) - d->commit;
    return uncommitted + n > RAFT_DRIVER_MAX_UNCOMMITTED ? RAFT_DRIVER_BUSY : RAFT_DRIVER_OK;
}

static enum raft_driver_result submitted(struct raft_driver *d, int rv)
{
    enum raft_driver_result result = d->failed          ? RAFT_DRIVER_FAILED
                                     : rv == 0          ? RAFT_DRIVER_OK
                                     : rv == RAFT_NOMEM ? RAFT_DRIVER_UNKNOWN
                                                        : RAFT_DRIVER_NOT_LEADER;
    raft_settle(d);
    return result;
}

enum raft_driver_result raft_driver_submit(struct raft_driver *d, uint64_t now_ms,
                                           const struct span *entries, size_t n, uint64_t *first,
                                           uint64_t *term)
{
    enter(d, now_ms);
    size_t size = 0;
    HF_ASSERT(n > 0);
    if (n > RAFT_DRIVER_MAX_BATCH)
        return RAFT_DRIVER_TOO_BIG;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].len > REPL_MAX_ENTRY_BYTES - 8)
            return RAFT_DRIVER_TOO_BIG;
        size += raft_command_bytes(entries[i].len);
    }
    enum raft_driver_result result = may_submit(d, n);
    if (result != RAFT_DRIVER_OK)
        return result;
    uint8_t *bytes = malloc(size);
    struct repl_entry *array = calloc(n, sizeof *array);
    int rv = RAFT_NOMEM;
    if (bytes == NULL || array == NULL) {
        raft_fail(d, "out of memory");
        goto out;
    }
    uint64_t index = raft_log_last(&d->log) + 1;
    uint64_t now_term = d->raft.current_term;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = raft_command_bytes(entries[i].len);
        raft_command_put(entries[i], bytes + at);
        array[i] = (struct repl_entry){
            .term = now_term, .kind = REPL_ENTRY_COMMAND, .data = span_of(bytes + at, len)};
        at += len;
    }
    rv = raft_submit_entries(d, array, n);
    if (rv == 0) {
        *first = index;
        *term = now_term;
        d->counters.submitted += n;
    }
out:
    free(bytes);
    free(array);
    return submitted(d, rv);
}

enum raft_driver_result raft_driver_barrier(struct raft_driver *d, uint64_t now_ms, uint64_t *index,
                                            uint64_t *term)
{
    enter(d, now_ms);
    enum raft_driver_result result = may_submit(d, 1);
    if (result != RAFT_DRIVER_OK)
        return result;
    struct repl_entry barrier = {.term = d->raft.current_term, .kind = REPL_ENTRY_BARRIER};
    uint64_t at = raft_log_last(&d->log) + 1;
    int rv = raft_submit_entries(d, &barrier, 1);
    if (rv == 0) {
        *index = at;
        *term = barrier.term;
    }
    return submitted(d, rv);
}

enum raft_driver_result raft_driver_confirm(struct raft_driver *d, uint64_t now_ms,
                                            struct raft_driver_confirmation *confirmation)
{
    return raft_driver_barrier(d, now_ms, &confirmation->index, &confirmation->term);
}

enum raft_driver_result raft_driver_confirmed(const struct raft_driver *d,
                                              const struct raft_driver_confirmation *confirmation,
                                              uint64_t *commit_index)
{
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (d->raft.state != RAFT_LEADER || d->raft.current_term != confirmation->term)
        return RAFT_DRIVER_LOST;
    if (d->commit < confirmation->index)
        return RAFT_DRIVER_BUSY;
    *commit_index =
        d->commit; /* still leading in that term: what is committed at the index is our barrier */
    return RAFT_DRIVER_OK;
}

/* --- membership --- */

/* A change of voters counts from the moment when it stands in the log, and is committed by the new ones.
 * So these show first that they can: a majority of them, those alone that count, stores a barrier that
 * was made for it. What dies, hangs or is cut off before that leaves the voters as they were, whoever
 * leads next; the change is begun anew (replica_members.c). */
enum { PROOF_ELECTIONS = 10 };

static bool same_voters(const struct repl_configuration *a, const struct repl_configuration *b)
{
    unsigned n = 0, both = 0;

    for (unsigned i = 0; i < a->n_servers; i++) {
        if (a->servers[i].role != RAFT_DRIVER_VOTER)
            continue;
        n++;
        for (unsigned k = 0; k < b->n_servers; k++)
            both +=
                b->servers[k].node == a->servers[i].node && b->servers[k].role == RAFT_DRIVER_VOTER;
    }
    for (unsigned k = 0; k < b->n_servers; k++)
        n -= b->servers[k].role == RAFT_DRIVER_VOTER;
    return n == 0 && both > 0;
}

static bool has_voter(const struct repl_configuration *c)
{
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i].role == RAFT_DRIVER_VOTER)
            return true;
    return false;
}

static void change_ends(struct raft_driver *d, enum raft_driver_result result)
{
    d->change.phase = RAFT_CHANGE_ENDED;
    d->change.result = result;
}

static void submit_change(struct raft_driver *d)
{
    uint8_t data[RAFT_CHANGE_BYTES];
    size_t len = raft_change_put(&d->change.next, data);
    struct repl_entry entry = {
        .term = d->raft.current_term, .kind = REPL_ENTRY_CHANGE, .data = span_of(data, len)};
    d->change.index = raft_log_last(&d->log) + 1;
    d->change.phase = RAFT_CHANGE_SUBMITTED;
    if (raft_submit_entries(d, &entry, 1) != 0)
        change_ends(d, RAFT_DRIVER_LOST);
}

static struct repl_server *find(struct repl_configuration *c, uint32_t node)
{
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i].node == node)
            return &c->servers[i];
    return NULL;
}

/* A spare receives nothing: that it caught up has to do. */
static bool needs_proof(struct raft_driver *d)
{
    struct repl_configuration now = raft_from_core(&d->raft.configuration, 0);
    const struct repl_server *server = find(&now, d->change.node);

    return RAFT_WRAPPED(d, RAFT_RULE_PROOF) && !same_voters(&now, &d->change.next) &&
           server != NULL && server->role != RAFT_DRIVER_SPARE;
}

static void prove(struct raft_driver *d)
{
    struct repl_entry barrier = {.term = d->raft.current_term, .kind = REPL_ENTRY_BARRIER};

    if (!needs_proof(d)) {
        submit_change(d);
        return;
    }
    d->change.index = raft_log_last(&d->log) + 1;
    d->change.phase = RAFT_CHANGE_PROVING;
    d->change.deadline_ms = d->now_ms + PROOF_ELECTIONS * (uint64_t)d->options.election_ms;
    if (raft_submit_entries(d, &barrier, 1) != 0)
        change_ends(d, RAFT_DRIVER_LOST);
}

static void poll_proof(struct raft_driver *d, bool leading)
{
    if (!leading)
        change_ends(d, RAFT_DRIVER_LOST);
    else if (raft_stored_by(d, &d->change.next, d->change.index))
        submit_change(d);
    else if (d->now_ms >= d->change.deadline_ms)
        change_ends(d, RAFT_DRIVER_BUSY);
}

/* The core catches `node` up in rounds; raft_change_poll() sees how it ends. */
static void catch_up(struct raft_driver *d, uint32_t node)
{
    struct raft_event event = {.type = RAFT_CATCH_UP};
    event.catch_up.server_id = node;
    d->change.phase = RAFT_CHANGE_CATCHING_UP;
    raft_core_step(d, &event, NULL);
}

void raft_change_poll(struct raft_driver *d)
{
    struct raft_change_state *c = &d->change;
    bool leading = d->raft.state == RAFT_LEADER && d->raft.current_term == c->term;
    int status = RAFT_CATCH_UP_NONE;
    if (c->phase == RAFT_CHANGE_SUBMITTED) {
        /* while its entry stands in the log with our term, the log decides; else it is lost */
        bool stands = raft_driver_term_of(d, c->index) == c->term;
        if (d->applied >= c->index)
            change_ends(d, stands ? RAFT_DRIVER_OK : RAFT_DRIVER_LOST);
        else if (!leading && !(stands && d->commit >= c->index))
            change_ends(d, RAFT_DRIVER_LOST);
    } else if (c->phase == RAFT_CHANGE_PROVING) {
        poll_proof(d, leading);
    } else if (c->phase == RAFT_CHANGE_CATCHING_UP) {
        if (!leading || raft_catch_up(&d->raft, c->node, &status) != 0)
            change_ends(d, RAFT_DRIVER_LOST);
        else if (status == RAFT_CATCH_UP_FINISHED)
            prove(d);
        else if (status != RAFT_CATCH_UP_RUNNING)
            change_ends(d, RAFT_DRIVER_TIMED_OUT);
    }
}

/* Any change begins here. OK: *next is the configuration as it is. */
static enum raft_driver_result begin_change(struct raft_driver *d, uint64_t now_ms,
                                            struct repl_configuration *next)
{
    if (!enter(d, now_ms))
        return RAFT_DRIVER_FAILED;
    if (d->raft.state != RAFT_LEADER)
        return RAFT_DRIVER_NOT_LEADER;
    if (d->change.phase != RAFT_CHANGE_NONE || d->transfer.node != 0 ||
        raft_transferee(&d->raft) != 0 || d->raft.configuration_uncommitted_index != 0 ||
        !raft_may_change(d))
        return RAFT_DRIVER_BUSY;
    *next = raft_from_core(&d->raft.configuration, 0);
    return RAFT_DRIVER_OK;
}

static void start_change(struct raft_driver *d, uint32_t node,
                         const struct repl_configuration *next)
{
    d->change =
        (struct raft_change_state){.node = node, .next = *next, .term = d->raft.current_term};
}

enum raft_driver_result raft_driver_add(struct raft_driver *d, uint64_t now_ms, uint32_t node)
{
    struct repl_configuration next;
    enum raft_driver_result result = begin_change(d, now_ms, &next);
    if (result != RAFT_DRIVER_OK)
        return result;
    if (node == 0 || find(&next, node) != NULL || next.n_servers == REPL_MAX_SERVERS)
        return RAFT_DRIVER_INVALID;
    next.servers[next.n_servers++] = (struct repl_server){.node = node, .role = RAFT_DRIVER_SPARE};
    start_change(d, node, &next);
    submit_change(d);
    raft_settle(d);
    return RAFT_DRIVER_OK;
}

enum raft_driver_result raft_driver_remove(struct raft_driver *d, uint64_t now_ms, uint32_t node)
{
    struct repl_configuration next;
    enum raft_driver_result result = begin_change(d, now_ms, &next);
    if (result != RAFT_DRIVER_OK)
        return result;
    struct repl_server *server = find(&next, node);
    if (server == NULL)
        return RAFT_DRIVER_INVALID;
    struct repl_server *end = &next.servers[--next.n_servers];
    memmove(server, server + 1, (size_t)(end - server) * sizeof *server); /* the order must stay */
    if (!has_voter(&next))
        return RAFT_DRIVER_INVALID;
    if (!raft_counts_on(d, &next))
        return RAFT_DRIVER_BUSY;
    start_change(d, node, &next);
    prove(d);
    raft_settle(d);
    return RAFT_DRIVER_OK;
}

static enum raft_driver_result promote(struct raft_driver *d, uint64_t now_ms, uint32_t node)
{
    struct repl_configuration next;
    enum raft_driver_result result;
    if (raft_catch_up_refused(d, node, &result))
        return result;
    if (RAFT_WRAPPED(d, 8)) {
        result = begin_change(d, now_ms, &next);
        if (result != RAFT_DRIVER_OK)
            return result;
    } else {
        next = raft_from_core(&d->raft.configuration, 0);
    }
    struct repl_server *server = find(&next, node);
    if (server != NULL && server->role == RAFT_DRIVER_VOTER)
        return RAFT_DRIVER_INVALID;
    if (server != NULL)
        server->role = RAFT_DRIVER_VOTER;
    if (!raft_driver_counts(d, node))
        return RAFT_DRIVER_BUSY; /* a voter that does not count only makes the majority larger */
    start_change(d, node, &next);
    if (raft_catch_up_needed(d, node))
        catch_up(d, node);
    else
        prove(d);
    raft_settle(d);
    return RAFT_DRIVER_OK;
}

enum raft_driver_result raft_driver_assign(struct raft_driver *d, uint64_t now_ms, uint32_t node,
                                           uint8_t role)
{
    struct repl_configuration next;
    if (!enter(d, now_ms))
        return RAFT_DRIVER_FAILED;
    if (role == RAFT_DRIVER_VOTER)
        return promote(d, now_ms, node);
    enum raft_driver_result result = begin_change(d, now_ms, &next);
    if (result != RAFT_DRIVER_OK)
        return result;
    struct repl_server *server = find(&next, node);
    if (server == NULL || server->role == role ||
        (role != RAFT_DRIVER_STANDBY && role != RAFT_DRIVER_SPARE))
        return RAFT_DRIVER_INVALID;
    server->role = role;
    if (!has_voter(&next))
        return RAFT_DRIVER_INVALID;
    if (!raft_counts_on(d, &next))
        return RAFT_DRIVER_BUSY;
    start_change(d, node, &next);
    prove(d);
    raft_settle(d);
    return RAFT_DRIVER_OK;
}

/* --- leadership transfer --- */

static void transfer_ends(struct raft_driver *d, enum raft_driver_result result)
{
    d->transfer.ended = true;
    d->transfer.result = result;
}

/* The core sends TimeoutNow also when the follower lacks the newest entries, and then it is
 * ignored: so submits stop first, and the core hears of it only when the follower has stored all.
 * An attempt ends after an election timeout; then again. Meanwhile nothing is submitted, no
 * takeover either: so none waits for a node that has gone, nor for long for one that is slow. */
void raft_transfer_poll(struct raft_driver *d)
{
    struct raft_transfer_state *t = &d->transfer;
    if (t->node == 0 || t->ended)
        return;
    struct raft_driver_status s = raft_driver_status(d);
    if (s.term > t->term && s.leader != 0)
        transfer_ends(d, s.leader == t->node ? RAFT_DRIVER_OK : RAFT_DRIVER_LOST);
    else if (d->now_ms >= t->deadline_ms || !d->transport.connected(d->transport.self, t->node))
        transfer_ends(d, RAFT_DRIVER_TIMED_OUT);
    else if (s.state == RAFT_DRIVER_LEADER && raft_transferee(&d->raft) == 0 &&
             raft_driver_match(d, t->node) == raft_log_last(&d->log)) {
        struct raft_event event = {.type = RAFT_TRANSFER};
        event.transfer.server_id = t->node;
        if (raft_core_step(d, &event, NULL) != 0)
            transfer_ends(d, RAFT_DRIVER_INVALID);
    }
}

enum raft_driver_result raft_driver_transfer(struct raft_driver *d, uint64_t now_ms, uint32_t node)
{
    if (!enter(d, now_ms))
        return RAFT_DRIVER_FAILED;
    if (d->raft.state != RAFT_LEADER)
        return RAFT_DRIVER_NOT_LEADER;
    if (d->transfer.node != 0 || d->change.phase != RAFT_CHANGE_NONE)
        return RAFT_DRIVER_BUSY;
    struct repl_configuration c = raft_from_core(&d->raft.configuration, 0);
    struct repl_server *server = find(&c, node);
    if (server == NULL || node == d->options.node || server->role != RAFT_DRIVER_VOTER ||
        !raft_driver_counts(d, node))
        return RAFT_DRIVER_INVALID;
    d->transfer =
        (struct raft_transfer_state){.node = node,
                                     .term = d->raft.current_term,
                                     .deadline_ms = d->now_ms + 2ULL * d->options.election_ms};
    raft_settle(d);
    return RAFT_DRIVER_OK;
}
