#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"

enum { MAX_DATA = 8192, MAX_SNAPSHOT = 150000 };

void script_init(struct script *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->rng = seed;
    s->n = 1;
    s->candidates[0].first = 1;
}

static uint64_t draw(struct script *s, uint64_t below)
{
    return test_random(&s->rng) % below;
}

static void fill(uint8_t *out, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(seed >> (i % 8 * 8)) ^ (uint8_t)(i * 31);
}

static struct model_entry *entry_at(struct model *m, uint64_t index)
{
    return &m->at[index % MODEL_ENTRIES];
}

/* The state as it will be when the next record of the group is on the disk. */
static struct model *push(struct script *s)
{
    HF_ASSERT(s->n < MODEL_CANDIDATES);
    s->candidates[s->n] = s->candidates[s->n - 1];
    return &s->candidates[s->n++];
}

static void put(struct script *s, struct wal_core *core)
{
    struct model *m = push(s);
    struct model_entry *e;
    static uint8_t data[MAX_DATA];
    uint64_t size_class = draw(s, 20);

    m->last++;
    if (m->last - m->first >= MODEL_ENTRIES)
        m->first = m->last - MODEL_ENTRIES + 1;
    e = entry_at(m, m->last);
    *e = (struct model_entry){
        .term = m->term + 1, .seed = test_random(&s->rng), .kind = (uint8_t)(1 + draw(s, 3))};
    e->len = (uint32_t)draw(s, size_class == 0 ? 6000 : size_class < 4 ? 1500 : 120);
    fill(data, e->len, e->seed);
    wal_core_append(core, m->last,
                    &(struct repl_entry){.term = e->term,
                                         .kind = (enum repl_entry_kind)e->kind,
                                         .data = span_of(data, e->len)});
}

static bool append_group(struct script *s, struct wal_core *core, struct wal_error *error)
{
    struct model *m = &s->candidates[0];
    uint64_t n = draw(s, 5);

    if (m->last > m->snapshot_index && draw(s, 4) == 0) {
        uint64_t keep = draw(s, m->last - m->snapshot_index);
        struct model *after = push(s);

        after->last = m->snapshot_index + keep;
        s->lowers = true;
        if (!wal_core_truncate(core, after->last + 1, error))
            return false;
    }
    for (uint64_t i = 0; i < n; i++)
        put(s, core);
    return wal_core_flush(core, error);
}

static struct repl_snapshot_meta meta_of(const struct model *m)
{
    struct repl_snapshot_meta meta = {.index = m->snapshot_index, .term = m->snapshot_term};

    if (m->snapshot_index == 0)
        return meta;
    meta.configuration.index = m->snapshot_seed % m->snapshot_index;
    meta.configuration.n_servers = (uint8_t)(1 + m->snapshot_seed % 5);
    for (uint8_t i = 0; i < meta.configuration.n_servers; i++)
        meta.configuration.servers[i] =
            (struct repl_server){.node = i + 1u, .role = (uint8_t)((m->snapshot_seed >> i) % 3)};
    return meta;
}

/* As the aside thread writes it: begun anew or dropped half way now and then, in odd pieces. */
static bool draft(struct script *s, struct wal_core *core, enum repl_draft which,
                  const struct repl_snapshot_meta *meta, struct span data, struct wal_error *error)
{
    struct wal_draft w = {.fd = -1};
    uint64_t tries = 1 + draw(s, 2);
    bool ok = true;

    for (uint64_t i = 0; ok && i < tries; i++) {
        size_t half = data.len / 3;

        ok = wal_draft_drop(&w, &core->dir, error) &&
             wal_draft_begin(&w, &core->dir, which, meta, error) &&
             wal_draft_write(&w, &core->dir, span_of(data.data, half), error);
        if (ok && i + 1 == tries)
            ok = wal_draft_write(&w, &core->dir, span_of(data.data + half, data.len - half),
                                 error) &&
                 wal_draft_finish(&w, &core->dir, error);
    }
    wal_draft_abandon(&w, &core->dir);
    return ok;
}

static bool snapshot(struct script *s, struct wal_core *core, bool install, struct wal_error *error)
{
    const struct model *m = &s->candidates[0];
    static uint8_t data[MAX_SNAPSHOT];
    struct repl_snapshot_meta meta;
    struct model *after;
    uint64_t room = m->last - m->snapshot_index + (install ? 4 : 0);

    if (room == 0)
        return true;
    after = push(s);
    after->snapshot_index += 1 + draw(s, room);
    after->snapshot_term = m->term + draw(s, 2);
    after->snapshot_seed = test_random(&s->rng);
    after->snapshot_len = draw(s, 6) == 0 ? draw(s, MAX_SNAPSHOT) : draw(s, 900);
    s->lowers = install;
    if (install) {
        after->first = after->snapshot_index + 1;
        after->last = after->snapshot_index;
    }
    meta = meta_of(after);
    fill(data, after->snapshot_len, after->snapshot_seed);
    if (!draft(s, core, install ? REPL_DRAFT_RECEIVED : REPL_DRAFT_OWN, &meta,
               span_of(data, after->snapshot_len), error))
        return false;
    return install ? wal_core_install(core, &meta, error) : wal_core_snapshot(core, &meta, error);
}

