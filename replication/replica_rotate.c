/* Another key of sessions in place of the one in use, and the end of that one.
 *
 *   wish, age, removal ─> SessionKey {replaces} = switch ─> all seal with the new one; what waits in
 *   the outbox, or was under way, is sealed anew and sent again: what the former one sealed and the log
 *   has behind the switch is left out, so a snapshot behind the switch is all that is ever needed
 *        ─> each node: a snapshot behind the switch ─ report ─> leader: a majority has one
 *        ─> KeyErased ─> every node wipes the former one
 *
 * A node that was away needs it and has it no more: the others say so (GONE), and it takes a
 * snapshot in place of what it cannot open, as one does whose state was outvoted (digest.md).
 */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"
#include "replication/seal_message.h"

/* --- when another one is due --- */

bool replica_rotation_due(const struct replica *r)
{
    const struct fsm *f = &r->fsm;
    uint64_t now_ms = replica_cluster_ms(r);

    if (f->session_key == 0 || f->former_key != 0 || !replica_sees(r) ||
        fsm_spoken(f) < RECORD_SPEAKS_ROTATION)
        return false;
    return f->rotate_wish != 0 || (r->options.key_age_ms != 0 && now_ms > f->key_ms &&
                                   now_ms - f->key_ms >= r->options.key_age_ms);
}

/* --- the former one: still needed? --- */

void replica_snapshot_heard(struct replica *r, uint32_t from, uint64_t snapshot_index)
{
    struct replica_node *row = replica_node(r, from);

    if (row != NULL)
        row->snapshot_index = snapshot_index;
}

static bool majority_has_snapshot(const struct replica *r)
{
    struct replica_set have = {.n = 0};
    size_t voters, n;

    for (size_t i = 0; i < r->n_nodes; i++) {
        bool self = r->nodes[i].node == r->options.node;
        uint64_t at =
            self ? raft_driver_status(r->driver).snapshot_index : r->nodes[i].snapshot_index;

        if (at >= r->fsm.switch_index)
            replica_set_add(&have, r->nodes[i].node);
    }
    n = replica_set_voters(r, &have, &voters);
    return n > voters / 2;
}

void replica_rotate_lead(struct replica *r)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__KeyErased body = HOLDFAST__KEY_ERASED__INIT;

    if (r->options.ring == NULL || r->fsm.former_key == 0 || !replica_sees(r) ||
        (r->erase_asked == r->fsm.former_key &&
         r->now_ns - r->erase_asked_ns < ERASE_AGAIN_MS * 1000000ull) ||
        !majority_has_snapshot(r))
        return;
    body.id = r->fsm.former_key;
    record.body_case = HOLDFAST__RECORD__BODY_KEY_ERASED;
    record.key_erased = &body;
    if (!replica_push_internal(r, &record))
        return;
    r->erase_asked = body.id;
    r->erase_asked_ns = r->now_ns;
}

/* --- sealed anew --- */

/* With the key in use, the same request. Both keys are here. */
static void seal_anew(struct replica *r, uint64_t request, uint8_t *bytes, size_t sealed)
{
    const struct seal *s = r->options.seal;
    uint8_t *plain = repl_alloc_zero(1, sealed);
    size_t n = 0;
    size_t len = 0;
    bool ok = s->open(s->self, SEAL_RECORD, span_of(bytes, sealed), plain, &n) &&
              s->seal(s->self, SEAL_RECORD, SEAL_SESSION, request, span_of(plain, n), bytes, &len);

    secret_wipe_bytes(plain, sealed);
    free(plain);
    HF_ASSERT(!ok || len == sealed);
    if (!ok)
        replica_fail(r, "what waits to be submitted cannot be sealed anew: starting anew");
}

/* Is it sealed with a key that is not in use any more? */
static bool is_former(const struct replica *r, const uint8_t *bytes, size_t n)
{
    struct seal_ring *ring = r->options.ring;
    uint64_t id = ring == NULL ? 0 : seal_key_of(span_of(bytes, n));

    return id != 0 && id != seal_ring_current(ring, SEAL_SESSION) &&
           id != seal_ring_current(ring, SEAL_CONFIGURATION);
}

