/* An in-memory network for whoever uses replication/transport.h, under virtual time: delays, broken
 * connections, partitions of one or both directions. It keeps the transport's promise (FIFO per
 * direction, loss only with the whole connection) unless told to break it.
 *
 *   send --> per direction: FIFO of frames with the time they are due --sim_network_run--> listener
 *
 * A partitioned direction swallows: frames are taken and lost when it heals, for healing means a
 * new connection.
 */
#ifndef HF_SIM_TRANSPORT_H
#define HF_SIM_TRANSPORT_H

#include "base/assert.h"
#include "replication/transport.h"
#include "sim/sim_random.h"

enum { SIM_MAX_NODES = 24 };

struct sim_network;

struct sim_network_counters {
    uint64_t sent, refused, delivered, lost, broken, duplicated, reordered;
    uint64_t strangers; /* connections refused, for the two are of different incarnations */
};

/* *now_ms is the simulator's clock; it must outlive the network. */
struct sim_network *sim_network_create(uint64_t seed, const uint64_t *now_ms);
void sim_network_destroy(struct sim_network *network);

void sim_network_set_delay(struct sim_network *network, uint32_t min_ms,
                           uint32_t max_ms); /* default 0 to 4 */

/* Breaks the promise on purpose: of 1000 frames so many arrive a second time later, or behind their
 * successor. */
void sim_network_set_misorder(struct sim_network *network, unsigned duplicate_permille,
                              unsigned reorder_permille);

/* A node's process starts: its connections come up at once. Or ends: they break, frames in flight
 * from it and to it are lost. */
void sim_network_attach(struct sim_network *network, uint32_t node,
                        const struct repl_transport_listener *listener);
void sim_network_detach(struct sim_network *network, uint32_t node);

struct repl_transport sim_network_transport(struct sim_network *network, uint32_t node);

/* From now on it connects with these alone, and takes connections of these alone, as production does
 * with the nodes that it is told of. Whoever never says so knows everybody. Ids below 64. */
void sim_network_know(struct sim_network *network, uint32_t node, const uint32_t *nodes, size_t n);

/* What its hello says from now on: the cluster's incarnation, 0 while it knows none. Two that know
 * different ones have no connection, as in production (tcp_links.c). */
void sim_network_greet(struct sim_network *network, uint32_t node, uint64_t incarnation);

/* Is anybody up, of a known incarnation, that it, starting now, would greet or be greeted by? */
bool sim_network_meets(const struct sim_network *network, uint32_t node);

/* The connection of a and b breaks (frames in flight are lost); another one comes up `down_ms` and
 * one later. */
void sim_network_break(struct sim_network *network, uint32_t a, uint32_t b, uint32_t down_ms);
/* Frames from a to b no longer arrive. */
void sim_network_partition(struct sim_network *network, uint32_t from, uint32_t to);
void sim_network_heal(struct sim_network *network);

/* A process that is stopped (SIGSTOP): what comes for it waits, and is delivered late. */
void sim_network_stop(struct sim_network *network, uint32_t node, bool stopped);

/* When something is due; UINT64_MAX: nothing. */
uint64_t sim_network_next(const struct sim_network *network);
/* Delivers one frame that is due. False: none is. */
bool sim_network_run(struct sim_network *network);

const struct sim_network_counters *sim_network_counters(const struct sim_network *network);
/* A hash of all that was delivered so far: equal seeds give equal ones. */
uint64_t sim_network_trace(const struct sim_network *network);

#endif
