#include "replication/wal_core.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/wal_directory.h"
#include "replication/wal_loss.h"
#include "replication/wal_snapshot.h"

/* Removes what a crash left half made, and snapshots that the manifest no longer names. */
struct sweep {
    struct wal_core *core;
    struct wal_error *error;
    bool ok;
};

static void sweep_one(void *arg, const char *name)
{
    struct sweep *s = arg;
    const struct wal_manifest *m = &s->core->manifest;
    size_t len = strlen(name);
    uint64_t index, term;
    bool temp = len > 4 && strcmp(name + len - 4, ".tmp") == 0 && len < WAL_NAME_BYTES;
    bool old = wal_snapshot_parse_name(name, &index, &term) &&
               (index != m->snapshot_index || term != m->snapshot_term);

    if (s->ok && (temp || old))
        s->ok = wal_file_unlink(&s->core->dir, name, s->error);
}

static bool sweep(struct wal_core *core, struct wal_error *error)
{
    struct sweep s = {.core = core, .error = error, .ok = true};
    int r = core->dir.fs->list(core->dir.fs->self, core->dir.path, sweep_one, &s);

    if (r < 0)
        return wal_fail_sys(&core->dir, ".", "cannot list", r, error);
    return s.ok;
}

static bool load_snapshot(struct wal_core *core, size_t *n, struct wal_error *error)
{
    const struct wal_manifest *m = &core->manifest;
    struct repl_snapshot_meta *meta = &core->loaded.snapshot;
    char name[WAL_NAME_BYTES];
    bool ok;
    int fd;

    if (m->snapshot_index == 0)
        return true;
    wal_snapshot_name(m->snapshot_index, m->snapshot_term, name);
    fd = wal_file_open(&core->dir, name, O_RDONLY, error);
    if (fd < 0)
        return false;
    ok = wal_snapshot_read(&core->dir, name, fd, meta, &core->loaded_snapshot, n, error);
    wal_file_close(&core->dir, fd);
    if (ok && (meta->index != m->snapshot_index || meta->term != m->snapshot_term))
        ok = wal_corrupt(&core->dir, name, 8, "the header is of another snapshot", error);
    return ok;
}

/* The log must join the snapshot without a gap; there is no entry 0. */
static bool check_joint(const struct wal_core *core, struct wal_error *error)
{
    uint64_t first = core->loaded_log.first_index;
    uint64_t snapshot = core->manifest.snapshot_index;

    if (first == 0)
        return wal_fail(error,
                        "%s: the log says that it begins at entry 0, and entries count from 1; "
                        "refused: this node must rejoin under a new id",
                        core->dir.path);
    if (first > snapshot + 1)
        return wal_fail(
            error,
            "%s: the log begins at entry %llu but the snapshot ends at %llu: entries between "
            "are missing; refused: this node must rejoin under a new id",
            core->dir.path, (unsigned long long)first, (unsigned long long)snapshot);
    return true;
}

/* The end of what is durable now. */
static bool raise_mark(struct wal_core *core, bool sync, struct wal_error *error)
{
    struct wal_mark m = {
        .index = core->log.next_index - 1, .seq = core->log.seq, .end = core->log.end};

    return wal_high_water_set(&core->dir, &core->high_water, m, sync, error);
}

/* Less than was acknowledged, but sound: such a node starts, and counts for nothing until a majority
 * without it has filled its log (raft_muted.c). Damage is refused before it comes to this. */
static enum repl_distrust find_loss(struct wal_core *core)
{
    uint64_t last = core->log.next_index - 1;
    uint64_t mark = core->high_water.mark.index, snapshot = core->manifest.snapshot_index;

    if (core->loaded_log.lost || wal_loss_found(last, mark, snapshot)) {
        wal_note(core->note, "the log ends at entry %llu, but what came to %llu was durable",
                 (unsigned long long)last, (unsigned long long)wal_loss_must_have(mark, snapshot));
        return REPL_DISTRUST_SUFFIX;
    }
    return REPL_TRUSTED;
}

