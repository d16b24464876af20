#include <unistd.h>

#include "daemon/internal.h"
#include "io/esp_socket.h"
#include "io/udp.h"

static bool open_path(struct daemon *d, struct daemon_path *p, const struct ip_addr *outside)
{
    struct endpoint local = {.ip = *outside, .port = UDP_IKE_PORT};
    struct io_error error;

    if (!udp_port_free(&local, &error))
        return daemon_fail(d, "%s", error.text);
    p->udp_500 = udp_open(&local, &error);
    if (p->udp_500 < 0)
        return daemon_fail(d, "%s", error.text);
    local.port = UDP_NAT_PORT;
    if (!udp_port_free(&local, &error))
        return daemon_fail(d, "%s", error.text);
    for (unsigned i = 0; i < DAEMON_WORKERS; i++) {
        p->udp_4500[i] = udp_open(&local, &error);
        if (p->udp_4500[i] < 0)
            return daemon_fail(d, "%s", error.text);
        p->esp[i] = esp_socket_open(outside, DAEMON_WORKERS, i, &error);
        if (p->esp[i] < 0)
            return daemon_fail(d, "%s", error.text);
    }
    return true;
}

bool sockets_open(struct daemon *d)
{
    for (uint32_t i = 0; i < d->n_shards; i++)
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            const struct ip_addr *outside = &d->shards[i].config->outside[slot];

            if (addr_is_set(outside) && !open_path(d, &d->shards[i].paths[slot], outside))
                return false;
        }
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

/* A route to a pool, or to a part of it, would carry packets elsewhere, and nobody would notice. */
static bool no_route_to(struct daemon *d, const struct ip_prefix *p)
{
    struct netlink_prefix pool = {.ip = p->ip, .length = p->bits}, found;
    char name[16], a[64], b[64];
    struct io_error error;

    if (!netlink_route_find(d->netlink, &pool, &found, name, &error))
        return daemon_fail(d, "%s", error.text);
    return found.ip.family == ADDR_NONE ||
           daemon_fail(d,
                       "a route leads %s through interface %s, past the tunnels of the pool %s: "
                       "remove it",
                       netlink_prefix_text(&found, a), name, netlink_prefix_text(&pool, b));
}

/* Nothing of the shard stands on this machine yet. */
static bool nothing_in_the_way(struct daemon *d, const struct config_shard *s)
{
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if ((addr_is_set(&s->outside[slot]) && !is_free(d, &s->outside[slot])) ||
            (addr_is_set(&s->inside[slot]) && !is_free(d, &s->inside[slot])) ||
            (addr_is_set(&s->pool[slot].ip) && !no_route_to(d, &s->pool[slot])))
            return false;
    return true;
}

static bool put_address(struct daemon *d, const struct ip_addr *ip, struct io_error *error)
{
    struct netlink_prefix host = {.ip = *ip, .length = (uint8_t)(addr_len(ip) * 8)};

    return !addr_is_set(ip) || netlink_addr_add(d->netlink, d->tun.name, &host, error);
}

/* Service addresses and pool routes of one shard, on the TUN. */
static bool put_shard(struct daemon *d, const struct config_shard *s)
{
    struct io_error error;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        struct netlink_prefix pool = {.ip = s->pool[slot].ip, .length = s->pool[slot].bits};

        if (!put_address(d, &s->outside[slot], &error) ||
            !put_address(d, &s->inside[slot], &error) ||
            (addr_is_set(&pool.ip) && !netlink_route_add(d->netlink, &pool, d->tun.name, &error)))
            return daemon_fail(d, "%s", error.text);
    }
    return true;
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
    for (uint32_t i = 0; i < d->n_shards; i++)
        if (!put_shard(d, d->shards[i].config))
            return false;
    return true;
}

static void close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void sockets_close(struct daemon *d)
{
    tun_close(&d->tun);
    for (uint32_t i = 0; i < d->n_shards; i++)
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            const struct daemon_path *p = &d->shards[i].paths[slot];

            close_one(p->udp_500);
            for (unsigned w = 0; w < DAEMON_WORKERS; w++) {
                close_one(p->udp_4500[w]);
                close_one(p->esp[w]);
            }
        }
}

void sockets_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                  const struct endpoint *to, struct span bytes)
{
    static const uint8_t marker[4] = {0}; /* non-ESP marker, RFC 3948 2.2 */
    struct daemon *d = self;
    struct span parts[2] = {{marker, sizeof marker}, bytes};

    for (uint32_t i = 0; i < d->n_shards; i++) {
        const struct daemon_path *p = &d->shards[i].paths[addr_slot(from->ip.family)];
        int fd = from->port == UDP_NAT_PORT ? p->udp_4500[0] : p->udp_500;
        enum udp_result r;

        if (d->shard_ids[i] != shard || fd < 0)
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
    struct daemon_path *p = handle->data;
    struct daemon *d = handle->loop->data;
    struct endpoint local, remote;
    size_t len;

    (void)status;
    (void)events;
    for (int i = 0; i < 64; i++) { /* bounded: others on the loop get their turn */
        enum udp_result r =
            udp_recv(p->udp_500, d->buffer, sizeof d->buffer, &len, &remote, &local);

        if (r == UDP_AGAIN || r == UDP_FAILED)
            return;
        if (r == UDP_OK)
            gateway_ike(&d->gateway, p->shard->config->id, &local, &remote,
                        span_of(d->buffer, len));
    }
}

bool sockets_watch(struct daemon *d)
{
    for (uint32_t i = 0; i < d->n_shards; i++)
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            struct daemon_path *p = &d->shards[i].paths[slot];

            p->poll_500.data = p;
            if (p->udp_500 >= 0 && (uv_poll_init(&d->loop, &p->poll_500, p->udp_500) != 0 ||
                                    uv_poll_start(&p->poll_500, UV_READABLE, readable_500) != 0))
                return daemon_fail(d, "cannot watch the IKE socket");
        }
    return true;
}
