#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HTTP_MAX_BYTES = 4 << 20 };

struct call {
    struct pump_watch watch;
    char *in;
    size_t len, cap;
    bool ended; /* the peer closed, or an error */
};

static void call_ready(void *arg, uint32_t events)
{
    struct call *c = arg;
    ssize_t n;

    (void)events;
    for (;;) {
        if (c->len + 2048 > c->cap) {
            size_t cap = c->cap ? c->cap * 2 : 8192;
            char *in = cap <= HTTP_MAX_BYTES ? realloc(c->in, cap) : NULL;

            if (!in) {
                c->ended = true;
                return;
            }
            c->in = in;
            c->cap = cap;
        }
        n = recv(c->watch.fd, c->in + c->len, c->cap - c->len - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            c->ended = true;
            return;
        }
        c->len += (size_t)n;
        c->in[c->len] = '\0';
    }
}

/* Where the body begins, or NULL; *len by Content-Length, or -1 (until the end). */
static const char *find_body(const struct call *c, long *len)
{
    const char *end = c->in ? strstr(c->in, "\r\n\r\n") : NULL;

    *len = -1;
    if (!end)
        return NULL;
    for (const char *p = c->in; p < end; p = strstr(p, "\r\n") + 2) {
        if (strncasecmp(p, "content-length:", 15) == 0)
            *len = strtol(p + 15, NULL, 10);
    }
    return end + 4;
}

static bool complete(void *arg)
{
    const struct call *c = arg;
    long len;
    const char *body = find_body(c, &len);

    return c->ended || (body && len >= 0 && c->len - (size_t)(body - c->in) >= (size_t)len);
}

static bool send_request(int fd, const char *method, const char *path, const json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    char head[512];
    size_t len = text ? strlen(text) : 0;
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
                     "application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     method, path, len);
    bool ok = n > 0 && (size_t)n < sizeof head && send(fd, head, (size_t)n, MSG_NOSIGNAL) == n &&
              (len == 0 || send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len);

    free(text);
    return ok;
}

bool http_call(struct chaos_lab *lab, const char *socket_path, const char *method, const char *path,
               const json_t *body, unsigned ms, struct http_reply *reply)
{
    struct call c = {.watch = {-1, call_ready, &c}};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    bool ok = false;
    long len;
    const char *text;

    *reply = (struct http_reply){0};
    if (strlen(socket_path) >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, socket_path, strlen(socket_path) + 1);
    c.watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c.watch.fd < 0 || connect(c.watch.fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        !send_request(c.watch.fd, method, path, body) || !pump_add(&lab->pump, &c.watch, EPOLLIN))
        goto out;
    (void)lab_until(lab, complete, &c, ms);
    pump_remove(&lab->pump, &c.watch);
    text = find_body(&c, &len);
    if (!text || sscanf(c.in, "HTTP/1.%*c %d", &reply->status) != 1)
        goto out;
    if (len >= 0 && c.len - (size_t)(text - c.in) < (size_t)len)
        goto out;
    reply->body = json_loadb(text, len >= 0 ? (size_t)len : c.len - (size_t)(text - c.in), 0, NULL);
    ok = true;
out:
    if (c.watch.fd >= 0)
        (void)close(c.watch.fd);
    free(c.in);
    return ok;
}
