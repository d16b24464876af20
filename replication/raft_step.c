#include "replication/raft_internal.h"

#include <stdio.h>
#include <stdlib.h>

void raft_fail(struct raft_driver *d, const char *why)
{
    if (d->failed)
        return;
    d->failed = true;
    d->why = why;
}

/* Which of the two is right nobody can tell here; whoever operates the cluster sees who goes on. */
void raft_contradicted(struct raft_driver *d, uint32_t from, const char *what, uint64_t index,
                       uint64_t term)
{
    d->counters.contradicted++;
    (void)snprintf(d->words, sizeof d->words,
                   "ALARM: node %u's %s contradicts what is committed here: entry %llu is of term "
                   "%llu there, of term %llu here. One of the two lost data, or was copied or "
                   "restored; this node ends whenever it hears that one. If the cluster goes on "
                   "without this node, replace this one (holdfast cluster replace %u), else stop "
                   "node %u and replace that",
                   (unsigned)from, what, (unsigned long long)index, (unsigned long long)term,
                   (unsigned long long)raft_driver_term_of(d, index), (unsigned)d->options.node,
                   (unsigned)from);
    raft_fail(d, d->words);
}

bool raft_core_configuration(const struct repl_configuration *from, struct raft_configuration *to)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n_servers; i++) {
        char address[16];
        (void)snprintf(address, sizeof address, "%u", from->servers[i].node);
        if (raft_configuration_add(to, from->servers[i].node, address, from->servers[i].role) !=
            0) {
            raft_configuration_close(to);
            return false;
        }
    }
    return true;
}

struct repl_configuration raft_from_core(const struct raft_configuration *from, uint64_t index)
{
    struct repl_configuration c = {.index = index};
    HF_ASSERT(from->n <= REPL_MAX_SERVERS);
    for (unsigned i = 0; i < from->n; i++)
        c.servers[i] = (struct repl_server){.node = (uint32_t)from->servers[i].id,
                                            .role = (uint8_t)from->servers[i].role};
    c.n_servers = (uint8_t)from->n;
    return c;
}

static bool encode_change(struct span data, struct raft_buffer *out)
{
    struct repl_configuration ours;
    struct raft_configuration core;
    bool valid = raft_configuration_take(&data, &ours);
    HF_ASSERT(valid);
    if (!raft_core_configuration(&ours, &core))
        return false;
    int rv = raft_configuration_encode(&core, out);
    raft_configuration_close(&core);
    return rv == 0;
}

/* One raft_malloc'd batch holds all the data, as the core's ownership rules want. Commands are
 * eight zero bytes to it: it never reads them, and the log cache has the real ones. */
bool raft_core_entries(const struct repl_entry *entries, size_t n, struct raft_entry **out,
                       void **batch)
{
    struct raft_buffer changes[8];
    size_t n_changes = 0, size = 8, used = 8, at = 0;
    bool ok = false;
    struct raft_entry *array = raft_calloc(n, sizeof *array);
    struct raft_buffer *all = changes;
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += entries[i].kind == REPL_ENTRY_CHANGE;
    if (total > sizeof changes / sizeof *changes)
        all = calloc(total, sizeof *all);
    if (array == NULL || all == NULL)
        goto out;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].kind != REPL_ENTRY_CHANGE)
            continue;
        if (!encode_change(entries[i].data, &all[n_changes]))
            goto out;
        size += all[n_changes++].len;
    }
    uint8_t *bytes = raft_calloc(1, size);
    if (bytes == NULL)
        goto out;
    for (size_t i = 0; i < n; i++) {
        array[i] = (struct raft_entry){.term = entries[i].term,
                                       .type = (enum raft_entry_type)entries[i].kind,
                                       .buf = {bytes, 8},
                                       .batch = bytes};
        if (entries[i].kind != REPL_ENTRY_CHANGE)
            continue;
        memcpy(bytes + used, all[at].base, all[at].len);
        array[i].buf = (struct raft_buffer){bytes + used, all[at].len};
        used += all[at++].len;
    }
    *out = array;
    *batch = bytes;
    array = NULL;
    ok = true;
out:
    for (size_t i = 0; i < n_changes; i++)
        raft_free(all[i].base);
    if (all != changes)
        free(all);
    raft_free(array);
    return ok;
}

/* Our own of the library's assertions, which Debian compiled out: what it believes and what we hold
 * agree. */
static void check(struct raft_driver *d)
{
    struct raft *r = &d->raft;
    HF_ASSERT(r->state == RAFT_FOLLOWER || r->state == RAFT_CANDIDATE || r->state == RAFT_LEADER);
    HF_ASSERT(raft_last_index(r) == raft_log_last(&d->log));
    HF_ASSERT(r->trail.offset + 1 == d->log.first);
    HF_ASSERT(r->last_stored <= raft_log_last(&d->log));
    HF_ASSERT(r->commit_index >= d->commit); /* defect 9 */
    HF_ASSERT(r->commit_index <= raft_log_last(&d->log));
    HF_ASSERT(r->configuration_uncommitted_index == 0 || d->installing ||
              (raft_log_get(&d->log, r->configuration_uncommitted_index) != NULL &&
               raft_log_get(&d->log, r->configuration_uncommitted_index)->kind ==
                   REPL_ENTRY_CHANGE)); /* defect 1 */
    HF_ASSERT(!d->installing || r->state == RAFT_FOLLOWER);
}

