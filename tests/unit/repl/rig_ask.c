/* What a test asks of the whole rig and of its nodes, and disks that hang. */
#include <stdlib.h>
#include <string.h>

#include "replication/fsm.h"
#include "replication/seal.h"
#include "unit/repl/rig.h"

uint32_t rig_leader(const struct rig *rig)
{
    uint32_t leader = 0;
    uint64_t term = 0;

    for (size_t i = 0; i < rig->n; i++) {
        struct raft_driver_status s;

        if (!rig->nodes[i].up || rig->nodes[i].paused)
            continue;
        s = raft_driver_status(replica_driver(rig->nodes[i].replica));
        if (s.state == RAFT_DRIVER_LEADER && s.own_term_committed && s.term > term) {
            leader = rig->nodes[i].id;
            term = s.term;
        }
    }
    return leader;
}

bool rig_has_owner(const struct rig *rig, uint64_t shard)
{
    return rig_owner(rig, (uint32_t)shard) != 0;
}

bool rig_has_leader(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    return rig_leader(rig) != 0;
}

bool rig_agrees(const struct rig *rig, uint64_t unused)
{
    const struct fsm *first = NULL;

    (void)unused;
    for (size_t i = 0; i < rig->n; i++) {
        const struct fsm *f;

        if (!rig->nodes[i].up)
            continue;
        f = replica_fsm(rig->nodes[i].replica);
        if (first == NULL)
            first = f;
        if (f->applied_index != first->applied_index ||
            !digest_equal(fsm_digest(f), fsm_digest(first)))
            return false;
    }
    return true;
}

bool rig_settled(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    return r != NULL && replica_next_request(r) == replica_oldest_request(r);
}

struct maker rig_maker(struct rig *rig, uint32_t id, uint32_t shard)
{
    struct rig_node *n = rig_node(rig, id);
    const struct fsm_shard *s = fsm_shard(replica_fsm(n->replica), shard);

    return (struct maker){.node = id,
                          .boot = n->boot,
                          .request = replica_next_request(n->replica),
                          .shard = shard,
                          .epoch_index = s == NULL ? 0 : s->epoch.index,
                          .incarnation = s == NULL ? 0 : s->epoch.incarnation};
}

uint64_t rig_submit(struct rig *rig, uint32_t id, Holdfast__Record *record)
{
    struct rig_node *n = rig_node(rig, id);
    uint64_t request = replica_next_request(n->replica);
    size_t len = 0;
    uint8_t *sealed =
        replica_pack(record, id, n->boot, request, rig->sealed ? &n->ring.seal : &seal_none, &len);

    HF_ASSERT(sealed != NULL);
    record_free(record);
    if (replica_submit(n->replica, rig->now_ms * 1000000, request, sealed, len, NULL) == REPL_OK)
        return request;
    free(sealed);
    return 0;
}

void rig_hang_disk(struct rig *rig, uint32_t id)
{
    sim_storage_set_delay(rig_node(rig, id)->storage, RIG_NEVER_MS, RIG_NEVER_MS);
    rig_node(rig, id)->hung = true;
}

void rig_mend_disk(struct rig *rig, uint32_t id)
{
    sim_storage_set_delay(rig_node(rig, id)->storage, 0, 1);
    sim_storage_hasten(rig_node(rig, id)->storage);
    rig_node(rig, id)->hung = false;
}

bool rig_has_failed(const struct rig *rig, uint64_t node)
{
    return rig->nodes[node - 1].failed;
}

/* --- without walls --- */

void rig_greet(struct rig_node *n)
{
    sim_network_greet(n->rig->network, n->id,
                      n->rig->no_walls ? 0 : replica_incarnation(n->replica));
}

bool rig_raft_alone(struct rig_node *n, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct raft_driver *d;

    if (!n->rig->no_walls || channel != REPL_CHANNEL_RAFT || !n->up || n->failed)
        return false;
    d = (struct raft_driver *)(uintptr_t)replica_driver(n->replica);
    (void)raft_driver_receive(d, n->rig->now_ms, from, bytes);
    replica_go(n->replica, n->rig->now_ms * 1000000);
    return true;
}

void rig_incarnation_stays(struct rig_node *n)
{
    uint64_t now = n->replica == NULL ? 0 : replica_incarnation(n->replica);

    HF_ASSERT(n->incarnation == 0 || n->incarnation == now);
    n->incarnation = now;
}

void rig_count_text(struct rig_node *n, const char *text)
{
    n->alarms += strncmp(text, "ALARM", 5) == 0;
    n->founder_told += strstr(text, "node 3 has not been heard") != NULL;
    n->stuck_told += strstr(text, "no leader can come") != NULL;
    n->tie_told += strstr(text, "another node's state differs from ours") != NULL;
    n->unfilled_told += strstr(text, "cannot be filled") != NULL;
    n->grown_told += strstr(text, "the log has grown to") != NULL;
    n->trust_told += strstr(text, "this node's stored data counts") != NULL;
    n->disk_told += strncmp(text, "the disk hangs", 14) == 0;
    n->halt_told += strstr(text, "applies nothing any more") != NULL;
}
