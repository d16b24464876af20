/* Who may try to come in, before it has proven anything: a handshake costs about a millisecond of the
 * loop that carries heartbeats, and memory until it is over. So each peer's address has attempts of
 * its own, and all other addresses together have as many as one peer: a stranger takes nobody
 * else's. How long an attempt may take is tcp_on_watch()'s (silence_ms). */
#include <string.h>

#include "replication/tcp_internal.h"

enum {
    BURST = 32,         /* attempts at once */
    PER_SECOND = 20,    /* twice what a peer dials that is refused again and again (max_retry_ms) */
    WAITING_A_DOOR = 8, /* that have not greeted */
    TELL_MS = 10000
};

static uint8_t door_of(const struct tcp_transport *t, const struct ip_addr *ip)
{
    for (size_t i = 0; i < TCP_MAX_PEERS; i++)
        if (t->peers[i].node != 0 && addr_equal(&t->peers[i].address.ip, ip))
            return (uint8_t)i;
    return TCP_DOORS - 1;
}

static bool source_of(struct tcp_conn *c)
{
    struct sockaddr_storage from = {0};
    int len = sizeof from;

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&from, &len) != 0)
        return false; /* gone again */
    c->source = (struct ip_addr){.family = from.ss_family == AF_INET6 ? ADDR_V6 : ADDR_V4};
    if (from.ss_family == AF_INET6)
        memcpy(c->source.bytes, &((const struct sockaddr_in6 *)&from)->sin6_addr, 16);
    else
        memcpy(c->source.bytes, &((const struct sockaddr_in *)&from)->sin_addr, 4);
    return true;
}

bool tcp_door_admits(struct tcp_transport *t, struct tcp_conn *c)
{
    uint64_t now = uv_now(t->loop), waited, more;
    struct tcp_door *door;

    if (!source_of(c))
        return false;
    c->door = door_of(t, &c->source);
    door = &t->doors[c->door];
    waited = door->filled_ms == 0 ? UINT32_MAX : now - door->filled_ms;
    more = waited * PER_SECOND;
    door->attempts_milli = more >= BURST * 1000u - door->attempts_milli
                               ? BURST * 1000u
                               : door->attempts_milli + (uint32_t)more;
    door->filled_ms = now == 0 ? 1 : now;
    if (door->attempts_milli < 1000)
        return false;
    door->attempts_milli -= 1000;
    return true;
}

bool tcp_door_tells(struct tcp_transport *t, const struct tcp_conn *c)
{
    uint64_t now = uv_now(t->loop);
    struct tcp_door *door = &t->doors[c->door];

    if (door->told_ms != 0 && now - door->told_ms < TELL_MS) {
        t->counters.notes_suppressed++;
        return false;
    }
    door->told_ms = now == 0 ? 1 : now;
    return true;
}

struct tcp_conn *tcp_door_surplus(const struct tcp_transport *t, uint8_t door)
{
    struct tcp_conn *oldest = NULL;
    unsigned n = 0;

    for (struct tcp_conn *c = t->pending; c != NULL; c = c->next_pending) {
        if (c->door != door)
            continue;
        oldest = c;
        n++;
    }
    return n > WAITING_A_DOOR ? oldest : NULL;
}
