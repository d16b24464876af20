#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_answer.h"

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
        n = recv(c->watch.fd, c->in + c->len, c->cap - c->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            c->ended = true;
            return;
        }
        c->len += (size_t)n;
    }
}

static enum http_answer_state read_answer(const struct call *c, struct http_answer *a)
{
    return http_answer_read(c->in, c->len, c->ended, a);
}

static bool complete(void *arg)
{
    struct http_answer a;

    return read_answer(arg, &a) != HTTP_ANSWER_MORE;
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
    struct http_answer answer;
    bool ok = false;

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
    if (read_answer(&c, &answer) != HTTP_ANSWER_WHOLE)
        goto out;
    reply->status = answer.status;
    reply->body = json_loadb(c.in + answer.body_at, answer.body_len, 0, NULL);
    ok = true;
out:
    if (c.watch.fd >= 0)
        (void)close(c.watch.fd);
    free(c.in);
    return ok;
}
