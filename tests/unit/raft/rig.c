#include "unit/raft/rig.h"

#include <stdio.h>
#include <stdlib.h>

static void on_apply(void *self, uint64_t index, const struct repl_entry *entry)
{
    struct rig *r = self;
    HF_ASSERT(index == r->applied + 1);
    r->applied = index;
    r->last_apply_term = entry->term;
    if (entry->kind != REPL_ENTRY_COMMAND)
        return;
    r->applied_commands++;
    r->last_command_len =
        entry->data.len < sizeof r->last_command ? entry->data.len : sizeof r->last_command;
    if (r->last_command_len > 0)
        memcpy(r->last_command, entry->data.data, r->last_command_len);
}

static void on_restore(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    struct rig *r = self;
    (void)data;
    HF_ASSERT(meta->index > r->applied || r->applied == 0);
    r->applied = r->restored = meta->index;
    raft_driver_is_of(r->driver, r->image_of == 0 ? RIG_INCARNATION : r->image_of);
}

static void on_state(void *self, const struct raft_driver_status *status)
{
    (void)status;
    ((struct rig *)self)->states++;
}

static void on_configuration(void *self, const struct repl_configuration *configuration)
{
    ((struct rig *)self)->configuration = *configuration;
}

static void on_taken(void *self, uint64_t index, enum raft_driver_result result)
{
    struct rig *r = self;
    r->taken = index;
    r->taken_result = result;
}

static void on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    (void)node, (void)incarnation;
    ((struct rig *)self)->strangers++;
}

static void on_failed(void *self, const char *why)
{
    struct rig *r = self;

    r->failed++;
    (void)snprintf(r->why, sizeof r->why, "%s", why);
}

static bool net_send(void *self, uint32_t node, enum repl_channel channel, const struct span *parts,
                     size_t n)
{
    struct rig *r = self;
    size_t len = 0;
    HF_ASSERT(channel == REPL_CHANNEL_RAFT);
    if (r->refuse)
        return false;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    uint8_t *bytes = malloc(len + 1);
    HF_ASSERT(bytes != NULL && r->n_sent < RIG_MAX_SENT);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    struct rig_sent *s = &r->sent[r->n_sent++];
    s->to = node;
    s->now_ms = r->now_ms;
    bool sound = raft_frame_decode(span_of(bytes, len), &s->frame); /* what we send we would take */
    HF_ASSERT(sound);
    free(bytes);
    return true;
}

static uint32_t net_speaks(void *self, uint32_t node)
{
    uint32_t speaks = ((struct rig *)self)->speaks;

    (void)node;
    return speaks == 0 ? REPL_LINK_NAMES_HISTORY : speaks;
}

static uint32_t net_hears(void *self, uint32_t node)
{
    uint32_t hears = ((struct rig *)self)->hears;

    (void)node;
    return hears == 0 ? REPL_LINK_NAMES_HISTORY - 1 : hears;
}

static bool net_connected(void *self, uint32_t node)
{
    (void)node;
    return !((struct rig *)self)->refuse;
}

enum raft_driver_result rig_start(struct rig *r)
{
    struct repl_loaded loaded;
    struct repl_storage storage = sim_storage_interface(r->storage);
    struct repl_transport transport = {.self = r,
                                       .send = net_send,
                                       .connected = net_connected,
                                       .speaks = net_speaks,
                                       .hears = net_hears};
    struct raft_driver_callbacks callbacks = {.self = r,
                                              .apply = on_apply,
                                              .restore = on_restore,
                                              .state = on_state,
                                              .configuration = on_configuration,
                                              .snapshot_taken = on_taken,
                                              .stranger = on_stranger,
                                              .failed = on_failed};
    struct raft_driver_options options = {.node = r->node,
                                          .boot = 4711 + r->now_ms,
                                          .incarnation = RIG_INCARNATION,
                                          .seed = 5,
                                          .election_ms = 150,
                                          .heartbeat_ms = 30,
                                          .install_timeout_ms = 1000,
                                          .trailing = 4,
                                          .install_piece_bytes = RIG_PIECE};
#ifdef HOLDFAST_RAFT_UNWRAP
    options.unwrapped = r->unwrapped;
#endif
    r->applied = r->restored = r->applied_commands = 0;
    r->driver = raft_driver_create(&options, &storage, &transport, &callbacks);
    HF_ASSERT(r->driver != NULL);
    sim_storage_load(r->storage, &loaded);
    return raft_driver_start(r->driver, &loaded, r->now_ms);
}

void rig_stop(struct rig *r)
{
    raft_driver_destroy(r->driver);
    r->driver = NULL;
    sim_storage_flush(r->storage);
}

void rig_init_with(struct rig *r, uint32_t node, uint32_t unwrapped, struct sim_storage *storage)
{
    *r = (struct rig){.now_ms = 1000, .node = node, .unwrapped = unwrapped, .storage = storage};
}

