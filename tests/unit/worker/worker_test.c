/* The worker threads one behaviour at a time. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

static struct rig rig;
static struct esp_sa client;

static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

enum { LONG_MS = 3600 * 1000, SOON_MS = 10000 };

/* What must not come is waited for by what comes after it: never by time alone. */
static void settle(void)
{
    rig_wait_passed(&rig, worker_pool_pass(rig.pool));
    rig_wait_passed(&rig, worker_pool_pass(rig.pool));
}

static struct esp_sa_view view(struct esp_sa *sa)
{
    struct esp_sa_view v;

    esp_sa_read(sa, &v);
    return v;
}

Test(worker, traffic_both_ways, .timeout = 60)
{
    struct esp_sa *sa;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t i = 1; i <= 500; i++) {
        rig_up(&rig, &client, &usual, i);
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
        rig_down(&rig, &usual, i, 0);
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i);
        cr_assert_eq(seq, i);
    }
    cr_assert_eq(rig_wait_event(&rig, 0x2001, ESP_EVENT_FIRST_INBOUND).ike_sa, 0x1122334455667788);
    cr_assert(view(sa).in_packets == 500 && view(sa).out_packets == 500 &&
              view(sa).next_out == 501);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_IN_PACKETS), 500);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_OUT_PACKETS), 500);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, without_a_lease_nothing_moves, .timeout = 60)
{
    struct esp_sa *sa;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    for (uint32_t i = 1; i <= 10; i++) {
        rig_up(&rig, &client, &usual, i);
        rig_down(&rig, &usual, i, 0);
    }
    rig_wait_counter(&rig, WORKER_IN_NO_LEASE, 10);
    rig_wait_counter(&rig, WORKER_OUT_NO_LEASE, 10);
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    cr_assert_eq(rig_received(&rig, &client, &seq, 0), UINT32_MAX);
    rig_lease(&rig, PAIR_EPOCH + 1, LONG_MS); /* a lease of an epoch that the SA has no grant of */
    settle();                                 /* a batch goes by the lease that it began with */
    rig_up(&rig, &client, &usual, 11);
    rig_down(&rig, &usual, 11, 0);
    rig_wait_counter(&rig, WORKER_IN_PACKETS, 11);
    rig_wait_counter(&rig, WORKER_OUT_PACKETS, 11);
    settle();
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    cr_assert_eq(rig_received(&rig, &client, &seq, 0), UINT32_MAX);
    cr_assert(view(sa).drops_in[ESP_DROP_NO_LEASE] == 1 &&
              view(sa).drops_out[ESP_DROP_NO_LEASE] == 1);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    settle();
    rig_up(&rig, &client, &usual, 12);
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 12);
    rig_no_lease(&rig);
    settle();
    rig_up(&rig, &client, &usual, 13);
    rig_wait_counter(&rig, WORKER_IN_NO_LEASE, 11);
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

/* I5: after the lease has run out at most the batch in hand is emitted. The kernel stamps each
 * datagram at the client's socket. */
