/* Small files beside the log, of any bytes. The first byte says which one; 128: its checksum (or the
 * key's id) is made to hold, or no input would get past it.
 *
 *   peers              nothing, or addresses that the next start can ask: stored, they come back
 *   configuration.key  refused with a reason, or it is the key whose id it names
 *   memfd of sessions  keys whose id is theirs come back, nothing else does
 *   recover            an order to begin anew: refused with a reason, or texts that end
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "replication/crc32c.h"
#include "replication/repl_addresses.h"
#include "replication/repl_keys.h"
#include "replication/wal_recover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 4096, PLACE = 8 + SEAL_KEY_BYTES };

static char directory[] = "/tmp/hf-fuzz-files-XXXXXX";
static struct seal_means means;

static void take_away(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)unlink(path);
}

static void remove_all(void)
{
    take_away("peers");
    take_away("configuration.key");
    take_away("recover");
    (void)rmdir(directory);
}

static void put(const char *name, const uint8_t *bytes, size_t n)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    HF_ASSERT(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0);
}

static void peers(uint8_t *bytes, size_t n, bool seal)
{
    struct repl_node_address nodes[REPL_MAX_NODES], again[REPL_MAX_NODES];
    size_t count, back;

    if (seal && n >= 4)
        put_be32(bytes + n - 4, crc32c(0, bytes, n - 4));
    put("peers", bytes, n);
    if (!repl_addresses_load(directory, nodes, &count)) {
        HF_ASSERT(count == 0);
        return;
    }
    HF_ASSERT(count <= REPL_MAX_NODES);
    for (size_t i = 0; i < count; i++)
        HF_ASSERT(nodes[i].node != 0 && addr_len(&nodes[i].address.ip) > 0);
    HF_ASSERT(repl_addresses_store(directory, nodes, count));
    HF_ASSERT(repl_addresses_load(directory, again, &back) && back == count);
    for (size_t i = 0; i < count; i++)
        HF_ASSERT(again[i].node == nodes[i].node &&
                  endpoint_equal(&again[i].address, &nodes[i].address));
}

static struct repl_options options_of(int kept)
{
    return (struct repl_options){.node = 1, .data_dir = directory, .kept_keys_fd = kept};
}

static void key(uint8_t *bytes, size_t n, bool seal)
{
    struct repl_options o = options_of(0);
    struct repl_error error = {.text = ""};
    struct repl_keys keys;
    uint8_t out[SEAL_KEY_BYTES];
    uint64_t id;

    if (seal && n >= 8 + PLACE)
        put_be64(bytes + 8, seal_key_id(&means, SEAL_CONFIGURATION, bytes + 16));
    put("configuration.key", bytes, n);
    if (!repl_keys_open(&keys, &o, 5, &error)) {
        HF_ASSERT(error.text[0] != '\0' && keys.ring == NULL);
        return;
    }
    id = seal_ring_current(keys.ring, SEAL_CONFIGURATION);
    HF_ASSERT(n == 8 + PLACE && id == get_be64(bytes + 8));
    HF_ASSERT(seal_ring_get(keys.ring, SEAL_CONFIGURATION, id, out) &&
              memcmp(out, bytes + 16, sizeof out) == 0);
    repl_keys_close(&keys);
}

static void kept(uint8_t *bytes, size_t n, bool seal)
{
    struct repl_options o;
    struct repl_error error = {.text = ""};
    struct repl_keys keys;
    uint64_t ids[SEAL_RING_KEYS];
    size_t found, genuine = 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    for (size_t at = 0; at + PLACE <= n && at < SEAL_RING_KEYS * PLACE; at += PLACE) {
        uint64_t id = seal_key_id(&means, SEAL_SESSION, bytes + at + 8);

        if (seal)
            put_be64(bytes + at, id);
        genuine += get_be64(bytes + at) == id;
    }
    take_away("configuration.key");
    HF_ASSERT(fd > 0 && write(fd, bytes, n) == (ssize_t)n);
    o = options_of(fd);
    HF_ASSERT(repl_keys_open(&keys, &o, 5, &error));
    found = seal_ring_list(keys.ring, SEAL_SESSION, ids, SEAL_RING_KEYS);
    HF_ASSERT(found <= genuine && (found > 0) == (genuine > 0));
    HF_ASSERT(!repl_keys_ready(&keys));
    repl_keys_changed(&keys);
    repl_keys_close(&keys);
    (void)close(fd);
}

static void order(uint8_t *bytes, size_t n, bool seal)
{
    static struct wal_dir d;
    struct wal_error error = {.text = ""};
    struct repl_word word;
    uint64_t incarnation;

    d.fs = wal_fs_kernel();
    (void)snprintf(d.path, sizeof d.path, "%s", directory);
    if (seal && n >= 4)
        put_be32(bytes + n - 4, crc32c(crc32c(0, d.id, sizeof d.id), bytes, n - 4));
    put("recover", bytes, n);
    if (!wal_order_load(&d, &incarnation, &word, &error)) {
        HF_ASSERT(error.text[0] != '\0');
        return;
    }
    HF_ASSERT(memchr(word.who, '\0', sizeof word.who) != NULL &&
              memchr(word.why, '\0', sizeof word.why) != NULL);
    HF_ASSERT(wal_order_store(&d, incarnation, &word, &error));
    HF_ASSERT(wal_order_load(&d, &incarnation, &word, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[ROOM];
    bool seal;

    if (means.aead == NULL) {
        HF_ASSERT(mkdtemp(directory) != NULL && atexit(remove_all) == 0);
        HF_ASSERT(crypto_ready() && seal_means_of(&suite_default, &means));
    }
    if (size == 0 || size > ROOM)
        return 0;
    seal = (data[0] & 128) != 0;
    memcpy(bytes, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        peers(bytes, size - 1, seal);
        break;
    case 1:
        key(bytes, size - 1, seal);
        break;
    case 2:
        kept(bytes, size - 1, seal);
        break;
    default:
        order(bytes, size - 1, seal);
        break;
    }
    return 0;
}
