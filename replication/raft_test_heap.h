/* Only in the test library hf_replication_unwrapped: counts what libraft's allocator has given out
 * and not got back. */
#ifndef HF_REPL_RAFT_TEST_HEAP_H
#define HF_REPL_RAFT_TEST_HEAP_H

#include <stddef.h>

/* Counts from now on; call before the first driver is created. */
void raft_test_heap(void);
size_t raft_test_heap_live(void);

#endif
