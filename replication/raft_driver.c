#include "replication/raft_driver.h"

#include <stdlib.h>

#include "replication/raft_internal.h"

HF_STATIC_ASSERT((int)RAFT_COMMAND == (int)REPL_ENTRY_COMMAND);
HF_STATIC_ASSERT((int)RAFT_BARRIER == (int)REPL_ENTRY_BARRIER);
HF_STATIC_ASSERT((int)RAFT_CHANGE == (int)REPL_ENTRY_CHANGE);
HF_STATIC_ASSERT((int)RAFT_STANDBY == (int)RAFT_DRIVER_STANDBY &&
                 (int)RAFT_VOTER == (int)RAFT_DRIVER_VOTER);
HF_STATIC_ASSERT((int)RAFT_SPARE == (int)RAFT_DRIVER_SPARE);
/* Ownership rules change upstream later; CMakeLists.txt refuses at configure time, this at compile
 * time. */
HF_STATIC_ASSERT(RAFT_VERSION_MAJOR == 0 && RAFT_VERSION_MINOR == 22);

enum { INSTALL_TIMEOUT_MS = 10000, TRAILING = 256, TRAILING_BYTES = 16 << 20 };
HF_STATIC_ASSERT((int)REPL_MAX_SERVERS < (int)RAFT_DRIVER_READER &&
                 (int)RAFT_DRIVER_READER < (int)REPL_READERS);

struct raft_driver *raft_driver_create(const struct raft_driver_options *options,
                                       const struct repl_storage *storage,
                                       const struct repl_transport *transport,
                                       const struct raft_driver_callbacks *callbacks)
{
    HF_ASSERT(options->node > 0 && options->boot > 0 && options->election_ms > 0 &&
              options->heartbeat_ms > 0 && options->incarnation > 0);
    HF_ASSERT(callbacks->apply != NULL && callbacks->restore != NULL);
    struct raft_driver *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->options = *options;
    if (d->options.install_timeout_ms == 0)
        d->options.install_timeout_ms = INSTALL_TIMEOUT_MS;
    if (d->options.trailing == 0)
        d->options.trailing = TRAILING;
    if (d->options.trailing_bytes == 0)
        d->options.trailing_bytes = TRAILING_BYTES;
    if (d->options.install_piece_bytes == 0)
        d->options.install_piece_bytes = REPL_READ_UNIT;
    HF_ASSERT(d->options.install_piece_bytes <= RAFT_FRAME_MAX_PIECE);
    d->storage = *storage;
    d->transport = *transport;
    d->callbacks = *callbacks;
    d->vouched = UINT64_MAX;
    if (raft_init(&d->raft, NULL, NULL, d->options.node, "self") != 0) {
        free(d);
        return NULL;
    }
    struct raft *r = &d->raft;
    r->tracer = NULL; /* it would format a line for each step into one static buffer */
    raft_seed(r, d->options.seed);
    raft_set_election_timeout(r, d->options.election_ms);
    raft_set_heartbeat_timeout(r, d->options.heartbeat_ms);
    raft_set_install_snapshot_timeout(r, d->options.install_timeout_ms);
    raft_set_max_catch_up_round_duration(r, 2 * d->options.install_timeout_ms);
    raft_set_max_inflight_entries(r, RAFT_INFLIGHT_ENTRIES);
    raft_set_pre_vote(r, true);
    raft_log_init(&d->log, 1);
    return d;
}

void raft_driver_destroy(struct raft_driver *d)
{
    if (d == NULL)
        return;
    HF_ASSERT(!d->stepping && !d->delivering);
    raft_close(&d->raft, NULL);
    raft_drop_held(d);
    raft_log_deinit(&d->log);
    free(d->pending);
    free(d->install_data);
    free(d->out);
    free(d);
}

bool raft_driver_bootstrap(const struct repl_storage *storage,
                           const struct repl_configuration *configuration)
{
    uint8_t data[RAFT_CHANGE_BYTES];
    struct repl_configuration check;
    size_t len = raft_change_put(configuration, data);
    struct span run = span_of(data, len);
    if (!raft_configuration_take(&run, &check))
        return false;
    struct repl_entry entry = {.term = 1, .kind = REPL_ENTRY_CHANGE, .data = span_of(data, len)};
    storage->vote(storage->self, 1, 0);
    storage->append(storage->self, 1, &entry, 1);
    return true;
}