Test(worker, after_its_lease_at_most_one_batch_leaves, .timeout = 60)
{
    uint64_t expiry, now_ns, late = 0, all = 0;
    struct timespec real;
    struct pollfd awake = {.events = POLLIN};
    int on = 1;

    rig_init(&rig, 1, NULL);
    (void)rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    cr_assert_eq(setsockopt(rig.client, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), 0);
    /* It is at work when the lease is cut short: on a busy machine it may get no turn in so little. */
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_down(&rig, &usual, 0, 0);
    awake.fd = rig.client;
    cr_assert_gt(poll(&awake, 1, SOON_MS), 0);
    rig_lease(&rig, PAIR_EPOCH, 30);
    do { /* both clocks at one time: on a busy machine this thread may wait between two readings */
        now_ns = rig_now_ns();
        cr_assert_eq(clock_gettime(CLOCK_REALTIME, &real), 0);
    } while (rig_now_ns() - now_ns > 100000);
    expiry = (uint64_t)real.tv_sec * 1000000000 + (uint64_t)real.tv_nsec +
             (atomic_load(&rig.lease.until_ns) - now_ns);
    for (uint32_t i = 1; worker_pool_counter(rig.pool, WORKER_OUT_NO_LEASE) < 200; i++)
        rig_down(&rig, &usual, i, 0);
    for (;;) {
        uint8_t b[4096];
        union {
            struct cmsghdr align;
            uint8_t bytes[256];
        } control;
        struct iovec v = {b, sizeof b};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        struct cmsghdr *c;

        if (recvmsg(rig.client, &m, 0) < 0)
            break;
        all++;
        for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec t;

                memcpy(&t, CMSG_DATA(c), sizeof t);
                late += (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec > expiry;
            }
    }
    cr_assert_gt(all, 0, "it did send while it might");
    cr_assert_leq(late, WORKER_BATCH, "%lu packets after the lease", late);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, above_the_ceiling_waits_until_it_rises, .timeout = 60)
{
    struct esp_sa *sa;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 1 << 20, 8);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t i = 1; i <= 20; i++)
        rig_up(&rig, &client, &usual, i);
    for (uint32_t i = 1; i <= 8; i++)
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
    cr_assert_eq(rig_wait_event(&rig, 0x2001, ESP_EVENT_LOW_CEILING).seq, 9);
    rig_wait_counter(&rig, WORKER_WAITED, 12);
    settle();
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    cr_assert(view(sa).last_seq == 8 && view(sa).verified_seq == 20);
    esp_sa_set_ceiling(sa, 15);
    worker_pool_kick(rig.pool);
    for (uint32_t i = 9; i <= 15; i++)
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
    settle();
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    esp_sa_set_ceiling(sa, 100);
    worker_pool_kick(rig.pool);
    for (uint32_t i = 16; i <= 20; i++)
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, the_waiting_queue_is_bounded_and_holds_no_copies, .timeout = 60)
{
    struct esp_sa *sa;
    uint8_t b[256];
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    struct esp_inner inner;
    struct esp_out_result out;
    uint8_t plain[128];
    struct span p = pair_up(plain, 100, &usual, 1);

    rig_init(&rig, 1, NULL);
    a.sin_port = htons(rig.gateway_at.port);
    sa = rig_sa(&rig, &usual, &client, 1 << 20, 0);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &t, &inner, p, b, sizeof b, &out), ESP_DROP_NONE);
    for (int i = 0; i < 10; i++) /* one packet ten times */
        cr_assert_gt(sendto(rig.client, b, out.len, 0, (struct sockaddr *)&a, sizeof a), 0);
    rig_wait_counter(&rig, WORKER_IN_PACKETS, 10);
    settle();
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_WAITED), 1);
    for (uint32_t i = 2; i <= WORKER_WAITING_PER_SA + 20; i++)
        rig_up(&rig, &client, &usual, i);
    rig_wait_counter(&rig, WORKER_IN_PACKETS, 10 + WORKER_WAITING_PER_SA + 19);
    settle();
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_WAITED), WORKER_WAITING_PER_SA);
    cr_assert_geq(view(sa).drops_in[ESP_DROP_CEILING], 29);
    /* the SA goes: its memory may go only when nothing waits for it (the sanitizer watches) */
    worker_sa_remove(rig.pool, sa);
    settle();
    worker_pool_event_clear(rig.pool);
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, what_waits_too_long_is_dropped_and_counted, .timeout = 60)
{
    struct esp_sa *sa;
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 1, 0);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_up(&rig, &client, &usual, 1);
    rig_down(&rig, &usual, 1, 0);
    rig_wait_counter(&rig, WORKER_WAITED, 2);
    while (view(sa).drops_in[ESP_DROP_CEILING] == 0 ||
           view(sa).drops_out[ESP_DROP_NO_NUMBERS] == 0) {
        struct pollfd p = {.fd = worker_pool_event_fd(rig.pool), .events = POLLIN};

        cr_assert_lt(rig_now_ns(), end);
        worker_pool_event_clear(rig.pool);
        (void)poll(&p, 1, 20);
    }
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, out_of_numbers_waits_in_order, .timeout = 60)
{
    struct esp_sa *sa;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 4, 1 << 20); /* numbers 1, 2, 3 */
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t i = 1; i <= 10; i++)
        rig_down(&rig, &usual, i, 0);
    for (uint32_t i = 1; i <= 3; i++)
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i);
    (void)rig_wait_event(&rig, 0x2001, ESP_EVENT_LOW_NUMBERS);
    rig_wait_counter(&rig, WORKER_WAITED, 7);
    settle();
    cr_assert_eq(rig_received(&rig, &client, &seq, 0), UINT32_MAX);
    esp_sa_extend(sa, 6);
    worker_pool_kick(rig.pool);
    for (uint32_t i = 4; i <= 5; i++) {
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i);
        cr_assert_eq(seq, i);
    }
    esp_sa_extend(sa, 100);
    rig_down(&rig, &usual, 11, 0); /* not past those that wait */
    worker_pool_kick(rig.pool);
    for (uint32_t i = 6; i <= 11; i++)
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

