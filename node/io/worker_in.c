/* UDP 4500, or ESP itself -> window -> TUN. */
#include "io/worker_internal.h"

#include <errno.h>
#include <unistd.h>

#include "esp/natt.h"
#include "io/esp_socket.h"

void worker_deliver(struct worker *w, struct span inner)
{
    ssize_t n = write(w->tun_fd, inner.data, inner.len);

    if (n < 0 || (size_t)n != inner.len)
        worker_count(w, WORKER_TUN_ERRORS);
}

static void tell_in(struct worker *w, struct esp_sa *sa, const struct esp_in_result *r,
                    const struct endpoint *from)
{
    if (r->events == 0)
        return;
    if (worker_ring_reserve(&w->events) == NULL) {
        worker_count(w, WORKER_EVENTS_DEFERRED);
        return;
    }
    worker_tell(w, sa, r->events, r->seq, from);
    esp_sa_raised_in(sa, r->events, w->now_ns);
}

static void open_packet(struct worker *w, struct esp_sa *sa, struct span packet,
                        const struct endpoint *from)
{
    struct esp_turn turn = worker_turn(w, sa->shard_slot);
    struct esp_in_result r;
    enum esp_drop drop = esp_inbound(sa, &turn, packet, from, w->out, sizeof w->out, &r);

    if (drop == ESP_DROP_NONE)
        worker_deliver(w, span_of(w->out, r.len));
    else if (drop == ESP_DROP_WAIT &&
             !worker_wait_add(w, sa, WORKER_INBOUND, r.seq, span_of(w->out, r.len)))
        esp_inbound_give_up(sa, ESP_DROP_CEILING);
    tell_in(w, sa, &r, from);
}

static void to_control_loop(struct worker *w, uint32_t shard_slot, const struct endpoint *from,
                            const struct endpoint *to, struct span message)
{
    struct worker_letter *l = worker_ring_reserve(&w->letters);

    if (l == NULL || message.len > sizeof l->bytes) {
        worker_count(w, WORKER_IKE_DROPPED);
        return;
    }
    l->shard_slot = shard_slot;
    l->from = *from;
    l->to = *to;
    l->len = (uint32_t)message.len;
    memcpy(l->bytes, message.data, message.len);
    worker_ring_push(&w->letters);
    worker_count(w, WORKER_IKE_DATAGRAMS);
    worker_signal(w->pool);
}

/* Never answered: who sends it is nobody we know (RFC 7296 1.5 allows silence). */
static void unknown_spi(struct worker *w, const struct endpoint *from)
{
    worker_count(w, WORKER_IN_UNKNOWN_SPI);
    if (from->port == 0)
        worker_count(w, WORKER_RAW_UNKNOWN_SPI);
}

/* from->port 0: it was not in UDP. */
static void handle_esp(struct worker *w, uint32_t shard_slot, const struct endpoint *from,
                       struct span packet, bool may_hand_over)
{
    uint32_t spi, low;
    struct esp_sa *sa;

    if (!esp_packet_header(packet, &spi, &low)) {
        worker_count(w, WORKER_IN_MALFORMED);
        return;
    }
    if (w->lease_epochs[shard_slot] == 0) {
        worker_count(w, WORKER_IN_NO_LEASE);
        return;
    }
    sa = esp_db_find_inbound(&w->pool->db, spi);
    if (sa == NULL)
        unknown_spi(w, from);
    else if (sa->shard_slot != shard_slot)
        worker_count(w, WORKER_IN_WRONG_SHARD);
    else if (sa->worker_in == w->index)
        open_packet(w, sa, packet, from);
    else if (may_hand_over)
        worker_hand_over(w, sa->worker_in, WORKER_INBOUND, shard_slot, from, packet);
    else
        worker_count(w, WORKER_HAND_OVER_FULL);
}

static void handle_datagram(struct worker *w, uint32_t shard_slot, const struct endpoint *from,
                            const struct endpoint *to, struct span d)
{
    struct span inner;

    worker_count(w, WORKER_IN_PACKETS);
    switch (esp_natt_classify(d, &inner)) {
    case ESP_NATT_KEEPALIVE:
        worker_count(w, WORKER_KEEPALIVES);
        break;
    case ESP_NATT_IKE:
        to_control_loop(w, shard_slot, from, to, inner);
        break;
    case ESP_NATT_ESP:
        handle_esp(w, shard_slot, from, inner, true);
        break;
    case ESP_NATT_INVALID:
        worker_count(w, WORKER_IN_MALFORMED);
        break;
    }
}

/* One datagram or ESP packet of a socket, handled. */
static enum udp_result take_one(struct worker *w, int fd, uint32_t shard_slot, bool raw)
{
    struct endpoint from, to;
    enum udp_result r;
    struct span esp;
    size_t len;

    if (!raw) {
        r = udp_recv(fd, w->in, sizeof w->in, &len, &from, &to);
        if (r == UDP_OK)
            handle_datagram(w, shard_slot, &from, &to, span_of(w->in, len));
        return r;
    }
    r = esp_socket_recv(fd, w->in, sizeof w->in, &esp, &from);
    if (r == UDP_OK) {
        worker_count(w, WORKER_IN_PACKETS);
        worker_count(w, WORKER_RAW_PACKETS);
        handle_esp(w, shard_slot, &from, esp, true);
    }
    return r;
}

bool worker_in_batch(struct worker *w, unsigned socket)
{
    int fd = *worker_fd(w->pool, socket, w->index);
    bool raw = socket % 2 != 0;

    worker_batch_begin(w);
    for (int i = 0; i < WORKER_BATCH; i++) {
        switch (take_one(w, fd, socket / WORKER_SOCKETS_PER_SHARD, raw)) {
        case UDP_OK:
            break;
        case UDP_AGAIN:
            return true;
        case UDP_TRUNCATED:
            worker_count(w, WORKER_IN_MALFORMED);
            break;
        case UDP_FAILED:
            if (errno == EBADF || errno == ENOTSOCK)
                return false;
            worker_count(w, raw ? WORKER_RAW_ERRORS : WORKER_UDP_ERRORS);
            break;
        }
    }
    return true;
}

void worker_in_parcel(struct worker *w, const struct worker_parcel *p)
{
    handle_esp(w, p->shard_slot, &p->from, span_of(p->bytes, p->len), false);
}
