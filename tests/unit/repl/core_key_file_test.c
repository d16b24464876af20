/* The configuration's key is what log and snapshot were sealed with, or the node does not begin. */
#include <criterion/criterion.h>

#include <string.h>

#include "replication/seal_message.h"
#include "unit/repl/cluster.h"

static struct rig *sealed(size_t n, uint64_t seed)
{
    struct rig *rig = rig_create(n, 1, seed);

    rig_seal(rig);
    return rig;
}

/* Entries, not one entry. */
static void fill(struct rig *rig, uint64_t sas)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        rig_start(rig, i);
    for (uint64_t id = 1; id <= sas; id++) {
        uint32_t owner;

        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        owner = rig_owner(rig, 1);
        cluster_create_sas(rig, owner, id, 1);
        cr_assert(rig_run(rig, 5000, rig_settled, owner));
    }
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
}

static bool snapshotted(const struct rig *rig, uint64_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).snapshot_index > 0;
}

static bool has_key(const struct rig *rig, uint64_t node)
{
    return rig->nodes[node - 1].kept.id != 0;
}

/* A key of another cluster's, as its file would hold it. */
static void take_another(struct rig_node *n)
{
    n->kept.kind = SEAL_CONFIGURATION;
    n->kept.bytes[0] ^= 0x55;
    n->kept.id = seal_key_id(&n->ring.means, SEAL_CONFIGURATION, n->kept.bytes);
}

/* With a log alone, and with a snapshot: it says so before its Raft speaks or hears. */
Test(repl_keys, one_whose_key_file_is_anothers_refuses_to_start)
{
    for (int snapshots = 0; snapshots < 2; snapshots++) {
        struct rig *rig = sealed(3, 8);
        struct rig_node *n = rig_node(rig, 3);
        struct raft_driver_status s;

        rig->snapshot_entries = snapshots ? 40 : 1000000;
        rig->trailing = 8;
        fill(rig, 60);
        cr_assert(!snapshots || rig_run(rig, 20000, snapshotted, 3));
        rig_kill(rig, 3);
        take_another(n);
        rig_start(rig, 3);
        cr_assert(n->failed, "it begins with a key that opens nothing it has");
        cr_assert_not_null(strstr(n->why, "configuration.key is not the one"), "%s", n->why);
        s = raft_driver_status(replica_driver(n->replica));
        cr_assert(s.last_index == 0 && s.term == 0, "its Raft runs");
        rig_destroy(rig);
    }
}

/* Who gives it another than its log needs is not believed: that one would be on its disk for good. */
Test(repl_keys, one_that_waits_takes_only_the_key_that_its_log_needs)
{
    struct rig *rig = sealed(3, 9);
    struct rig_node *n = rig_node(rig, 3);
    struct seal_message give = {.what = SEAL_GIVE, .kind = SEAL_CONFIGURATION};
    uint8_t bytes[SEAL_MESSAGE_BYTES];
    uint64_t own;

    fill(rig, 1);
    own = n->kept.id;
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    take_another(n);
    give.id = n->kept.id;
    memcpy(give.key, n->kept.bytes, sizeof give.key);
    memset(&n->kept, 0, sizeof n->kept);
    rig_start(rig, 3);
    replica_frame(n->replica, rig->now_ms * 1000000, 2, REPL_CHANNEL_KEYS,
                  span_of(bytes, seal_message_encode(&give, bytes)));
    cr_assert(!has_key(rig, 3) && !n->failed, "it took it");
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_leader, 0));
    cr_assert_eq(n->kept.id, own);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    rig_destroy(rig);
}
