/* A rig that runs: what every test of the replica's core begins and ends with. */
#ifndef HF_TEST_REPL_CLUSTER_H
#define HF_TEST_REPL_CLUSTER_H

#include "unit/repl/rig.h"

/* A started cluster whose shard 1 is owned and acting. */
struct rig *cluster_running(size_t n, uint64_t seed);
/* Likewise three nodes with a snapshot every 100 entries. */
struct rig *cluster_snapshotting(uint64_t seed);
/* All states agree, every mirror is its node's state, nobody acted who should not; destroys it. */
void cluster_finish(struct rig *rig);
/* Submits the creation of `count` SAs from `first` on, at the owner. */
void cluster_create_sas(struct rig *rig, uint32_t owner, uint64_t first, size_t count);
/* Makes `node` the leader. */
void cluster_lead(struct rig *rig, uint32_t node);

/* Submits it on that node, and waits until the log has judged it. */
void cluster_settle(struct rig *rig, uint32_t on, Holdfast__Record *record);
/* The machines of nodes 1 to n: what their memory kept is gone. */
void cluster_power_off(struct rig *rig, uint32_t n);

#endif
