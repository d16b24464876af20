/* News of links. The kernel's messages are hints: state is what a fresh answer says, so a lost
 * message costs nothing but a look. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/netlink_internal.h"

enum { MAX_WATCHED = 8, EVENT_BYTES = 32 << 10 };

struct netlink_watch {
    struct mnl_socket *socket;
    struct netlink *ask;
    uv_poll_t poll;
    struct netlink_link last[MAX_WATCHED];
    size_t n;
    void (*changed)(void *self, const struct netlink_link *link);
    void *self;
};

static bool same(const struct netlink_link *a, const struct netlink_link *b)
{
    return a->ifindex == b->ifindex && a->up == b->up && a->running == b->running &&
           a->mtu == b->mtu && memcmp(a->mac, b->mac, sizeof a->mac) == 0;
}

static void look(struct netlink_watch *w, bool first)
{
    for (size_t i = 0; i < w->n; i++) {
        struct netlink_link now = {.ifindex = 0};
        struct io_error error;

        if (!netlink_link_get(w->ask, w->last[i].name, &now, &error)) {
            now = (struct netlink_link){.ifindex = 0};
            memcpy(now.name, w->last[i].name, sizeof now.name);
        }
        if (!first && same(&now, &w->last[i]))
            continue;
        w->last[i] = now;
        w->changed(w->self, &now);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct netlink_watch *w = poll->data;
    char buf[EVENT_BYTES];
    bool any = false;

    (void)status;
    (void)events;
    /* ENOBUFS says that messages were lost: a reason to look like any other. */
    while (recv(mnl_socket_get_fd(w->socket), buf, sizeof buf, MSG_DONTWAIT) >= 0 ||
           errno == ENOBUFS)
        any = true;
    if (any)
        look(w, false);
}

static void release(struct netlink_watch *w)
{
    if (w->socket != NULL)
        (void)mnl_socket_close(w->socket);
    if (w->ask != NULL)
        netlink_close(w->ask);
    free(w);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

struct netlink_watch *netlink_watch_open(uv_loop_t *loop, const char *const *names, size_t n_names,
                                         void (*changed)(void *self,
                                                         const struct netlink_link *link),
                                         void *self, struct io_error *error)
{
    struct netlink_watch *w = calloc(1, sizeof *w);

    HF_ASSERT(w != NULL && n_names <= MAX_WATCHED);
    w->changed = changed;
    w->self = self;
    w->n = n_names;
    for (size_t i = 0; i < n_names; i++)
        (void)snprintf(w->last[i].name, sizeof w->last[i].name, "%s", names[i]);
    w->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (w->socket == NULL || mnl_socket_bind(w->socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
        (void)io_fail(error, errno, "cannot watch the network interfaces: %s", strerror(errno));
        release(w);
        return NULL;
    }
    w->ask = netlink_open(error);
    if (w->ask == NULL) {
        release(w);
        return NULL;
    }
    HF_ASSERT(uv_poll_init(loop, &w->poll, mnl_socket_get_fd(w->socket)) == 0);
    w->poll.data = w;
    (void)uv_poll_start(&w->poll, UV_READABLE, on_readable);
    look(w, true);
    return w;
}

void netlink_watch_close(struct netlink_watch *w)
{
    (void)uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}
