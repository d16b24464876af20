/* Where the other nodes are, as a file of the data directory; and lists of such addresses put together.
 * Blocking: used at a start, and on libuv's pool. May not: touch the log or its own idea of who is a
 * member.
 */
#ifndef HF_REPL_ADDRESSES_H
#define HF_REPL_ADDRESSES_H

#include "replication/replica.h"

/* The addresses that repl_addresses_store() kept last; *n = 0 when there are none yet. False: a file
 * is there that cannot be read or is damaged; *n is 0 then. */
bool repl_addresses_load(const char *data_dir, struct repl_node_address nodes[REPL_MAX_NODES],
                         size_t *n) HF_MUST_USE;

/* Replaces the file; durable when true. n <= REPL_MAX_NODES; every address has a family. */
bool repl_addresses_store(const char *data_dir, const struct repl_node_address *nodes,
                          size_t n) HF_MUST_USE;

/* Adds `more` to the n that are there: the first `fixed` keep their place and what they have (an operator's
 * file says so); behind them the newest word comes first, so where there is no room what was said longest
 * ago is left out. The new number. */
size_t repl_addresses_merge(struct repl_node_address nodes[REPL_MAX_NODES], size_t n, size_t fixed,
                            const struct repl_node_address *more, size_t n_more);

#endif