bool replica_waits_under(const struct replica *r, uint64_t id)
{
    const struct outbox_item *item;

    for (uint64_t at = 0; r->options.ring != NULL && (item = outbox_each(r->outbox, &at)) != NULL;)
        if (seal_key_of(span_of(item->bytes, item->len)) == id)
            return true;
    return false;
}

void replica_renew(struct replica *r, uint64_t request, uint8_t *bytes, size_t n)
{
    if (is_former(r, bytes, n) && replica_session_ready(r))
        seal_anew(r, request, bytes, n);
}

bool replica_renew_outbox(struct replica *r)
{
    struct outbox_item *item;

    for (uint64_t at = 0; (item = outbox_each(r->outbox, &at)) != NULL && !r->failed;) {
        if (!is_former(r, item->bytes, item->len))
            continue;
        if (!replica_session_ready(r))
            return false;
        seal_anew(r, item->request, item->bytes, item->len);
        outbox_unsend(r->outbox, item->request); /* what is under way will be left out */
    }
    return !r->failed;
}

/* --- keys that nobody needs --- */

static bool needed(const struct replica *r, uint64_t id)
{
    return fsm_names_key(&r->fsm, id) || id == r->making.id || id == r->locked.want ||
           id == r->blind;
}

/* Unless what waits here was sealed with it, and there is no other to seal it with yet. */
static void wipe(struct replica *r, uint64_t id)
{
    if (!replica_renew_outbox(r))
        return;
    seal_ring_erase(r->options.ring, id);
    replica_keys_changed(r);
    replica_count(r, REPL_COUNT_KEYS_ERASED, 1);
    replica_log(r, REPL_LOG_INFO, "the key %016llx is erased", (unsigned long long)id);
}

/* Nothing behind this place in the log is judged by it. */
void replica_key_erased(struct replica *r, uint64_t id)
{
    if (r->options.ring != NULL && seal_ring_has(r->options.ring, id))
        wipe(r, id);
    r->swept_ms = 0;
}

static struct replica_spare *spare_of(struct replica *r, uint64_t id)
{
    struct replica_spare *free_place = NULL;

    for (size_t i = 0; i < SEAL_RING_KEYS; i++) {
        if (r->spares[i].id == id)
            return &r->spares[i];
        if (free_place == NULL && !seal_ring_has(r->options.ring, r->spares[i].id))
            free_place = &r->spares[i];
    }
    HF_ASSERT(free_place != NULL);
    *free_place = (struct replica_spare){.id = id, .since_ms = r->fsm.cluster_ms};
    return free_place;
}

/* A key that the state does not name was named and is erased, or a leader gave it and its record is
 * on its way. Which, cluster time tells: it advances by entries behind that record, or instead of it.
 * Before a node has caught up its log may name it yet. */
void replica_keys_sweep(struct replica *r)
{
    uint64_t ids[SEAL_RING_KEYS];
    size_t n;

    if (r->options.ring == NULL || !r->ownership.confirmed || !replica_sees(r) || r->diverged ||
        r->telling || (r->swept_ms != 0 && r->fsm.cluster_ms < r->swept_ms + SWEEP_KEYS_MS))
        return;
    r->swept_ms = r->fsm.cluster_ms;
    n = seal_ring_list(r->options.ring, SEAL_SESSION, ids, SEAL_RING_KEYS);
    for (size_t i = 0; i < n; i++) {
        struct replica_spare *spare = spare_of(r, ids[i]);

        if (needed(r, ids[i])) {
            spare->named = spare->named || fsm_names_key(&r->fsm, ids[i]);
            spare->since_ms = r->fsm.cluster_ms;
        } else if (spare->named || r->fsm.cluster_ms - spare->since_ms >= SPARE_KEY_MS) {
            wipe(r, ids[i]);
        }
    }
}

/* --- what can be opened nowhere --- */

uint64_t replica_wanted_at(const struct replica *r)
{
    struct raft_driver_status s = raft_driver_status(r->driver);

    return s.applied_index > s.snapshot_index ? s.applied_index : s.snapshot_index;
}

void replica_await_state(struct replica *r)
{
    uint64_t above = replica_wanted_at(r);

    replica_log(
        r, REPL_LOG_WARN,
        "others went on without the sealing key %016llx: a snapshot takes the place of what "
        "it sealed",
        (unsigned long long)r->need.key);
    replica_locked_drop(r);
    r->blind = 0;
    r->awaits_above = above;
    replica_mistrust(r);
}
