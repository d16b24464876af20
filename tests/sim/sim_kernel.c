#include "sim/sim_kernel.h"

#include <stdlib.h>

#include "io/worker_internal.h"

struct esp_sa *sim_sys_worker_sa_install(struct worker_pool *pool, const struct esp_sa_params *p);

#define SIM_KERNEL_KEEPS_NAMES
#include "sim/sim_hand.h"
#include "sim/sim_kernel_names.h"
#include "sim/sim_watch.h"

static struct sim_kernel *here;

struct sim_kernel *sim_kernel_enter(struct sim_kernel *k)
{
    struct sim_kernel *before = here;

    here = k;
    return before;
}

void *sim_kernel_self(void)
{
    HF_ASSERT(here != NULL);
    return here->self;
}

uint64_t sim_kernel_now_ns(void)
{
    HF_ASSERT(here != NULL);
    return here->now_ns;
}

/* --- queues --- */

bool sim_queue_put(struct sim_queue *q, const struct endpoint *from, const struct endpoint *to,
                   struct span bytes)
{
    struct sim_packet *p;

    if (q->n == SIM_KERNEL_QUEUE)
        return false;
    p = malloc(sizeof *p + bytes.len);
    HF_ASSERT(p != NULL);
    p->next = NULL;
    p->from = from != NULL ? *from : (struct endpoint){0};
    p->to = to != NULL ? *to : (struct endpoint){0};
    p->len = bytes.len;
    memcpy(p->bytes, bytes.data, bytes.len);
    if (q->last == NULL)
        q->first = p;
    else
        q->last->next = p;
    q->last = p;
    q->n++;
    return true;
}

struct sim_packet *sim_queue_take(struct sim_queue *q)
{
    struct sim_packet *p = q->first;

    if (p == NULL)
        return NULL;
    q->first = p->next;
    if (q->first == NULL)
        q->last = NULL;
    q->n--;
    return p;
}

void sim_queue_clear(struct sim_queue *q)
{
    struct sim_packet *p;

    while ((p = sim_queue_take(q)) != NULL)
        free(p);
}

/* --- the machine --- */

void sim_kernel_init(struct sim_kernel *k)
{
    *k = (struct sim_kernel){.n_fds = 2};
}

void sim_kernel_deinit(struct sim_kernel *k)
{
    sim_queue_clear(&k->tun);
    for (size_t i = 0; i < sizeof k->udp / sizeof k->udp[0]; i++)
        sim_queue_clear(&k->udp[i]);
    sim_hand_destroy(k->hand);
    k->hand = NULL;
    if (here == k)
        here = NULL;
}

void sim_kernel_put_udp(struct sim_kernel *k, uint32_t slot, const struct endpoint *from,
                        const struct endpoint *to, struct span bytes)
{
    k->overflows += !sim_queue_put(&k->udp[slot], from, to, bytes);
}

void sim_kernel_put_tun(struct sim_kernel *k, struct span inner)
{
    k->overflows += !sim_queue_put(&k->tun, NULL, NULL, inner);
}

bool sim_kernel_readable(const struct sim_kernel *k, int fd)
{
    if (fd == SIM_FD_TUN)
        return k->tun.n > 0;
    return k->set[fd] || (fd >= SIM_FD_UDP && k->udp[fd - SIM_FD_UDP].n > 0);
}

bool sim_kernel_busy(const struct sim_kernel *k)
{
    for (int fd = 0; fd < k->n_fds; fd++)
        if (k->watched[fd] && sim_kernel_readable(k, fd))
            return true;
    return false;
}

static void whole_turn(void *worker)
{
    worker_once(worker);
}

bool sim_kernel_turn(struct sim_kernel *k)
{
    HF_ASSERT(here == k && !sim_kernel_is_cut(k));
    if (k->worker == NULL)
        return false;
    if (k->turned != NULL)
        k->turned(k->self);
    if (k->cut_after == 0) {
        worker_once(k->worker);
        return true;
    }
    if (k->hand == NULL)
        k->hand = sim_hand_create();
    sim_hand_begin(k->hand, whole_turn, k->worker);
    return true;
}

