/* Any bytes on port 4500 are one of four things, and what is handed on lies inside of the input. */
#include <stddef.h>

#include "base/assert.h"
#include "esp/natt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span inner = {0};
    enum esp_natt kind = esp_natt_classify(span_of(data, size), &inner);

    HF_ASSERT(inner.data == NULL || inner.data + inner.len == data + size);
    HF_ASSERT(kind != ESP_NATT_IKE || inner.len == size - ESP_NATT_MARKER_BYTES);
    HF_ASSERT(kind != ESP_NATT_ESP || inner.len == size);
    HF_ASSERT((kind == ESP_NATT_KEEPALIVE) == (size == 1 && data[0] == ESP_NATT_KEEPALIVE_BYTE));
    HF_ASSERT((kind == ESP_NATT_IKE || kind == ESP_NATT_ESP) == (size > ESP_NATT_MARKER_BYTES));
    return 0;
}
