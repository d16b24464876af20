/* Workers under a control loop that changes everything at once: for ThreadSanitizer, and for I1 and
 * I2 seen from outside. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "rig.h"

static struct rig rig;

enum { LONG_MS = 3600 * 1000, SOON_MS = 10000 };

/* Two workers, four SAs, packets into whichever queue: each arrives once, each SA's in one worker.
 */
Test(stress, packets_reach_the_worker_that_owns_them, .timeout = 120)
{
    static struct esp_sa clients[4];
    struct pair_options o[4];
    uint32_t got_up[4] = {0}, got_down[4] = {0};

    rig_init(&rig, 2, NULL);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t i = 0; i < 4; i++) {
        o[i] = (struct pair_options){.spi = 0x2001 + i, .virtual_ip = 0x0a630005 + i};
        (void)rig_sa(&rig, &o[i], &clients[i], 1 << 20, 1 << 20);
    }
    for (uint32_t n = 1; n <= 200; n++)
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t number = n * 4 + i;

            rig_up(&rig, &clients[i], &o[i], number);
            cr_assert_eq(rig_delivered(&rig, SOON_MS), number);
            got_up[i]++;
        }
    /* Up: one source port is one socket, so the SPIs of the other worker are handed over. */
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_HANDED_OVER), 400);
    for (uint32_t n = 1; n <= 200; n++)
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t seq;

            rig_down(&rig, &o[i], n, n % 2); /* the queue is the kernel's choice, not the SA's */
            cr_assert_eq(rig_received(&rig, &clients[i], &seq, SOON_MS), n);
            cr_assert_eq(seq, n);
            got_down[i]++;
        }
    for (int i = 0; i < 4; i++) {
        cr_assert(got_up[i] == 200 && got_down[i] == 200);
        esp_sa_deinit(&clients[i]);
    }
    /* Down: each packet in every other queue is another worker's. */
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_HANDED_OVER), 400 + 400);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_HAND_OVER_FULL), 0);
    rig_deinit(&rig);
}

/* --- ownership that comes and goes while packets flow --- */

enum { EPOCHS = 60, BLOCK = 40, SPAN = (EPOCHS + 2) * 2 * BLOCK };

static _Atomic bool done;
static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

