/* A snapshot from a stranger: refused, or a state that encodes and restores to itself. (Items
 * before a footer are taken in one by one, so they are all looked at although the digest then
 * refuses them.) */
#include <stdlib.h>

#include "base/bytes.h"
#include "replication/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fsm fsm;
    struct fsm again;

    if (snapshot_restore(span_of(data, size), &seal_none, 1, &fsm)) {
        size_t n = 0;
        uint8_t *bytes = snapshot_encode(&fsm, &seal_none, &n);

        HF_ASSERT(bytes != NULL);
        HF_ASSERT(snapshot_restore(span_of(bytes, n), &seal_none, 1, &again));
        HF_ASSERT(digest_equal(fsm_digest(&fsm), fsm_digest(&again)));
        free(bytes);
        fsm_deinit(&again);
        fsm_deinit(&fsm);
    }
    return 0;
}
