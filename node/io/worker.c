/* One worker thread: wait, turn, batches. */
#include "io/worker_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/udp.h"
#include "base/registers.h"
#include "replication/lease.h"

enum { READY = 16 };

#ifdef HOLDFAST_PLANT_zombie_goes_on
/* Planted fault: while the first shard may be acted for, leases and modes are read in some batches
 * alone, so that a process that was stopped goes on with what it knew. */
static bool planted_blind(const struct worker *w)
{
    static unsigned batches;

    return w->lease_epochs[0] != 0 && ++batches % 4096 != 0;
}
#endif

void worker_batch_begin(struct worker *w)
{
    w->now_ns = io_boottime_ns();
#ifdef HOLDFAST_PLANT_zombie_goes_on
    if (planted_blind(w))
        return;
#endif
    for (unsigned s = 0; s < w->pool->n_shards; s++)
        w->modes[s] = atomic_load_explicit(&w->pool->modes[s], memory_order_acquire);
    for (unsigned s = 0; s < w->pool->n_shards; s++)
        w->lease_epochs[s] = lease_epoch(w->pool->shards[s].lease, w->now_ns);
}

struct esp_turn worker_turn(const struct worker *w, uint32_t shard_slot)
{
    return (struct esp_turn){.now_ns = w->now_ns, .lease_epoch = w->lease_epochs[shard_slot]};
}

/* --- packets for another worker --- */

void worker_hand_over(struct worker *w, unsigned to, enum worker_direction direction,
                      uint32_t shard_slot, const struct endpoint *from, struct span packet)
{
    struct worker *other = &w->pool->workers[to];
    struct worker_parcel *p = worker_ring_reserve(&other->parcels[w->index]);
    uint64_t one = 1;

    if (p == NULL || packet.len > sizeof p->bytes) {
        worker_count(w, WORKER_HAND_OVER_FULL);
        return;
    }
    p->direction = direction;
    p->hops = 0;
    p->shard_slot = shard_slot;
    if (from != NULL) {
        p->from = *from;
        p->to.ip = w->pool->shards[shard_slot].outside[addr_slot(from->ip.family)];
        p->to.port = from->port == 0 ? 0 : UDP_NAT_PORT;
    }
    p->len = (uint32_t)packet.len;
    memcpy(p->bytes, packet.data, packet.len);
    worker_ring_push(&other->parcels[w->index]);
    worker_count(w, WORKER_HANDED_OVER);
    if (write(other->wake_fd, &one, sizeof one) < 0)
        HF_ASSERT(errno == EAGAIN);
}

static void take_parcels(struct worker *w)
{
    for (unsigned i = 0; i < w->pool->n_workers; i++) {
        const struct worker_parcel *p;

        if (worker_ring_peek(&w->parcels[i]) == NULL)
            continue;
        worker_batch_begin(w);
        for (int n = 0; n < WORKER_BATCH && (p = worker_ring_peek(&w->parcels[i])) != NULL; n++) {
            if (p->direction == WORKER_INBOUND)
                worker_in_parcel(w, p);
            else
                worker_out_parcel(w, p);
            worker_ring_pop(&w->parcels[i]);
        }
    }
}

/* --- packets for the control loop --- */

bool worker_letter(struct worker *w, const struct worker_datagram *packet)
{
    struct worker_letter *l = worker_ring_reserve(&w->letters);
    bool ike = packet->kind == WORKER_IKE;
    size_t len = packet->bytes.len;

    /* Who made it too long is told of by the control loop: a byte more than may be says so. */
    if (ike && len > WORKER_LETTER_BYTES)
        len = WORKER_LETTER_BYTES;
    if (l == NULL || (!ike && len > WORKER_SLOT_BYTES)) {
        worker_count(w, ike ? WORKER_IKE_DROPPED : WORKER_ASIDE_DROPPED);
        return false;
    }
    l->kind = packet->kind;
    l->hops = packet->hops;
    l->shard_slot = packet->shard_slot;
    l->from = packet->from;
    l->to = packet->to;
    l->len = (uint32_t)len;
    memcpy(l->bytes, packet->bytes.data, len);
    worker_ring_push(&w->letters);
    worker_count(w, ike ? WORKER_IKE_DATAGRAMS : WORKER_ASIDE_PACKETS);
    worker_signal(w->pool);
    return true;
}

/* --- the loop --- */

/* No packet is in hand here, and what waits for removed SAs is let go before it is said so. A
 * worker that lost a descriptor stamps no turn any more, so the heartbeat stops and the lease with
 * it (I13); removals and shrinks still end. */
static void turn(struct worker *w)
{
    uint64_t ticket = atomic_load_explicit(&w->pool->ticket, memory_order_acquire);

    if (!w->failed)
        atomic_store_explicit(&w->turn_ns, io_boottime_ns(), memory_order_relaxed);
    worker_count(w, WORKER_TURNS);
    if (ticket == atomic_load_explicit(&w->passed, memory_order_relaxed))
        return;
    worker_wait_sweep(w);
    atomic_store_explicit(&w->passed, ticket, memory_order_release);
    worker_signal(w->pool);
}

static void drain_wakes(struct worker *w)
{
    uint64_t n;

    if (read(w->wake_fd, &n, sizeof n) < 0)
        HF_ASSERT(errno == EAGAIN || errno == EINTR);
}

static void stand_still(struct worker *w)
{
    struct pollfd p = {.fd = w->wake_fd, .events = POLLIN};

    if (poll(&p, 1, WORKER_IDLE_MS) > 0)
        drain_wakes(w);
}

/* False: a descriptor is gone for good. */
static bool serve(struct worker *w, uint64_t tag)
{
    if (tag == WORKER_TAG_WAKE) {
        drain_wakes(w);
        return true;
    }
    return tag == WORKER_TAG_TUN ? worker_out_batch(w) : worker_in_batch(w, (unsigned)tag);
}

static void work(struct worker *w)
{
    struct epoll_event ready[READY];
    bool more = true;
    int n;

    /* What waited goes before what comes now, or it falls behind the window (a lease's look each batch). */
    for (int i = 0; more && i <= WORKER_WAITING_PER_SA / WORKER_BATCH; i++)
        more = worker_wait_release(w);
    take_parcels(w);
    registers_clear();
    n = epoll_wait(w->epoll_fd, ready, READY, more ? 0 : WORKER_IDLE_MS);
    for (int i = 0; i < n && !w->failed; i++)
        if (!serve(w, ready[i].data.u64))
            w->failed = true;
}

void worker_once(struct worker *w)
{
    turn(w);
    if (w->failed)
        stand_still(w);
    else
        work(w);
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "hf-esp-%u", w->index);
    (void)pthread_setname_np(pthread_self(), name);
    while (!atomic_load_explicit(&w->pool->stop, memory_order_acquire))
        worker_once(w);
    return NULL;
}
