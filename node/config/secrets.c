/* Pre-shared keys from files: a regular file of root's or of the daemon's own user that others may
 * not touch and its group may at most read, 1 to 64 bytes, one newline at its end allowed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/internal.h"

enum { PSK_MAX_BYTES = 64 };
HF_STATIC_ASSERT((int)PSK_MAX_BYTES <= (int)SECRET_MAX_BYTES);

bool config_join_path(struct walk *walk, const struct yaml_node *node, const char *key,
                      char path[CONFIG_MAX_PATH])
{
    const char *slash = strrchr(walk->name, '/');
    char joined[2 * CONFIG_MAX_PATH];

    if (path[0] == '/' || slash == NULL) {
        return true;
    }
    if (snprintf(joined, sizeof joined, "%.*s/%s", (int)(slash - walk->name), walk->name, path) >=
        CONFIG_MAX_PATH) {
        report_at(walk, node, "'%s': the path is longer than %d bytes", key, CONFIG_MAX_PATH - 1);
        return false;
    }
    memcpy(path, joined, strlen(joined) + 1);
    return true;
}

/* NULL, or who else could read or change the key. A group may read it (root:holdfast, 0640) when
 * the owner, who may give it to any, is root or the daemon's own user. */
const char *config_check_access(const struct stat *st, bool secret, char why[WHY_BYTES])
{
    const char *what = secret && (st->st_mode & S_IROTH) != 0   ? "read by everyone"
                       : (st->st_mode & S_IWOTH) != 0           ? "written by everyone"
                       : secret && (st->st_mode & S_IXOTH) != 0 ? "opened by everyone"
                       : (st->st_mode & S_IWGRP) != 0           ? "written by its group"
                                                                : NULL;

    if (what != NULL) {
        (void)snprintf(why, WHY_BYTES, "may be %s (mode %04o): chmod %s it", what,
                       (unsigned)st->st_mode & 07777u, secret ? "600" : "644");
        return why;
    }
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        (void)snprintf(why, WHY_BYTES, "belongs to user %u, who may change it: chown root it",
                       (unsigned)st->st_uid);
        return why;
    }
    return NULL;
}

/* NULL, or what is wrong with the content. */
static const char *read_key(int fd, struct secret *key)
{
    uint8_t bytes[PSK_MAX_BYTES + 2];
    const char *why = NULL;
    ssize_t n = read(fd, bytes, sizeof bytes);

    if (n > 0 && bytes[n - 1] == '\n') {
        n--;
    }
    if (n < 0) {
        why = "cannot be read";
    } else if (n == 0) {
        why = "is empty";
    } else if (n > PSK_MAX_BYTES) {
        why = "holds more than 64 bytes";
    } else if (memchr(bytes, '\n', (size_t)n) != NULL) {
        why = "has more than one line";
    } else {
        secret_set(key, bytes, (size_t)n);
    }
    secret_wipe_bytes(bytes, sizeof bytes);
    return why;
}

/* Of a file that holds no key, with how to make one that does. */
static void report_no_key(struct walk *walk, const struct yaml_node *node, const char *path,
                          const char *what)
{
    report_at(walk, node, "'secret_file': %s%s: make it with (umask 077; openssl rand -hex 24 >%s)",
              path, what, path);
}

static void read_open(struct walk *walk, size_t i, const struct yaml_node *node, int fd)
{
    const char *path = walk->config->psks[i].secret_file, *why = NULL;
    char text[WHY_BYTES];
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        why = "is not a regular file";
    } else {
        why = config_check_access(&st, true, text);
    }
    if (why != NULL) {
        report_at(walk, node, "'secret_file': %s %s", path, why);
        return;
    }
    why = read_key(fd, &walk->config->secrets[i].psk);
    if (why != NULL) {
        (void)snprintf(text, sizeof text, " %s", why);
        report_no_key(walk, node, path, text);
    }
}

static void read_one(struct walk *walk, size_t i, const struct yaml_node *node)
{
    struct config_psk *p = &walk->config->psks[i];
    char what[WHY_BYTES];
    int fd;

    if (!config_join_path(walk, node, "secret_file", p->secret_file) || !walk->read_secrets) {
        return;
    }
    /* O_NONBLOCK: a FIFO must not hold the start. */
    fd = open(p->secret_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
        read_open(walk, i, node, fd);
        (void)close(fd);
        return;
    }
    (void)snprintf(what, sizeof what, ": %s", strerror(errno));
    if (errno == ENOENT) {
        report_no_key(walk, node, p->secret_file, what);
    } else {
        report_at(walk, node, "'secret_file': %s%s", p->secret_file, what);
    }
}

void config_read_secrets(struct walk *walk)
{
    struct config *c = walk->config;
    const struct yaml_node *item = node_at(walk, "/auth/psk/0");

    if (c->n_psks == 0) {
        return;
    }
    c->secrets = calloc(c->n_psks, sizeof *c->secrets);
    HF_ASSERT(c->secrets != NULL);
    for (size_t i = 0; i < c->n_psks; i++, item = item->next) {
        c->secrets[i].remote = c->psks[i].identity;
        read_one(walk, i, yaml_get(item, "secret_file"));
    }
}
