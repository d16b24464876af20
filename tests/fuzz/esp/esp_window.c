/* A handover's windows: any bytes are refused or make a window that a gate can go on from. */
#include <stdlib.h>

#include "esp/gate.h"
#include "esp/window.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct span rest = {data, len};
    struct esp_window w, again;
    uint8_t bytes[ESP_WINDOW_MAX_BYTES];
    size_t used = 0;

    while (esp_window_decode(rest, &w, &used)) {
        struct esp_gate g;
        size_t n = esp_window_encode(&w, bytes), same = 0;

        if (used == 0 || used > rest.len || !esp_window_decode(span_of(bytes, n), &again, &same) ||
            same != n || memcmp(&w.replay, &again.replay, sizeof w.replay) != 0)
            abort();
        if (w.replay.top < UINT64_MAX - 4096) {
            esp_gate_init(&g);
            esp_gate_grant_exact(&g, 1, w.floor, &w.replay, w.replay.top + 3000);
            for (uint64_t i = 1; i <= 2100; i += 7)
                if (esp_gate_mark(&g, w.replay.top + i) != ESP_GATE_ACCEPT)
                    abort();
        }
        rest = span_of(rest.data + used, rest.len - used);
    }
    return 0;
}