bool sim_kernel_is_cut(const struct sim_kernel *k)
{
    return k->hand != NULL && sim_hand_is_full(k->hand);
}

void sim_kernel_go_on(struct sim_kernel *k)
{
    HF_ASSERT(here == k);
    sim_hand_go_on(k->hand);
}

/* It has a packet in hand, and may be stopped now. */
static void in_hand(void)
{
    if (here->cut_after > 0 && --here->cut_after == 0)
        sim_hand_cut(here->hand);
}

/* --- what the worker asks --- */

int sim_sys_epoll_create1(int flags)
{
    (void)flags;
    return 0;
}

int sim_sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    HF_ASSERT(epoll == 0 && op == EPOLL_CTL_ADD && fd > 0 && fd < SIM_KERNEL_FDS);
    here->watched[fd] = true;
    here->tags[fd] = event->data.u64;
    if (fd >= here->n_fds)
        here->n_fds = fd + 1;
    return 0;
}

int sim_sys_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    int n = 0;

    (void)epoll;
    (void)timeout_ms;
    for (int fd = 0; fd < here->n_fds && n < most; fd++)
        if (here->watched[fd] && sim_kernel_readable(here, fd))
            events[n++] = (struct epoll_event){.events = EPOLLIN, .data.u64 = here->tags[fd]};
    return n;
}

/* 2 to 7: below the sockets. */
int sim_sys_eventfd(unsigned value, int flags)
{
    int fd = here->n_fds;

    (void)flags;
    while (fd < SIM_FD_UDP && here->watched[fd])
        fd++;
    HF_ASSERT(fd < SIM_FD_UDP);
    here->n_fds = fd + 1;
    here->set[fd] = value > 0;
    return fd;
}

int sim_sys_close(int fd)
{
    (void)fd;
    return 0;
}

int sim_sys_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    (void)timeout_ms;
    HF_ASSERT(n == 1);
    return sim_kernel_readable(here, fds[0].fd);
}

static ssize_t again(void)
{
    errno = EAGAIN;
    return -1;
}

ssize_t sim_sys_read(int fd, void *out, size_t cap)
{
    struct sim_packet *p;
    size_t n;

    if (fd != SIM_FD_TUN) {
        uint64_t one = 1;

        if (!here->set[fd])
            return again();
        here->set[fd] = false;
        HF_ASSERT(cap == sizeof one);
        memcpy(out, &one, sizeof one);
        return sizeof one;
    }
    p = sim_queue_take(&here->tun);
    if (p == NULL)
        return again();
    n = p->len < cap ? p->len : cap;
    memcpy(out, p->bytes, n);
    free(p);
    return (ssize_t)n;
}

ssize_t sim_sys_write(int fd, const void *bytes, size_t n)
{
    if (fd != SIM_FD_TUN) {
        here->set[fd] = true;
        return (ssize_t)n;
    }
    in_hand();
    if (here->entered != NULL)
        here->entered(here->self, &here->in);
    here->deliver(here->self, span_of(bytes, n));
    return (ssize_t)n;
}

int sim_sys_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*start)(void *arg), void *arg)
{
    (void)attributes;
    (void)start;
    HF_ASSERT(here->worker == NULL); /* one worker a node, as in the daemon */
    memset(thread, 0, sizeof *thread);
    here->worker = arg;
    return 0;
}

int sim_sys_pthread_join(pthread_t thread, void **result)
{
    (void)thread;
    (void)result;
    here->worker = NULL;
    return 0;
}

int sim_sys_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how;
    if (old != NULL)
        *old = *set;
    return 0;
}

enum udp_result sim_sys_udp_recv(int fd, uint8_t *buf, size_t cap, size_t *len,
                                 struct endpoint *peer, struct endpoint *local)
{
    struct sim_packet *p = sim_queue_take(&here->udp[fd - SIM_FD_UDP]);

    if (p == NULL)
        return UDP_AGAIN;
    HF_ASSERT(p->len <= cap);
    memcpy(buf, p->bytes, p->len);
    *len = p->len;
    *peer = p->from;
    *local = p->to;
    free(p);
    return UDP_OK;
}

