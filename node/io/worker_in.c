/* UDP 4500, or ESP itself -> window -> TUN. */
#include "io/worker_internal.h"

#include <errno.h>
#include <unistd.h>

#include "esp/natt.h"
#include "io/esp_socket.h"
#include "io/silenced.h"

void worker_deliver(struct worker *w, struct span inner)
{
    ssize_t n;

    if (is_silenced(w->pool->silenced)) { /* I2: another may have delivered it */
        worker_count(w, WORKER_SILENCED);
        return;
    }
    n = write(w->tun_fd, inner.data, inner.len);
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

/* Never answered: who sends it is nobody we know (RFC 7296 1.5 allows silence). */
static void unknown_spi(struct worker *w, const struct endpoint *from)
{
    worker_count(w, WORKER_IN_UNKNOWN_SPI);
    if (from->port == 0)
        worker_count(w, WORKER_RAW_UNKNOWN_SPI);
}

/* `to` is the service address and port that it came to; both ports are 0 when it was not in UDP. */
static void handle_esp(struct worker *w, struct worker_datagram *d, bool may_hand_over)
{
    uint32_t spi, low;
    struct esp_sa *sa;

    if (!esp_packet_header(d->bytes, &spi, &low)) {
        worker_count(w, WORKER_IN_MALFORMED);
        return;
    }
    if (w->modes[d->shard_slot] != WORKER_ACT) {
        d->kind = WORKER_ESP;
        (void)worker_letter(w, d);
        return;
    }
    if (w->lease_epochs[d->shard_slot] == 0) {
        worker_count(w, WORKER_IN_NO_LEASE);
        return;
    }
    sa = esp_db_find_inbound(&w->pool->db, spi);
    if (sa == NULL)
        unknown_spi(w, &d->from);
    else if (sa->shard_slot != d->shard_slot)
        worker_count(w, WORKER_IN_WRONG_SHARD);
    else if (sa->worker_in == w->index)
        open_packet(w, sa, d->bytes, &d->from);
    else if (may_hand_over)
        worker_hand_over(w, sa->worker_in, WORKER_INBOUND, d->shard_slot, &d->from, d->bytes);
    else
        worker_count(w, WORKER_HAND_OVER_FULL);
}

static void handle_datagram(struct worker *w, struct worker_datagram *d)
{
    struct span whole = d->bytes;

    worker_count(w, WORKER_IN_PACKETS);
    switch (esp_natt_classify(whole, &d->bytes)) {
    case ESP_NATT_KEEPALIVE:
        worker_count(w, WORKER_KEEPALIVES);
        break;
    case ESP_NATT_IKE:
        d->kind = WORKER_IKE;
        (void)worker_letter(w, d);
        break;
    case ESP_NATT_ESP:
        handle_esp(w, d, true);
        break;
    case ESP_NATT_INVALID:
        worker_count(w, WORKER_IN_MALFORMED);
        break;
    }
}

/* One datagram or ESP packet of a socket, handled. */
static enum udp_result take_one(struct worker *w, int fd, unsigned socket)
{
    struct worker_datagram d = {.shard_slot = socket / WORKER_SOCKETS_PER_SHARD};
    enum udp_result r;
    size_t len = 0;

    if (!worker_socket_is_raw(socket)) {
        r = udp_recv(fd, w->in, sizeof w->in, &len, &d.from, &d.to);
        d.bytes = span_of(w->in, len);
        if (r == UDP_OK)
            handle_datagram(w, &d);
        return r;
    }
    r = esp_socket_recv(fd, w->in, sizeof w->in, &d.bytes, &d.from);
    d.to.ip = w->pool->shards[d.shard_slot].outside[addr_slot(d.from.ip.family)];
    if (r == UDP_OK) {
        worker_count(w, WORKER_IN_PACKETS);
        worker_count(w, WORKER_RAW_PACKETS);
        handle_esp(w, &d, true);
    }
    return r;
}

bool worker_in_batch(struct worker *w, unsigned socket)
{
    int fd = *worker_fd(w->pool, socket, w->index);
    bool raw = worker_socket_is_raw(socket);

    worker_batch_begin(w);
    for (int i = 0; i < WORKER_BATCH; i++) {
        switch (take_one(w, fd, socket)) {
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
    struct worker_datagram d = {.shard_slot = p->shard_slot,
                                .hops = p->hops,
                                .from = p->from,
                                .to = p->to,
                                .bytes = span_of(p->bytes, p->len)};

    handle_esp(w, &d, false);
}
