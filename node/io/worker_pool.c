/* The control loop's side of the worker pool, and what workers call to reach it. */
#include "io/worker_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- making and ending --- */

static bool watch(struct worker *w, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};

    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool init_parcels(struct worker *w, unsigned n_workers)
{
    w->parcels = calloc(n_workers, sizeof *w->parcels);
    if (w->parcels == NULL)
        return false;
    for (unsigned i = 0; i < n_workers; i++)
        if (!worker_ring_init(&w->parcels[i], i == w->index ? WORKER_INJECTED : WORKER_BATCH,
                              sizeof(struct worker_parcel)))
            return false;
    return true;
}

static bool init_worker(struct worker_pool *pool, struct worker *w, unsigned index, int tun_fd)
{
    w->pool = pool;
    w->index = index;
    w->tun_fd = tun_fd;
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->waiting = calloc(WORKER_WAITING, sizeof *w->waiting);
    if (w->epoll_fd < 0 || w->wake_fd < 0 || w->waiting == NULL)
        return false;
    worker_wait_init(w);
    if (!worker_ring_init(&w->events, WORKER_EVENTS, sizeof(struct worker_event)) ||
        !worker_ring_init(&w->letters, WORKER_DATAGRAMS, sizeof(struct worker_letter)) ||
        !init_parcels(w, pool->n_workers))
        return false;
    if (!watch(w, w->wake_fd, WORKER_TAG_WAKE) || !watch(w, tun_fd, WORKER_TAG_TUN))
        return false;
    for (unsigned s = 0; s < pool->n_shards * WORKER_SOCKETS_PER_SHARD; s++) {
        int fd = *worker_fd(pool, s, index);

        if (fd >= 0 && !watch(w, fd, s))
            return false;
    }
    return true;
}

static void deinit_worker(struct worker *w, unsigned n_workers)
{
    if (w->pool == NULL)
        return;
    for (unsigned i = 0; w->parcels != NULL && i < n_workers; i++)
        worker_ring_deinit(&w->parcels[i]);
    free(w->parcels);
    worker_ring_deinit(&w->letters);
    worker_ring_deinit(&w->events);
    if (w->waiting != NULL)
        secret_wipe_bytes(w->waiting, WORKER_WAITING * sizeof *w->waiting); /* plaintext */
    free(w->waiting);
    if (w->epoll_fd >= 0)
        (void)close(w->epoll_fd);
    if (w->wake_fd >= 0)
        (void)close(w->wake_fd);
}

static bool init_tables(struct worker_pool *pool, uint32_t capacity)
{
    uint32_t n = esp_db_buckets(capacity);
    esp_spi_bucket *by_spi = calloc(n, sizeof *by_spi + sizeof(esp_route_bucket));

    if (by_spi == NULL)
        return false;
    pool->buckets = by_spi;
    esp_db_init(&pool->db, by_spi, (esp_route_bucket *)(void *)(by_spi + n), n);
    return true;
}

static void *zeroed(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);

    if (p != NULL)
        memset(p, 0, n);
    return p;
}

static void take_fds(struct worker_pool *pool, unsigned socket, const int *fds)
{
    for (unsigned i = 0; i < pool->n_workers; i++)
        *worker_fd(pool, socket, i) = fds != NULL ? fds[i] : -1;
}

static bool init_pool(struct worker_pool *pool, const struct worker_options *o)
{
    pool->n_workers = o->n_workers;
    pool->n_shards = o->n_shards;
    pool->silenced = o->silenced;
    memcpy(pool->shards, o->shards, o->n_shards * sizeof *o->shards);
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pool->fds =
        calloc((size_t)o->n_workers * o->n_shards * WORKER_SOCKETS_PER_SHARD, sizeof *pool->fds);
    pool->workers = zeroed(o->n_workers * sizeof *pool->workers);
    if (pool->event_fd < 0 || pool->fds == NULL || pool->workers == NULL ||
        !init_tables(pool, o->sa_capacity))
        return false;
    for (unsigned s = 0; s < o->n_shards; s++)
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            take_fds(pool, worker_socket(s, slot, false), o->shards[s].udp_fds[slot]);
            take_fds(pool, worker_socket(s, slot, true), o->shards[s].esp_fds[slot]);
        }
    for (unsigned i = 0; i < o->n_workers; i++)
        if (!init_worker(pool, &pool->workers[i], i, o->tun_fds[i]))
            return false;
    return true;
}

struct worker_pool *worker_pool_create(const struct worker_options *o)
{
    struct worker_pool *pool;
    int error;

