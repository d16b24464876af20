/* Whom a node of the rig is connected with. */
#include "unit/repl/rig.h"

void rig_on_peers(void *node, const struct repl_node_address *nodes, size_t count)
{
    struct rig_node *n = node;

    memcpy(n->peers, nodes, count * sizeof *nodes);
    n->n_peers = count;
    n->peers_changed = true;
}

void rig_connect(struct rig_node *n)
{
    uint32_t ids[REPL_MAX_NODES];

    n->peers_changed = false;
    for (size_t i = 0; i < n->n_peers; i++)
        ids[i] = n->peers[i].node;
    if (n->rig->choosy)
        sim_network_know(n->rig->network, n->id, ids, n->n_peers);
}