static bool snapshot_sound(const struct repl_loaded *l)
{
    const struct repl_snapshot_meta *s = &l->snapshot;
    uint8_t bytes[RAFT_FRAME_CONFIGURATION_BYTES];
    struct repl_configuration c;
    if (s->index == 0)
        return true;
    struct span run = span_of(bytes, raft_configuration_put(&s->configuration, bytes));
    return s->term > 0 && s->term <= l->term && s->configuration.index > 0 &&
           s->configuration.index <= s->index && raft_configuration_take(&run, &c);
}

/* What the disk says must be a log that Raft can have written. */
static bool loaded_sound(const struct repl_loaded *l)
{
    if (l->term == 0)
        return l->voted_for == 0 && l->snapshot.index == 0 && l->n_entries == 0;
    if (!snapshot_sound(l) || l->n_entries > UINT32_MAX)
        return false;
    if (l->n_entries == 0)
        return true;
    if (l->first_index == 0 || l->first_index > l->snapshot.index + 1)
        return false;
    if (l->first_index == 1 && l->entries[0].kind != REPL_ENTRY_CHANGE)
        return false;
    uint64_t term = 1;
    for (size_t i = 0; i < l->n_entries; i++) {
        const struct repl_entry *e = &l->entries[i];
        if (e->term < term || e->term > l->term || !raft_entry_valid(e->kind, e->data))
            return false;
        term = e->term;
    }
    return true;
}

/* A log that lacks the snapshot's last entry is of no use and must go first (it is what a half-done
 * install would leave). */
static bool log_contradicts(const struct repl_loaded *l)
{
    uint64_t snapshot = l->snapshot.index;
    if (snapshot == 0 || l->n_entries == 0 || l->first_index == snapshot + 1)
        return false;
    return snapshot - l->first_index >= l->n_entries ||
           l->entries[snapshot - l->first_index].term != l->snapshot.term;
}

static bool start_core(struct raft_driver *d, const struct repl_loaded *l, uint64_t first, size_t n)
{
    struct raft_snapshot_metadata meta = {.index = l->snapshot.index, .term = l->snapshot.term};
    struct raft_event event = {.type = RAFT_START};
    struct raft_entry *array = NULL;
    void *batch = NULL;
    if (l->snapshot.index > 0) {
        meta.configuration_index = l->snapshot.configuration.index;
        if (!raft_core_configuration(&l->snapshot.configuration, &meta.configuration))
            return false;
        event.start.metadata = &meta;
    }
    if (n > 0 && !raft_core_entries(l->entries, n, &array, &batch))
        return false;
    uint64_t term = l->term;
    uint32_t voted_for = l->voted_for;
    raft_raise_term_at_start(d, &term, &voted_for);
    event.start.term = term;
    event.start.voted_for = voted_for;
    event.start.start_index = first;
    event.start.entries = array;
    event.start.n_entries = (unsigned)n;
    if (raft_core_step(d, &event, NULL) != 0)
        return false; /* the core has freed both */
    raft_free(batch);
    raft_free(array);
    return true;
}

static bool take_snapshot_data(struct raft_driver *d, const struct repl_loaded *l)
{
    if (l->snapshot.index == 0)
        return true;
    d->install_data = malloc(l->snapshot_data.len == 0 ? 1 : l->snapshot_data.len);
    if (d->install_data == NULL)
        return false;
    if (l->snapshot_data.len > 0)
        memcpy(d->install_data, l->snapshot_data.data, l->snapshot_data.len);
    d->install_len = l->snapshot_data.len;
    d->install = d->snapshot = l->snapshot;
    d->restoring = true;
    d->commit = l->snapshot.index;
    return true;
}

/* No other voter in the newest configuration: nobody could ever lift a distrust. (One that is malformed
 * is refused by loaded_sound().) */
