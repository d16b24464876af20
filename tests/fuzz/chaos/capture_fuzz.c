/* A frame of the outside bridge: what is decoded lies inside it, and the relay decides about it. */
#include <stdlib.h>

#include "base/assert.h"
#include "chaos/capture.h"
#include "chaos/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct relay_settings settings = {.rules = {{.ways = RELAY_ALL_WAYS,
                                                              .classes = RELAY_ALL_CLASSES,
                                                              .loss = 30,
                                                              .jitter_ms = 3}},
                                                   .n_rules = 1};
    struct span frame = span_of(data, size);
    struct capture cap = {0};
    struct relay_core core;
    struct relay_packet packet;
    struct relay_fate fate;

    if (capture_add(&cap, 1, 1, true, frame, size)) {
        struct span message = capture_message(&cap, &cap.frames[0]);

        HF_ASSERT(cap.frames[0].kind != CAPTURE_IKE || message.len >= 28);
        HF_ASSERT(cap.frames[0].message_at + (size_t)cap.frames[0].message_len <= size);
    }
    capture_deinit(&cap);
    relay_core_init(&core, &settings, 1);
    core.impairs = true;
    (void)relay_catch_set(&core, RELAY_HOLD, RELAY_IN, RELAY_CREATE_CHILD, false, 1);
    relay_classify(RELAY_IN, frame, &packet);
    HF_ASSERT(packet.class < RELAY_CLASSES);
    relay_decide(&core, &packet, &fate);
    HF_ASSERT(fate.copies <= 2);
    return 0;
}
