#include "api/cli/stream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A line that is drawn anew each second, for people alone. */
static void progress(struct cli_stream *s, int64_t now)
{
    const struct cli *cli = s->cli;
    unsigned seconds = (unsigned)((now - s->began_ms) / 1000);

    if (seconds > s->told_s && cli->command != NULL && cli->command->doing != NULL && !cli->json &&
        fileno(cli->err) >= 0 && isatty(fileno(cli->err))) {
        s->told_s = seconds;
        (void)fprintf(cli->err, "\r\033[K%s (%u s)", cli->command->doing, seconds);
        (void)fflush(cli->err);
    }
}

bool cli_stream_wait(struct cli_stream *s, short events)
{
    struct pollfd p = {.fd = s->fd, .events = events};
    const struct cli_limits *l = &s->cli->limits;

    for (;;) {
        int64_t now = now_ms(), quiet = s->heard_ms + l->silence_ms - now;
        int64_t whole = s->began_ms + l->total_ms - now, left = quiet < whole ? quiet : whole;
        int rc;

        if (left <= 0) {
            (void)snprintf(s->error, s->error_bytes,
                           quiet <= whole ? "holdfastd at %s was silent for %u s: see its log"
                                          : "the answer of %s was not there after %u s",
                           s->name, (quiet <= whole ? l->silence_ms : l->total_ms) / 1000);
            return false;
        }
        progress(s, now);
        rc = poll(&p, 1, left < 1000 ? (int)left : 1000);
        if (rc > 0) {
            return true;
        }
        if (rc < 0 && errno != EINTR) {
            (void)snprintf(s->error, s->error_bytes, "%s: %s", s->name, strerror(errno));
            return false;
        }
    }
}

static bool open_socket(struct cli_stream *s, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(s->name, sizeof s->name, "%s", path);
    if (strlen(path) >= sizeof address.sun_path) {
        (void)snprintf(s->error, s->error_bytes, "%s: the path is too long for a socket", path);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd >= 0 && connect(s->fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        return true;
    }
    if (errno == ENOENT) {
        (void)snprintf(s->error, s->error_bytes,
                       "no admin socket at %s: is holdfastd running here? `admin.socket` in its "
                       "configuration names the path; give it with --socket PATH",
                       path);
    } else if (errno == ECONNREFUSED) {
        (void)snprintf(s->error, s->error_bytes,
                       "nobody answers at %s: holdfastd has ended; start it again", path);
    } else if (errno == EACCES || errno == EPERM) {
        (void)snprintf(s->error, s->error_bytes, "%s is for root only: try again with sudo", path);
    } else {
        (void)snprintf(s->error, s->error_bytes, "%s: %s", path, strerror(errno));
    }
    return false;
}

/* One address of the server, within connect_ms. False: errno. */
static bool reach(struct cli_stream *s, const struct addrinfo *a)
{
    struct pollfd p = {.events = POLLOUT};
    socklen_t len = sizeof(int);
    int error = 0;

    s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        return false;
    }
    p.fd = s->fd;
    if (connect(s->fd, a->ai_addr, a->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (poll(&p, 1, (int)s->cli->limits.connect_ms) > 0) {
                (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
            }
        }
    }
    if (error == 0) {
        return true;
    }
    (void)close(s->fd);
    s->fd = -1;
    errno = error;
    return false;
}

static bool open_server(struct cli_stream *s, const struct cli_server *server)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    bool v6 = strchr(server->host, ':') != NULL;
    int rc;

    (void)snprintf(s->name, sizeof s->name, v6 ? "[%s]:%s" : "%s:%s", server->host, server->port);
    rc = getaddrinfo(server->host, server->port, &hints, &list);
    if (rc != 0) {
        (void)snprintf(s->error, s->error_bytes, "%s: there is no such host: %s", s->name,
                       gai_strerror(rc));
        return false;
    }
    for (const struct addrinfo *a = list; a != NULL && s->fd < 0; a = a->ai_next) {
        if (!reach(s, a)) {
            (void)snprintf(s->error, s->error_bytes,
                           "%s: %s: is `api.listen` there set, and no firewall between?", s->name,
                           strerror(errno));
        }
    }
    freeaddrinfo(list);
    return s->fd >= 0 && cli_secure_begin(s, server);
}

bool cli_stream_open(struct cli_stream *s, const struct cli *cli, size_t server, char *error,
                     size_t error_bytes)
{
    *s = (struct cli_stream){
        .cli = cli, .fd = -1, .error = error, .error_bytes = error_bytes, .began_ms = now_ms()};
    s->heard_ms = s->began_ms;
    if (cli->where.n_servers == 0 ? open_socket(s, cli->where.at[CLI_AT_SOCKET])
                                  : open_server(s, &cli->where.servers[server])) {
        return true;
    }
    cli_stream_close(s);
    return false;
}

bool cli_stream_write(struct cli_stream *s, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent;

        if (s->tls != NULL) {
            int rc = SSL_write(s->tls, bytes, n < 16384 ? (int)n : 16384);

            if (rc <= 0 && !cli_secure_wait(s, rc, "it broke off")) {
                return false;
            }
            sent = rc > 0 ? rc : 0;
        } else {
            if (!cli_stream_wait(s, POLLOUT)) {
                return false;
            }
            sent = send(s->fd, bytes, n, MSG_NOSIGNAL);
            if (sent <= 0) {
                (void)snprintf(s->error, s->error_bytes, "holdfastd at %s broke off: see its log",
                               s->name);
                return false;
            }
        }
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

ssize_t cli_stream_read(struct cli_stream *s, char *bytes, size_t n)
{
    ssize_t got;

    for (;;) {
        if (s->tls != NULL) {
            int rc = SSL_read(s->tls, bytes, n < 1 << 30 ? (int)n : 1 << 30);

            if (rc <= 0 && SSL_get_error(s->tls, rc) == SSL_ERROR_ZERO_RETURN) {
                return 0;
            }
            if (rc <= 0 && !cli_secure_wait(s, rc, "it broke off")) {
                return -1;
            }
            got = rc > 0 ? rc : -2;
        } else {
            if (!cli_stream_wait(s, POLLIN)) {
                return -1;
            }
            got = recv(s->fd, bytes, n, 0);
        }
        if (got == -1) {
            (void)snprintf(s->error, s->error_bytes, "holdfastd at %s broke off: see its log",
                           s->name);
        }
        if (got != -2) {
            s->heard_ms = now_ms();
            return got;
        }
    }
}

void cli_stream_close(struct cli_stream *s)
{
    if (s->told_s > 0) {
        (void)fputs("\r\033[K", s->cli->err);
    }
    SSL_free(s->tls);
    SSL_CTX_free(s->context);
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->tls = NULL;
    s->context = NULL;
    s->fd = -1;
}
