/* What stands on the disks: I12, Raft's log matching, and nodes that met a log that contradicts theirs. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

/* Two logs that have one term at one index are the same up to there: so there is one entry of a term at a
 * place, and one term in front of it. */
void sim_watch_stored(struct sim_watch *w, uint32_t node, const struct repl_loaded *log)
{
    const struct repl_snapshot_meta *s = &log->snapshot;
    uint64_t before = s->index + 1 == log->first_index ? s->term : 0; /* 0: it is trimmed */

    if (sim_watch_node(w, node) == NULL)
        return;
    for (size_t i = 0; i < log->n_entries; i++) {
        const struct repl_entry *entry = &log->entries[i];
        uint64_t index = log->first_index + i;
        uint64_t place = sim_watch_place(w, node, index);
        uint64_t hash = sim_watch_mix(span_fnv1a64(entry->data), (uint64_t)entry->kind);
        bool made;
        struct sim_watch_entry *e =
            sim_watch_at(w, &w->stored, sim_watch_mix(place, entry->term), &made);

        if (e == NULL)
            return;
        if (made)
            e->a = hash;
        if (e->b == 0)
            e->b = before;
        SIM_WATCH_JUDGE_IF(
            w, SIM_WATCH_one_entry, !made, e->a == hash && (before == 0 || e->b == before),
            "node %u: index %" PRIu64 ", term %" PRIu64 " is %s than in another node's log",
            (unsigned)node, index, entry->term,
            e->a != hash ? "another entry" : "behind another term");
        before = entry->term;
    }
}

void sim_watch_ended(struct sim_watch *w, uint32_t node, bool contradicted, bool caused,
                     const char *why)
{
    if (sim_watch_node(w, node) == NULL)
        return;
    SIM_WATCH_JUDGE(w, SIM_WATCH_ends_for_cause, caused || contradicted,
                    "node %u ends, and nothing was done to it: %s", (unsigned)node, why);
    SIM_WATCH_JUDGE(w, SIM_WATCH_one_history, !contradicted,
                    "node %u ends: another node's log contradicts what is committed here",
                    (unsigned)node);
}
