/* One state machine for tests of its verdicts: node 1 owns shard 1, node 2 is a member. Each record has
 * an entry of its own, 10 ms of cluster time after the one before. */
#ifndef HF_TESTS_REPL_FSM_RIG_H
#define HF_TESTS_REPL_FSM_RIG_H

#include <criterion/criterion.h>

#include "replication/fsm.h"
#include "unit/repl/make.h"

static struct fsm fsm;
static struct maker m; /* node 1, which owns shard 1 */
static uint64_t log_index;

static inline enum repl_verdict judge(Holdfast__Record *r)
{
    struct fsm_outcome out;

    log_index++;
    fsm_begin_entry(&fsm, log_index, log_index * 10);
    fsm_apply(&fsm, r, 0, NULL, &out);
    record_free(r);
    return out.verdict;
}

static inline void begin(void)
{
    fsm_init(&fsm, 1);
    log_index = 1;
    cr_assert_eq(judge(make_boot(1, 11, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_boot(2, 22, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_assign(1, 0, 1, 11)), REPL_ACCEPTED);
    m = (struct maker){.node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = log_index};
}

static inline void end(void)
{
    fsm_deinit(&fsm);
}

#endif
