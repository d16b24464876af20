/* A loop's longest turns (loop_watch.h). */
#ifndef HF_REPL_LOOP_TURNS_H
#define HF_REPL_LOOP_TURNS_H

#include <stdint.h>

struct loop_turns {
    uint64_t longest_ns; /* since the last take, by the clock: other processes' turns included */
    uint64_t longest_cpu_ns; /* likewise, by the thread's own processor time */
    uint64_t ever_ns;        /* as longest_ns, since the start */
};

#endif
