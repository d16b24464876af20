/* raft_frame_decode: what it takes encodes to the same bytes, and its entries can be walked. */
#include <stdlib.h>

#include "replication/raft_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct raft_frame f;
    if (!raft_frame_decode(span_of(data, size), &f))
        return 0;
    uint8_t *out = malloc(RAFT_FRAME_SMALL_BYTES + size);
    HF_ASSERT(out != NULL);
    size_t used = raft_frame_encode(&f, out);
    struct span run = f.entries;
    for (uint32_t i = 0; i < f.n_entries; i++) {
        struct repl_entry entry = raft_frame_next_entry(&run);
        HF_ASSERT(raft_entry_valid(entry.kind, entry.data));
        if (entry.kind == REPL_ENTRY_COMMAND) {
            struct span command = raft_command_get(entry.data);
            HF_ASSERT(raft_command_bytes(command.len) == entry.data.len);
        }
        used += raft_frame_encode_entry(&entry, out + used);
    }
    if (f.data.len > 0)
        memcpy(out + used, f.data.data, f.data.len);
    used += f.data.len;
    HF_ASSERT(run.len == 0 && used == size && memcmp(out, data, size) == 0);
    free(out);
    return 0;
}
