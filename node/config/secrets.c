/* Pre-shared keys from files: a regular file that others may neither read nor write, 1 to 64 bytes,
 * one newline at its end allowed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/internal.h"

/* A relative name is relative to the folder of the YAML file. False: too long. */
static bool join_path(const struct walk *walk, char path[CONFIG_MAX_PATH])
{
    const char *slash = strrchr(walk->name, '/');
    char joined[2 * CONFIG_MAX_PATH];

    if (path[0] == '/' || slash == NULL) {
        return true;
    }
    if (snprintf(joined, sizeof joined, "%.*s/%s", (int)(slash - walk->name), walk->name, path) >=
        CONFIG_MAX_PATH) {
        return false;
    }
    memcpy(path, joined, strlen(joined) + 1);
    return true;
}

/* NULL, or what is wrong with it. */
static const char *read_key(int fd, struct secret *key, char mode[64])
{
    uint8_t bytes[SECRET_MAX_BYTES + 2];
    const char *why = NULL;
    struct stat st;
    ssize_t n = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return "is not a regular file";
    }
    if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        (void)snprintf(mode, 64, "may be %s by everyone (mode %04o): chmod 600 it",
                       (st.st_mode & S_IROTH) != 0 ? "read" : "written",
                       (unsigned)st.st_mode & 07777u);
        return mode;
    }
    n = read(fd, bytes, sizeof bytes);
    if (n > 0 && bytes[n - 1] == '\n') {
        n--;
    }
    if (n < 0) {
        why = "cannot be read";
    } else if (n == 0) {
        why = "is empty";
    } else if (n > SECRET_MAX_BYTES) {
        why = "holds more than 64 bytes";
    } else if (memchr(bytes, '\n', (size_t)n) != NULL) {
        why = "has more than one line";
    } else {
        secret_set(key, bytes, (size_t)n);
    }
    secret_wipe_bytes(bytes, sizeof bytes);
    return why;
}

static void read_one(struct walk *walk, size_t i, const struct yaml_node *node)
{
    struct config_psk *p = &walk->config->psks[i];
    const char *why;
    char mode[64];
    int fd;

    if (!join_path(walk, p->secret_file)) {
        report_at(walk, node, "'secret_file': the path is longer than %d bytes",
                  CONFIG_MAX_PATH - 1);
        return;
    }
    if (!walk->read_secrets) {
        return;
    }
    /* O_NONBLOCK: a FIFO must not hold the start. */
    fd = open(p->secret_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        report_at(walk, node, "'secret_file': %s: %s", p->secret_file, strerror(errno));
        return;
    }
    why = read_key(fd, &walk->config->secrets[i].psk, mode);
    (void)close(fd);
    if (why != NULL) {
        report_at(walk, node, "'secret_file': %s %s", p->secret_file, why);
    }
}

void config_read_secrets(struct walk *walk)
{
    struct config *c = walk->config;
    const struct yaml_node *item = node_at(walk, "/auth/psk/0");

    c->secrets = calloc(c->n_psks, sizeof *c->secrets);
    HF_ASSERT(c->secrets != NULL);
    for (size_t i = 0; i < c->n_psks; i++, item = item->next) {
        c->secrets[i].remote = c->psks[i].identity;
        read_one(walk, i, yaml_get(item, "secret_file"));
    }
}