    HF_ASSERT(o->n_workers >= 1 && o->n_workers <= WORKER_MAX);
    HF_ASSERT(o->n_shards >= 1 && o->n_shards <= WORKER_MAX_SHARDS);
    pool = zeroed(sizeof *pool);
    if (pool == NULL)
        return NULL;
    if (init_pool(pool, o))
        return pool;
    error = errno;
    worker_pool_destroy(pool);
    errno = error;
    return NULL;
}

bool worker_pool_start(struct worker_pool *pool)
{
    sigset_t all, before;
    int error = 0;
    unsigned n = 0;

    HF_ASSERT(!pool->started);
    /* Signals are the control loop's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; n < pool->n_workers && error == 0; n++)
        error = pthread_create(&pool->workers[n].thread, NULL, worker_main, &pool->workers[n]);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        pool->started = true;
        return true;
    }
    atomic_store(&pool->stop, true);
    for (unsigned i = 0; i + 1 < n; i++)
        (void)pthread_join(pool->workers[i].thread, NULL);
    atomic_store(&pool->stop, false);
    errno = error;
    return false;
}

static void wake(struct worker *w)
{
    uint64_t one = 1;

    /* Fails only when the counter is full: then it is readable anyway. */
    if (write(w->wake_fd, &one, sizeof one) < 0)
        HF_ASSERT(errno == EAGAIN);
}

static void wake_all(struct worker_pool *pool)
{
    for (unsigned i = 0; i < pool->n_workers; i++)
        wake(&pool->workers[i]);
}

void worker_pool_stop(struct worker_pool *pool)
{
    if (!pool->started)
        return;
    atomic_store(&pool->stop, true);
    wake_all(pool);
    for (unsigned i = 0; i < pool->n_workers; i++)
        (void)pthread_join(pool->workers[i].thread, NULL);
    atomic_store(&pool->stop, false);
    pool->started = false;
}

static void free_list(struct worker_sa *list)
{
    while (list != NULL) {
        struct worker_sa *next = list->next;

        esp_sa_deinit(&list->sa);
        free(list);
        list = next;
    }
}

void worker_pool_destroy(struct worker_pool *pool)
{
    HF_ASSERT(!pool->started);
    free_list(pool->condemned);
    free_list(pool->unpublished);
    free_list(pool->all);
    for (unsigned i = 0; pool->workers != NULL && i < pool->n_workers; i++)
        deinit_worker(&pool->workers[i], pool->n_workers);
    if (pool->workers != NULL)
        secret_wipe_bytes(pool->workers,
                          pool->n_workers * sizeof *pool->workers); /* packet buffers */
    free(pool->workers);
    free(pool->buckets);
    free(pool->fds);
    if (pool->event_fd >= 0)
        (void)close(pool->event_fd);
    free(pool);
}

/* --- quiescence --- */

uint64_t worker_pool_pass(struct worker_pool *pool)
{
    uint64_t ticket = atomic_fetch_add(&pool->ticket, 1) + 1;

    wake_all(pool);
    return ticket;
}

bool worker_pool_passed(const struct worker_pool *pool, uint64_t ticket)
{
    for (unsigned i = 0; i < pool->n_workers; i++)
        if (atomic_load_explicit(&pool->workers[i].passed, memory_order_acquire) < ticket)
            return false;
    return true;
}

uint64_t worker_pool_mode(struct worker_pool *pool, uint32_t shard_slot, enum worker_mode mode)
{
    HF_ASSERT(shard_slot < pool->n_shards);
    atomic_store(&pool->modes[shard_slot], (uint8_t)mode);
    return worker_pool_pass(pool);
}

uint32_t worker_pool_waiting(const struct worker_pool *pool, uint32_t shard_slot)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < pool->n_workers; i++)
        n += atomic_load_explicit(&pool->workers[i].waiting_of[shard_slot], memory_order_acquire);
    return n;
}

void worker_pool_kick(struct worker_pool *pool)
{
    for (unsigned i = 0; i < pool->n_workers; i++)
        if (atomic_load_explicit(&pool->workers[i].n_waiting, memory_order_relaxed) > 0)
            wake(&pool->workers[i]);
}

uint64_t worker_pool_oldest_turn_ns(const struct worker_pool *pool)
{
    uint64_t oldest = UINT64_MAX;

    for (unsigned i = 0; i < pool->n_workers; i++) {
        uint64_t turn = atomic_load_explicit(&pool->workers[i].turn_ns, memory_order_relaxed);

        oldest = turn < oldest ? turn : oldest;
    }
    return oldest;
}