/* What was found, and what an earlier start found, is on the disk before anything is acknowledged. */
static bool judge(struct wal_core *core, const struct wal_options *o, struct wal_error *error)
{
    struct wal_high_water *w = &core->high_water;
    struct repl_loaded *l = &core->loaded;
    uint32_t machine = o->machine == NULL ? w->machine : crc32c(0, o->machine, strlen(o->machine));
    enum repl_distrust why = w->distrust, found = find_loss(core);
    /* Also with entry 1 alone: who is trusted has begun, and the end of its log may be what is lost. */
    bool founded = l->snapshot.index > 0 || l->n_entries > 1 ||
                   (w->distrust == REPL_TRUSTED && l->n_entries == 1);
    bool booted = o->distrust_after_boot && machine != w->machine;

    l->high_water = w->mark.index;
    if (why == REPL_TRUSTED)
        why = found;
    if (o->distrust)
        why = wal_doubted(why, REPL_DISTRUST_OPERATOR);
    if (booted && (founded || why == REPL_DISTRUST_AGREED))
        why = wal_doubted(why, REPL_DISTRUST_BOOT);
    l->distrust = why;
    if ((why != w->distrust || machine != w->machine) &&
        !wal_high_water_distrust(&core->dir, w, why, machine, error))
        return false;
    return found == REPL_TRUSTED || raise_mark(core, true, error);
}

static bool load(struct wal_core *core, const struct wal_options *options, struct wal_error *error)
{
    struct repl_loaded *l = &core->loaded;
    struct wal_manifest *m = &core->manifest;
    uint64_t segment_bytes =
        options->segment_bytes == 0 ? (uint64_t)WAL_SEGMENT_BYTES : options->segment_bytes;
    size_t data_len = 0;

    HF_ASSERT(segment_bytes >= 4096);
    if (!wal_directory_open_vote(&core->dir, &core->vote, &l->term, &l->voted_for, error) ||
        !wal_directory_load_manifest(&core->dir, m, error) ||
        !wal_high_water_open(&core->dir, &core->high_water, error) || !sweep(core, error) ||
        !load_snapshot(core, &data_len, error))
        return false;
    wal_log_init(&core->log, &core->dir, segment_bytes, m->first_seq, m->start_index,
                 &core->counters);
    if (!wal_load_log(&core->log, m->first_seq, &core->high_water.mark, &core->loaded_log,
                      core->note, error) ||
        !check_joint(core, error))
        return false;
    l->snapshot_data = span_of(core->loaded_snapshot, data_len);
    l->first_index = core->loaded_log.first_index;
    l->entries = core->loaded_log.entries;
    l->n_entries = core->loaded_log.n;
    return judge(core, options, error);
}

bool wal_core_open(struct wal_core *core, const struct wal_options *options,
                   struct wal_error *error)
{
    *core = (struct wal_core){.lock_fd = -1,
                              .vote.fd = -1,
                              .high_water.slots.fd = -1,
                              .log.fd = -1,
                              .log.offered_fd = -1};
    core->log.dir = &core->dir;
    if (wal_directory_open(&core->dir, options, &core->lock_fd, error) &&
        load(core, options, error)) {
        core->dir.progress = &core->progress;
        return true;
    }
    wal_core_close(core);
    return false;
}

void wal_core_load_done(struct wal_core *core)
{
    wal_loaded_log_deinit(&core->loaded_log);
    free(core->loaded_snapshot);
    core->loaded_snapshot = NULL;
    core->loaded = (struct repl_loaded){0};
}

void wal_core_close(struct wal_core *core)
{
    wal_core_load_done(core);
    wal_log_deinit(&core->log);
    if (core->dir.fs != NULL) {
        wal_file_close(&core->dir, core->high_water.slots.fd);
        wal_file_close(&core->dir, core->vote.fd);
        wal_file_close(&core->dir, core->lock_fd);
    }
}

bool wal_core_distrust(struct wal_core *core, enum repl_distrust why, struct wal_error *error)
{
    struct wal_high_water *w = &core->high_water;

    return wal_core_flush(core, error) &&
           wal_high_water_distrust(&core->dir, w, why, w->machine, error);
}

bool wal_core_vote(struct wal_core *core, uint64_t term, uint32_t voted_for,
                   struct wal_error *error)
{
    if (!wal_core_flush(core, error) ||
        !wal_directory_store_vote(&core->dir, &core->vote, term, voted_for, error))
        return false;
    core->counters.votes++;
    return true;
}

void wal_core_append(struct wal_core *core, uint64_t index, const struct repl_entry *entry)
{
    wal_log_put(&core->log, index, entry);
}

bool wal_core_full(const struct wal_core *core)
{
    return core->log.batch_len >= WAL_BATCH_GOAL;
}

