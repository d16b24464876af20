/* Disks that lose what they had stored. Nobody tells the node: at its next load the product finds it, by the
 * high-water mark (wal_loss.h) or by a vote that is older than the log (raft_driver_judge()). A directory that was
 * made anew says so, as the program that makes it writes it there. What nobody can see is not drawn: storage is
 * trusted as Raft trusts it. */
#include "replication/raft_driver.h"
#include "sim/sim_world.h"

enum { END_ENTRIES = 40, ALL_ENTRIES = 1 << 20 };

bool sim_lies_any(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].lied && !w->nodes[i].gone)
            return true;
    return false;
}

static bool founded_alone(const struct sim_node *n)
{
    return n->id == 1 && n->world->plan.n_nodes == 1;
}

/* The keys go with the directory, and with the machine. */
static bool make_anew(struct sim_node *n)
{
    if (n->world->recovery.n_begun > 0)
        return false; /* its entry 1 is of an incarnation that is over: it would be refused for good */
    if (founded_alone(n)) {
        if (n->world->recovery.no_door)
            return false; /* nothing but the hello's refusal finds it out */
        sim_found_again(n);
        return true;
    }
    sim_storage_wipe(n->storage);
    n->kept_key.id = 0;
    n->n_peers = 0;
    memset(n->session_keys, 0, sizeof n->session_keys);
    return true;
}

static bool is_there(const struct sim_world *w, const struct sim_node *n, uint32_t id)
{
    return id != n->id && !w->nodes[id - 1].left && !w->nodes[id - 1].gone;
}

/* Made anew with its founding file it knows the founders alone (one that joined: whom it asked then), and takes the cluster's key from members that it
 * knows: where all others of them have left it waits for ever, and an operator replaces it. */
static bool knows_a_member(const struct sim_node *n)
{
    const struct sim_world *w = n->world;
    bool knows = false;

    for (uint32_t i = 0; n->n_asks == 0 && i < w->plan.n_nodes; i++)
        knows = knows || is_there(w, n, i + 1);
    for (size_t i = 0; i < n->n_asks; i++)
        knows = knows || is_there(w, n, n->asks[i].node);
    return knows;
}

/* A vote alone is something, too, where the snapshot holds all entries. */
static bool lose(struct sim_node *n, size_t n_entries, bool vote)
{
    struct repl_loaded before, after;
    size_t lost;

    sim_storage_look(n->storage, &before);
    lost = sim_storage_lose(n->storage, n_entries, vote, true);
    sim_storage_look(n->storage, &after);
    return lost > 0 || after.term != before.term;
}

bool sim_lies_begin(struct sim_node *n, enum sim_fault *fault)
{
    struct sim_random *r = &n->world->faults;
    size_t n_entries;

    /* Cut back to when it was the only voter, a node refuses to start; made anew, the one that founded
     * alone founds another cluster (sim_found.c), which few seeds have a chance to see. */
    switch (founded_alone(n) && sim_chance(r, 500) ? 0 : sim_between(r, 0, 3)) {
    case 0:
        *fault = SIM_FAULT_made_anew;
        n->lied = (founded_alone(n) || knows_a_member(n)) && make_anew(n);
        break;
    case 1:
        *fault = SIM_FAULT_rolled_back;
        n->lied = lose(n, ALL_ENTRIES, true);
        break;
    default:
        *fault = SIM_FAULT_suffix_lost;
        n_entries = (size_t)sim_between(r, 1, END_ENTRIES);
        n->lied = lose(n, n_entries, sim_chance(r, 500));
        break;
    }
    return n->lied;
}

void sim_lies_look(struct sim_node *n)
{
    struct raft_driver_status st;

    if (!n->lied || n->failed)
        return;
    st = raft_driver_status(replica_driver(n->replica));
    if (st.last_index == 0 || st.muted != REPL_TRUSTED)
        return; /* it waits for a key, or counts for nothing */
    n->lied = false;
    n->world->stats.counts[SIM_COUNT_trusted_again]++;
    sim_say(n->world, "node %u counts again", n->id);
    sim_watch_counts(n->world->watch, n->id);
}
