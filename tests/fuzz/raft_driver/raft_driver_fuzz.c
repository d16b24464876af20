/* One driver, node 2 of 3, against peers that say anything: no frame of theirs may crash it or
 * break one of its assertions. (They may make it fail, by contradicting what it takes for
 * committed.)
 *
 * Input: records of  control u8 | frame length u16 | frame; control: 1 bit sender (1 or 3), 2 bits
 * what comes before (nothing, the disk completes, 20 ms, 200 ms), 1 bit take a snapshot. The
 * sender's boot and sequence are put in. The snapshot is of what was applied.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "unit/raft/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct rig *r, uint32_t from, const uint8_t *bytes, size_t len)
{
    uint8_t *frame = malloc(len == 0 ? 1 : len);
    HF_ASSERT(frame != NULL);
    if (len > 0)
        memcpy(frame, bytes, len);
    if (len >= RAFT_FRAME_HEADER_BYTES) {
        put_be64(frame + 4, from);
        put_be64(frame + 12, ++r->sequence);
        memset(frame + 20, 0,
               6); /* terms stay below 65536: ours may then rise for as long as the input lasts */
    }
    raft_driver_receive(r->driver, r->now_ms, from, span_of(frame, len));
    free(frame);
}

static bool before(struct rig *r, unsigned what)
{
    switch (what) {
    case 1:
        rig_disk(r);
        break;
    case 2:
        rig_run(r, 20);
        break;
    case 3:
        rig_run(r, 200);
        break;
    default:
        break;
    }
    return r->failed == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig r;
    rig_init(&r, 2, 3, 0);
    sim_storage_set_delay(r.storage, 5, 5);
    for (size_t at = 0; size - at >= 3;) {
        uint8_t control = data[at];
        size_t len = get_be16(data + at + 1);
        at += 3;
        len = len < size - at ? len : size - at;
        if (!before(&r, control >> 1 & 3))
            break;
        if ((control & 8) != 0)
            raft_driver_snapshot_take(r.driver, r.now_ms, r.applied, span_of("image", 5));
        feed(&r, (control & 1) != 0 ? 3 : 1, data + at, len);
        at += len;
        if (r.failed > 0)
            break;
        r.n_sent = r.n_sent > RIG_MAX_SENT / 2 ? 0 : r.n_sent;
    }
    rig_disk(&r);
    rig_deinit(&r);
    return 0;
}
