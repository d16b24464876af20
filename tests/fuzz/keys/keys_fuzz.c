/* A sealed cluster (tests/unit/repl/rig.h), and frames of REPL_CHANNEL_KEYS that members and strangers
 * make up: asked for keys, given keys of both kinds, told of keys that are gone. Whatever they say,
 *
 *   - from who is no member nothing comes into a ring but the very key that is lacking, nothing fails,
 *     and no key goes to them
 *   - the key in use stays what the log says, and stays in the ring
 *   - at most one node acts for a shard (the rig looks), and nothing breaks
 *
 *   first byte: how the cluster stands (enum stage); then: op 1 | whom 1 | what 1 | which 1,
 *   and for raw frames a length 1 and bytes
 */
#include <stdlib.h>

#include "replication/replica_parts.h"
#include "unit/repl/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum stage {
    SOUND,    /* three nodes, a session's key in use */
    ROTATED,  /* ... and another one in its place, the former not erased yet */
    JOINER,   /* a fourth without the configuration's key */
    LOCKED,   /* node 3 lost its memory, and hears nobody yet */
    ALL_LOST, /* all did */
    STAGES
};

enum { OPS = 24, OP_BYTES = 4, STRANGER = 6 };

static struct rig *rig;

/* --- the cluster --- */

static bool has_session(const struct rig *g, uint64_t node)
{
    struct replica *r = g->nodes[node - 1].replica;

    return r->fsm.session_key != 0 && seal_ring_has(r->options.ring, r->fsm.session_key);
}

static bool has_former(const struct rig *g, uint64_t node)
{
    return g->nodes[node - 1].replica->fsm.former_key != 0;
}

static void cut_off(uint32_t node)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (i != node) {
            sim_network_partition(rig->network, node, i);
            sim_network_partition(rig->network, i, node);
        }
}

static void begin(enum stage stage)
{
    rig = rig_create(3, 1, 7);
    rig_seal(rig);
    if (stage == ROTATED)
        rig->key_age_ms = 200;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    HF_ASSERT(rig_run(rig, 5000, rig_has_owner, 1));
    for (uint32_t i = 1; i <= 3; i++)
        HF_ASSERT(rig_run(rig, 2000, has_session, i));
    if (stage == ROTATED)
        (void)rig_run(rig, 3000, has_former, 1);
    if (stage == JOINER) {
        uint32_t id = rig_add(rig);

        cut_off(id);
        rig_start(rig, id);
    }
    for (uint32_t i = 1; i <= 3; i++)
        if ((stage == LOCKED && i == 3) || stage == ALL_LOST)
            rig_kill(rig, i);
    if (stage == LOCKED)
        cut_off(3);
    for (uint32_t i = 1; i <= 3; i++)
        if ((stage == LOCKED && i == 3) || stage == ALL_LOST)
            rig_start(rig, i);
    if (stage == ALL_LOST)
        (void)rig_run(rig, 400, NULL, 0);
}

/* --- frames --- */

static uint64_t key_id(const struct replica *r, unsigned which, enum seal_kind kind,
                       const uint8_t key[SEAL_KEY_BYTES])
{
    struct seal_ring *ring = r->options.ring;

    switch (which % 8) {
    case 0:
        return 0;
    case 1:
        return r->fsm.session_key;
    case 2:
        return r->fsm.former_key;
    case 3:
        return seal_ring_current(ring, SEAL_CONFIGURATION);
    case 4:
        return r->locked.want;
    case 5:
        return r->making.id;
    case 6:
        return r->need.key;
    default:
        return seal_key_id(&ring->means, kind, key);
    }
}

/* A key made up, or one that some node has. */
static void key_bytes(const struct replica *r, unsigned which, enum seal_kind kind,
                      uint8_t key[SEAL_KEY_BYTES])
{
    uint64_t id = key_id(r, which % 7, kind, key);

    memset(key, (int)which, SEAL_KEY_BYTES);
    for (size_t i = 0; which >= 128 && id != 0 && i < rig->n; i++)
        if (rig->nodes[i].up && seal_ring_get(&rig->nodes[i].ring, kind, id, key))
            return;
}

static size_t make_frame(const struct replica *r, uint8_t what, uint8_t which,
                         uint8_t out[SEAL_MESSAGE_BYTES])
{
    struct seal_message m = {.what = (enum seal_what)(what % 8),
                             .kind = (what & 8) != 0 ? SEAL_CONFIGURATION : SEAL_SESSION,
                             .index = r->fsm.applied_index + (what >> 4) - 4};

    if (m.what == SEAL_GIVE) {
        key_bytes(r, which, m.kind, m.key);
        m.id = seal_key_id(&r->options.ring->means, m.kind, m.key) + ((what & 0xf0) == 0xf0);
    } else {
        memset(m.key, which, sizeof m.key);
        m.id = key_id(r, which, m.kind, m.key);
    }
    return seal_message_encode(&m, out);
}

