/* Frames of peers to one replica of three: each is a byte (channel, sender), a two-byte length,
 * bytes. RAFT frames have a target of their own. Nothing may break, and no frame makes this node
 * act. */
#include <stdlib.h>

#include "base/bytes.h"
#include "replication/fsm.h"
#include "replication/raft_driver.h"
#include "replication/replica_core.h"
#include "sim/sim_storage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *self, struct repl_event *e)
{
    (void)self;
    repl_event_free(e);
}

static void on_entropy(void *self, uint8_t *bytes, size_t n)
{
    (void)self;
    memset(bytes, 7, n);
}

static uint64_t on_disk_stuck(void *self)
{
    (void)self;
    return 0;
}

static bool on_disk_ok(void *self)
{
    (void)self;
    return true;
}

static void on_failed(void *self, const char *why)
{
    (void)self;
    hf_panic(__FILE__, __LINE__, why);
}

static bool on_send(void *self, uint32_t node, enum repl_channel channel, const struct span *parts,
                    size_t n)
{
    (void)self;
    (void)node;
    (void)channel;
    (void)parts;
    (void)n;
    return true;
}

static bool on_connected(void *self, uint32_t node)
{
    (void)self;
    (void)node;
    return true;
}

static void feed(struct replica *r, uint64_t *now_ns, const uint8_t *data, size_t size)
{
    while (size >= 3) {
        static const enum repl_channel channels[] = {REPL_CHANNEL_OWNERSHIP, REPL_CHANNEL_FORWARD,
                                                     REPL_CHANNEL_HALF_OPEN, REPL_CHANNEL_STRAY};
        enum repl_channel channel = channels[data[0] % 4];
        uint32_t from = 1 + data[0] / 4 % 4;
        size_t n = get_be16(data + 1);

        data += 3;
        size -= 3;
        n = n < size ? n : size;
        *now_ns += 3000000;
        replica_frame(r, *now_ns, from, channel, span_of(data, n));
        if (replica_next_ns(r) <= *now_ns)
            replica_tick(r, *now_ns);
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now_ms = 1000;
    uint64_t now_ns = 1000000000;
    struct sim_storage *disk = sim_storage_create(1, &now_ms);
    struct repl_storage storage = sim_storage_interface(disk);
    struct repl_transport transport = {.send = on_send, .connected = on_connected};
    struct replica_callbacks callbacks = {.event = on_event,
                                          .entropy = on_entropy,
                                          .disk_ok = on_disk_ok,
                                          .disk_stuck_ns = on_disk_stuck,
                                          .failed = on_failed};
    struct replica_options options = {.node = 1,
                                      .boot = 11,
                                      .incarnation = 1,
                                      .nodes = {{.node = 1}, {.node = 2}, {.node = 3}},
                                      .n_nodes = 3,
                                      .shards = {{.shard = 1, .prefer = 1}},
                                      .n_shards = 1,
                                      .timing = {150, 30, 150, 30, 150, 1000, 5000},
                                      .snapshot_entries = 1000,
                                      .snapshot_bytes = 1 << 20,
                                      .seal = &seal_none};
    struct repl_lease lease = {0};
    struct repl_health health = {
        .links_up = true, .control_ns = UINT64_MAX, .workers_ns = UINT64_MAX};
    struct replica_clock clock = {0};
    struct repl_configuration genesis;
    struct repl_loaded loaded;
    struct replica *r;

    replica_genesis(options.nodes, 3, &genesis);
    HF_ASSERT(raft_driver_bootstrap(&storage, &genesis));
    sim_storage_flush(disk);
    r = replica_create(&options, &storage, &transport, &callbacks, &lease, &health, &clock);
    sim_storage_load(disk, &loaded);
    HF_ASSERT(replica_start(r, &loaded, now_ns));
    feed(r, &now_ns, data, size);
    HF_ASSERT(atomic_load(&lease.until_ns) == 0); /* no log, no assignment, no lease */
    replica_destroy(r);
    sim_storage_destroy(disk);
    return 0;
}
