/* What a run counted: numbers only, so that those of many seeds are added up. */
#ifndef HF_SIM_STATS_H
#define HF_SIM_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "sim/sim_watch.h"

/* X(identifier, name): kinds of faults; one at zero over many seeds is red. */
#define SIM_FAULT_LIST(X)                                                                          \
    X(loss, "loss")                                                                                \
    X(duplication, "duplication")                                                                  \
    X(reordering, "reordering")                                                                    \
    X(bad_path, "bad_path")                                                                        \
    X(path_one_way, "path_one_way")                                                                \
    X(replay, "replayed_packet")                                                                   \
    X(forged, "forged_packet")                                                                     \
    X(flood, "init_flood")                                                                         \
    X(stale_neighbour, "stale_neighbour")                                                          \
    X(partition_full, "partition_full")                                                            \
    X(partition_one_way, "partition_one_way")                                                      \
    X(partition_partial, "partition_partial")                                                      \
    X(connection_broken, "connection_broken")                                                      \
    X(disk_lost, "disk_lost_writes")                                                               \
    X(disk_torn, "disk_torn_write")                                                                \
    X(disk_full, "disk_full")                                                                      \
    X(log_full, "disk_full_for_the_log")                                                           \
    X(owner_full, "disk_full_of_an_owner")                                                         \
    X(disk_slow, "disk_slow")                                                                      \
    X(disk_hung, "disk_hung")                                                                      \
    X(disk_error, "disk_io_error")                                                                 \
    X(node_lost, "node_lost_for_good")                                                             \
    X(node_crash, "node_crash")                                                                    \
    X(node_kill, "node_kill")                                                                      \
    X(node_pause, "node_pause")                                                                    \
    X(all_killed, "all_killed")                                                                    \
    X(all_power, "power_of_all_lost")                                                              \
    X(sessions_lost, "sessions_lost_with_the_power")                                               \
    X(leader_transfer, "leader_transfer")                                                          \
    X(worker_hung, "worker_hung")                                                                  \
    X(batch_in_hand, "worker_stopped_in_a_batch")                                                  \
    X(control_stuck, "control_stuck")                                                              \
    X(outside_down, "outside_link_down")                                                           \
    X(inside_down, "inside_link_down")                                                             \
    X(client_restart, "client_restart")                                                            \
    X(nat_rebinding, "nat_rebinding")                                                              \
    X(clock_drift, "clock_drift")                                                                  \
    X(wall_jump, "wall_clock_jump")                                                                \
    X(suffix_lost, "disk_suffix_lost")                                                             \
    X(rolled_back, "disk_rolled_back")                                                             \
    X(made_anew, "disk_made_anew")                                                                 \
    X(stays_out, "lone_founder_stays_out")                                                         \
    X(founder_late, "founder_late")                                                                \
    X(member_joins, "member_joins")                                                                \
    X(wrong_token, "join_by_a_wrong_token")                                                        \
    X(old_token, "join_by_an_expired_token")                                                       \
    X(member_leaves, "member_removed")                                                             \
    X(down_leaves, "member_removed_while_down")                                                    \
    X(lost_leaves, "member_removed_whose_disk_is_lost")                                            \
    X(zombie, "removed_member_runs_on")                                                            \
    X(recover, "recover")                                                                          \
    X(restore, "restore")                                                                          \
    X(left_behind, "former_incarnation_comes_back")                                                \
    X(flapping, "flapping_node")

enum sim_fault {
#define X(id, name) SIM_FAULT_##id,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULTS
};

/* X(identifier): counters beside faults. */
#define SIM_COUNT_LIST(X)                                                                          \
    X(steps)                                                                                       \
    X(simulated_ms)                                                                                \
    X(fault_ms)    /* between the first fault and the healing */                                   \
    X(troubled_ms) /* with something that is not well at that moment */                            \
    X(frames)                                                                                      \
    X(records)                                                                                     \
    X(takeovers)                                                                                   \
    X(handovers)                                                                                   \
    X(owners_killed)                                                                               \
    X(leaders_killed) /* of them */                                                                \
    X(elections)                                                                                   \
    X(keys_erased)                                                                                 \
    X(rings_checked)                                                                               \
    X(snapshots)                                                                                   \
    X(restores)                                                                                    \
    X(moves)                                                                                       \
    X(drains)                                                                                      \
    X(node_starts)                                                                                 \
    X(tunnels)                                                                                     \
    X(trusted_again)                                                                               \
    X(configurations)                                                                              \
    X(grown_to_five)                                                                               \
    X(hints)                                                                                       \
    X(shrunk_to_three)                                                                             \
    X(rekeys_child)                                                                                \
    X(rekeys_ike)                                                                                  \
    X(packets_sent)                                                                                \
    X(packets_delivered)                                                                           \
    X(packets_refused)                                                                             \
    X(strays_forwarded)                                                                            \
    X(numbers_checked)                                                                             \
    X(messages_checked)                                                                            \
    X(digests_compared)                                                                            \
    X(owners_checked)                                                                              \
    X(gaps)                                                                                        \
    X(gaps_open)                                                                                   \
    X(violations)

enum sim_count {
#define X(id) SIM_COUNT_##id,
    SIM_COUNT_LIST(X)
#undef X
        SIM_COUNTS
};

enum { SIM_EXCHANGES = 11 }; /* enum ike_exchange */

struct sim_stats {
    uint64_t faults[SIM_FAULTS], counts[SIM_COUNTS];
    uint64_t exchanges[2][SIM_EXCHANGES];              /* begun by the client, by the gateway */
    uint64_t collisions[SIM_EXCHANGES][SIM_EXCHANGES]; /* client's kind, gateway's kind */
    uint64_t cases[SIM_WATCH_CASES];  /* of the design's table of collisions: how often reached */
    uint64_t judged[SIM_WATCH_RULES]; /* how often each rule of the watch judged something */
};

void sim_stats_add(struct sim_stats *to, const struct sim_stats *from);
const char *sim_fault_name(enum sim_fault fault);
const char *sim_count_name(enum sim_count count);
/* Members of a JSON object, without its braces. */
void sim_stats_print(const struct sim_stats *s, FILE *out);

#endif
