/* What comes sealed, and the frames of REPL_CHANNEL_KEYS, from a stranger.
 *
 *   'm' rest       a frame: what decodes encodes to the same bytes
 *   'o' rest       as something sealed: without our key nobody made it, so it does not open
 *   'x' n text mask  text sealed by us, then bent by the mask: it opens when the mask is all zero
 */
#include <stdlib.h>

#include "crypto/tables.h"
#include "replication/seal_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_ring *ring(void)
{
    static struct seal_ring r;
    static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};
    struct seal_means means;

    if (r.node != 0)
        return &r;
    HF_ASSERT(seal_means_of(&suite_default, &means));
    seal_ring_init(&r, &means, 1, 2);
    HF_ASSERT(seal_ring_use(&r, SEAL_SESSION, seal_ring_add(&r, SEAL_SESSION, key)));
    return &r;
}

static void message(struct span in)
{
    struct seal_message m;
    uint8_t out[SEAL_MESSAGE_BYTES];

    if (!seal_message_decode(in, &m))
        return;
    HF_ASSERT(span_equal(span_of(out, seal_message_encode(&m, out)), in));
}

static void stranger(struct span in)
{
    struct seal_ring *r = ring();
    uint8_t *out = malloc(in.len + 1);
    size_t n = 0;

    HF_ASSERT(out != NULL);
    HF_ASSERT(!r->seal.open(r->seal.self, SEAL_RECORD, in, out, &n));
    free(out);
}

static void bent(const uint8_t *data, size_t size)
{
    struct seal_ring *r = ring();
    struct span text, mask;
    uint8_t sealed[256 + SEAL_OVERHEAD_BYTES], out[256 + SEAL_OVERHEAD_BYTES];
    bool same = true;
    size_t n = 0;
    size_t back = 0;
    bool opened;

    if (size < 1 || size - 1 < data[0])
        return;
    text = span_of(data + 1, data[0]);
    mask = span_of(data + 1 + text.len, size - 1 - text.len);
    HF_ASSERT(r->seal.seal(r->seal.self, SEAL_RECORD, SEAL_SESSION, 9, text, sealed, &n));
    for (size_t i = 0; i < mask.len && i < n; i++) {
        sealed[i] = (uint8_t)(sealed[i] ^ mask.data[i]);
        same = same && mask.data[i] == 0;
    }
    opened = r->seal.open(r->seal.self, SEAL_RECORD, span_of(sealed, n), out, &back);
    HF_ASSERT(opened == same);
    HF_ASSERT(!opened || span_equal(span_of(out, back), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 'm')
        message(span_of(data + 1, size - 1));
    if (data[0] == 'o')
        stranger(span_of(data + 1, size - 1));
    if (data[0] == 'x')
        bent(data + 1, size - 1);
    return 0;
}
