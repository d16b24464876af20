#include "replication/tcp_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOTES_A_SECOND = 8, INCARNATION_NOTE_MS = 10000 };

static void note(struct tcp_transport *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct tcp_transport *t, const char *format, ...)
{
    uint64_t second = uv_now(t->loop) / 1000;
    char text[384];
    va_list args;

    if (second != t->note_second)
        t->notes = 0;
    t->note_second = second;
    if (t->o.note == NULL || t->notes++ >= NOTES_A_SECOND) {
        t->counters.notes_suppressed++;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->o.note(t->o.note_self, text);
}

void tcp_handle_closed(struct tcp_transport *t)
{
    void (*closed)(void *arg) = t->closed;
    void *arg = t->closed_arg;

    if (--t->handles > 0 || !t->closing)
        return;
    free(t);
    if (closed != NULL)
        closed(arg);
}

static void on_conn_closed(void *self)
{
    tcp_handle_closed(self);
}

struct tcp_link *tcp_find_peer(struct tcp_transport *t, uint32_t node)
{
    for (size_t i = 0; i < TCP_MAX_PEERS && node != 0; i++)
        if (t->peers[i].node == node)
            return &t->peers[i];
    return NULL;
}

static struct tcp_hello own_hello(const struct tcp_transport *t, uint32_t to)
{
    return (struct tcp_hello){.version = t->o.speaks,
                              .from = t->o.node,
                              .to = to,
                              .cluster = t->o.cluster,
                              .boot = t->o.boot,
                              .incarnation = t->o.incarnation};
}

static void on_retry(uv_timer_t *timer)
{
    tcp_dial(timer->data);
}

/* The link we send on is gone; the next dial follows, later each time until it works again. */
static void drop_out(struct tcp_link *p, bool soon)
{
    struct tcp_transport *t = p->t;
    bool was_up = p->up;

    if (p->out != NULL)
        tcp_conn_close(p->out);
    p->out = NULL;
    p->up = false;
    if (was_up || soon)
        p->retry_ms = t->o.timing.first_retry_ms;
    if (was_up)
        p->former = false; /* it may come back as another program */
    if (!t->closing)
        (void)uv_timer_start(&p->timer, on_retry, soon ? 0 : p->retry_ms, 0);
    p->retry_ms =
        2 * p->retry_ms > t->o.timing.max_retry_ms ? t->o.timing.max_retry_ms : 2 * p->retry_ms;
    if (was_up) {
        t->counters.links_down++;
        if (t->o.listener.link != NULL)
            t->o.listener.link(t->o.listener.self, p->node, false);
    }
}

static void dial_failed(struct tcp_link *p, const char *why)
{
    char text[64];

    p->t->counters.dials_failed++;
    if (!p->told_down && !p->up)
        note(p->t, "node %u at %s is not reachable: %s", p->node,
             tcp_endpoint_text(&p->address, text), why);
    if (p->up)
        note(p->t, "link to node %u lost: %s", p->node, why);
    p->told_down = true;
    drop_out(p, false);
}

static void on_dial_limit(uv_timer_t *timer)
{
    struct tcp_link *p = timer->data;
    uint64_t waited = uv_now(p->t->loop) - p->out->began_ms;

    /* Its kernel took the connection, so the node is there: its daemon gets longer to greet. */
    if (p->out->connected && waited < p->t->o.timing.silence_ms)
        (void)uv_timer_start(timer, on_dial_limit, p->t->o.timing.silence_ms - waited, 0);
    else
        dial_failed(p, p->out->connected ? "no hello" : "no answer");
}

/* Nothing else was sent for a while: a ping keeps the peer from taking silence for death. */
static void on_ping(uv_timer_t *timer)
{
    struct tcp_link *p = timer->data;

    if (p->up && uv_now(p->t->loop) - p->out->last_out_ms >= p->t->o.timing.ping_ms / 2)
        (void)tcp_conn_send(p->out, TCP_CHANNEL_PING, NULL, 0);
}

static void count_broken(struct tcp_transport *t, enum tcp_broken why)
{
    t->counters.bad_hello += why == TCP_BROKEN_HELLO;
    t->counters.bad_layer += why == TCP_BROKEN_LAYER;
    t->counters.bad_frame += why == TCP_BROKEN_FRAME;
}

/* ---- the connection that we dialled: we send, the peer only greets */

static void on_out_broken(void *self, struct tcp_conn *c, enum tcp_broken why, const char *text)
{
    struct tcp_transport *t = self;
    struct tcp_link *p = tcp_find_peer(t, c->node);

    count_broken(t, why);
    if (p != NULL && p->out == c) {
        if (c->connected && !c->greeted) /* as version 2 does with any other hello */
            p->former = !p->former;
        dial_failed(p, text);
    } else {
        tcp_conn_close(c);
    }
}

/* Who recovered has left all others behind, for ever: neither side may take the other for a node
 * that only was away. */
static bool same_incarnation(const struct tcp_transport *t, uint64_t theirs)
{
    return theirs == t->o.incarnation || theirs == 0 || t->o.incarnation == 0;
}

static void tell_incarnation(struct tcp_transport *t, const struct tcp_conn *c,
                             const struct tcp_hello *h)
{
    uint64_t now = uv_now(t->loop);

    t->counters.wrong_incarnation++;
    if (t->told_incarnation_ms == 0 || now - t->told_incarnation_ms >= INCARNATION_NOTE_MS) {
        t->told_incarnation_ms = now;
        note(t,
             "node %u is of incarnation %llu of this cluster, this node of %llu: one of them was "
             "made anew (--init), recovered or restored without the other; refused: stop it, empty "
             "its data directory, and let it join the other's cluster under a new id (holdfast "
             "cluster replace)",
             h->from, (unsigned long long)h->incarnation, (unsigned long long)t->o.incarnation);
    }
    if (t->o.listener.stranger != NULL &&
        (c->layer == NULL || c->layer->peer_node(c->session) == h->from))
        t->o.listener.stranger(t->o.listener.self, h->from, h->incarnation);
}

/* In a test: what version 2 made of any other hello. */
static bool unread(const struct tcp_transport *t, const struct tcp_hello *h)
{
    return t->o.speaks == 2 && h->version != 2;
}

/* What both speak is the lower of the newest versions; refused where one side does not take that. */
static bool same_versions(const struct tcp_transport *t, const struct tcp_hello *h)
{
    return h->version >= TCP_OLDEST && h->oldest <= t->o.speaks;
}

/* Whether a hello is of our cluster and between these two nodes; counts and tells otherwise. */
static bool hello_fits(struct tcp_transport *t, const struct tcp_conn *c, const struct tcp_hello *h,
                       const struct tcp_link *p)
{
    if (!same_versions(t, h)) {
        t->counters.wrong_version++;
        note(t,
             "node %u speaks versions %u to %u of the links, this node %u to %u: upgrade one of "
             "them, by one version at a time",
             h->from, (unsigned)h->oldest, h->version, (unsigned)TCP_OLDEST, t->o.speaks);
        return false;
    }
    if (h->cluster != t->o.cluster) {
        t->counters.wrong_cluster++;
        note(t, "node %u is of another cluster (%llx, ours is %llx)", h->from,
             (unsigned long long)h->cluster, (unsigned long long)t->o.cluster);
        return false;
    }
    if (!same_incarnation(t, h->incarnation)) {
        tell_incarnation(t, c, h);
        return false;
    }
    if (p == NULL || h->to != t->o.node || h->from != p->node ||
        (c->layer != NULL && c->layer->peer_node(c->session) != h->from)) {
        t->counters.wrong_node++;
        note(t, "a hello from node %u to node %u came to node %u: check the addresses of the nodes",
             h->from, h->to, t->o.node);
        return false;
    }
    return true;
}

static void on_out_hello(void *self, struct tcp_conn *c, const struct tcp_hello *h)
{
    struct tcp_transport *t = self;
    struct tcp_link *p = tcp_find_peer(t, c->node);

    if (p == NULL || p->out != c) {
        tcp_conn_close(c);
        return;
    }
    if (unread(t, h)) {
        on_out_broken(t, c, TCP_BROKEN_HELLO, "not a hello, damaged, or of another version");
        return;
    }
    if (!hello_fits(t, c, h, p)) {
        p->told_down = true;
        t->counters.dials_failed++;
        drop_out(p, false);
        return;
    }
    c->greeted = true;
    c->boot = h->boot;
    c->incarnation = h->incarnation;
    c->speaks = h->version < c->hello.version ? h->version : c->hello.version;
    p->up = true;
    p->told_down = false;
    p->retry_ms = t->o.timing.first_retry_ms;
    (void)uv_timer_start(&p->timer, on_ping, t->o.timing.ping_ms, t->o.timing.ping_ms);
    t->counters.links_up++;
    if (t->o.listener.link != NULL)
        t->o.listener.link(t->o.listener.self, p->node, true);
}

static void on_out_frame(void *self, struct tcp_conn *c, uint8_t channel, struct span payload)
{
    (void)channel;
    (void)payload;
    on_out_broken(self, c, TCP_BROKEN_FRAME, "a frame on the connection that only we send on");
}

void tcp_dial(struct tcp_link *p)
{
    struct tcp_transport *t = p->t;
    struct tcp_hello hello = own_hello(t, p->node);
    struct tcp_conn_events events = {.self = t,
                                     .hello = on_out_hello,
                                     .frame = on_out_frame,
                                     .broken = on_out_broken,
                                     .closed = on_conn_closed};
    int error = UV_EMFILE;

    HF_ASSERT(p->out == NULL);
    if (p->former && (p->in == NULL || p->in->speaks <= TCP_OLDEST))
        hello.version = TCP_OLDEST;
    t->counters.dials++;
    p->out = tcp_conn_create(t->loop, p->address.ip.family == ADDR_V6 ? AF_INET6 : AF_INET, &events,
                             t->o.layer, &hello, &t->counters);
    if (p->out != NULL) {
        t->handles++;
        p->out->node = p->node;
    }
    if (p->out == NULL ||
        !tcp_conn_dial(p->out, &t->o.listen, &p->address, t->o.timing.silence_ms, &error)) {
        dial_failed(p, uv_strerror(error));
        return;
    }
    tcp_conn_greet(p->out);
    (void)uv_timer_start(&p->timer, on_dial_limit, t->o.timing.connect_ms, 0);
}

/* ---- connections that were accepted: the peer sends */

static void forget_pending(struct tcp_transport *t, const struct tcp_conn *c)
{
    for (struct tcp_conn **at = &t->pending; *at != NULL; at = &(*at)->next_pending)
        if (*at == c) {
            *at = c->next_pending;
            return;
        }
}

static void drop_in(struct tcp_transport *t, struct tcp_conn *c)
{
    struct tcp_link *p = tcp_find_peer(t, c->node);

    forget_pending(t, c);
    if (p != NULL && p->in == c)
        p->in = NULL;
    tcp_conn_close(c);
}

static void on_in_broken(void *self, struct tcp_conn *c, enum tcp_broken why, const char *text)
{
    struct tcp_transport *t = self;
    char address[64];

    count_broken(t, why);
    if (why != TCP_BROKEN_SOCKET && c->node != 0)
        note(t, "a connection from node %u was dropped: %s", c->node, text);
    else if (why != TCP_BROKEN_SOCKET && tcp_door_tells(t, c))
        note(t, "a connection from %s was dropped: %s", tcp_ip_text(&c->source, address), text);
    drop_in(t, c);
}

/* The peer is there, so our own link to it should be too: at once when there is none, and anew when
 * it leads to an earlier boot, or speaks an older version than the peer does: an attempt that broke off
 * was taken for an older program's refusal. */
static void peer_is_alive(struct tcp_link *p, uint64_t boot)
{
    const struct tcp_transport *t = p->t;
    bool stale = p->up && (p->out->boot != boot || p->out->speaks < p->in->speaks);
    bool stuck = p->out != NULL && !p->out->connected &&
                 uv_now(t->loop) - p->out->began_ms > t->o.timing.first_retry_ms;

    if (stale || stuck || p->out == NULL)
        drop_out(p, true);
}

static void on_in_hello(void *self, struct tcp_conn *c, const struct tcp_hello *h)
{
    struct tcp_transport *t = self;
    struct tcp_link *p = tcp_find_peer(t, h->from);

    if (unread(t, h)) {
        on_in_broken(t, c, TCP_BROKEN_HELLO, "not a hello, damaged, or of another version");
        return;
    }
    if (h->version < c->hello.version)
        c->hello.version = h->version;
    if (!hello_fits(t, c, h, p)) {
        if (!same_versions(t, h) ||
            (h->cluster == t->o.cluster && !same_incarnation(t, h->incarnation))) {
            c->hello.to = h->from; /* it, too, is to learn why */
            tcp_conn_greet(c);
        }
        drop_in(t, c);
        return;
    }
    forget_pending(t, c);
    if (p->in != NULL) {
        t->counters.replaced++;
        tcp_conn_close(p->in);
    }
    c->node = p->node;
    c->boot = h->boot;
    c->incarnation = h->incarnation;
    c->speaks = c->hello.version;
    c->greeted = true;
    c->hello.to = p->node;
    p->in = c;
    tcp_conn_greet(c);
    peer_is_alive(p, h->boot);
}

static void on_in_frame(void *self, struct tcp_conn *c, uint8_t channel, struct span payload)
{
    struct tcp_transport *t = self;

    if (channel == TCP_CHANNEL_PING && payload.len == 0)
        return;
    if (channel < REPL_CHANNEL_RAFT || channel > REPL_CHANNEL_KEYS) {
        on_in_broken(t, c, TCP_BROKEN_FRAME, "a frame of an unknown channel");
        return;
    }
    t->counters.frames_in++;
    t->o.listener.frame(t->o.listener.self, c->node, (enum repl_channel)channel, payload);
}

void tcp_on_connection(uv_stream_t *server, int status)
{
    struct tcp_transport *t = server->data;
    struct tcp_hello hello = own_hello(t, 0);
    struct tcp_conn_events events = {.self = t,
                                     .hello = on_in_hello,
                                     .frame = on_in_frame,
                                     .broken = on_in_broken,
                                     .closed = on_conn_closed};
    struct tcp_conn *c, *surplus;
    bool admitted;

    if (status < 0 || t->closing)
        return;
    c = tcp_conn_create(t->loop, AF_UNSPEC, &events, t->o.layer, &hello, &t->counters);
    if (c == NULL)
        return;
    t->handles++;
    if (!tcp_conn_accept(c, server)) {
        tcp_conn_close(c);
        return;
    }
    t->counters.accepts++;
    admitted = tcp_door_admits(t, c);
    t->counters.limited += !admitted;
    if (!admitted || !tcp_conn_start(c, t->o.timing.silence_ms)) {
        tcp_conn_close(c);
        return;
    }
    c->next_pending = t->pending;
    t->pending = c;
    surplus = tcp_door_surplus(t, c->door);
    if (surplus != NULL)
        drop_in(t, surplus);
}

/* They came in while this node knew of no incarnation. Dialled anew they are refused, and both told. */
void tcp_drop_strangers(struct tcp_transport *t)
{
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) {
        struct tcp_link *p = &t->peers[i];

        if (p->node == 0)
            continue;
        if (p->in != NULL && !same_incarnation(t, p->in->incarnation))
            drop_in(t, p->in);
        if (p->up && !same_incarnation(t, p->out->incarnation))
            drop_out(p, false);
    }
}

