/* Writes the corpora of repl_record, repl_snapshot, repl_restore and repl_frame below the folder given. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "proto/nodes.pb-c.h"
#include "replication/snapshot.h"
#include "unit/repl/make.h"

static const char *root;

static void save(const char *target, const char *name, const uint8_t *bytes, size_t n)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", root, target);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    f = fopen(path, "wb");
    HF_ASSERT(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

static struct fsm fsm;
static uint8_t history[65536];
static size_t history_len;

/* Applies it, and adds it to the history. */
static void add(const char *name, Holdfast__Record *r)
{
    struct repl_item_result items[8];
    struct fsm_outcome out;
    size_t n = 0;
    uint8_t *bytes = record_pack(r, &n);
    uint8_t one[4096];

    HF_ASSERT(bytes != NULL && n + 2 <= sizeof one);
    put_be16(one, (uint16_t)n);
    memcpy(one + 2, bytes, n);
    save("repl_record", name, one, n + 2);
    memcpy(history + history_len, one, n + 2);
    history_len += n + 2;
    fsm_begin_entry(&fsm, fsm.applied_index + 1, fsm.cluster_ms + 7);
    fsm_apply(&fsm, r, fsm.applied_index % RECORD_MAX_PER_ENTRY, items, &out);
    printf("%s: verdict %d\n", name, (int)out.verdict);
    free(bytes);
    record_free(r);
}

/* For both who read it: repl_restore's inputs say first how. */
static void save_state(const char *name, const struct fsm *state)
{
    size_t n = 0;
    uint8_t *bytes = snapshot_encode(state, &seal_none, &n);
    uint8_t *how = malloc(n + 1);

    HF_ASSERT(bytes != NULL && how != NULL);
    save("repl_snapshot", name, bytes, n);
    how[0] = 4;
    memcpy(how + 1, bytes, n);
    save("repl_restore", name, how, n + 1);
    free(how);
    free(bytes);
}

static void records(void)
{
    struct maker m = {.node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = 2};
    struct repl_item_result items[8];
    struct fsm_outcome out;
    Holdfast__Record *begin[] = {make_boot(1, 11, 0), make_assign(1, 0, 1, 11)};
    Holdfast__Record *r;

    fsm_init(&fsm, 1);
    for (size_t i = 0; i < 2; i++) {
        fsm_begin_entry(&fsm, fsm.applied_index + 1, fsm.cluster_ms + 7);
        fsm_apply(&fsm, begin[i], fsm.applied_index % RECORD_MAX_PER_ENTRY, items, &out);
        record_free(begin[i]);
    }
    add("config", make_config(1, 150));
    add("boot", make_boot(2, 22, 0));
    add("create", make_create(&m, 7, "state", 300, 0x0a000001, "alice"));
    add("step", make_step(&m, 7, fsm_sa_version(&fsm, fsm_sa(&fsm, 7)), "two", 301, 300));
    add("extend", make_extend(&m, 301, fsm_claim_now(&fsm, fsm_claim(&fsm, 301)).version, 128, 9));
    r = make_step(&m, 7, fsm_sa_version(&fsm, fsm_sa(&fsm, 7)), "three", 0, 0);
    make_successor(r, 8, "next", 0);
    add("successor", r);
    add("lease", make_lease(&m, 0x0a000002, "bob", false));
    add("audit", make_audit(&m, "looked"));
    add("windows", make_windows(&m, 1, "windows"));
    add("move", make_move(&m, 2));
    add("drain", make_drain(&m, 2, true));
    add("abort", make_abort(&m, 1));
    add("handover", make_handover(&m, 2, 22, 2));
    m = (struct maker){
        .node = 2, .boot = 22, .request = 1, .shard = 1, .epoch_index = fsm.applied_index};
    save_state("with-sessions", &fsm);
    add("delete", make_delete(&m, 7, fsm_sa_version(&fsm, fsm_sa(&fsm, 7))));
    add("assign", make_assign(1, fsm.applied_index - 1, 1, 11));
    r = make_documents(&m);
    make_change_of(r, "connection", "a", HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT, 0, "bytes");
    make_change_of(r, "user", "alice", HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY, 0, "");
    add("documents", r);
    r = make_drain(&m, 2, false);
    make_admin(r, "CN=alice", "node.undrain", "");
    add("admin", r);
    save_state("documents", &fsm);
    save("repl_record", "history", history, history_len);
}

static void snapshot(void)
{
    struct fsm empty;

    save_state("state", &fsm);
    fsm_deinit(&fsm);
    fsm_init(&empty, 1);
    save_state("empty", &empty);
    empty.beginnings[empty.n_beginnings++] =
        (struct repl_beginning){.how = REPL_RESTORED,
                                .incarnation = 1,
                                .node = 1,
                                .given_up = {2, 3},
                                .n_given_up = 2,
                                .word = {.highest_id = 3, .who = "alice", .why = "fire"}};
    empty.used_ids = 3;
    save_state("begun-anew", &empty);
    fsm_deinit(&empty);
}

static void frame(const char *name, uint8_t kind, const ProtobufCMessage *message)
{
    uint8_t bytes[4096];
    size_t n = protobuf_c_message_get_packed_size(message);

    HF_ASSERT(n + 3 <= sizeof bytes);
    bytes[0] = kind;
    put_be16(bytes + 1, (uint16_t)n);
    (void)protobuf_c_message_pack(message, bytes + 3);
    save("repl_frame", name, bytes, n + 3);
}

static void frames(void)
{
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    Holdfast__Heartbeat beat = HOLDFAST__HEARTBEAT__INIT, *beats = &beat;
    Holdfast__HeartbeatAck ack = HOLDFAST__HEARTBEAT_ACK__INIT, *acks = &ack;
    Holdfast__Lapse lapse = HOLDFAST__LAPSE__INIT, *lapses = &lapse;
    Holdfast__NodeReport report = HOLDFAST__NODE_REPORT__INIT;
    Holdfast__Ownership ownership = HOLDFAST__OWNERSHIP__INIT;
    Holdfast__Forward forward = HOLDFAST__FORWARD__INIT;
    Holdfast__Record *r = make_boot(2, 22, 0);
    uint64_t refused = 1;
    ProtobufCBinaryData packed;

    epoch.incarnation = 1;
    epoch.index = 2;
    beat.shard = ack.shard = lapse.shard = 1;
    beat.epoch = ack.epoch = lapse.epoch = &epoch;
    beat.owner_boot = ack.owner_boot = 11;
    beat.lease_ms = 150;
    beat.sent_ns = ack.sent_ns = 5;
    report.applied_index = 1;
    report.healthy = true;
    report.n_lapsed = 1;
    report.lapsed = &lapses;
    ownership.boot = 22;
    ownership.n_heartbeats = 1;
    ownership.heartbeats = &beats;
    ownership.n_acks = 1;
    ownership.acks = &acks;
    ownership.report = &report;
    frame("ownership", 4, &ownership.base);
    packed.data = record_pack(r, &packed.len);
    forward.boot = 22;
    forward.n_records = 1;
    forward.records = &packed;
    forward.n_refused = 1;
    forward.refused = &refused;
    forward.transfer_to = 2;
    frame("forward", 5, &forward.base);
    free(packed.data);
    record_free(r);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    root = argv[1];
    records();
    snapshot();
    frames();
    return 0;
}
