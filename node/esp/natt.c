#include "esp/natt.h"

#include "base/bytes.h"

enum esp_natt esp_natt_classify(struct span datagram, struct span *inner)
{
    if (datagram.len == 1 && datagram.data[0] == ESP_NATT_KEEPALIVE_BYTE)
        return ESP_NATT_KEEPALIVE;
    if (datagram.len <= ESP_NATT_MARKER_BYTES)
        return ESP_NATT_INVALID;
    if (get_be32(datagram.data) != 0) { /* an SPI is never 0 (RFC 4303 2.1) */
        *inner = datagram;
        return ESP_NATT_ESP;
    }
    *inner = span_of(datagram.data + ESP_NATT_MARKER_BYTES, datagram.len - ESP_NATT_MARKER_BYTES);
    return ESP_NATT_IKE;
}
