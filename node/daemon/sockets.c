#include <unistd.h>

#include "daemon/internal.h"
#include "io/udp.h"

static bool open_shard(struct daemon *d, struct daemon_shard *s)
{
    struct endpoint local = {.ip = s->config->outside, .port = UDP_IKE_PORT};
    struct io_error error;

    if (!udp_port_free(&local, &error))
        return daemon_fail(d, "%s", error.text);
    s->udp_500 = udp_open(&local, &error);
    if (s->udp_500 < 0)
        return daemon_fail(d, "%s", error.text);
    local.port = UDP_NAT_PORT;
    if (!udp_port_free(&local, &error))
        return daemon_fail(d, "%s", error.text);
    for (unsigned i = 0; i < DAEMON_WORKERS; i++) {
        s->udp_4500[i] = udp_open(&local, &error);
        if (s->udp_4500[i] < 0)
            return daemon_fail(d, "%s", error.text);
    }
    return true;
}

bool sockets_open(struct daemon *d)
{
    for (uint32_t i = 0; i < d->n_shards; i++)
        if (!open_shard(d, &d->shards[i]))
            return false;
    return true;
}

/* A service address on an interface of the machine would be answered for by its kernel, with no
 * lease. */
static bool is_free(struct daemon *d, const struct ip_addr *ip)
{
    struct netlink_prefix p = {.ip = *ip, .length = (uint8_t)(addr_len(ip) * 8)};
    struct io_error error;
    char name[16], text[64];

    if (!netlink_addr_find(d->netlink, ip, name, &error))
        return daemon_fail(d, "%s", error.text);
    return name[0] == '\0' ||
           daemon_fail(d,
                       "the service address %s stands on interface %s, whose kernel would answer "
                       "for it: remove it there",
                       netlink_prefix_text(&p, text), name);
}

/* Nothing of the shard stands on this machine yet: what does would carry packets elsewhere, and
 * nobody would notice. */
static bool nothing_in_the_way(struct daemon *d, const struct config_shard *s)
{
    struct netlink_prefix pool = {.ip = s->pool.ip, .length = s->pool.bits}, found;
    char name[16], a[64], b[64];
    struct io_error error;

    if (!is_free(d, &s->outside) || !is_free(d, &s->inside))
        return false;
    if (!netlink_route_find(d->netlink, &pool, &found, name, &error))
        return daemon_fail(d, "%s", error.text);
    return found.ip.family == ADDR_NONE ||
           daemon_fail(d,
                       "a route leads %s through interface %s, past the tunnels of the pool %s: "
                       "remove it",
                       netlink_prefix_text(&found, a), name, netlink_prefix_text(&pool, b));
}

/* The TUN comes behind the sockets: it carries the service addresses and pool routes, and vanishes
 * before them. */
bool addresses_open(struct daemon *d)
{
    struct io_error error;

    for (uint32_t i = 0; i < d->n_shards; i++)
        if (!nothing_in_the_way(d, d->shards[i].config))
            return false;
    if (!tun_open(&d->tun, d->config->tun_interface, DAEMON_WORKERS > 1, &error))
        return daemon_fail(d, "%s", error.text);
    d->tun_fds[0] = d->tun.fd;
    for (unsigned i = 1; i < DAEMON_WORKERS; i++) {
        d->tun_fds[i] = tun_open_queue(&d->tun, &error);
        if (d->tun_fds[i] < 0)
            return daemon_fail(d, "%s", error.text);
    }
    if (!netlink_link_set_mtu(d->netlink, d->tun.name, TUN_MTU, &error) ||
        !netlink_link_set_up(d->netlink, d->tun.name, true, &error))
        return daemon_fail(d, "%s", error.text);
    for (uint32_t i = 0; i < d->n_shards; i++) {
        const struct config_shard *s = d->shards[i].config;
        struct netlink_prefix outside = {.ip = s->outside,
                                         .length = (uint8_t)(addr_len(&s->outside) * 8)};
        struct netlink_prefix inside = {.ip = s->inside,
                                        .length = (uint8_t)(addr_len(&s->inside) * 8)};
        struct netlink_prefix pool = {.ip = s->pool.ip, .length = s->pool.bits};

        if (!netlink_addr_add(d->netlink, d->tun.name, &outside, &error) ||
            !netlink_addr_add(d->netlink, d->tun.name, &inside, &error) ||
            !netlink_route_add(d->netlink, &pool, d->tun.name, &error))
            return daemon_fail(d, "%s", error.text);
    }
    return true;
}

void sockets_close(struct daemon *d)
{
    tun_close(&d->tun);
    for (uint32_t i = 0; i < d->n_shards; i++) {
        if (d->shards[i].udp_500 >= 0)
            (void)close(d->shards[i].udp_500);
        for (unsigned w = 0; w < DAEMON_WORKERS; w++)
            if (d->shards[i].udp_4500[w] >= 0)
                (void)close(d->shards[i].udp_4500[w]);
    }
}

void sockets_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                  const struct endpoint *to, struct span bytes)
{
    static const uint8_t marker[4] = {0}; /* non-ESP marker, RFC 3948 2.2 */
    struct daemon *d = self;
    struct span parts[2] = {{marker, sizeof marker}, bytes};

    for (uint32_t i = 0; i < d->n_shards; i++) {
        const struct daemon_shard *s = &d->shards[i];
        int fd = from->port == UDP_NAT_PORT ? s->udp_4500[0] : s->udp_500;
        enum udp_result r;

        if (s->config->id != shard)
            continue;
        r = natt ? udp_send(fd, &from->ip, to, parts, 2)
                 : udp_send(fd, &from->ip, to, &parts[1], 1);
        if (r != UDP_OK) {
            char peer[LOG_ENDPOINT_CHARS];

            log_line(d->log, LOG_DEBUG, "ike", "send to %s failed", log_endpoint(to, peer));
        }
    }
}

static void readable_500(uv_poll_t *handle, int status, int events)
{
    struct daemon_shard *s = handle->data;
    struct daemon *d = handle->loop->data;
    struct endpoint local, remote;
    size_t len;

    (void)status;
    (void)events;
    for (int i = 0; i < 64; i++) { /* bounded: others on the loop get their turn */
        enum udp_result r =
            udp_recv(s->udp_500, d->buffer, sizeof d->buffer, &len, &remote, &local);

        if (r == UDP_AGAIN || r == UDP_FAILED)
            return;
        if (r == UDP_OK)
            moves_ike(d, s->config->id, &local, &remote, span_of(d->buffer, len));
    }
}

bool sockets_watch(struct daemon *d)
{
    for (uint32_t i = 0; i < d->n_shards; i++) {
        struct daemon_shard *s = &d->shards[i];

        s->poll_500.data = s;
        if (uv_poll_init(&d->loop, &s->poll_500, s->udp_500) != 0 ||
            uv_poll_start(&s->poll_500, UV_READABLE, readable_500) != 0)
            return daemon_fail(d, "cannot watch the IKE socket");
    }
    return true;
}
