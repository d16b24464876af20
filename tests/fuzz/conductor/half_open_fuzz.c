/* A client's handshake has begun at the owner; what the owner copies of it to the other nodes' memory
 * arrives there changed, or made up. Another node takes the shard over, and the client goes on with what
 * that one has: an algorithm that nobody knows, a shard that is not there, children, a request of its
 * own. Nothing breaks; no record is submitted for what only a copy says; time ends each of them.
 *
 *   ops: what 1, then
 *     0..2  a copy: node 1 | edits 1, each: field 1, value 2
 *     3     a copy of raw bytes: node 1 | n 2 | n bytes
 *     4     time passes: 2 (ms)
 *     5     the shard goes to: node 1
 *     6     a datagram to the owner with the SPIs of the copy: exchange 1 | flags 1 | n 1 | n bytes
 *     7     bytes of the encoded copy changed: node 1 | n 1, each: place 2, mask 1
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "conductor/internal.h"
#include "fuzz/take.h"
#include "ike/step.h"
#include "unit/conductor/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS = 24, HALF_OPEN_MS = 300000 };

static uint16_t take_u16(struct in *in)
{
    unsigned high = take(in);

    return (uint16_t)(high << 8 | take(in));
}

/* --- the copy --- */

enum width { W1, W2, W4, W8, FLAG, BELOW };

struct field {
    size_t at;
    enum width width;
    unsigned below; /* BELOW: an enum's, kept as int */
};

#define AT(member) offsetof(struct ike_sa, member)

static const struct field fields[] = {
    {AT(local_spi), W8, 0},
    {AT(remote_spi), W8, 0},
    {AT(role), BELOW, IKE_RESPONDER + 1},
    {AT(state), BELOW, IKE_SA_ENDED + 1},
    {AT(shard), W4, 0},
    {AT(nat_local), FLAG, 0},
    {AT(nat_remote), FLAG, 0},
    {AT(encap), FLAG, 0},
    {AT(encr_id), W2, 0},
    {AT(encr_bits), W2, 0},
    {AT(integ_id), W2, 0},
    {AT(prf_id), W2, 0},
    {AT(ke_id), W2, 0},
    {AT(keys.sk_d.len), W1, 0},
    {AT(keys.sk_e_in.len), W1, 0},
    {AT(keys.sk_e_out.len), W1, 0},
    {AT(keys.sk_a_in.len), W1, 0},
    {AT(keys.sk_p_in.len), W1, 0},
    {AT(iv_next), W8, 0},
    {AT(next_request_id), W4, 0},
    {AT(expected_request_id), W4, 0},
    {AT(last_response.len), W2, 0},
    {AT(sync_agreed), FLAG, 0},
    {AT(sync_floor), W4, 0},
    {AT(pending.exchange), BELOW, IKE_EX_INFORMATIONAL + 1},
    {AT(pending.message_id), W4, 0},
    {AT(pending.ke_id), W2, 0},
    {AT(pending.child_spi_in), W4, 0},
    {AT(pending.request.len), W2, 0},
    {AT(candidate.local_spi), W8, 0},
    {AT(candidate.settled), FLAG, 0},
    {AT(candidate.encr_id), W2, 0},
    {AT(remote_id.type), W1, 0},
    {AT(remote_id.len), W1, 0},
    {AT(virtual_ip[0].family), W1, 0},
    {AT(virtual_ip[0].bytes[3]), W1, 0},
    {AT(connection), W4, 0},
    {AT(created_ms), W8, 0},
    {AT(soft_ms), W8, 0},
    {AT(hard_ms), W8, 0},
    {AT(linger_until_ms), W8, 0},
    {AT(successor_spi), W8, 0},
    {AT(wanted), W4, 0},
    {AT(children[0].state), BELOW, IKE_CHILD_DELETING + 1},
    {AT(children[0].spi_in), W4, 0},
    {AT(children[0].encr_id), W2, 0},
    {AT(children[0].outbound), FLAG, 0},
    {AT(n_owed_deletes), W1, 0},
    {AT(handshake.init_request.len), W2, 0},
    {AT(handshake.init_response.len), W2, 0},
    {AT(handshake.nonce_i_len), W2, 0},
    {AT(handshake.nonce_r_len), W2, 0},
    {AT(handshake.ke_id), W2, 0},
    {AT(handshake.ke_private.len), W1, 0},
    {AT(handshake.cookie_len), W1, 0},
    {AT(handshake.child_spi_in), W4, 0},
    {AT(handshake.init_tries), W1, 0},
    {AT(remote.port), W2, 0},
    {AT(remote.ip.family), W1, 0},
};

static void edit(struct ike_sa *sa, uint8_t which, uint16_t value)
{
    const struct field *f = &fields[which % (sizeof fields / sizeof fields[0])];
    uint8_t *at = (uint8_t *)sa + f->at;
    uint64_t wide = value >= 0xff00 ? UINT64_MAX - (value & 0xff) : value;
    unsigned below = f->below == 0 ? 0 : value % f->below;
    uint8_t one = (uint8_t)value;

    switch (f->width) {
    case W1:
        *at = one;
        break;
    case FLAG:
        *at = value & 1;
        break;
    case W2:
        memcpy(at, &value, 2);
        break;
    case W4:
        memcpy(at, &wide, 4);
        break;
    case W8:
        memcpy(at, &wide, 8);
        break;
    case BELOW:
    default:
        memcpy(at, &below, sizeof below);
        break;
    }
}

