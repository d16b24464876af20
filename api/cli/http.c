/* A small HTTP/1.1 client over a unix socket: one request, Connection: close, an answer with
 * Content-Length. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/cli/cli.h"

enum { MOST_BYTES = 64 << 20, SILENCE_MS = 15000 };

struct reply {
    char *bytes;
    size_t n, room;
};

static bool wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int rc;

    do {
        rc = poll(&p, 1, SILENCE_MS);
    } while (rc < 0 && errno == EINTR);
    return rc > 0;
}

static int open_socket(const char *path, char *error, size_t error_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        (void)snprintf(error, error_bytes, "%s: the path is too long for a socket", path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    if (errno == ENOENT) {
        (void)snprintf(error, error_bytes,
                       "no admin socket at %s: is holdfastd running here? `admin.socket` in its "
                       "configuration names the path; give "
                       "it with --socket PATH",
                       path);
    } else if (errno == ECONNREFUSED) {
        (void)snprintf(error, error_bytes,
                       "nobody answers at %s: holdfastd has ended; start it again", path);
    } else if (errno == EACCES || errno == EPERM) {
        (void)snprintf(error, error_bytes, "%s is for root only: try again with sudo", path);
    } else {
        (void)snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = wait_for(fd, POLLOUT) ? send(fd, bytes, n, MSG_NOSIGNAL) : -1;

        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Reads to the end. False: silence, a broken connection, or too much. */
static bool read_all(int fd, struct reply *r)
{
    for (;;) {
        ssize_t got;

        if (r->room - r->n < 4096) {
            size_t room = r->room == 0 ? 65536 : 2 * r->room;
            char *grown = room <= 2 * (size_t)MOST_BYTES ? realloc(r->bytes, room) : NULL;

            if (grown == NULL) {
                return false;
            }
            r->bytes = grown;
            r->room = room;
        }
        if (!wait_for(fd, POLLIN)) {
            return false;
        }
        got = recv(fd, r->bytes + r->n, r->room - r->n - 1, 0);
        if (got < 0 || r->n + (size_t)got > MOST_BYTES) {
            return false;
        }
        r->n += (size_t)got;
        r->bytes[r->n] = '\0';
        if (got == 0) {
            return true;
        }
    }
}

/* The value of a header within [head, end), or NULL. */
static const char *find_header(const char *head, const char *end, const char *name)
{
    const char *line = head;

    while ((line = strstr(line, "\r\n")) != NULL && line < end) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            return line + strlen(name) + 1;
        }
    }
    return NULL;
}

/* "HTTP/1.1 200 OK", headers, a body of exactly Content-Length bytes that is JSON or empty. */
static bool parse_reply(const struct reply *r, unsigned *status, json_t **body)
{
    const char *end = r->n > 0 ? strstr(r->bytes, "\r\n\r\n") : NULL, *length;
    unsigned long n;
    json_error_t e;

    if (end == NULL || strncmp(r->bytes, "HTTP/1.1 ", 9) != 0 ||
        strspn(r->bytes + 9, "0123456789") != 3) {
        return false;
    }
    *status = (unsigned)strtoul(r->bytes + 9, NULL, 10);
    length = find_header(r->bytes, end, "Content-Length");
    if (length == NULL) {
        return false;
    }
    n = strtoul(length, NULL, 10);
    end += 4;
    if (n != r->n - (size_t)(end - r->bytes)) {
        return false;
    }
    *body = NULL;
    if (n > 0) {
        *body = json_loadb(end, n, 0, &e);
    }
    return n == 0 || *body != NULL;
}

static char *make_request(const char *method, const char *path, json_t *request, size_t *len)
{
    char *body = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL, *text = NULL;
    int n = asprintf(
        &text,
        "%s %s HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
        method, path, strcmp(method, "DELETE") == 0 ? "If-Match: *\r\n" : "",
        body != NULL ? strlen(body) : 0, body != NULL ? body : "");

    free(body);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? text : NULL;
}

bool cli_http(const char *socket, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes)
{
    int fd = open_socket(socket, error, error_bytes);
    struct reply reply = {0};
    bool good = false;
    size_t len = 0;
    char *text;

    if (fd < 0) {
        return false;
    }
    text = make_request(method, path, request, &len);
    if (text == NULL || !send_all(fd, text, len) || !read_all(fd, &reply)) {
        (void)snprintf(error, error_bytes,
                       "holdfastd at %s broke off or was silent for %d s: see its log", socket,
                       SILENCE_MS / 1000);
    } else if (reply.n == 0) {
        (void)snprintf(
            error, error_bytes,
            "holdfastd at %s closed without an answer: only root may ask, and 32 at a time",
            socket);
    } else if (!parse_reply(&reply, status, body)) {
        (void)snprintf(error, error_bytes,
                       "what answers at %s does not speak as holdfastd does: check --socket",
                       socket);
    } else {
        good = true;
    }
    free(text);
    free(reply.bytes);
    (void)close(fd);
    return good;
}
