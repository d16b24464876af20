/* Whom the core wants to be connected with: told to the transport, kept in a file for the next start. */
#include "replication/repl_addresses.h"
#include "replication/repl_thread.h"

/* Not from inside the core's call: it may come from a frame of the very connection that goes. */
void repl_on_peers(void *self, const struct repl_node_address *nodes, size_t n)
{
    struct repl *repl = self;

    memcpy(repl->peers, nodes, n * sizeof *nodes);
    repl->n_peers = n;
    repl->peers_changed = true;
    HF_ASSERT(uv_async_send(&repl->async) == 0);
}

static void keep_peers(struct repl *repl);

static void keep_work(uv_work_t *work)
{
    struct repl *repl = work->data;

    repl->kept_ok = repl_addresses_store(repl->data_dir, repl->kept, repl->n_kept);
}

static void keep_after(uv_work_t *work, int status)
{
    struct repl *repl = work->data;

    (void)status;
    repl->keeping_now = false;
    repl->jobs--;
    if (repl->closing) {
        repl_part_closed(repl);
        return;
    }
    if (!repl->kept_ok && repl->log != NULL)
        repl->log(repl->log_self, REPL_LOG_WARN,
                  "the file `peers` of the data directory could not be written: after a restart "
                  "only the nodes of the configuration are asked");
    keep_peers(repl);
}

/* Off the loop, one writing at a time; whatever changes meanwhile is written next. What could not be
 * written is tried again with the next change. */
static void keep_peers(struct repl *repl)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {0};
    bool same;
    size_t n = 0;

    for (size_t i = 0; i < repl->n_peers; i++)
        if (repl->peers[i].node != repl->options.node &&
            repl->peers[i].address.ip.family != ADDR_NONE)
            nodes[n++] = repl->peers[i];
    same = n == repl->n_kept;
    for (size_t i = 0; same && i < n; i++)
        same = nodes[i].node == repl->kept[i].node &&
               endpoint_equal(&nodes[i].address, &repl->kept[i].address);
    if (same || repl->keeping_now || repl->closing || repl->tcp == NULL)
        return;
    memcpy(repl->kept, nodes, sizeof repl->kept);
    repl->n_kept = n;
    repl->keeping_now = true;
    repl->keeping.data = repl;
    repl->jobs++;
    HF_ASSERT(uv_queue_work(&repl->loop, &repl->keeping, keep_work, keep_after) == 0);
}

_Static_assert(TCP_MAX_PEERS >= 2 * (REPL_MAX_NODES - 1), "all may be others than before at once");

void repl_set_peers(struct repl *repl)
{
    struct tcp_peer peers[REPL_MAX_NODES];
    size_t n = 0;

    repl->peers_changed = false;
    for (size_t i = 0; i < repl->n_peers; i++)
        if (repl->peers[i].node != repl->options.node &&
            repl->peers[i].address.ip.family != ADDR_NONE)
            peers[n++] = (struct tcp_peer){repl->peers[i].node, repl->peers[i].address};
    if (repl->tcp != NULL)
        tcp_transport_set_peers(repl->tcp, peers, n);
    keep_peers(repl);
}
