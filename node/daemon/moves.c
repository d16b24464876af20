/* What makes this node give its shards away: a stop, a disk that fills up. */
#include "daemon/internal.h"
#include "io/clock.h"

enum {
    STOP_MS = 2000,      /* a stop waits so long for others to take over */
    AFTERGLOW_MS = 200,  /* ... and forwards for so long what neighbours still send here */
    PASS_AGAIN_MS = 300, /* a transfer of leadership that did not come about */
    DISK_LOOK_MS = 1000,
    DISK_BACK_PERCENT = 2 /* so far below the watermark it must come, to be well again */
};

/* --- giving all away --- */

static void tell_reluctance(struct daemon *d)
{
    atomic_store(&repl_health(d->repl)->reluctant, d->leaving || d->disk_full);
}

static void on_disk(uv_fs_t *request)
{
    struct daemon *d = request->data;
    const uv_statfs_t *fs = request->ptr;
    uint64_t at = d->config->disk_handover_percent, used;

    d->disk_asked = false;
    if (request->result == 0 && fs->f_blocks > 0 && !d->stopping) {
        used = (fs->f_blocks - fs->f_bavail) * 100 / fs->f_blocks;
        if (!d->disk_full && used >= at)
            log_line(d->log, LOG_ERROR, "disk",
                     "%s is %llu%% full: shards are handed over before it is full",
                     d->config->data_dir, (unsigned long long)used);
        else if (d->disk_full && used + DISK_BACK_PERCENT < at)
            log_line(d->log, LOG_INFO, "disk", "%s is %llu%% full: well again", d->config->data_dir,
                     (unsigned long long)used);
        d->disk_full = used >= at || (d->disk_full && used + DISK_BACK_PERCENT >= at);
        tell_reluctance(d);
    }
    uv_fs_req_cleanup(request);
}

/* Off the loop: a disk that fails may take its time. */
static void look_at_disk(struct daemon *d, uint64_t now)
{
    if (d->disk_asked || now < d->disk_next_ms)
        return;
    d->disk_next_ms = now + DISK_LOOK_MS;
    d->disk_request.data = d;
    d->disk_asked = uv_fs_statfs(&d->loop, &d->disk_request, d->config->data_dir, on_disk) == 0;
}

/* A leader that just ends costs the others an election, in which nothing is extended: to the best
 * of them instead. */
static void pass_leadership(struct daemon *d)
{
    const struct repl_node_status *best = NULL;
    struct repl_status st;

    repl_status(d->repl, &st);
    for (size_t i = 0; i < st.n_nodes; i++) {
        const struct repl_node_status *n = &st.nodes[i];

        if (n->node != st.node && n->connected && n->healthy && !n->reluctant &&
            (best == NULL || n->applied_index > best->applied_index))
            best = n;
    }
    if (best != NULL && repl_transfer_leader(d->repl, best->node) == REPL_OK)
        log_line(d->log, LOG_INFO, "node", "leadership goes to node %u", best->node);
}

bool moves_leave(struct daemon *d)
{
    uint64_t now = io_boottime_ms();
    uint32_t peers[REPL_MAX_NODES];

    if (d->leaving || repl_peers(d->repl, peers) == 0 ||
        !(gateway_owns_any(&d->gateway) || d->gateway.leader))
        return false;
    d->leaving = true;
    d->leave_by_ms = now + STOP_MS;
    d->left_ms = 0;
    tell_reluctance(d);
    return true;
}

void moves_tick(struct daemon *d)
{
    uint64_t now = io_boottime_ms();

    look_at_disk(d, now);
    if (!d->leaving)
        return;
    if (!gateway_owns_any(&d->gateway) && d->gateway.leader && now >= d->pass_again_ms) {
        pass_leadership(d);
        d->pass_again_ms = now + PASS_AGAIN_MS;
    }
    if (d->left_ms == 0 && !gateway_owns_any(&d->gateway) && !d->gateway.leader)
        d->left_ms = now;
    if (now >= d->leave_by_ms || (d->left_ms != 0 && now - d->left_ms >= AFTERGLOW_MS)) {
        log_line(d->log, gateway_owns_any(&d->gateway) ? LOG_WARN : LOG_INFO, "node",
                 "stopping: %s",
                 gateway_owns_any(&d->gateway) ? "nobody took over in time"
                                               : "everything is handed over");
        uv_stop(&d->loop);
    }
}
