/* Whom this node gives sealing keys to, and whom it takes them from.
 *
 * Being connected says nothing: who has a token is, so that it can ask to join, and so is who an older
 * list names. Being heard by Raft is not enough either: a node that started anew must hear whoever
 * leads by now, also one that it does not know. A key goes to who is known to be a member:
 *
 *   own start is applied ─> the state's members that have not left, and the newest configuration's
 *   not yet (or never: no majority) ─> only whom the newest configuration of log and snapshot names
 */
#include "replication/raft_frame.h"
#include "replication/replica_parts.h"

bool replica_loaded_configuration(const struct repl_loaded *l, struct repl_configuration *out)
{
    *out = l->snapshot.configuration;
    for (size_t i = 0; i < l->n_entries; i++) {
        struct span data = l->entries[i].data;

        if (l->entries[i].kind == REPL_ENTRY_CHANGE && !raft_configuration_take(&data, out))
            return false;
    }
    return true;
}

struct repl_configuration replica_newest_configuration(const struct replica *r)
{
    struct repl_configuration c = {.n_servers = 0};

    if (r->waiting == NULL)
        return raft_driver_newest_configuration(r->driver);
    if (!replica_loaded_configuration(r->waiting, &c))
        c.n_servers = 0;
    return c;
}

bool replica_may_have_key(const struct replica *r, uint32_t node)
{
    const struct fsm_member *m = fsm_member(&r->fsm, node);
    struct repl_configuration c = replica_newest_configuration(r);

    if (node == r->options.node || replica_has_left(r, node))
        return false;
    /* Also one that joined, and is in no configuration yet. */
    if (m != NULL && r->ownership.confirmed)
        return true;
    for (size_t i = 0; i < c.n_servers; i++)
        if (c.servers[i].node == node)
            return true;
    return false;
}

/* A node that joins has heard of no member yet: it believes those that it was told to ask. It has nothing
 * to lose: what a wrong key sealed is left out by all others, and it ends itself at the first record that
 * the key does not open. */
bool replica_may_give_key(const struct replica *r, uint32_t node)
{
    return replica_may_have_key(r, node) ||
           (r->waiting != NULL && replica_newest_configuration(r).n_servers == 0);
}
