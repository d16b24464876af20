/* A process that was told to do nothing more for anybody (worker_options.silenced). */
#include <criterion/criterion.h>
#include <unistd.h>

#include "io/udp.h"
#include "rig.h"

static struct rig rig;
static struct esp_sa client;

static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

enum { LONG_MS = 3600 * 1000, SOON_MS = 10000 };

/* While armed, the worker is told in the middle of a batch, by the first packet of it that leaves, once there is one. */
static _Atomic bool armed;
static int filled[2];

enum udp_result __real_udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                                const struct span *parts, size_t n_parts);
enum udp_result __wrap_udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                                const struct span *parts, size_t n_parts);

enum udp_result __wrap_udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                                const struct span *parts, size_t n_parts)
{
    char byte;

    if (atomic_exchange(&armed, false)) {
        HF_ASSERT(read(filled[0], &byte, 1) == 1);
        atomic_store(&rig.silenced, true);
    }
    return __real_udp_send(fd, source, peer, parts, n_parts);
}

/* I1: a copy of a machine has numbers in hand that the other one has, too. So not the batch leaves, but the one packet
 * that is in a system call. */
Test(worker, silenced_it_sends_nothing_more_of_the_batch_in_hand, .timeout = 60)
{
    uint64_t seq;

    cr_assert_eq(pipe(filled), 0);
    rig_init(&rig, 1, NULL);
    (void)rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_down(&rig, &usual, 1, 0);
    cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), 1);
    atomic_store(&armed, true);
    for (uint32_t i = 2; i < 2 + WORKER_BATCH; i++)
        rig_down(&rig, &usual, i, 0);
    cr_assert_eq(write(filled[1], "", 1), 1); /* all of them wait for it now */
    rig_wait_counter(&rig, WORKER_SILENCED, WORKER_BATCH - 1);
    cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), 2);
    cr_assert_eq(rig_received(&rig, &client, &seq, 0), UINT32_MAX);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, silenced_it_lets_nothing_in, .timeout = 60)
{
    rig_init(&rig, 1, NULL);
    (void)rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_up(&rig, &client, &usual, 1);
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 1);
    atomic_store(&rig.silenced, true);
    for (uint32_t i = 2; i <= 20; i++)
        rig_up(&rig, &client, &usual, i);
    rig_wait_counter(&rig, WORKER_SILENCED, 19);
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}
