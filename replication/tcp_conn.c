#include "replication/tcp_conn.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { READ_BYTES = 64 << 10 };

struct write {
    uv_write_t req;
    struct tcp_conn *conn;
    size_t n;
    uint8_t bytes[];
};

void tcp_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (e->ip.family == ADDR_V6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(e->port);
        memcpy(&v6->sin6_addr, e->ip.bytes, 16);
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(e->port);
        memcpy(&v4->sin_addr, e->ip.bytes, 4);
    }
}

const char *tcp_ip_text(const struct ip_addr *ip, char out[64])
{
    if (inet_ntop(ip->family == ADDR_V6 ? AF_INET6 : AF_INET, ip->bytes, out, 64) == NULL)
        (void)snprintf(out, 64, "?");
    return out;
}

const char *tcp_endpoint_text(const struct endpoint *e, char out[64])
{
    char ip[64];

    (void)snprintf(out, 64, e->ip.family == ADDR_V6 ? "[%.45s]:%u" : "%.45s:%u",
                   tcp_ip_text(&e->ip, ip), e->port);
    return out;
}

static void broken(struct tcp_conn *c, enum tcp_broken why, const char *text)
{
    if (!c->closing)
        c->events.broken(c->events.self, c, why, text);
}

static void on_written(uv_write_t *req, int status)
{
    struct write *w = (struct write *)req->data;
    struct tcp_conn *c = w->conn;

    c->queued -= w->n;
    free(w);
    if (status < 0)
        broken(c, TCP_BROKEN_SOCKET, uv_strerror(status));
}

/* Room for n bytes that submit() will send. */
static struct write *make_write(struct tcp_conn *c, size_t n)
{
    struct write *w = malloc(sizeof *w + n);

    HF_ASSERT(w != NULL);
    w->conn = c;
    w->n = n;
    w->req.data = w;
    return w;
}

/* Takes w. */
static void submit(struct tcp_conn *c, struct write *w)
{
    uv_buf_t buf = uv_buf_init((char *)w->bytes, (unsigned)w->n);
    int r;

    c->queued += w->n;
    c->counters->bytes_out += w->n;
    c->last_out_ms = uv_now(c->tcp.loop);
    r = uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    if (r < 0) {
        /* libuv refuses only what cannot be sent at all; the read side reports the broken socket.
         */
        c->queued -= w->n;
        free(w);
    }
}

static void write_wire(void *self, struct span bytes)
{
    struct tcp_conn *c = self;
    struct write *w;

    if (c->closing || bytes.len == 0)
        return;
    w = make_write(c, bytes.len);
    memcpy(w->bytes, bytes.data, bytes.len);
    submit(c, w);
}

static struct tcp_sink wire(struct tcp_conn *c)
{
    return (struct tcp_sink){.self = c, .write = write_wire};
}

static void send_hello_when_ready(struct tcp_conn *c)
{
    uint8_t hello[TCP_HELLO_BYTES];
    size_t n;

    if (!c->hello_due || !c->connected || (c->layer != NULL && !c->layer->ready(c->session)))
        return;
    c->hello_due = false;
    n = tcp_hello_encode(&c->hello, hello);
    if (c->layer == NULL)
        write_wire(c, span_of(hello, n));
    else if (!c->layer->send(c->session, span_of(hello, n), wire(c)))
        broken(c, TCP_BROKEN_LAYER, c->layer->why(c->session));
}

void tcp_conn_greet(struct tcp_conn *c)
{
    c->hello_due = true;
    send_hello_when_ready(c);
}

bool tcp_conn_send(struct tcp_conn *c, uint8_t channel, const struct span *parts, size_t n_parts)
{
    uint8_t header[TCP_FRAME_HEADER + 1];
    size_t total, at = sizeof header;
    struct write *w;
    bool ok = true;

    if (c->closing || !c->connected || !tcp_frame_header(channel, parts, n_parts, header, &total))
        return false;
    if (c->queued + total > TCP_QUEUE_BYTES)
        return false;
    w = make_write(c, total); /* one piece, so that the layer makes few records of it */
    memcpy(w->bytes, header, sizeof header);
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > 0)
            memcpy(w->bytes + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    c->counters->frames_out++;
    if (c->layer == NULL) {
        submit(c, w);
        return true;
    }
    ok = c->layer->send(c->session, span_of(w->bytes, total), wire(c));
    secret_wipe_bytes(w->bytes, total); /* a key may have been in it */
    free(w);
    return ok;
}

