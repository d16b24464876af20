/* A leader whose own disk gives out. Raft's heartbeats need no disk, so it would stay in office and
 * commit nothing.
 *
 *   its writes wait for disk_stall_ms   office to a voter that has all of the log, on a disk that
 *                                       works; it follows, and waits for its disk as any follower
 *   ... for disk_hang_ms, and still     its process ends, as for a write that fails: whatever kept
 *   it leads                            the office from being taken
 *
 * Both only where a majority without it can go on; else either would help nobody.
 */
#include <stdio.h>

#include "replication/replica_parts.h"

static const uint64_t NS_PER_MS = 1000000;

bool replica_disk_works(const struct replica *r, const struct replica_node *n)
{
    return n->disk_ok_ns != 0 && r->now_ns - n->disk_ok_ns <= ownership_promise_ns(&r->ownership);
}

/* Since when could the others, a majority without this leader, commit if it did not lead? That asks
 * whether they are there and store what they are sent; not whether they may own: one that started
 * anew is confirmed by an entry, and none comes from a leader that cannot store. */
static uint64_t others_well_ms(struct replica *r)
{
    struct raft_driver_status now = raft_driver_status(r->driver);
    size_t n = 0;

    for (size_t i = 0; i < r->n_nodes; i++)
        n += r->nodes[i].node != r->options.node && r->nodes[i].role == RAFT_DRIVER_VOTER &&
             replica_disk_works(r, &r->nodes[i]) &&
             raft_driver_match(r->driver, r->nodes[i].node) >= now.last_index;
    if (now.state != RAFT_DRIVER_LEADER || !ownership_majority(&r->ownership, n))
        r->others_well_ns = 0;
    else if (r->others_well_ns == 0)
        r->others_well_ns = r->now_ns;
    return r->others_well_ns == 0 ? 0 : (r->now_ns - r->others_well_ns) / NS_PER_MS;
}

/* Nobody gains by the end of another node, nor of any while too few others could go on: it waits.
 * The others count once they were well for as long as a stall, since a disk under all comes back for
 * one node after the other; and they have as long again to take the office. */
void replica_judge_disk(struct replica *r)
{
    uint64_t stuck_ms = r->callbacks.disk_stuck_ns(r->callbacks.self) / NS_PER_MS;
    uint64_t well_ms = others_well_ms(r), stall_ms = r->options.timing.disk_stall_ms;
    char why[96];

    if (well_ms >= stall_ms && !r->callbacks.disk_ok(r->callbacks.self))
        replica_step_aside(r);
    if (stuck_ms == 0 || stuck_ms < r->options.timing.disk_hang_ms) {
        r->hang_told = false;
        return;
    }
    (void)snprintf(why, sizeof why, "the disk hangs: no write came back for %llu ms",
                   (unsigned long long)stuck_ms);
    if (well_ms >= 2 * stall_ms)
        replica_fail(r, why);
    else if (!r->hang_told)
        replica_log(r, REPL_LOG_ERROR, "%s; this node waits: its end would help nobody now", why);
    r->hang_told = true;
}