/* A rekey while packets wait for numbers of the old CHILD SA: they go by the new one, in order and
 * before what comes later; they were lost when the old one was removed. */
Test(worker, what_waits_for_numbers_moves_with_the_traffic, .timeout = 60)
{
    static const struct pair_options next = {.spi = 0x2002, .virtual_ip = 0x0a630005};
    static struct esp_sa after;
    struct esp_sa *old, *sa;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    old = rig_sa(&rig, &usual, &client, 4, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t i = 1; i <= 10; i++)
        rig_down(&rig, &usual, i, 0);
    for (uint32_t i = 1; i <= 3; i++)
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i);
    rig_wait_counter(&rig, WORKER_WAITED, 7);
    esp_sa_set_outbound(old, false);
    sa = rig_sa(&rig, &next, &after, 1 << 20, 1 << 20);
    worker_pool_kick(rig.pool);
    for (uint32_t i = 4; i <= 10; i++) {
        cr_assert_eq(rig_received(&rig, &after, &seq, SOON_MS), i);
        cr_assert_eq(seq, i - 3);
    }
    worker_sa_remove(rig.pool, old);
    rig_down(&rig, &next, 11, 0);
    cr_assert_eq(rig_received(&rig, &after, &seq, SOON_MS), 11);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_WAITED_IN_VAIN), 0);
    cr_assert_eq(view(sa).out_packets, 8);
    esp_sa_deinit(&client);
    esp_sa_deinit(&after);
    rig_deinit(&rig);
}

Test(worker, numbers_that_come_in_the_middle_of_a_pass_change_no_order, .timeout = 60)
{
    enum { ROUNDS = 400, EACH = 32 };
    struct esp_sa *sa;
    uint64_t seq, end = 1;
    uint32_t number = 1;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, end, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < EACH; i++)
            rig_down(&rig, &usual, number + i, 0);
        rig_wait_counter(&rig, WORKER_WAITED, (uint64_t)(round + 1) * EACH);
        worker_pool_kick(rig.pool); /* a pass over those that wait begins about now */
        for (uint32_t spin = 0; spin < round % 40 * 50; spin++)
            (void)worker_pool_counter(rig.pool, WORKER_WAITED);
        esp_sa_extend(sa, end += EACH);
        worker_pool_kick(rig.pool);
        for (uint32_t i = 0; i < EACH; i++)
            cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), number + i);
        number += EACH;
    }
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

/* The next packet that workers gave away; waits. The caller ends with worker_pool_datagram_done().
 */
static struct worker_datagram aside(void)
{
    struct worker_datagram d;
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;

    while (!worker_pool_datagram(rig.pool, &d)) {
        cr_assert_lt(rig_now_ns(), end, "nothing came aside");
        worker_pool_event_clear(rig.pool);
    }
    return d;
}

struct kept {
    struct worker_datagram d;
    uint8_t bytes[2048];
};

static void keep(struct kept *k, enum worker_kind kind)
{
    struct worker_datagram d = aside();

    cr_assert_eq(d.kind, kind);
    cr_assert_leq(d.bytes.len, sizeof k->bytes);
    k->d = d;
    memcpy(k->bytes, d.bytes.data, d.bytes.len);
    k->d.bytes = span_of(k->bytes, d.bytes.len);
    worker_pool_datagram_done(rig.pool);
}

/* A shard that stands still: its SAs are not touched, workers beat on, and everything that comes
 * for it is kept by the control loop, and goes on where it was, here under a new epoch. */