/* Plaintext of the peer's. */
static void take_plain(void *self, struct span in)
{
    static const char *const why[] = {[TCP_BAD_HELLO] = "no hello of this protocol and version",
                                      [TCP_BAD_LENGTH] = "a frame of an impossible length",
                                      [TCP_BAD_CHECKSUM] = "a frame whose checksum fails"};
    struct tcp_conn *c = self;

    while (!c->closing) {
        bool greeted = c->reader.greeted;
        struct tcp_hello hello;
        struct span payload;
        uint8_t channel;
        enum tcp_decoded d = tcp_reader_next(&c->reader, &in, &hello, &channel, &payload);

        if (d == TCP_MORE)
            return;
        if (d != TCP_DONE) {
            broken(c, greeted ? TCP_BROKEN_FRAME : TCP_BROKEN_HELLO, why[d]);
            return;
        }
        if (greeted)
            c->events.frame(c->events.self, c, channel, payload);
        else
            c->events.hello(c->events.self, c, &hello);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tcp_conn *c = stream->data;

    if (n > 0) {
        struct span in = span_of(buf->base, (size_t)n);

        c->last_in_ms = uv_now(c->tcp.loop);
        c->counters->bytes_in += (uint64_t)n;
        if (c->layer == NULL) {
            take_plain(c, in);
        } else if (!c->layer->receive(c->session, in,
                                      (struct tcp_sink){.self = c, .write = take_plain}, wire(c))) {
            broken(c, TCP_BROKEN_LAYER, c->layer->why(c->session));
        } else if (!c->closing) {
            send_hello_when_ready(c);
        }
    }
    if (n < 0)
        broken(c, TCP_BROKEN_SOCKET, n == UV_EOF ? "closed by the peer" : uv_strerror((int)n));
}

/* libuv reads into it and calls on_read() before it asks again. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tcp_conn *c = handle->data;

    (void)suggested;
    if (c->room == NULL)
        c->room = malloc(READ_BYTES);
    buf->base = (char *)c->room;
    buf->len = c->room == NULL ? 0 : READ_BYTES;
}

struct tcp_conn *tcp_conn_create(uv_loop_t *loop, int family, const struct tcp_conn_events *events,
                                 const struct tcp_layer *layer, const struct tcp_hello *hello,
                                 struct tcp_counters *counters)
{
    struct tcp_conn *c = calloc(1, sizeof *c);

    HF_ASSERT(c != NULL);
    if (uv_tcp_init_ex(loop, &c->tcp, (unsigned)family) < 0) {
        free(c);
        return NULL;
    }
    c->tcp.data = c;
    c->events = *events;
    c->layer = layer;
    c->hello = *hello;
    c->counters = counters;
    c->began_ms = c->last_in_ms = c->last_out_ms = uv_now(loop);
    return c;
}

/* Data that stays unacknowledged this long ends the connection: a peer that vanished sends no FIN.
 */
static void set_options(struct tcp_conn *c, uint32_t silence_ms)
{
    unsigned ms = silence_ms;
    uv_os_fd_t fd;

    (void)uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static int start(struct tcp_conn *c)
{
    c->connected = true;
    if (c->layer != NULL) {
        c->session =
            c->layer->open(c->layer->self, c->dialled, c->dialled ? c->hello.to : 0, wire(c));
        if (c->session == NULL)
            return UV_ENOMEM;
    }
    return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct tcp_conn *c = req->data;

    if (c->closing)
        return;
    if (status == 0)
        status = start(c);
    if (status < 0)
        broken(c, TCP_BROKEN_SOCKET, uv_strerror(status));
    else
        send_hello_when_ready(c);
}

bool tcp_conn_dial(struct tcp_conn *c, const struct endpoint *source, const struct endpoint *to,
                   uint32_t silence_ms, int *error)
{
    static const uint8_t any[16];
    struct sockaddr_storage addr;
    int r = 0;

    c->dialled = true;
    set_options(c, silence_ms);
    if (memcmp(source->ip.bytes, any, sizeof any) != 0) {
        struct endpoint from = {.ip = source->ip};

        tcp_sockaddr(&from, &addr);
        r = uv_tcp_bind(&c->tcp, (const struct sockaddr *)&addr, 0);
    }
    tcp_sockaddr(to, &addr);
    c->connecting.data = c;
    if (r == 0)
        r = uv_tcp_connect(&c->connecting, &c->tcp, (const struct sockaddr *)&addr, on_connected);
    *error = r;
    return r == 0;
}

bool tcp_conn_accept(struct tcp_conn *c, uv_stream_t *server)
{
    return uv_accept(server, (uv_stream_t *)&c->tcp) == 0;
}

bool tcp_conn_start(struct tcp_conn *c, uint32_t silence_ms)
{
    set_options(c, silence_ms);
    return start(c) == 0;
}

void tcp_conn_recheck(struct tcp_conn *c)
{
    if (c->session != NULL && !c->closing && !c->layer->recheck(c->session))
        broken(c, TCP_BROKEN_LAYER, c->layer->why(c->session));
}

static void on_closed(uv_handle_t *handle)
{
    struct tcp_conn *c = handle->data;
    struct tcp_conn_events events = c->events;

    /* Not before: the close may have come from inside the layer or the reader. */
    if (c->session != NULL)
        c->layer->close(c->session);
    tcp_reader_deinit(&c->reader);
    free(c->room);
    free(c);
    events.closed(events.self);
}

void tcp_conn_close(struct tcp_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}