/* --- SAs --- */

/* Frees what no worker can reach any more, and asks for the next round. */
static void reap(struct worker_pool *pool)
{
    if (pool->condemned != NULL && worker_pool_passed(pool, pool->condemned_ticket)) {
        free_list(pool->condemned);
        pool->condemned = NULL;
    }
    if (pool->condemned == NULL && pool->unpublished != NULL) {
        pool->condemned = pool->unpublished;
        pool->unpublished = NULL;
        pool->condemned_ticket = worker_pool_pass(pool);
    }
}

/* Outbound: every SA towards one destination belongs to one worker, so that packets stay in order
 * through a rekey. */
static uint32_t worker_of_destination(const struct worker_pool *pool, const struct ip_addr *a)
{
    uint64_t h = get_be64(a->bytes) * UINT64_C(0x9e3779b97f4a7c15) ^ get_be64(a->bytes + 8);

    h *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((h >> 32) % pool->n_workers);
}

struct esp_sa *worker_sa_install(struct worker_pool *pool, const struct esp_sa_params *params)
{
    struct worker_sa *s;

    HF_ASSERT(params->shard_slot < pool->n_shards);
    reap(pool);
    s = zeroed(sizeof *s);
    if (s == NULL)
        return NULL;
    if (!esp_sa_init(&s->sa, params)) {
        free(s);
        return NULL;
    }
    s->sa.worker_in = params->spi_in % pool->n_workers;
    s->sa.worker_out = worker_of_destination(pool, &s->sa.routes[0].prefix);
    if (!esp_db_insert(&pool->db, &s->sa)) {
        esp_sa_deinit(&s->sa);
        free(s);
        return NULL;
    }
    s->next = pool->all;
    if (pool->all != NULL)
        pool->all->prev = s;
    pool->all = s;
    return &s->sa;
}

void worker_sa_remove(struct worker_pool *pool, struct esp_sa *sa)
{
    struct worker_sa *s = (struct worker_sa *)(void *)sa;

    esp_db_remove(&pool->db, sa);
    atomic_store_explicit(&sa->retired, true, memory_order_release);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        pool->all = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    s->prev = NULL;
    s->next = pool->unpublished;
    pool->unpublished = s;
    reap(pool);
}

struct esp_sa *worker_sa_find(const struct worker_pool *pool, uint32_t spi_in)
{
    return esp_db_find_inbound(&pool->db, spi_in);
}

/* --- what workers tell --- */

int worker_pool_event_fd(const struct worker_pool *pool)
{
    return pool->event_fd;
}

void worker_signal(struct worker_pool *pool)
{
    uint64_t one = 1;

    if (atomic_exchange(&pool->signalled, true))
        return;
    if (write(pool->event_fd, &one, sizeof one) < 0)
        HF_ASSERT(errno == EAGAIN);
}

void worker_pool_event_clear(struct worker_pool *pool)
{
    uint64_t n;

    if (read(pool->event_fd, &n, sizeof n) < 0)
        HF_ASSERT(errno == EAGAIN || errno == EINTR);
    atomic_store(&pool->signalled, false);
    reap(pool);
}

size_t worker_pool_events(struct worker_pool *pool, struct worker_event *events, size_t cap)
{
    size_t n = 0;

    for (unsigned i = 0; i < pool->n_workers; i++) {
        struct worker_ring *ring = &pool->workers[i].events;
        const struct worker_event *e;

        while (n < cap && (e = worker_ring_peek(ring)) != NULL) {
            events[n++] = *e;
            worker_ring_pop(ring);
        }
    }
    return n;
}

bool worker_pool_datagram(struct worker_pool *pool, struct worker_datagram *datagram)
{
    for (unsigned i = 0; i < pool->n_workers; i++) {
        const struct worker_letter *l = worker_ring_peek(&pool->workers[i].letters);

        if (l == NULL)
            continue;
        pool->datagram_from = i;
        datagram->kind = l->kind;
        datagram->hops = l->hops;
        datagram->shard_slot = l->shard_slot;
        datagram->from = l->from;
        datagram->to = l->to;
        datagram->bytes = span_of(l->bytes, l->len);
        return true;
    }
    return false;
}

void worker_pool_datagram_done(struct worker_pool *pool)
{
    worker_ring_pop(&pool->workers[pool->datagram_from].letters);
}

/* Whose it is; one that nobody has is judged, and counted, by the first. */
static struct worker *worker_of(struct worker_pool *pool, const struct worker_datagram *d)
{
    struct esp_inner inner;
    struct esp_sa *sa = NULL;
    uint32_t spi, low;
    bool known;

