/* The file `peers` in the data directory: with whom this node was to be connected when it ran last, a line
 * each, "NODE ADDRESS:PORT". A hint alone, whom to ask at the next start (replica_options_know()):
 * safety never rests on it, and one that is not there, or is damaged, is as none.
 *
 * Blocks on the disk: not on a loop. */
#ifndef HF_REPL_REPL_PEERS_H
#define HF_REPL_REPL_PEERS_H

#include "replication/replica.h"

/* How many there are of it; lines that say nothing are left out. */
size_t repl_peers_read(const char *dir, struct repl_node_address nodes[REPL_MAX_NODES]);
/* Durable when it returns true; else what was there before still is. */
bool repl_peers_write(const char *dir, const struct repl_node_address *nodes, size_t n);

#endif