Test(worker, a_shard_that_stands_still_loses_nothing, .timeout = 60)
{
    static struct kept up[4], down[4];
    struct esp_sa *sa;
    struct esp_window window;
    uint64_t turn, end, seq;

    rig_init(&rig, 2, NULL);
    sa = rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_up(&rig, &client, &usual, 1);
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 1);
    rig_wait_passed(&rig, worker_pool_mode(rig.pool, 0, WORKER_STILL));
    for (uint32_t i = 0; i < 4; i++) {
        rig_up(&rig, &client, &usual, i + 2);
        keep(&up[i], WORKER_ESP);
        cr_assert(endpoint_equal(&up[i].d.from, &rig.client_at));
        rig_down(&rig, &usual, i + 2, 0);
        keep(&down[i], WORKER_INNER);
    }
    turn = worker_pool_oldest_turn_ns(rig.pool);
    end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;
    while (worker_pool_oldest_turn_ns(rig.pool) <=
           turn + 50 * 1000000) /* some idle turns of both */
        cr_assert_lt(rig_now_ns(), end, "no heartbeat while it stands still");
    cr_assert_eq(view(sa).in_packets, 1);
    cr_assert_eq(view(sa).out_packets, 0);
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    esp_sa_window(sa, &window);
    cr_assert(window.spi_in == usual.spi && window.replay.top == 1 && window.counted_in == 1);
    esp_sa_grant_exact(sa,
                       &(struct esp_sa_grant){.epoch = PAIR_EPOCH + 1,
                                              .first = 1 << 20,
                                              .end = 1 << 21,
                                              .floor = window.floor,
                                              .ceiling = 1 << 20},
                       &window.replay);
    rig_lease(&rig, PAIR_EPOCH + 1, LONG_MS);
    (void)worker_pool_mode(rig.pool, 0, WORKER_ACT);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert(worker_pool_inject(rig.pool, &up[i].d));
        cr_assert(worker_pool_inject(rig.pool, &down[i].d));
    }
    for (uint32_t i = 2; i <= 5; i++) {
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i, "nothing is lost");
        cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), i, "nor the other way");
    }
    cr_assert(worker_pool_inject(rig.pool, &up[0].d));
    settle();
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX, "once only");
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

/* What waits for a number when its shard is set aside is given back; what waits for a ceiling may
 * still be taken, unless it stands still. */
Test(worker, what_waits_when_a_shard_is_set_aside, .timeout = 60)
{
    static struct kept down;
    struct esp_sa *sa;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 1, 1); /* no number to send with; one to accept */
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_up(&rig, &client, &usual, 1);
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 1);
    rig_up(&rig, &client, &usual, 2);
    rig_down(&rig, &usual, 7, 0);
    rig_wait_counter(&rig, WORKER_WAITED, 2);
    cr_assert_eq(worker_pool_waiting(rig.pool, 0), 2);
    rig_wait_passed(&rig, worker_pool_mode(rig.pool, 0, WORKER_STILL));
    keep(&down, WORKER_INNER);
    cr_assert_eq(worker_pool_waiting(rig.pool, 0), 1);
    esp_sa_set_ceiling(sa, 8);
    worker_pool_kick(rig.pool);
    settle();
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX, "it stands still");
    (void)worker_pool_mode(rig.pool, 0, WORKER_ASIDE);
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 2);
    settle();
    cr_assert_eq(worker_pool_waiting(rig.pool, 0), 0);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

static void raw(const void *bytes, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(rig.gateway_at.port),
                            .sin_addr.s_addr = htonl(0x7f000001)};

    cr_assert_eq(sendto(rig.client, bytes, n, 0, (struct sockaddr *)&a, sizeof a), (ssize_t)n);
}