    if (d->kind == WORKER_INNER && esp_inner_decode(d->bytes, &inner))
        sa = esp_db_find_outbound(&pool->db, &inner, &known);
    else if (d->kind == WORKER_ESP && esp_packet_header(d->bytes, &spi, &low))
        sa = esp_db_find_inbound(&pool->db, spi);
    if (sa == NULL)
        return &pool->workers[0];
    return &pool->workers[d->kind == WORKER_INNER ? sa->worker_out : sa->worker_in];
}

bool worker_pool_inject(struct worker_pool *pool, const struct worker_datagram *d)
{
    struct worker *w = worker_of(pool, d);
    struct worker_parcel *p = worker_ring_reserve(&w->parcels[w->index]);

    HF_ASSERT(d->kind != WORKER_IKE && d->shard_slot < pool->n_shards);
    if (p == NULL || d->bytes.len > sizeof p->bytes)
        return false;
    p->direction = d->kind == WORKER_INNER ? WORKER_OUTBOUND : WORKER_INBOUND;
    p->hops = d->hops;
    p->shard_slot = d->shard_slot;
    p->from = d->from;
    p->to = d->to;
    p->len = (uint32_t)d->bytes.len;
    memcpy(p->bytes, d->bytes.data, d->bytes.len);
    worker_ring_push(&w->parcels[w->index]);
    wake(w);
    return true;
}

void worker_count(struct worker *w, enum worker_counter which)
{
    esp_count(&w->counters[which], 1);
}

void worker_tell(struct worker *w, const struct esp_sa *sa, uint32_t events, uint64_t seq,
                 const struct endpoint *from)
{
    struct worker_event *e = worker_ring_reserve(&w->events);

    HF_ASSERT(e != NULL);
    memset(e, 0, sizeof *e);
    e->spi_in = sa->spi_in;
    e->ike_sa = sa->ike_sa;
    e->events = events;
    e->seq = seq;
    e->at_ns = w->now_ns;
    if (from != NULL)
        e->from = *from;
    worker_ring_push(&w->events);
    worker_signal(w->pool);
}

uint64_t worker_pool_counter(const struct worker_pool *pool, enum worker_counter which)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < pool->n_workers; i++)
        sum += atomic_load_explicit(&pool->workers[i].counters[which], memory_order_relaxed);
    return sum;
}

const char *worker_counter_name(enum worker_counter which)
{
    static const char *const names[WORKER_COUNTER_COUNT] = {
        [WORKER_IN_PACKETS] = "in-packets",
        [WORKER_OUT_PACKETS] = "out-packets",
        [WORKER_IN_NO_LEASE] = "in-no-lease",
        [WORKER_OUT_NO_LEASE] = "out-no-lease",
        [WORKER_IN_UNKNOWN_SPI] = "in-unknown-spi",
        [WORKER_IN_WRONG_SHARD] = "in-wrong-shard",
        [WORKER_IN_MALFORMED] = "in-malformed",
        [WORKER_OUT_MALFORMED] = "out-malformed",
        [WORKER_OUT_NO_SA] = "out-no-sa",
        [WORKER_OUT_SELECTORS] = "out-selectors",
        [WORKER_KEEPALIVES] = "keepalives",
        [WORKER_IKE_DATAGRAMS] = "ike-datagrams",
        [WORKER_IKE_DROPPED] = "ike-dropped",
        [WORKER_ASIDE_PACKETS] = "aside-packets",
        [WORKER_ASIDE_DROPPED] = "aside-dropped",
        [WORKER_EVENTS_DEFERRED] = "events-deferred",
        [WORKER_HANDED_OVER] = "handed-over",
        [WORKER_HAND_OVER_FULL] = "hand-over-full",
        [WORKER_TUN_ERRORS] = "tun-errors",
        [WORKER_UDP_ERRORS] = "udp-errors",
        [WORKER_WAITED] = "waited",
        [WORKER_WAITED_IN_VAIN] = "waited-in-vain",
        [WORKER_TURNS] = "turns",
        [WORKER_RAW_PACKETS] = "raw-packets",
        [WORKER_RAW_UNKNOWN_SPI] = "raw-unknown-spi",
        [WORKER_RAW_ERRORS] = "raw-errors",
        [WORKER_SILENCED] = "silenced",
    };

    return (unsigned)which < WORKER_COUNTER_COUNT ? names[which] : "unknown";
}
