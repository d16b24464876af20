/* IKE messages as they leave: I1b (IVs), I3 (committed before), I4 (the same bytes), I5 (nothing begun
 * without the right). */
#include <inttypes.h>

#include "base/bytes.h"
#include "sim/sim_watch_internal.h"
#include "wire/payload.h"

enum { GENERIC_BYTES = 4, FRAGMENT_BYTES = 4, IV_BYTES = 8 };

/* Is its content protected by SK_*? *at: where its IV begins. */
static bool protected_message(struct span message, const struct wire_header *h, size_t *at)
{
    *at = WIRE_HEADER_BYTES + GENERIC_BYTES;
    if (h->next_payload == WIRE_PL_SKF)
        *at += FRAGMENT_BYTES;
    else if (h->next_payload != WIRE_PL_SK)
        return false;
    return message.len >= *at + IV_BYTES;
}

/* RFC 6311's exchange has message ID 0 and happens in the middle of an SA's life: apart (I4). */
static bool synchronizes(const struct wire_header *h)
{
    return h->message_id == 0 && h->exchange == WIRE_EX_INFORMATIONAL;
}

/* What was kept of `key`: `hash` itself, if this is the first time. NULL: no room. */
static struct sim_watch_entry *seen_as(struct sim_watch *w, struct sim_watch_map *map, uint64_t key,
                                       uint64_t hash, bool *first)
{
    struct sim_watch_entry *e = sim_watch_at(w, map, key, first);

    if (e != NULL && *first)
        e->a = hash;
    return e;
}

static void judge_bytes(struct sim_watch *w, const char *who, uint32_t number, struct span message,
                        const struct wire_header *h)
{
    uint64_t hash = span_fnv1a64(message), sa = sim_watch_mix(h->spi_i, h->spi_r), key;
    struct sim_watch_entry *e;
    bool first;
    size_t at;

    if (protected_message(message, h, &at)) {
        key = sim_watch_mix(sim_watch_mix(sa, h->flags & WIRE_FLAG_INITIATOR),
                            get_be64(message.data + at));
        e = seen_as(w, &w->ivs, key, hash, &first);
        if (e != NULL)
            SIM_WATCH_JUDGE(w, SIM_WATCH_iv_once, e->a == hash,
                            "%s %u: an IV of SA %016" PRIx64 "/%016" PRIx64
                            " protects message %u and another",
                            who, (unsigned)number, h->spi_i, h->spi_r, (unsigned)h->message_id);
    } else if (h->exchange != WIRE_EX_IKE_SA_INIT) {
        return; /* an error of a node without the SA: nothing that it says is an SA's */
    }
    if (h->spi_r == 0 || synchronizes(h))
        return; /* before the responder has chosen: cookies and other groups change the request */
    key = sim_watch_mix(sim_watch_mix(sa, h->flags & (WIRE_FLAG_INITIATOR | WIRE_FLAG_RESPONSE)),
                        h->message_id);
    e = seen_as(w, &w->copies, key, hash, &first);
    if (e != NULL)
        SIM_WATCH_JUDGE_IF(w, SIM_WATCH_same_message, !first, e->a == hash,
                           "%s %u: message %u of SA %016" PRIx64 "/%016" PRIx64
                           " (%s) leaves with other bytes",
                           who, (unsigned)number, (unsigned)h->message_id, h->spi_i, h->spi_r,
                           wire_is_response(h) ? "response" : "request");
}

void sim_watch_ike_sent(struct sim_watch *w, uint32_t node, uint32_t shard, struct span message)
{
    const struct sim_watch_node *n = sim_watch_node(w, node);
    const struct sim_watch_view *v = sim_watch_view(w, node, shard);
    const struct sim_watch_entry *e;
    struct wire_header h;
    bool may_act;
    size_t at;

    if (n == NULL || v == NULL || wire_header_decode(message, &h) != WIRE_OK)
        return; /* a keepalive is no message */
    may_act = sim_watch_may_act(w, node, shard);
    judge_bytes(w, "node", node, message, &h);
    sim_watch_judge_former(w, node, "sends a message");
    SIM_WATCH_JUDGE(w, SIM_WATCH_nothing_begun, may_act,
                    "shard %u: node %u sends message %u of SA %016" PRIx64 "/%016" PRIx64
                    ", lease %s, assignment %s",
                    (unsigned)shard, (unsigned)node, (unsigned)h.message_id, h.spi_i, h.spi_r,
                    may_act ? "held" : "over", v->mine ? "its own" : "another's");
    if (v->mine)
        sim_watch_spoke(w, node, shard, v->epoch);
    if (!protected_message(message, &h, &at))
        return;
    e = sim_watch_find(&w->messages, span_fnv1a64(message));
    SIM_WATCH_JUDGE(w, SIM_WATCH_message_committed, e != NULL && e->a <= n->applied,
                    "node %u sends message %u of SA %016" PRIx64 "/%016" PRIx64
                    " (%s), its record is %s",
                    (unsigned)node, (unsigned)h.message_id, h.spi_i, h.spi_r,
                    wire_is_response(&h) ? "response" : "request",
                    e == NULL ? "in no log" : "not applied here");
}

void sim_watch_client_sent(struct sim_watch *w, uint32_t client, struct span message)
{
    struct wire_header h;

    if (wire_header_decode(message, &h) == WIRE_OK)
        judge_bytes(w, "client", client, message, &h);
}
