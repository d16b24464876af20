/* Where the others are, kept in the data directory: a node whose own file names nobody who is still a
 * member finds the cluster again after a restart, before it has read a word of the log that it cannot
 * judge alone. A hint and no more: who answers there still proves who he is (tls.md), and the log's
 * addresses come before these. So a file that is damaged or lost costs a line in the log.
 *
 *   "HFPEERS1" · number (4) · each: node (4) · family (1) · address (16) · port (2) · CRC32C of all (4)
 */
#include "replication/repl_addresses.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "replication/crc32c.h"

enum {
    MAGIC_BYTES = 8,
    ROW_BYTES = 4 + 1 + 16 + 2,
    MAX_BYTES = MAGIC_BYTES + 4 + REPL_MAX_NODES * ROW_BYTES + 4
};

static const char magic[MAGIC_BYTES + 1] = "HFPEERS1";
static const char file_name[] = "peers";

static size_t encode(const struct repl_node_address *nodes, size_t n, uint8_t out[MAX_BYTES])
{
    size_t at = MAGIC_BYTES + 4;

    memcpy(out, magic, MAGIC_BYTES);
    put_be32(out + MAGIC_BYTES, (uint32_t)n);
    for (size_t i = 0; i < n; i++, at += ROW_BYTES) {
        put_be32(out + at, nodes[i].node);
        out[at + 4] = nodes[i].address.ip.family;
        memcpy(out + at + 5, nodes[i].address.ip.bytes, 16);
        put_be16(out + at + 21, nodes[i].address.port);
    }
    put_be32(out + at, crc32c(0, out, at));
    return at + 4;
}

static bool decode(const uint8_t *in, size_t len, struct repl_node_address nodes[REPL_MAX_NODES],
                   size_t *n)
{
    size_t rows, at = MAGIC_BYTES + 4;

    if (len < at + 4 || memcmp(in, magic, MAGIC_BYTES) != 0)
        return false;
    rows = get_be32(in + MAGIC_BYTES);
    if (rows > REPL_MAX_NODES || len != at + rows * ROW_BYTES + 4 ||
        get_be32(in + len - 4) != crc32c(0, in, len - 4))
        return false;
    for (size_t i = 0; i < rows; i++, at += ROW_BYTES) {
        struct endpoint e = {.ip = {.family = in[at + 4]}, .port = get_be16(in + at + 21)};

        if ((e.ip.family != ADDR_V4 && e.ip.family != ADDR_V6) || get_be32(in + at) == 0)
            return false;
        memcpy(e.ip.bytes, in + at + 5, 16);
        nodes[i] = (struct repl_node_address){get_be32(in + at), e};
    }
    *n = rows;
    return true;
}

bool repl_addresses_load(const char *data_dir, struct repl_node_address nodes[REPL_MAX_NODES],
                         size_t *n)
{
    struct repl_node_address found[REPL_MAX_NODES];
    uint8_t bytes[MAX_BYTES + 1];
    char path[600];
    ssize_t len;
    int fd;

    *n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", data_dir, file_name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT;
    len = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    if (len < 0 || !decode(bytes, (size_t)len, found, n))
        return false;
    memcpy(nodes, found, *n * sizeof *nodes);
    return true;
}

bool repl_addresses_store(const char *data_dir, const struct repl_node_address *nodes, size_t n)
{
    uint8_t bytes[MAX_BYTES];
    size_t len = encode(nodes, n, bytes);
    int at = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd;
    bool ok;

    if (at < 0)
        return false;
    fd = openat(at, "peers.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ok = fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && renameat(at, "peers.tmp", at, file_name) == 0 && fsync(at) == 0;
    (void)close(at);
    return ok;
}

size_t repl_addresses_merge(struct repl_node_address nodes[REPL_MAX_NODES], size_t n, size_t fixed,
                            const struct repl_node_address *more, size_t n_more)
{
    for (size_t i = n_more; i-- > 0 && fixed < REPL_MAX_NODES;) {
        size_t k = 0;

        while (k < n && nodes[k].node != more[i].node)
            k++;
        if (k < fixed)
            continue;
        n += k == n && n < REPL_MAX_NODES;
        k = k < n ? k : n - 1; /* whose place it takes, as all before it move up */
        memmove(&nodes[fixed + 1], &nodes[fixed], (k - fixed) * sizeof nodes[0]);
        nodes[fixed] = more[i];
    }
    return n;
}
