/* The right to act, as the control loop reads it: by the assignment that it has applied and the lease that replication
 * publishes meanwhile. What is applied is the test's own (-Wl,--wrap). */
#include <criterion/criterion.h>

#include "daemon/gateway.h"
#include "replication/lease.h"

enum { SHARD = 7, NODE = 2, EPOCH = 40 };

static struct conductor_shard applied = {.id = SHARD, .epoch = {1, EPOCH}, .mine = true};
static struct repl_lease lease;
static _Atomic bool silenced;
static const uint32_t ids[] = {SHARD};
static uint64_t now_ns;
static void (*meanwhile)(void); /* what the replication thread does while the clock is read */

const struct conductor_shard *__wrap_conductor_shard(const struct conductor *c, uint32_t id);

const struct conductor_shard *__wrap_conductor_shard(const struct conductor *c, uint32_t id)
{
    (void)c;
    return id == SHARD ? &applied : NULL;
}

static const struct repl_lease *lease_of(void *self, uint32_t slot)
{
    (void)self;
    cr_assert_eq(slot, 0);
    return &lease;
}

static uint64_t clock_ns(void)
{
    uint64_t now = now_ns;

    if (meanwhile != NULL)
        meanwhile();
    return now;
}

static struct gateway gateway(void)
{
    return (struct gateway){.options = {.node = NODE,
                                        .shard_ids = ids,
                                        .n_shards = 1,
                                        .now_ns = clock_ns,
                                        .silenced = &silenced,
                                        .lease = lease_of}};
}

Test(gateway, acts_while_the_lease_of_its_applied_epoch_runs)
{
    struct gateway g = gateway();

    now_ns = 1000;
    cr_assert_not(gateway_may_act(&g, SHARD), "no lease yet");
    lease_publish(&lease, EPOCH, 1001);
    cr_assert(gateway_may_act(&g, SHARD));
    now_ns = 1001;
    cr_assert_not(gateway_may_act(&g, SHARD), "it is over");
    lease_publish(&lease, EPOCH + 1, 5000);
    cr_assert_not(gateway_may_act(&g, SHARD), "of an epoch that is not applied here");
    applied.epoch.index = EPOCH + 1;
    cr_assert(gateway_may_act(&g, SHARD));
    applied.mine = false;
    cr_assert_not(gateway_may_act(&g, SHARD), "by the log it is another's");
    cr_assert_not(gateway_may_act(&g, SHARD + 1), "no such shard");
}

static void owner_again(void)
{
    lease_publish(&lease, EPOCH + 9, 9000);
}

/* The control loop gets no turn for a while: its lease ends, another node owns the shard and steps its SAs, it comes back
 * here and has a lease. What this loop has applied is of before all that: the new time is not for it. */
Test(gateway, a_later_lease_is_not_taken_for_the_one_it_looked_at)
{
    struct gateway g = gateway();

    now_ns = 2000;
    lease_publish(&lease, EPOCH, 1500);
    meanwhile = owner_again;
    cr_assert_not(gateway_may_act(&g, SHARD));
    meanwhile = NULL;
    cr_assert_not(gateway_may_act(&g, SHARD));
    applied.epoch.index = EPOCH + 9;
    cr_assert(gateway_may_act(&g, SHARD));
}

Test(gateway, silenced_it_acts_for_nobody)
{
    struct gateway g = gateway();

    lease_publish(&lease, EPOCH, 5000);
    cr_assert(gateway_may_act(&g, SHARD));
    atomic_store(&silenced, true);
    cr_assert_not(gateway_may_act(&g, SHARD));
}