static bool lower_mark(struct wal_core *core, uint64_t index, struct wal_error *error)
{
    struct wal_mark m = core->high_water.mark;

    if (index >= m.index)
        return true;
    m.index = index;
    return wal_high_water_set(&core->dir, &core->high_water, m, true, error);
}

/* The mark goes down first: a crash between the two must not look like lost data. */
bool wal_core_truncate(struct wal_core *core, uint64_t index, struct wal_error *error)
{
    HF_ASSERT(index > core->manifest.snapshot_index);
    if (!lower_mark(core, index - 1, error))
        return false;
    wal_log_put_truncate(&core->log, index);
    core->counters.truncations++;
    return true;
}

bool wal_core_flush(struct wal_core *core, struct wal_error *error)
{
    return core->log.batch_records == 0 ||
           (wal_log_commit(&core->log, error) && raise_mark(core, false, error));
}

/* The new manifest takes effect; the snapshot that it no longer names goes. */
static bool switch_manifest(struct wal_core *core, const struct wal_manifest *to,
                            struct wal_error *error)
{
    struct wal_manifest old = core->manifest;
    char name[WAL_NAME_BYTES];

    if (!wal_directory_store_manifest(&core->dir, to, error))
        return false;
    core->manifest = *to;
    if (old.snapshot_index == 0 ||
        (old.snapshot_index == to->snapshot_index && old.snapshot_term == to->snapshot_term))
        return true;
    wal_snapshot_name(old.snapshot_index, old.snapshot_term, name);
    return wal_file_unlink(&core->dir, name, error);
}

/* The draft gets the name that the manifest is about to say: durable before that says it. */
static bool name_draft(struct wal_core *core, enum repl_draft draft,
                       const struct repl_snapshot_meta *meta, struct wal_error *error)
{
    const struct wal_dir *d = &core->dir;
    char temp[WAL_NAME_BYTES], name[WAL_NAME_BYTES];
    char from[WAL_PATH_BYTES], to[WAL_PATH_BYTES];
    int r;

    wal_draft_name(draft, meta, temp);
    wal_snapshot_name(meta->index, meta->term, name);
    r = d->fs->rename(d->fs->self, wal_path(d, temp, from), wal_path(d, name, to));
    if (r < 0)
        return wal_fail_sys(d, name, "cannot rename into place", r, error);
    return wal_dir_sync(d, error);
}

bool wal_core_snapshot(struct wal_core *core, const struct repl_snapshot_meta *meta,
                       struct wal_error *error)
{
    struct wal_manifest to = core->manifest;

    HF_ASSERT(meta->index >= to.snapshot_index && meta->index > 0);
    HF_ASSERT(meta->index < core->log.next_index);
    to.snapshot_index = meta->index;
    to.snapshot_term = meta->term;
    core->counters.snapshots++;
    return wal_core_flush(core, error) &&
           wal_high_water_sync(&core->dir, &core->high_water, error) &&
           name_draft(core, REPL_DRAFT_OWN, meta, error) && switch_manifest(core, &to, error);
}

bool wal_core_install(struct wal_core *core, const struct repl_snapshot_meta *meta,
                      struct wal_error *error)
{
    struct wal_manifest to = {
        .snapshot_index = meta->index, .snapshot_term = meta->term, .start_index = meta->index + 1};
    bool there =
        core->manifest.snapshot_index == meta->index && core->manifest.snapshot_term == meta->term;

    HF_ASSERT(meta->index > 0);
    if (!wal_core_flush(core, error) ||
        (!there && !name_draft(core, REPL_DRAFT_RECEIVED, meta, error)))
        return false;
    to.first_seq = wal_log_next_seq(&core->log);
    if (!lower_mark(core, meta->index, error))
        return false;
    core->counters.installs++;
    return switch_manifest(core, &to, error) &&
           wal_log_restart(&core->log, to.first_seq, to.start_index, error) &&
           raise_mark(core, true, error);
}

bool wal_core_trim(struct wal_core *core, uint64_t index, struct wal_error *error)
{
    struct wal_manifest to = core->manifest;
    uint64_t limit = to.snapshot_index + 1;
    size_t n;

    if (!wal_core_flush(core, error))
        return false;
    n = wal_log_trimmable(&core->log, index < limit ? index : limit);
    if (n == 0)
        return true;
    to.first_seq = core->log.segments[n].seq;
    to.start_index = core->log.segments[n].first_index;
    return switch_manifest(core, &to, error) && wal_log_drop(&core->log, n, error);
}