void tcp_recheck(struct tcp_transport *t)
{
    struct tcp_conn *next;

    for (struct tcp_conn *c = t->pending; c != NULL; c = next) {
        next = c->next_pending;
        tcp_conn_recheck(c);
    }
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) {
        if (t->peers[i].node != 0 && t->peers[i].in != NULL)
            tcp_conn_recheck(t->peers[i].in);
        if (t->peers[i].node != 0 && t->peers[i].out != NULL)
            tcp_conn_recheck(t->peers[i].out);
    }
}

/* Who accepted hears nothing for silence_ms: the peer died without a FIN, or never greeted. */
void tcp_on_watch(uv_timer_t *timer)
{
    struct tcp_transport *t = timer->data;
    uint64_t now = uv_now(t->loop);
    bool stalled = now - t->watched_ms > t->o.timing.silence_ms / 2;
    struct tcp_conn *next;

    t->watched_ms = now;
    /* This loop was away itself: what the peers sent waits in the sockets, so nobody was silent. */
    for (size_t i = 0; stalled && i < TCP_MAX_PEERS; i++)
        if (t->peers[i].in != NULL)
            t->peers[i].in->last_in_ms = now;
    for (struct tcp_conn *c = t->pending; c != NULL && !stalled; c = next) {
        next = c->next_pending;
        if (now - c->began_ms >= t->o.timing.silence_ms) {
            t->counters.silent++;
            drop_in(t, c);
        }
    }
    for (size_t i = 0; i < TCP_MAX_PEERS; i++) {
        struct tcp_link *p = &t->peers[i];

        if (p->node == 0 || p->in == NULL || now - p->in->last_in_ms < t->o.timing.silence_ms)
            continue;
        t->counters.silent++;
        note(t, "node %u is silent: its connection is closed", p->node);
        drop_in(t, p->in);
        /* Most likely it is dead in both directions: a fresh dial tells sooner than the kernel's
         * timeout. */
        if (p->up)
            drop_out(p, true);
    }
}