/* Does every length fit its room, so that it encodes? The encoder trusts its own program. */
static bool encodes(const struct ike_sa *sa)
{
    const struct secret *keys[] = {&sa->keys.sk_d,    &sa->keys.sk_e_in, &sa->keys.sk_e_out,
                                   &sa->keys.sk_a_in, &sa->keys.sk_p_in, &sa->handshake.ke_private};
    bool ok = sa->last_response.len <= sizeof sa->last_response.bytes &&
              sa->pending.request.len <= sizeof sa->pending.request.bytes &&
              sa->remote_id.len <= sizeof sa->remote_id.bytes &&
              sa->n_owed_deletes <= IKE_MAX_CHILDREN &&
              sa->handshake.init_request.len <= sizeof sa->handshake.init_request.bytes &&
              sa->handshake.init_response.len <= sizeof sa->handshake.init_response.bytes &&
              sa->handshake.nonce_i_len <= sizeof sa->handshake.nonce_i &&
              sa->handshake.nonce_r_len <= sizeof sa->handshake.nonce_r &&
              sa->handshake.cookie_len <= sizeof sa->handshake.cookie &&
              (addr_len(&sa->remote.ip) > 0 || sa->remote.ip.family == ADDR_NONE) &&
              (addr_len(&sa->virtual_ip[0]) > 0 || sa->virtual_ip[0].family == ADDR_NONE);

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ok = ok && keys[i]->len <= sizeof keys[i]->bytes;
    return ok;
}

static void give(struct world *w, unsigned node, struct span bytes)
{
    uint8_t *exact = malloc(bytes.len + 1);
    struct repl_event frame = {.kind = REPL_EV_FRAME,
                               .channel = REPL_CHANNEL_HALF_OPEN,
                               .node = 1,
                               .bytes = exact,
                               .bytes_len = bytes.len};

    HF_ASSERT(exact != NULL);
    if (bytes.len > 0)
        memcpy(exact, bytes.data, bytes.len);
    conductor_handle_replication(w->nodes[node % WORLD_CLIENT].conductor, &frame);
    free(exact);
}

/* --- the world --- */

static struct ike_sa template;
static uint8_t template_bytes[IKE_SA_ENCODED_MAX];
static size_t template_len;

static struct world *begin(void)
{
    struct world *w = world_create(NULL);
    const struct conductor_sa *sa = world_answered(w);

    HF_ASSERT(ike_sa_decode(span_of(sa->state, sa->state_len), &template));
    memcpy(template_bytes, sa->state, sa->state_len);
    template_len = sa->state_len;
    w->drop_to_client = 0;
    return w;
}

static void copy_edited(struct world *w, struct in *in)
{
    static struct ike_sa sa;
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    unsigned node = take(in), edits = take(in) % 8;
    size_t len;

    sa = template;
    for (unsigned i = 0; i < edits; i++) {
        uint8_t which = take(in);

        edit(&sa, which, take_u16(in));
    }
    if (encodes(&sa) && ike_sa_encode(&sa, bytes, sizeof bytes, &len))
        give(w, node, span_of(bytes, len));
}

static void copy_bent(struct world *w, struct in *in)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    unsigned node = take(in), n = take(in) % 16;

    memcpy(bytes, template_bytes, template_len);
    for (unsigned i = 0; i < n; i++) {
        size_t at = take_u16(in) % template_len;

        bytes[at] ^= take(in);
    }
    give(w, node, span_of(bytes, template_len));
}

static void datagram(struct world *w, struct in *in)
{
    struct endpoint to = template.local, from = template.remote;
    uint8_t bytes[28 + 256] = {0};
    size_t n;

    put_be64(bytes, template.remote_spi);
    put_be64(bytes + 8, template.local_spi);
    bytes[16] = 46; /* Encrypted and Authenticated */
    bytes[17] = 0x20;
    bytes[18] = 34 + take(in) % 4u;
    bytes[19] = take(in);
    bytes[23] = 1;
    n = take(in);
    n = n < in->size ? n : in->size;
    memcpy(bytes + 28, in->data, n);
    in->data += n;
    in->size -= n;
    put_be32(bytes + 24, (uint32_t)(28 + n));
    conductor_handle_datagram(w->nodes[w->owner].conductor, WORLD_SHARD, &to, &from, false,
                              span_of(bytes, 28 + n));
}

static void step(struct world *w, struct in *in)
{
    size_t n;
    unsigned node;

    switch (take(in) % 8) {
    default:
        copy_edited(w, in);
        break;
    case 3:
        node = take(in);
        n = take_u16(in);
        n = n < in->size ? n : in->size;
        give(w, node, span_of(in->data, n));
        in->data += n;
        in->size -= n;
        break;
    case 4:
        world_run(w, take_u16(in) % 20000);
        break;
    case 5:
        world_assign(w, take(in) % WORLD_CLIENT);
        break;
    case 6:
        datagram(w, in);
        break;
    case 7:
        copy_bent(w, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct in in = {data, size};
    struct world *w = begin();

    for (int i = 0; i < OPS && in.size > 0; i++)
        step(w, &in);
    world_run(w, HALF_OPEN_MS);
    for (unsigned i = 0; i < WORLD_CLIENT; i++)
        HF_ASSERT(conductor_count_half_open(w->nodes[i].conductor) == 0);
    HF_ASSERT(w->copies_differ == 0 && w->grants_overlap == 0);
    world_destroy(w);
    return 0;
}
