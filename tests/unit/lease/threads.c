/* A lease between two threads: one publishes as fast as it can, the other looks as fast as it can. With ThreadSanitizer
 * also: what was written before an epoch is published is seen by whom it lets act. (Which of two adjacent stores comes
 * first shows here only where the two run on cores of their own, so variants are order.c's to find.) */
#include "variant.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "replication/lease.h"

enum {
    NOW_NS = 2,
    ENOUGH_LOOKS = 200000,
    ENOUGH_EPOCHS = 200, /* of which the reader met this many, one after the other */
    NOTES = 1 << 16
};

static struct repl_lease lease;
static _Atomic bool done;
static uint64_t notes[NOTES]; /* not atomic: each is written before its epoch is published, once */

/* Even epochs have a lease, those between them one that is over. */
static void *publish(void *arg)
{
    (void)arg;
    for (uint64_t epoch = 1; !atomic_load_explicit(&done, memory_order_relaxed); epoch++) {
        if (epoch < NOTES)
            notes[epoch] = epoch;
        lease_publish(&lease, epoch, epoch % 2 == 0 ? UINT64_MAX : 1);
    }
    return NULL;
}

struct lease_trial lease_threads(void)
{
    struct lease_trial trial = {0};
    uint64_t last = 0;
    size_t epochs = 0;
    pthread_t thread;

    HF_ASSERT(pthread_create(&thread, NULL, publish, NULL) == 0);
    while (trial.looks < ENOUGH_LOOKS || epochs < ENOUGH_EPOCHS) {
        uint64_t epoch = lease_epoch(&lease, NOW_NS);

        trial.looks++;
        if (epoch == 0)
            continue;
        trial.acts++;
        trial.breaches += epoch % 2 != 0 || (epoch < NOTES && notes[epoch] != epoch);
        epochs += epoch != last;
        last = epoch;
    }
    atomic_store_explicit(&done, true, memory_order_relaxed);
    HF_ASSERT(pthread_join(thread, NULL) == 0);
    return trial;
}