static bool vote(struct script *s, struct wal_core *core, struct wal_error *error)
{
    struct model *after = push(s);

    after->term++;
    after->voted_for = (uint32_t)draw(s, 4);
    return wal_core_vote(core, after->term, after->voted_for, error);
}

static bool prepare(struct wal_core *core, struct wal_error *error)
{
    int fd;

    if (core->log.offered_fd >= 0)
        return true;
    fd = wal_segment_prepare(&core->dir, wal_log_next_seq(&core->log), MODEL_SEGMENT, error);
    if (fd < 0)
        return false;
    wal_log_offer(&core->log, wal_log_next_seq(&core->log), fd);
    return true;
}

bool script_step(struct script *s, struct wal_core *core, struct wal_error *error)
{
    uint64_t what = draw(s, 100);
    bool ok;

    s->lowers = false;
    if (what < 65)
        ok = append_group(s, core, error);
    else if (what < 73)
        ok = vote(s, core, error);
    else if (what < 81)
        ok = snapshot(s, core, false, error);
    else if (what < 84)
        ok = snapshot(s, core, true, error);
    else if (what < 90)
        ok = wal_core_trim(core, draw(s, s->candidates[0].snapshot_index + 2), error);
    else
        ok = prepare(core, error);
    if (ok)
        script_adopt(s, (int)s->n - 1);
    return ok;
}

void script_adopt(struct script *s, int candidate)
{
    if (candidate != 0)
        s->candidates[0] = s->candidates[candidate];
    s->n = 1;
}

static bool same_configuration(const struct repl_configuration *a,
                               const struct repl_configuration *b)
{
    if (a->index != b->index || a->n_servers != b->n_servers)
        return false;
    for (size_t i = 0; i < a->n_servers; i++)
        if (a->servers[i].node != b->servers[i].node || a->servers[i].role != b->servers[i].role)
            return false;
    return true;
}

static const char *differs(const struct model *m, const struct wal_core *core)
{
    const struct repl_loaded *l = &core->loaded;
    struct repl_snapshot_meta meta = meta_of(m);
    static uint8_t data[MAX_SNAPSHOT];

    if (l->term != m->term || l->voted_for != m->voted_for)
        return "the vote";
    if (l->snapshot.index != meta.index || l->snapshot.term != meta.term ||
        !same_configuration(&l->snapshot.configuration, &meta.configuration))
        return "the snapshot";
    fill(data, m->snapshot_len, m->snapshot_seed);
    if (l->snapshot_data.len != m->snapshot_len ||
        (m->snapshot_len > 0 && memcmp(l->snapshot_data.data, data, m->snapshot_len) != 0))
        return "the snapshot's data";
    if (l->first_index + l->n_entries != m->last + 1)
        return "the last index";
    if (l->first_index > m->snapshot_index + 1 || l->first_index < m->first)
        return "the first index";
    for (size_t i = 0; i < l->n_entries; i++) {
        const struct model_entry *e = entry_at((struct model *)m, l->first_index + i);

        fill(data, e->len, e->seed);
        if (l->entries[i].term != e->term || l->entries[i].kind != (enum repl_entry_kind)e->kind ||
            !span_equal(l->entries[i].data, span_of(data, e->len)))
            return "an entry";
    }
    return NULL;
}

int script_match(const struct script *s, const struct wal_core *core, char why[256])
{
    const struct repl_loaded *l = &core->loaded;
    const char *what = "";

    if (l->high_water >= l->first_index + l->n_entries) {
        (void)snprintf(why, 256, "high water %llu above the last entry %llu",
                       (unsigned long long)l->high_water,
                       (unsigned long long)(l->first_index + l->n_entries - 1));
        return -1;
    }
    for (size_t i = s->n; i-- > 0;) {
        what = differs(&s->candidates[i], core);
        if (what == NULL)
            return (int)i;
    }
    (void)snprintf(
        why, 256,
        "%s differs from each of %zu states that the crash may have left (last %llu, %llu; %.80s)",
        what, s->n, (unsigned long long)(l->first_index + l->n_entries - 1),
        (unsigned long long)s->candidates[0].last, core->note);
    return -1;
}