enum udp_result sim_sys_udp_send(int fd, const struct ip_addr *source, const struct endpoint *peer,
                                 const struct span *parts, size_t n_parts)
{
    (void)source;
    HF_ASSERT(n_parts == 1 && fd >= SIM_FD_UDP);
    in_hand();
    if (here->left != NULL)
        here->left(here->self, &here->out);
    here->emit(here->self, (uint32_t)(fd - SIM_FD_UDP), peer, parts[0]);
    return UDP_OK;
}

/* There are no raw sockets here: everything is encapsulated. */
enum udp_result sim_sys_esp_socket_recv(int fd, uint8_t *buf, size_t cap, struct span *esp,
                                        struct endpoint *peer)
{
    (void)fd;
    (void)buf;
    (void)cap;
    (void)esp;
    (void)peer;
    return UDP_AGAIN;
}

enum udp_result sim_sys_esp_socket_send(int fd, const struct ip_addr *peer, struct span esp)
{
    (void)fd;
    (void)peer;
    (void)esp;
    return UDP_FAILED;
}

/* --- what the worker does with packets, for those who watch --- */

static uint64_t number_of(const struct secret *key, uint32_t spi)
{
    (void)spi;
    return sim_watch_key(key); /* as the watch knows it from the SA's state */
}

struct esp_sa *sim_sys_worker_sa_install(struct worker_pool *pool, const struct esp_sa_params *p)
{
    struct esp_sa *sa = worker_sa_install(pool, p);

    if (sa != NULL)
        here->keys[here->n_keys++ % SIM_KERNEL_KEYS] =
            (struct sim_key){.spi_in = p->spi_in,
                             .in = number_of(&p->key_in, p->spi_in),
                             .out = number_of(&p->key_out, p->spi_out)};
    return sa;
}

static const struct sim_key *key_of(const struct esp_sa *sa)
{
    for (size_t i = here->n_keys; i > 0 && i + SIM_KERNEL_KEYS > here->n_keys; i--)
        if (here->keys[(i - 1) % SIM_KERNEL_KEYS].spi_in == sa->spi_in)
            return &here->keys[(i - 1) % SIM_KERNEL_KEYS];
    hf_panic(__FILE__, __LINE__, "a CHILD SA without a key");
}

static void sealed(uint64_t seq, const struct esp_sa *sa, const struct esp_turn *turn)
{
    here->out = (struct sim_in_hand){.key = key_of(sa)->out,
                                     .seq = seq,
                                     .epoch = turn->lease_epoch,
                                     .shard_slot = sa->shard_slot};
    here->sealed(here->self, here->out.key, seq, sa, turn);
}

static void opened(uint64_t seq, const struct esp_sa *sa, const struct esp_turn *turn)
{
    here->in = (struct sim_in_hand){.key = key_of(sa)->in,
                                    .seq = seq,
                                    .epoch = turn->lease_epoch,
                                    .shard_slot = sa->shard_slot};
    here->opened(here->self, here->in.key, seq, sa, turn);
}

enum esp_drop sim_sys_esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                                   const struct esp_inner *decoded, struct span inner, uint8_t *out,
                                   size_t cap, struct esp_out_result *result)
{
    enum esp_drop drop = esp_outbound(sa, turn, decoded, inner, out, cap, result);

    if (drop == ESP_DROP_NONE)
        sealed(result->seq, sa, turn);
    return drop;
}

enum esp_drop sim_sys_esp_inbound(struct esp_sa *sa, const struct esp_turn *turn,
                                  struct span packet, const struct endpoint *from, uint8_t *out,
                                  size_t cap, struct esp_in_result *result)
{
    enum esp_drop drop = esp_inbound(sa, turn, packet, from, out, cap, result);

    if (drop == ESP_DROP_NONE)
        opened(result->seq, sa, turn);
    return drop;
}

enum esp_drop sim_sys_esp_inbound_release(struct esp_sa *sa, const struct esp_turn *turn,
                                          uint64_t seq, struct span inner,
                                          struct esp_in_result *result)
{
    enum esp_drop drop = esp_inbound_release(sa, turn, seq, inner, result);

    if (drop == ESP_DROP_NONE)
        opened(seq, sa, turn);
    return drop;
}
