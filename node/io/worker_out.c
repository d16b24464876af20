/* TUN -> number -> UDP 4500, or ESP itself. */
#include "io/worker_internal.h"

#include <errno.h>
#include <unistd.h>

#include "io/esp_socket.h"
#include "io/silenced.h"

void worker_emit(struct worker *w, struct esp_sa *sa, struct span packet)
{
    const struct worker_shard *shard = &w->pool->shards[sa->shard_slot];
    enum worker_counter error = sa->raw ? WORKER_RAW_ERRORS : WORKER_UDP_ERRORS;
    struct endpoint to;
    unsigned slot;
    int fd;

    HF_ASSERT(w->lease_epochs[sa->shard_slot] != 0); /* I5, I13 */
    if (is_silenced(w->pool->silenced)) { /* I1: the numbers in hand may be another's, too */
        worker_count(w, WORKER_SILENCED);
        return;
    }
    if (!esp_sa_remote(sa, &to)) {
        worker_count(w, error);
        return;
    }
    slot = addr_slot(to.ip.family);
    fd = *worker_fd(w->pool, worker_socket(sa->shard_slot, slot, sa->raw), w->index);
    if (fd < 0 || (sa->raw ? esp_socket_send(fd, &to.ip, packet)
                           : udp_send(fd, &shard->outside[slot], &to, &packet, 1)) != UDP_OK)
        worker_count(w, error);
}

static void tell_out(struct worker *w, struct esp_sa *sa, const struct esp_out_result *r)
{
    if (r->events == 0)
        return;
    if (worker_ring_reserve(&w->events) == NULL) {
        worker_count(w, WORKER_EVENTS_DEFERRED);
        return;
    }
    worker_tell(w, sa, r->events, r->seq, NULL);
    esp_sa_raised_out(sa, r->events);
}

static void seal_packet(struct worker *w, struct esp_sa *sa, const struct esp_inner *inner,
                        struct span packet)
{
    struct esp_turn turn = worker_turn(w, sa->shard_slot);
    struct esp_out_result r;
    enum esp_drop drop;

    if (sa->waiting_out > 0) {
        /* Behind those that wait, not past them. */
        if (!worker_wait_add(w, sa, WORKER_OUTBOUND, 0, packet))
            esp_outbound_give_up(sa, ESP_DROP_NO_NUMBERS);
        return;
    }
    drop = esp_outbound(sa, &turn, inner, packet, w->out, sizeof w->out, &r);
    if (drop == ESP_DROP_NONE)
        worker_emit(w, sa, span_of(w->out, r.len));
    else if (drop == ESP_DROP_WAIT && !worker_wait_add(w, sa, WORKER_OUTBOUND, 0, packet))
        esp_outbound_give_up(sa, ESP_DROP_NO_NUMBERS);
    tell_out(w, sa, &r);
}

static void set_aside(struct worker *w, uint32_t shard_slot, struct span packet, uint8_t hops)
{
    const struct worker_datagram d = {
        .kind = WORKER_INNER, .shard_slot = shard_slot, .hops = hops, .bytes = packet};

    (void)worker_letter(w, &d);
}

static void handle_packet(struct worker *w, struct span packet, bool may_hand_over, uint8_t hops)
{
    struct esp_inner inner;
    struct esp_sa *sa;
    bool known;

    if (!esp_inner_decode(packet, &inner)) {
        worker_count(w, WORKER_OUT_MALFORMED);
        return;
    }
    sa = esp_db_find_outbound(&w->pool->db, &inner, &known);
    if (sa == NULL)
        worker_count(w, known ? WORKER_OUT_SELECTORS : WORKER_OUT_NO_SA);
    else if (w->modes[sa->shard_slot] != WORKER_ACT)
        set_aside(w, sa->shard_slot, packet, hops);
    else if (w->lease_epochs[sa->shard_slot] == 0)
        worker_count(w, WORKER_OUT_NO_LEASE);
    else if (sa->worker_out == w->index)
        seal_packet(w, sa, &inner, packet);
    else if (may_hand_over)
        worker_hand_over(w, sa->worker_out, WORKER_OUTBOUND, sa->shard_slot, NULL, packet);
    else
        worker_count(w, WORKER_HAND_OVER_FULL);
}

bool worker_out_batch(struct worker *w)
{
    worker_batch_begin(w);
    for (int i = 0; i < WORKER_BATCH; i++) {
        ssize_t n = read(w->tun_fd, w->in, sizeof w->in);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0)
            return false; /* a TUN's end, or EBADFD: the interface is gone */
        worker_count(w, WORKER_OUT_PACKETS);
        handle_packet(w, span_of(w->in, (size_t)n), true, 0);
    }
    return true;
}

void worker_out_parcel(struct worker *w, const struct worker_parcel *p)
{
    handle_packet(w, span_of(p->bytes, p->len), false, p->hops);
}
