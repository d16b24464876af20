/* Work off the loop, under virtual time: done when it is due, some milliseconds later. */
#include <stdlib.h>

#include "unit/repl/rig.h"

void rig_job_add(void *node, struct replica_job *job)
{
    struct rig_node *n = node;
    struct rig_job *j = repl_alloc_zero(1, sizeof *j);
    struct rig_job **at = &n->jobs;

    *j =
        (struct rig_job){.job = job, .due_ms = n->rig->now_ms + sim_between(&n->rig->random, 0, 4)};
    while (*at != NULL)
        at = &(*at)->next;
    *at = j;
}

void rig_jobs_run(struct rig_node *n)
{
    while (n->up && !n->paused && n->jobs != NULL && n->jobs->due_ms <= n->rig->now_ms) {
        struct rig_job *j = n->jobs;

        n->jobs = j->next;
        replica_job_run(j->job);
        replica_job_done(n->replica, n->rig->now_ms * 1000000, j->job);
        n->jobs_done++;
        free(j);
    }
}

void rig_jobs_drop(struct rig_node *n)
{
    while (n->jobs != NULL) {
        struct rig_job *j = n->jobs;

        n->jobs = j->next;
        replica_job_drop(j->job);
        free(j);
    }
}