static bool alone(const struct raft_driver *d, const struct repl_loaded *l)
{
    struct repl_configuration c = l->snapshot.configuration;
    for (size_t i = 0; i < l->n_entries; i++) {
        struct span data = l->entries[i].data;
        if (l->entries[i].kind == REPL_ENTRY_CHANGE && !raft_configuration_take(&data, &c))
            return false;
    }
    return raft_only_voter(d, &c);
}

/* A vote that is older than the log was lost, and a later one with it: the node has forgotten whom
 * it voted for. */
static void judge_vote(const struct repl_loaded *l, struct raft_driver_verdict *v)
{
    uint64_t term = l->n_entries > 0 ? l->entries[l->n_entries - 1].term : 0;
    term = term < l->snapshot.term ? l->snapshot.term : term;
    v->forgot = l->term < term && (l->term != 0 || l->voted_for == 0);
    v->term = v->forgot ? term : l->term;
    if (v->forgot && v->why == REPL_TRUSTED)
        v->why = REPL_DISTRUST_VOTE;
}

struct raft_driver_verdict raft_driver_judge(struct raft_driver *d, const struct repl_loaded *l)
{
    HF_ASSERT(!d->started);
    d->verdict = (struct raft_driver_verdict){.given = true, .why = l->distrust};
    judge_vote(l, &d->verdict);
    d->verdict.alone = alone(d, l);
    return d->verdict;
}

void raft_driver_lift(struct raft_driver *d)
{
    HF_ASSERT(!d->started);
    d->lifts = true;
}

enum raft_driver_result raft_driver_start(struct raft_driver *d, const struct repl_loaded *found,
                                          uint64_t now_ms)
{
    struct repl_loaded loaded = *found, *l = &loaded;
    HF_ASSERT(!d->started);
    if (!d->verdict.given)
        (void)raft_driver_judge(d, found);
    const struct raft_driver_verdict *v = &d->verdict;
    l->term = v->term;
    l->voted_for = v->forgot ? 0 : found->voted_for;
    l->distrust = d->lifts ? REPL_TRUSTED : v->why;
    bool founds = repl_distrust_is_new(l->distrust) && l->n_entries == 1 && l->first_index == 1 &&
                  l->snapshot.index == 0;
    if (!loaded_sound(l) || (l->distrust != REPL_TRUSTED && v->alone && !founds))
        return RAFT_DRIVER_INVALID;
    if (founds && v->alone)
        l->distrust = REPL_TRUSTED; /* it need not ask anybody: raft_found.c */
    bool discard = log_contradicts(l);
    size_t n = discard ? 0 : l->n_entries;
    uint64_t first = n > 0 ? l->first_index : l->snapshot.index + 1;
    d->started = true;
    d->now_ms = now_ms;
    d->vote_term = found->term;
    d->vote_for = found->voted_for;
    if (l->distrust != found->distrust && !raft_store_distrust(d, l->distrust))
        raft_fail(d, "out of memory");
    if (v->forgot && !raft_store_vote(d, l->term, 0))
        raft_fail(d, "out of memory");
    d->muted = l->distrust;
    d->counters.muted += d->muted != REPL_TRUSTED;
    raft_log_reset(&d->log, first);
    bool ok = take_snapshot_data(d, l);
    for (size_t i = 0; i < n && ok; i++)
        ok = raft_log_append(&d->log, &l->entries[i]);
    if (l->snapshot.index == 0)
        raft_history_begins(d);
    if (ok && discard)
        raft_queue_discard(d, &l->snapshot);
    if (!ok || !start_core(d, l, first, n))
        raft_fail(d, "out of memory");
    raft_settle(d);
    return d->failed ? RAFT_DRIVER_FAILED : RAFT_DRIVER_OK;
}

uint64_t raft_driver_next_timeout(const struct raft_driver *d)
{
    if (d->failed || !d->started)
        return UINT64_MAX;
    if (d->more)
        return d->now_ms + 1;
    uint64_t at = raft_timeout(&d->raft);
    raft_clamp_timeout(d, &at);
    if (d->transfer.node != 0 && d->transfer.deadline_ms < at)
        at = d->transfer.deadline_ms;
    if (d->change.phase == RAFT_CHANGE_PROVING && d->change.deadline_ms < at)
        at = d->change.deadline_ms;
    uint64_t found = raft_found_timeout(d);
    return found < at ? found : at;
}