/* A committed CHANGE goes back into the core: only then it takes the configuration for committed.
 */
static void commit_configuration(struct raft_driver *d, uint64_t index,
                                 const struct raft_log_entry *entry)
{
    struct repl_configuration ours;
    struct span data = span_of(entry->data, entry->len);
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    bool valid = raft_configuration_take(&data, &ours);
    HF_ASSERT(valid);
    if (!raft_core_configuration(&ours, &event.configuration.conf)) {
        raft_fail(d, "out of memory");
        return;
    }
    event.configuration.index = index;
    raft_core_step(d, &event, NULL);
}

static void advance_commit(struct raft_driver *d)
{
    uint64_t target = d->raft.commit_index;
    uint64_t from = d->commit;
    HF_ASSERT(target >= from);
    d->commit = target;
    if (d->installing)
        return; /* the log begins anew behind the snapshot, which carries its configuration */
    for (uint64_t i = from < d->log.first ? d->log.first : from + 1; i <= target; i++) {
        const struct raft_log_entry *entry = raft_log_get(&d->log, i);
        HF_ASSERT(entry != NULL);
        if (entry->kind == REPL_ENTRY_CHANGE)
            commit_configuration(d, i, entry);
    }
}

/* A vote is on the disk before it is sent, the candidate's own as the voter's: an election takes two
 * writes and two ways. On disks or processors slower than the timeout none ever succeeded: each
 * candidate began anew before the answers came, and nobody led for as long as that lasted. So when
 * an election ends by time, the next asks first who would vote (the core does that once only, and
 * then raises the term each time), and from the second on has twice as long each time. A pre-vote
 * that ends so counts for nothing: who is cut off, or behind, is as quick as ever once it is not. */
void raft_stretch_elections(struct raft_driver *d)
{
    enum { QUICK = 1, DOUBLINGS = 3 };
    unsigned doublings;
    if (d->raft.state != RAFT_CANDIDATE || d->raft.candidate_state.in_pre_vote)
        return;
    d->raft.candidate_state.in_pre_vote = !d->raft.candidate_state.disrupt_leader;
    d->elections_failed++;
    doublings = d->elections_failed > QUICK ? d->elections_failed - QUICK : 0;
    d->raft.election_timeout = d->options.election_ms
                               << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
}

void raft_calm_elections(struct raft_driver *d)
{
    d->elections_failed = 0;
    d->raft.election_timeout = d->options.election_ms;
}

static void note_state(struct raft_driver *d, unsigned flags)
{
    if ((flags & (RAFT_UPDATE_STATE)) == 0 || d->raft.state != RAFT_LEADER)
        return;
    d->counters.elections_won++;
    d->led_since_ms = d->now_ms;
    raft_calm_elections(d); /* a leader also counts by it whether it is still heard */
    raft_commit_own_term(d);
}

int raft_core_step(struct raft_driver *d, struct raft_event *event,
                   const struct raft_payload *payload)
{
    struct raft_update update;
    if (d->failed)
        return RAFT_SHUTDOWN;
    HF_ASSERT(!d->stepping);
    memset(&update, 0, sizeof update);
    event->time = d->now_ms;
    d->stepping = true;
    int rv = raft_step(&d->raft, event, &update);
    d->stepping = false;
    if (rv != 0)
        return rv;
    unsigned flags = update.flags;
    if ((flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) != 0 &&
        !raft_store_vote(d, d->raft.current_term, (uint32_t)d->raft.voted_for))
        raft_fail(d, "out of memory");
    if ((flags & (RAFT_UPDATE_ENTRIES)) != 0 && !raft_store_entries(d, &update, payload))
        raft_fail(d, "out of memory");
    if ((flags & (RAFT_UPDATE_SNAPSHOT)) != 0 && !raft_store_install(d, &update))
        raft_fail(d, "out of memory");
    if (d->failed)
        return 0;
    raft_commit_trusted(d);
    if (event->type != RAFT_SNAPSHOT) /* there, our log is trimmed only afterwards */
        check(d);
    if ((flags & (RAFT_UPDATE_MESSAGES)) != 0)
        raft_send_messages(d, update.messages.batch, update.messages.n);
    advance_commit(d);
    note_state(d, flags);
    return 0;
}

void raft_settle(struct raft_driver *d)
{
    if (!d->failed) {
        raft_found_poll(d);
        raft_muted_poll(d);
        raft_change_poll(d);
        raft_transfer_poll(d);
        raft_install_poll(d);
    }
    raft_deliver(d);
}
