/* What shares UDP port 4500: RFC 3948 2.1-2.3 and RFC 7296 2.23. */
#ifndef HF_ESP_NATT_H
#define HF_ESP_NATT_H

#include "base/span.h"

enum { ESP_NATT_MARKER_BYTES = 4, ESP_NATT_KEEPALIVE_BYTE = 0xff };

enum esp_natt {
    ESP_NATT_IKE,       /* four zero bytes, then IKE: *inner is the IKE message */
    ESP_NATT_ESP,       /* *inner is the whole datagram, SPI first */
    ESP_NATT_KEEPALIVE, /* one byte 0xFF: ignore */
    ESP_NATT_INVALID    /* too short for any of them */
};

/* *inner is a part of the datagram, written for IKE and ESP only. */
enum esp_natt esp_natt_classify(struct span datagram, struct span *inner);

#endif