/* --- what must hold --- */

struct before {
    uint64_t ids[2][SEAL_RING_KEYS], current[2], lacking, applied;
    size_t n[2];
    bool member, giver, failed, waited, stuck;
};

static const enum seal_kind kinds[2] = {SEAL_SESSION, SEAL_CONFIGURATION};

static struct before look(struct rig_node *n, uint32_t from)
{
    struct replica *r = n->replica;
    struct before b = {.lacking = r->locked.want != 0 ? r->locked.want
                                  : r->blind != 0     ? r->blind
                                                      : r->fsm.session_key,
                       .applied = r->fsm.applied_index,
                       .member = replica_may_speak_of_keys(r, from),
                       .giver = replica_may_give_key(r, from),
                       .failed = n->failed,
                       .waited = r->waiting != NULL,
                       .stuck = replica_is_stuck(r)};

    for (int k = 0; k < 2; k++) {
        b.n[k] = seal_ring_list(r->options.ring, kinds[k], b.ids[k], SEAL_RING_KEYS);
        b.current[k] = seal_ring_current(r->options.ring, kinds[k]);
    }
    return b;
}

static bool was_there(const struct before *b, int k, uint64_t id)
{
    for (size_t i = 0; i < b->n[k]; i++)
        if (b->ids[k][i] == id)
            return true;
    return false;
}

static void judge(struct rig_node *n, const struct before *b)
{
    struct replica *r = n->replica;
    uint64_t ids[SEAL_RING_KEYS];

    for (int k = 0; k < 2; k++) {
        size_t count = seal_ring_list(r->options.ring, kinds[k], ids, SEAL_RING_KEYS);

        for (size_t i = 0; i < count; i++)
            HF_ASSERT(was_there(b, k, ids[i]) || b->member || (k == 0 && ids[i] == b->lacking) ||
                      (k == 1 && b->waited && b->giver));
    }
    HF_ASSERT(b->waited || seal_ring_current(r->options.ring, SEAL_CONFIGURATION) == b->current[1]);
    HF_ASSERT(b->stuck || b->waited || b->current[0] == 0 || r->fsm.applied_index != b->applied ||
              seal_ring_current(r->options.ring, SEAL_SESSION) == b->current[0]);
    HF_ASSERT(b->current[0] == 0 || b->stuck || r->fsm.applied_index != b->applied ||
              seal_ring_has(r->options.ring, b->current[0]));
    HF_ASSERT(b->failed || !n->failed || b->member || b->stuck || (b->waited && b->giver));
}

static void give_frame(uint32_t to, uint32_t from, struct span bytes)
{
    struct rig_node *n = rig_node(rig, to);
    struct before b;

    if (!n->up || n->failed || from == to)
        return;
    b = look(n, from);
    replica_frame(n->replica, rig->now_ms * 1000000, from, REPL_CHANNEL_KEYS, bytes);
    judge(n, &b);
}

static void op(const uint8_t *in, struct span raw)
{
    uint32_t to = 1 + in[1] % 4u % (uint32_t)rig->n, from = 1 + in[1] / 4u % STRANGER;
    struct rig_node *n = rig_node(rig, to);
    uint8_t frame[SEAL_MESSAGE_BYTES];

    switch (in[0] % 16) {
    case 12:
        (void)rig_run(rig, 1 + in[2], NULL, 0);
        break;
    case 13:
        if (n->up)
            rig_kill(rig, to);
        else
            rig_start(rig, to);
        break;
    case 14:
        if ((in[2] & 1) != 0)
            sim_network_heal(rig->network);
        else
            cut_off(to);
        break;
    case 15:
        give_frame(to, from, raw);
        break;
    default:
        if (n->up)
            give_frame(to, from, span_of(frame, make_frame(n->replica, in[2], in[3], frame)));
        break;
    }
}

/* As systemd would. */
static void restart_failed(void)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && rig->nodes[i - 1].failed) {
            rig_kill(rig, i);
            rig_start(rig, i);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    begin((enum stage)(data[0] % STAGES));
    data++;
    size--;
    for (int i = 0; i < OPS && size >= OP_BYTES; i++) {
        const uint8_t *in = data;
        size_t n = 0;

        data += OP_BYTES;
        size -= OP_BYTES;
        if (in[0] % 16 == 15)
            n = in[2] % 64 < size ? in[2] % 64 : size;
        op(in, span_of(data, n));
        data += n;
        size -= n;
        restart_failed();
    }
    (void)rig_run(rig, 50, NULL, 0);
    HF_ASSERT(rig->two_owners == 0 && rig->unassigned == 0);
    rig_destroy(rig);
    return 0;
}