void rig_init(struct rig *r, uint32_t node, unsigned voters, uint32_t unwrapped)
{
    rig_init_with(r, node, unwrapped, NULL);
    r->storage = sim_storage_create(9, &r->now_ms);
    struct repl_storage storage = sim_storage_interface(r->storage);
    struct repl_configuration configuration = {.n_servers = (uint8_t)voters};
    for (unsigned i = 0; i < voters; i++)
        configuration.servers[i] = (struct repl_server){.node = i + 1, .role = RAFT_DRIVER_VOTER};
    bool ok = raft_driver_bootstrap(&storage, &configuration);
    HF_ASSERT(ok);
    sim_storage_flush(r->storage);
    enum raft_driver_result started = rig_start(r);
    HF_ASSERT(started == RAFT_DRIVER_OK);
}

void rig_deinit(struct rig *r)
{
    raft_driver_destroy(r->driver);
    sim_storage_destroy(r->storage);
}

void rig_run(struct rig *r, uint64_t ms)
{
    uint64_t until = r->now_ms + ms;
    struct repl_storage_done done;
    for (;;) {
        uint64_t disk = sim_storage_next(r->storage), timer = raft_driver_next_timeout(r->driver);
        uint64_t next = disk < timer ? disk : timer;
        if (next > until)
            break;
        r->now_ms = next > r->now_ms ? next : r->now_ms;
        while (sim_storage_pop(r->storage, &done))
            raft_driver_storage_done(r->driver, r->now_ms, &done);
        raft_driver_tick(r->driver, r->now_ms);
    }
    r->now_ms = until;
}

void rig_disk(struct rig *r)
{
    struct repl_storage_done done;
    while (sim_storage_next(r->storage) != UINT64_MAX) {
        uint64_t due = sim_storage_next(r->storage);
        r->now_ms = due > r->now_ms ? due : r->now_ms;
        while (sim_storage_pop(r->storage, &done))
            raft_driver_storage_done(r->driver, r->now_ms, &done);
    }
}

enum raft_driver_result rig_feed(struct rig *r, uint32_t from, struct raft_frame frame)
{
    size_t len = RAFT_FRAME_SMALL_BYTES + frame.entries.len + frame.data.len;
    uint8_t *bytes = malloc(len);
    HF_ASSERT(bytes != NULL);
    if (frame.boot == 0)
        frame.boot = from;
    if (frame.sequence == 0)
        frame.sequence = ++r->sequence;
    size_t used = raft_frame_encode(&frame, bytes);
    struct span rest = frame.type == RAFT_FRAME_INSTALL ? frame.data : frame.entries;
    if (rest.len > 0)
        memcpy(bytes + used, rest.data, rest.len);
    enum raft_driver_result result =
        raft_driver_receive(r->driver, r->now_ms, from, span_of(bytes, used + rest.len));
    free(bytes);
    return result;
}

enum raft_driver_result rig_append(struct rig *r, uint32_t from, uint64_t term, uint64_t prev,
                                   uint64_t prev_term, uint64_t commit, const char *kinds)
{
    uint8_t run[4096];
    size_t used = 0;
    struct raft_frame f = {.type = RAFT_FRAME_APPEND,
                           .term = term,
                           .named = r->named,
                           .incarnation = r->incarnation,
                           .index = prev,
                           .index_term = prev_term,
                           .commit = commit};
    for (const char *k = kinds; *k != '\0'; k++, f.n_entries++) {
        struct repl_entry entry = {.term = term};
        uint8_t data[RAFT_CHANGE_BYTES];
        uint64_t index = prev + 1 + f.n_entries;
        struct repl_configuration c = {.n_servers = 3,
                                       .servers = {{1, 1}, {2, *k == 's' ? 2 : 1}, {3, 1}}};
        if (*k == 'c') {
            entry.kind = REPL_ENTRY_COMMAND;
            raft_command_put(span_of(&index, sizeof index), data);
            entry.data = span_of(data, raft_command_bytes(sizeof index));
        } else if (*k == 'b') {
            entry.kind = REPL_ENTRY_BARRIER;
        } else {
            entry.kind = REPL_ENTRY_CHANGE;
            entry.data = span_of(data, raft_change_put(&c, data));
        }
        HF_ASSERT(used + RAFT_FRAME_ENTRY_BYTES + entry.data.len <= sizeof run);
        used += raft_frame_encode_entry(&entry, run + used);
    }
    f.entries = span_of(run, used);
    return rig_feed(r, from, f);
}

void rig_elect(struct rig *r)
{
    while (raft_driver_status(r->driver).state != RAFT_DRIVER_CANDIDATE)
        rig_run(r, 1);
    uint64_t asked = raft_driver_status(r->driver).term + 1;
    rig_feed(r, 2,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE_RESULT,
                                 .term = asked,
                                 .granted = true,
                                 .pre_vote = true});
    rig_disk(r);
    rig_feed(r, 2,
             (struct raft_frame){
                 .type = RAFT_FRAME_REQUEST_VOTE_RESULT, .term = asked, .granted = true});
    rig_disk(r);
    HF_ASSERT(raft_driver_status(r->driver).state == RAFT_DRIVER_LEADER);
}

const struct rig_sent *rig_last(const struct rig *r, enum raft_frame_type type, uint32_t to)
{
    for (size_t i = r->n_sent; i > 0; i--)
        if (r->sent[i - 1].to == to && r->sent[i - 1].frame.type == type)
            return &r->sent[i - 1];
    return NULL;
}
