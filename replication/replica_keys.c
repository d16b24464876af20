/* Keys that this node lacks: asked for, given to whom asks.
 *
 *   start ─> is the configuration's key here? ─ no ─> WANT to every peer ─> GIVE ─> kept, start
 *
 * Until then the node's raft does not run: it neither votes nor stores, so it counts for nothing.
 */
#include "base/secret.h"
#include "replication/replica_parts.h"
#include "replication/seal_message.h"

static void send(struct replica *r, uint32_t node, const struct seal_message *message)
{
    uint8_t bytes[SEAL_MESSAGE_BYTES];
    struct span part = span_of(bytes, seal_message_encode(message, bytes));

    (void)r->transport.send(r->transport.self, node, REPL_CHANNEL_KEYS, &part, 1);
    secret_wipe_bytes(bytes, sizeof bytes);
}

static void ask_all(struct replica *r)
{
    struct seal_message want = {.what = SEAL_WANT, .kind = SEAL_CONFIGURATION};

    r->asked_ns = r->now_ns;
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node != r->options.node)
            send(r, r->nodes[i].node, &want);
}

static bool lacking(const struct replica *r)
{
    return r->options.ring != NULL && seal_ring_current(r->options.ring, SEAL_CONFIGURATION) == 0;
}

bool replica_keys_wait(struct replica *r)
{
    if (!lacking(r))
        return false;
    if (r->options.n_nodes == 1) {
        replica_fail(r, "the configuration's sealing key is gone, and no other node has it");
        return true;
    }
    replica_log(r, REPL_LOG_INFO, "no sealing key here yet: asking the other nodes for it");
    ask_all(r);
    return true;
}

void replica_keys_tick(struct replica *r)
{
    if (r->waiting != NULL && r->now_ns - r->asked_ns >= ASK_KEY_MS * 1000000ull)
        ask_all(r);
}

static void answer(struct replica *r, uint32_t to, const struct seal_message *in)
{
    struct seal_message out = {.what = SEAL_LACK, .kind = in->kind, .id = in->id};

    if (seal_ring_get(r->options.ring, in->kind, in->id, out.key)) {
        out.what = SEAL_GIVE;
        out.id = seal_key_id(&r->options.ring->means, in->kind, out.key);
        replica_log(r, REPL_LOG_INFO, "node %u is given the sealing key %016llx", (unsigned)to,
                    (unsigned long long)out.id);
    }
    send(r, to, &out);
    secret_wipe_bytes(out.key, sizeof out.key);
}

/* Only what was asked for is taken, and what is taken is what it says it is. */
static void take(struct replica *r, uint32_t from, const struct seal_message *in)
{
    struct seal_ring *ring = r->options.ring;

    if (r->waiting == NULL || in->kind != SEAL_CONFIGURATION)
        return;
    if (seal_key_id(&ring->means, in->kind, in->key) != in->id) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        return;
    }
    if (r->callbacks.keep_key != NULL &&
        !r->callbacks.keep_key(r->callbacks.self, in->kind, in->key)) {
        replica_fail(r, "the sealing key cannot be stored");
        return;
    }
    if (seal_ring_add(ring, in->kind, in->key) != in->id ||
        !seal_ring_use(ring, SEAL_CONFIGURATION, in->id) ||
        !seal_ring_use(ring, SEAL_SESSION, in->id)) {
        replica_fail(r, "no room for a sealing key");
        return;
    }
    replica_log(r, REPL_LOG_INFO, "the sealing key %016llx came from node %u",
                (unsigned long long)in->id, (unsigned)from);
    replica_begin(r);
}

void replica_on_keys(struct replica *r, uint32_t from, struct span bytes)
{
    struct seal_message in;

    if (r->options.ring == NULL || !seal_message_decode(bytes, &in)) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        return;
    }
    if (in.what == SEAL_WANT)
        answer(r, from, &in);
    if (in.what == SEAL_GIVE)
        take(r, from, &in);
    secret_wipe_bytes(&in, sizeof in);
}
