#include "replication/tcp_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/tcp_internal.h"

static void on_handle_closed(uv_handle_t *handle)
{
    tcp_handle_closed(handle->data);
}

static bool transport_send(void *self, uint32_t node, enum repl_channel channel,
                           const struct span *parts, size_t n_parts)
{
    struct tcp_transport *t = self;
    const struct tcp_link *p = tcp_find_peer(t, node);

    if (p != NULL && p->up && tcp_conn_send(p->out, (uint8_t)channel, parts, n_parts))
        return true;
    t->counters.frames_refused++;
    return false;
}

static bool transport_connected(void *self, uint32_t node)
{
    const struct tcp_link *p = tcp_find_peer(self, node);

    return p != NULL && p->up;
}

static uint32_t transport_speaks(void *self, uint32_t node)
{
    const struct tcp_link *p = tcp_find_peer(self, node);

    return p != NULL && p->up ? p->out->speaks : TCP_VERSION;
}

static uint32_t transport_hears(void *self, uint32_t node)
{
    const struct tcp_link *p = tcp_find_peer(self, node);

    return p != NULL && p->in != NULL ? p->in->speaks : TCP_VERSION;
}

static void add_peer(struct tcp_transport *t, const struct tcp_peer *peer)
{
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) {
        struct tcp_link *p = &t->peers[i];

        if (p->node != 0 || p->timer_alive)
            continue;
        *p = (struct tcp_link){.t = t,
                               .node = peer->node,
                               .address = peer->address,
                               .timer = p->timer,
                               .retry_ms = t->o.timing.first_retry_ms};
        (void)uv_timer_init(t->loop, &p->timer);
        p->timer.data = p;
        p->timer_alive = true;
        t->handles++;
        tcp_dial(p);
        return;
    }
    hf_panic(__FILE__, __LINE__, "no more than TCP_MAX_PEERS peers");
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tcp_link *p = handle->data;

    p->timer_alive = false;
    tcp_handle_closed(p->t);
}

static void remove_peer(struct tcp_link *p)
{
    bool was_up = p->up;
    uint32_t node = p->node;

    p->node = 0;
    p->up = false;
    if (p->out != NULL)
        tcp_conn_close(p->out);
    if (p->in != NULL)
        tcp_conn_close(p->in);
    p->out = p->in = NULL;
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
    if (was_up && !p->t->closing && p->t->o.listener.link != NULL)
        p->t->o.listener.link(p->t->o.listener.self, node, false);
}

void tcp_transport_set_peers(struct tcp_transport *t, const struct tcp_peer *peers, size_t n)
{
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) {
        struct tcp_link *p = &t->peers[i];
        bool stays = false;

        for (size_t k = 0; k < n; k++)
            stays = stays ||
                    (peers[k].node == p->node && endpoint_equal(&peers[k].address, &p->address));
        if (p->node != 0 && !stays)
            remove_peer(p);
    }
    for (size_t k = 0; k < n; k++)
        if (peers[k].node != t->o.node && tcp_find_peer(t, peers[k].node) == NULL)
            add_peer(t, &peers[k]);
}

static void take_default(uint32_t *ms, uint32_t value)
{
    if (*ms == 0)
        *ms = value;
}

static int listen_on(struct tcp_transport *t)
{
    struct sockaddr_storage addr;
    int r;

    tcp_sockaddr(&t->o.listen, &addr);
    r = uv_tcp_init(t->loop, &t->server);
    HF_ASSERT(r == 0);
    t->server.data = t;
    t->handles++;
    r = uv_tcp_bind(&t->server, (const struct sockaddr *)&addr, 0);
    return r < 0 ? r : uv_listen((uv_stream_t *)&t->server, 64, tcp_on_connection);
}

struct tcp_transport *tcp_transport_create(uv_loop_t *loop,
                                           const struct tcp_transport_options *options,
                                           struct tcp_error *error)
{
    struct tcp_transport *t = calloc(1, sizeof *t);
    char text[64];
    int r;

    HF_ASSERT(t != NULL && options->listener.frame != NULL);
    t->loop = loop;
    t->o = *options;
    t->o.peers = NULL;
    if (t->o.speaks == 0)
        t->o.speaks = TCP_VERSION;
    take_default(&t->o.timing.first_retry_ms, 10);
    take_default(&t->o.timing.max_retry_ms, 100);
    take_default(&t->o.timing.connect_ms, 100);
    take_default(&t->o.timing.ping_ms, 200);
    take_default(&t->o.timing.silence_ms, 1000);
    t->interface = (struct repl_transport){.self = t,
                                           .send = transport_send,
                                           .connected = transport_connected,
                                           .speaks = transport_speaks,
                                           .hears = transport_hears};
    r = listen_on(t);
    if (r < 0) {
        (void)snprintf(error->text, sizeof error->text,
                       "cannot listen for the other nodes on %s: %s%s",
                       tcp_endpoint_text(&t->o.listen, text), uv_strerror(r),
                       r == UV_EADDRINUSE      ? " (another holdfastd, or another program, has it)"
                       : r == UV_EADDRNOTAVAIL ? " (this address is not on this machine)"
                                               : "");
        tcp_transport_close(t, NULL, NULL);
        return NULL;
    }
    (void)uv_timer_init(loop, &t->watch);
    t->watch.data = t;
    t->handles++;
    t->watched_ms = uv_now(loop);
    (void)uv_timer_start(&t->watch, tcp_on_watch, t->o.timing.silence_ms / 4,
                         t->o.timing.silence_ms / 4);
    tcp_transport_set_peers(t, options->peers, options->n_peers);
    return t;
}

const struct repl_transport *tcp_transport_interface(struct tcp_transport *t)
{
    return &t->interface;
}

void tcp_transport_set_incarnation(struct tcp_transport *t, uint64_t incarnation)
{
    if (t->o.incarnation == incarnation)
        return;
    t->o.incarnation = incarnation;
    for (struct tcp_conn *c = t->pending; c != NULL; c = c->next_pending)
        c->hello.incarnation = incarnation;
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) /* dialled already, not greeted yet */
        if (t->peers[i].node != 0 && t->peers[i].out != NULL)
            t->peers[i].out->hello.incarnation = incarnation;
    tcp_drop_strangers(t);
}

void tcp_transport_recheck(struct tcp_transport *t)
{
    tcp_recheck(t);
}

uint16_t tcp_transport_port(const struct tcp_transport *t)
{
    struct sockaddr_storage addr;
    int n = sizeof addr;

    HF_ASSERT(uv_tcp_getsockname(&t->server, (struct sockaddr *)&addr, &n) == 0);
    return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                            : ((struct sockaddr_in *)&addr)->sin_port);
}

void tcp_transport_get_counters(const struct tcp_transport *t, struct tcp_counters *out)
{
    *out = t->counters;
}

void tcp_transport_close(struct tcp_transport *t, void (*closed)(void *arg), void *arg)
{
    t->closing = true;
    t->closed = closed;
    t->closed_arg = arg;
    for (size_t i = 0; i < TCP_MAX_PEERS; i++)
        if (t->peers[i].node != 0)
            remove_peer(&t->peers[i]);
    for (struct tcp_conn *c = t->pending; c != NULL; c = c->next_pending)
        tcp_conn_close(c);
    t->pending = NULL;
    if (t->watch.data != NULL)
        uv_close((uv_handle_t *)&t->watch, on_handle_closed);
    uv_close((uv_handle_t *)&t->server, on_handle_closed);
}