Test(worker, ike_and_rubbish_on_the_esp_port, .timeout = 60)
{
    static uint8_t big[2 * WORKER_SLOT_BYTES];
    const uint8_t ike[] = {0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}, alive[] = {0xff},
                  shorty[] = {1, 2, 3};
    uint8_t unknown[64] = {0, 0, 0x99};
    struct worker_datagram d;

    rig_init(&rig, 1, NULL);
    raw(ike,
        sizeof ike); /* without a lease, too: who owns the shard is the control loop's question */
    rig_wait_counter(&rig, WORKER_IKE_DATAGRAMS, 1);
    worker_pool_event_clear(rig.pool);
    cr_assert(worker_pool_datagram(rig.pool, &d));
    cr_assert(span_equal(d.bytes, span_of("hello", 5)));
    cr_assert(endpoint_equal(&d.from, &rig.client_at) && endpoint_equal(&d.to, &rig.gateway_at) &&
              d.shard_slot == 0);
    worker_pool_datagram_done(rig.pool);
    cr_assert_not(worker_pool_datagram(rig.pool, &d));
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    settle();
    raw(alive, 1);
    raw(shorty, 3);
    raw(unknown, ESP_MIN_BYTES - 1);
    raw(unknown, 64);
    raw(big, sizeof big);
    raw(ike, 4);
    rig_wait_counter(&rig, WORKER_IN_PACKETS, 7);
    settle();
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_KEEPALIVES), 1);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_IN_MALFORMED), 3);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_IN_UNKNOWN_SPI), 1);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_IKE_DROPPED), 0);
    cr_assert(worker_pool_datagram(rig.pool, &d));
    cr_assert_eq(d.bytes.len, WORKER_SLOT_BYTES + 1, "cut, and longer than may be");
    cr_assert(d.kind == WORKER_IKE && endpoint_equal(&d.from, &rig.client_at));
    worker_pool_datagram_done(rig.pool);
    cr_assert_not(worker_pool_datagram(rig.pool, &d), "a bare marker is no IKE message");
    for (int i = 0; i < WORKER_DATAGRAMS + 10; i++) /* nobody reads: bounded */
        raw(ike, sizeof ike);
    rig_wait_counter(&rig, WORKER_IN_PACKETS, 7 + WORKER_DATAGRAMS + 10);
    settle();
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_IKE_DROPPED), 10);
    rig_deinit(&rig);
}

Test(worker, outbound_without_an_sa_is_counted_by_its_reason, .timeout = 60)
{
    const struct pair_options other = {.spi = 0x3001, .virtual_ip = 0x0a630009};
    uint8_t b[64];
    struct span p = pair_packet(b, 64, 0x0a4d0301, 0x0a630005, 1);

    rig_init(&rig, 1, NULL);
    (void)rig_sa(&rig, &usual, &client, 100, 100);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_down(&rig, &other, 1, 0);
    cr_assert_eq(write(rig.tun[0], p.data, p.len),
                 64); /* a source that is not behind the gateway */
    cr_assert_eq(write(rig.tun[0], "\x45rubbish", 8), 8);
    rig_wait_counter(&rig, WORKER_OUT_NO_SA, 1);
    rig_wait_counter(&rig, WORKER_OUT_SELECTORS, 1);
    rig_wait_counter(&rig, WORKER_OUT_MALFORMED, 1);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, a_peer_that_moved_is_told_with_its_new_address, .timeout = 60)
{
    struct esp_sa *sa;
    struct worker_event e;
    struct endpoint wrong = rig.client_at;
    uint64_t seq;

    rig_init(&rig, 1, NULL);
    sa = rig_sa(&rig, &usual, &client, 100, 100);
    wrong.ip = addr_v4(0x7f000001);
    wrong.port = 1;
    esp_sa_set_remote(sa, &wrong);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    rig_up(&rig, &client, &usual, 1);
    e = rig_wait_event(&rig, 0x2001, ESP_EVENT_PEER_MOVED);
    cr_assert(endpoint_equal(&e.from, &rig.client_at));
    esp_sa_set_remote(sa, &e.from);
    rig_down(&rig, &usual, 7, 0);
    cr_assert_eq(rig_received(&rig, &client, &seq, SOON_MS), 7);
    esp_sa_deinit(&client);
    rig_deinit(&rig);
}

Test(worker, a_worker_that_lost_its_tun_beats_no_more, .timeout = 60)
{
    int pair[2];
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;
    uint64_t turns;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    rig_init(&rig, 1, &pair[1]);
    rig_wait_passed(&rig, worker_pool_pass(rig.pool));
    cr_assert_gt(worker_pool_oldest_turn_ns(rig.pool), 0);
    (void)close(pair[0]); /* reads return 0 now, as a TUN's never do */
    for (;;) {
        uint64_t before = worker_pool_oldest_turn_ns(rig.pool);

        turns = worker_pool_counter(rig.pool, WORKER_TURNS);
        rig_wait_counter(&rig, WORKER_TURNS, turns + 5);
        if (worker_pool_oldest_turn_ns(rig.pool) == before)
            break;
        cr_assert_lt(rig_now_ns(), end);
    }
    rig_wait_passed(&rig, worker_pool_pass(rig.pool)); /* removals still end */
    rig_deinit(&rig);
}

Test(worker, every_counter_has_a_name)
{
    for (int i = 0; i < WORKER_COUNTER_COUNT; i++)
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(worker_counter_name((enum worker_counter)i),
                              worker_counter_name((enum worker_counter)j));
}
