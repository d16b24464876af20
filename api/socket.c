/* Listening sockets. The unix socket is made with mode 0600, never over something that is alive or not ours to replace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/internal.h"

static int refuse(int fd, const char *path, const char *why, char *error, size_t error_bytes)
{
    (void)snprintf(error, error_bytes, "admin socket %s: %s", path, why);
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

/* Makes the folder of `path`, one level, for its owner alone. */
static bool make_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path) {
        return true;
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return mkdir(folder, 0700) == 0 || errno == EEXIST;
}

/* True when the path is free now: there was nothing, or a socket where nobody answers. Otherwise
 * *why says what is there. */
static bool clear_path(const struct sockaddr_un *address, const char **why)
{
    struct stat st;
    int fd, rc;

    if (lstat(address->sun_path, &st) != 0) {
        *why = strerror(errno);
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        *why = "something else than a socket is there: move it away, or set admin.socket";
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *why = strerror(errno);
        return false;
    }
    rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    if (rc == 0 || errno != ECONNREFUSED) {
        *why = rc == 0 || errno == EAGAIN ? "in use: another holdfastd answers there"
                                          : strerror(errno);
        (void)close(fd);
        return false;
    }
    (void)close(fd);
    if (unlink(address->sun_path) != 0) {
        *why = strerror(errno);
        return false;
    }
    return true;
}

int api_socket_listen(const char *path, char *error, size_t error_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *why = NULL;
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        return refuse(-1, path, "the path is too long for a socket", error, error_bytes);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (!make_folder(path)) {
        return refuse(-1, path, strerror(errno), error, error_bytes);
    }
    if (!clear_path(&address, &why)) {
        return refuse(-1, path, why, error, error_bytes);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode of the unbound socket becomes the mode of its name: there is no moment at which
     * others could connect. */
    if (fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0) {
        return refuse(fd, path, strerror(errno), error, error_bytes);
    }
    return fd;
}

bool api_socket_allowed(int fd, uid_t owner)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == owner);
}

int api_tcp_listen(const struct endpoint *at, char *error, size_t error_bytes)
{
    bool v6 = at->ip.family == ADDR_V6;
    struct sockaddr_in v4_address = {.sin_family = AF_INET, .sin_port = htons(at->port)};
    struct sockaddr_in6 v6_address = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
    const struct sockaddr *address =
        v6 ? (const struct sockaddr *)&v6_address : (const struct sockaddr *)&v4_address;
    int on = 1, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[INET6_ADDRSTRLEN] = "";

    memcpy(&v4_address.sin_addr, at->ip.bytes, 4);
    memcpy(&v6_address.sin6_addr, at->ip.bytes, 16);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, address, v6 ? sizeof v6_address : sizeof v4_address) == 0 &&
        listen(fd, 256) == 0) {
        return fd;
    }
    (void)inet_ntop(v6 ? AF_INET6 : AF_INET, at->ip.bytes, text, sizeof text);
    (void)snprintf(error, error_bytes, "api.listen: %s port %u: %s", text, (unsigned)at->port,
                   strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}
