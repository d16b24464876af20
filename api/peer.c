/* Connections: who may have one, for how long, and what their certificates say. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/http.h"

enum { JUDGED_MS = 10000 }; /* then a certificate may have come to its end */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

struct api_peer *api_peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

/* What an address is counted by: of IPv6 the network, since one client has all of it. */
static void count_as(const union address *a, uint8_t out[API_ADDRESS_BYTES])
{
    memset(out, 0, API_ADDRESS_BYTES);
    if (a->any.sa_family == AF_INET) {
        memcpy(out + 8, &a->v4.sin_addr, 4);
        out[15] = 4;
    } else if (a->any.sa_family == AF_INET6) {
        memcpy(out, &a->v6.sin6_addr, 8);
        out[15] = 6;
    }
}

static void write_down(const union address *a, char out[INET6_ADDRSTRLEN])
{
    const void *bytes = a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr
                                                    : (const void *)&a->v6.sin6_addr;

    if (inet_ntop(a->any.sa_family, bytes, out, INET6_ADDRSTRLEN) == NULL) {
        out[0] = '\0';
    }
}

static struct api_peer *peer_create(struct api_server *s, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    union address a = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof a;
    struct api_peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL || fd == NULL) {
        free(peer);
        return NULL;
    }
    *peer = (struct api_peer){.server = s,
                              .fd = fd->connect_fd,
                              .since_ms = uv_now(&s->loop),
                              .next = s->peers,
                              .link = &s->peers};
    if (s->tls != NULL) {
        HF_ASSERT(session != NULL);
        peer->session = session->tls_session;
        peer->tls = api_tls_hold(s->tls);
        api_tls_arm(s->tls, peer->session);
        if (getpeername(peer->fd, &a.any, &len) == 0) {
            count_as(&a, peer->address);
            write_down(&a, peer->from);
        }
    }
    if (s->peers != NULL) {
        s->peers->link = &peer->next;
    }
    s->peers = peer;
    return peer;
}

void api_peer_changed(void *server, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct api_peer *peer = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer_create(server, connection);
    } else if (peer != NULL) {
        *peer->link = peer->next;
        if (peer->next != NULL) {
            peer->next->link = peer->link;
        }
        api_tls_release(peer->tls);
        free(peer);
        *context = NULL;
    }
}

enum api_cert api_peer_judge(struct api_peer *peer, uint64_t now_ms)
{
    struct api_server *s = peer->server;

    if (peer->tls != s->tls) {
        api_tls_arm(s->tls, peer->session);
        api_tls_release(peer->tls);
        peer->tls = api_tls_hold(s->tls);
        peer->judged_ms = 0;
    }
    if (peer->judged_ms == 0 || now_ms - peer->judged_ms >= JUDGED_MS) {
        peer->cert = api_tls_judge(peer->tls, peer->session, &peer->who);
        peer->judged_ms = now_ms;
    }
    return peer->cert;
}

/* MHD misses an end that arrives together with the last bytes, and would keep the place until its
 * time limit. */
static bool has_left(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void api_peers_sweep(struct api_server *s, uint64_t now_ms)
{
    for (struct api_peer *p = s->peers; p != NULL; p = p->next) {
        if (!p->busy && (now_ms - p->since_ms >= s->request_ms || has_left(p->fd))) {
            (void)shutdown(p->fd, SHUT_RDWR); /* MHD sees the end and closes it */
        }
    }
}

/* May there be one more, from there? */
static bool has_room(struct api_server *s, const union address *a)
{
    uint8_t address[API_ADDRESS_BYTES];
    unsigned all = 0, same = 0;
    uint64_t wait_ms;

    count_as(a, address);
    for (const struct api_peer *p = s->peers; p != NULL; p = p->next) {
        all++;
        same += memcmp(p->address, address, sizeof address) == 0;
    }
    return all < s->connections && (s->per_address == 0 || same < s->per_address) &&
           api_rate_take(&s->rate, address, uv_now(&s->loop), &wait_ms);
}

static bool may_come(struct api_server *s, int fd, const union address *a)
{
    int on = 1;

    if (s->path[0] != '\0') {
        return api_socket_allowed(fd, s->owner);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return has_room(s, a);
}

void api_peers_accept(struct api_server *s)
{
    for (;;) {
        union address a = {.any = {.sa_family = AF_UNIX}};
        socklen_t len = sizeof a;
        int fd = accept4(s->listener, &a.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR) {
                continue;
            }
            return;
        }
        if (!may_come(s, fd, &a)) {
            (void)close(fd);
            continue;
        }
        if (s->path[0] != '\0') {
            len = sizeof a.any;
        }
        /* Closes the descriptor itself when it refuses (too many connections). */
        (void)MHD_add_connection(s->daemon, fd, &a.any, len);
    }
}
