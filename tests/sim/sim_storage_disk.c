/* What stands on the in-memory disk: what it loses, and what a start finds. */
#include <stdlib.h>

#include "replication/wal_loss.h"
#include "sim/sim_storage_internal.h"

void sim_storage_older_vote(struct sim_storage *s, uint64_t term)
{
    s->term = term;
    s->voted_for = 0;
}

static uint64_t last_term(const struct sim_storage *s)
{
    uint64_t term = s->n_log > 0 ? s->log[s->n_log - 1].term : 0;

    return term < s->snapshot.term ? s->snapshot.term : term;
}

size_t sim_storage_lose(struct sim_storage *s, size_t n, bool vote, bool found)
{
    size_t lost = 0;

    HF_ASSERT(s->queued == 0);
    while (lost < n && s->n_log > 0 && sim_storage_last(s) > s->snapshot.index &&
           sim_storage_last(s) > 1) {
        free((void *)(uintptr_t)s->log[--s->n_log].data.data);
        lost++;
    }
    if (!found)
        s->high_water = sim_storage_last(s);
    if (vote && (lost > 0 || !found))
        sim_storage_older_vote(s, last_term(s));
    else if (vote && last_term(s) > 1) /* the log tells of it where it is older than that */
        sim_storage_older_vote(s, last_term(s) - 1);
    return lost;
}

enum repl_distrust sim_storage_distrust(const struct sim_storage *s)
{
    return s->distrust;
}

void sim_storage_load(struct sim_storage *s, struct repl_loaded *loaded)
{
    HF_ASSERT(s->queued == 0);
    if (wal_loss_found(sim_storage_last(s), s->high_water, s->snapshot.index)) {
        s->distrust = s->distrust == REPL_TRUSTED ? REPL_DISTRUST_SUFFIX : s->distrust;
        s->high_water = sim_storage_last(s); /* as wal_core.c's judge() does it */
    }
    sim_storage_look(s, loaded);
}

void sim_storage_look(const struct sim_storage *s, struct repl_loaded *loaded)
{
    *loaded = (struct repl_loaded){.term = s->term,
                                   .voted_for = s->voted_for,
                                   .snapshot = s->snapshot,
                                   .snapshot_data = span_of(s->snapshot_data, s->snapshot_len),
                                   .first_index = s->first,
                                   .entries = s->log,
                                   .n_entries = s->n_log,
                                   .high_water = s->high_water,
                                   .distrust = s->distrust};
}

struct span sim_storage_snapshot(const struct sim_storage *s)
{
    return span_of(s->snapshot_data, s->snapshot_len);
}

bool sim_storage_has(const struct sim_storage *s, uint64_t index, uint64_t term)
{
    if (index >= s->first && index - s->first < s->n_log)
        return s->log[index - s->first].term == term;
    return index > 0 && index <= s->snapshot.index;
}