void raft_driver_tick(struct raft_driver *d, uint64_t now_ms)
{
    HF_ASSERT(d->started && !d->stepping && !d->delivering);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    uint64_t core = raft_timeout(&d->raft), at = core;
    raft_clamp_timeout(d, &at);
    d->counters.wrapped[4] += at != core;
    if (!d->failed && raft_muted_waits(d)) {
        d->raft.election_timer_start = d->now_ms;
    } else if (!d->failed && d->now_ms >= at) {
        struct raft_event event = {.type = RAFT_TIMEOUT};
        d->timeout_step_ms = d->now_ms;
        raft_stretch_elections(d);
        raft_raise_term_at_timeout(d);
        raft_look_back(d);
        if (raft_core_step(d, &event, NULL) != 0)
            raft_fail(d, "out of memory");
    }
    raft_settle(d);
}

enum raft_driver_result raft_driver_receive(struct raft_driver *d, uint64_t now_ms, uint32_t from,
                                            struct span bytes)
{
    struct raft_frame frame;
    enum raft_driver_result result = RAFT_DRIVER_MALFORMED;
    HF_ASSERT(d->started && !d->stepping && !d->delivering);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (from == 0 || from == d->options.node || !raft_frame_decode(bytes, &frame)) {
        d->counters.frames_malformed++;
        return RAFT_DRIVER_MALFORMED;
    }
    d->counters.frames_in++;
    if (raft_foreign(d, from, &frame) || !raft_in_order(d, from, &frame))
        return RAFT_DRIVER_OK;
    raft_hears(d, from);
    if (frame.type == RAFT_FRAME_REQUEST_VOTE)
        raft_found_begun(d); /* nobody else asks */
    if (raft_muted_ignores(d, &frame))
        return RAFT_DRIVER_OK;
    d->stale = frame.term < d->raft.current_term;
    switch (frame.type) {
    case RAFT_FRAME_APPEND:
        result = raft_receive_append(d, from, &frame);
        break;
    case RAFT_FRAME_INSTALL:
        result = raft_receive_install(d, from, &frame);
        break;
    case RAFT_FRAME_TRUST:
    case RAFT_FRAME_DISTRUST:
        raft_muted_hears(d, from, &frame);
        result = RAFT_DRIVER_OK;
        break;
    case RAFT_FRAME_FOUND:
        raft_found_hears(d, from, &frame);
        result = RAFT_DRIVER_OK;
        break;
    case RAFT_FRAME_INSTALL_ACK:
        raft_install_acked(d, from, &frame);
        result = RAFT_DRIVER_OK;
        break;
    default:
        result = raft_receive_small(d, from, &frame);
        break;
    }
    d->stale = false;
    d->counters.frames_malformed += result == RAFT_DRIVER_MALFORMED;
    raft_settle(d);
    return result;
}

const struct raft_driver_counters *raft_driver_counters(const struct raft_driver *d)
{
    return &d->counters;
}

const struct repl_configuration *raft_driver_configuration(const struct raft_driver *d)
{
    return &d->configuration;
}

struct repl_configuration raft_driver_newest_configuration(const struct raft_driver *d)
{
    uint64_t uncommitted = d->raft.configuration_uncommitted_index;

    return raft_from_core(&d->raft.configuration,
                          uncommitted != 0 ? uncommitted : d->raft.configuration_committed_index);
}

uint64_t raft_driver_term_of(const struct raft_driver *d, uint64_t index)
{
    const struct raft_log_entry *entry = raft_log_get(&d->log, index);
    if (entry != NULL)
        return entry->term;
    uint64_t snapshot = d->installing ? d->install.index : d->snapshot.index;
    uint64_t term = d->installing ? d->install.term : d->snapshot.term;
    return index == snapshot && index > 0 ? term : 0;
}