static void *pump(void *arg)
{
    uint32_t number = 0;

    (void)arg;
    while (!atomic_load(&done)) {
        rig_down(&rig, &usual, number++, 0);
        if (number % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* Every number on the wire is of a block granted under the lease of that time, and none comes
 * twice. Odd blocks are another node's. */
Test(stress, epochs_that_change_under_traffic_reuse_no_number, .timeout = 120)
{
    static struct esp_sa client;
    static uint8_t seen[SPAN];
    pthread_t thread;
    struct esp_sa *sa;
    uint64_t total = 0;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, BLOCK, 8);
    cr_assert_eq(pthread_create(&thread, NULL, pump, NULL), 0);
    for (uint64_t e = 0; e < EPOCHS; e++) {
        uint64_t epoch = PAIR_EPOCH + 1 + e, first = (2 * e + 2) * BLOCK, end = first + BLOCK / 2;
        struct esp_sa_grant g = {.epoch = epoch,
                                 .first = first,
                                 .end = end,
                                 .floor = (e + 1) * 8,
                                 .ceiling = (e + 2) * 8};

        if (e % 3 == 0) {
            rig_lease(&rig, epoch,
                      LONG_MS); /* the lease may be there before the grant is taken, or after */
            esp_sa_grant(sa, &g);
        } else {
            esp_sa_grant(sa, &g);
            rig_lease(&rig, epoch, LONG_MS);
        }
        if (e % 2 == 0)
            esp_sa_extend(sa, first + BLOCK);
        cr_assert_neq(rig_received(&rig, &client, &seq, SOON_MS), UINT32_MAX,
                      "epoch %lu emits nothing", epoch);
        do {
            cr_assert_lt(seq, SPAN);
            cr_assert_eq(seen[seq], 0, "number %lu twice", seq);
            cr_assert_eq(seq / BLOCK % 2, 0, "number %lu is another node's", seq);
            cr_assert_leq(seq / BLOCK, 2 * e + 2, "number %lu was not granted yet", seq);
            seen[seq] = 1;
            total++;
        } while (seq % BLOCK < 10 && rig_received(&rig, &client, &seq, 5) != UINT32_MAX);
    }
    atomic_store(&done, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_geq(total, EPOCHS);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

/* --- SAs that come and go --- */

static void *flood(void *arg)
{
    static struct esp_sa clients[8];
    uint32_t number = 0;

    (void)arg;
    for (uint32_t i = 0; i < 8; i++) {
        struct pair_options o = {.spi = 0x4000 + i, .virtual_ip = 0x0a630010 + i};
        struct esp_sa_params c = pair_params(&o, false);
        struct esp_sa_grant g = {.epoch = PAIR_EPOCH, .end = 1 << 30, .ceiling = UINT32_MAX};

        if (!esp_sa_init(&clients[i], &c))
            abort();
        esp_sa_grant(&clients[i], &g);
    }
    while (!atomic_load(&done)) {
        uint32_t i = number % 8;
        struct pair_options o = {.spi = 0x4000 + i, .virtual_ip = 0x0a630010 + i};

        rig_up(&rig, &clients[i], &o, number);
        rig_down(&rig, &o, number, number % rig.n_workers);
        number++;
    }
    for (int i = 0; i < 8; i++)
        esp_sa_deinit(&clients[i]);
    return NULL;
}

/* One change to an SA; *in counts what was read, so that reading is not optimised away. */
static void disturb(struct esp_sa **sa, uint64_t state, uint64_t *in)
{
    struct esp_sa_view v;

    switch ((state >> 36) % 5) {
    case 0:
        worker_sa_remove(rig.pool, *sa);
        *sa = NULL;
        break;
    case 1:
        esp_sa_extend(*sa, (state >> 40) % 5000);
        esp_sa_set_ceiling(*sa, (state >> 40) % 50000);
        worker_pool_kick(rig.pool);
        break;
    case 2:
        esp_sa_set_outbound(*sa, (state >> 40) % 2 == 0);
        break;
    case 3:
        esp_sa_set_remote(*sa, (state >> 40) % 2 == 0 ? &rig.client_at : &rig.gateway_at);
        break;
    default:
        esp_sa_read(*sa, &v);
        *in += v.in_packets;
        break;
    }
}

Test(stress, sas_come_and_go_under_traffic, .timeout = 120)
{
    static struct esp_sa unused;
    struct esp_sa *sas[8] = {NULL};
    struct worker_event events[64];
    uint64_t state = 5, installed = 0, in = 0;
    pthread_t thread;

    rig_init(&rig, 2, NULL);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    cr_assert_eq(pthread_create(&thread, NULL, flood, NULL), 0);
    for (int step = 0; step < 3000; step++) {
        uint32_t i;
        struct worker_datagram d;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        i = (uint32_t)(state >> 33) % 8;
        if (sas[i] == NULL) {
            struct pair_options o = {.spi = 0x4000 + i, .virtual_ip = 0x0a630010 + i};

            /* ceilings and reservations that some packets wait for */
            sas[i] = rig_sa(&rig, &o, &unused, (state >> 40) % 100, (state >> 50) % 4000);
            esp_sa_deinit(&unused);
            installed++;
        } else {
            disturb(&sas[i], state, &in);
        }
        if (step % 50 == 0) {
            struct esp_window window;

            rig_wait_passed(&rig, worker_pool_mode(rig.pool, 0, WORKER_STILL));
            for (int k = 0; k < 8; k++) {
                if (sas[k] == NULL)
                    continue;
                esp_sa_window(sas[k], &window);
                in += window.replay.top;
            }
            (void)worker_pool_mode(rig.pool, 0, WORKER_ACT);
        }
        worker_pool_event_clear(rig.pool);
        (void)worker_pool_events(rig.pool, events, 64);
        while (worker_pool_datagram(rig.pool, &d)) { /* what came while they stood still */
            (void)worker_pool_inject(rig.pool, &d);
            worker_pool_datagram_done(rig.pool);
        }
        while (rig_delivered(&rig, 0) != UINT32_MAX)
            ;
    }
    atomic_store(&done, true);
    while (rig_delivered(&rig, 10) != UINT32_MAX)
        ;
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_gt(installed, 100);
    cr_assert_gt(in, 0);
    rig_deinit(&rig);
}
