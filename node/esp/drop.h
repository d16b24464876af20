/* Why a packet went no further. One list for both directions, so that counters, logs and the admin
 * interface use the same names. */
#ifndef HF_ESP_DROP_H
#define HF_ESP_DROP_H

enum esp_drop {
    ESP_DROP_NONE,
    ESP_DROP_MALFORMED,   /* shorter than an ESP packet can be, or an inner packet that is none */
    ESP_DROP_REPLAYED,    /* number seen before */
    ESP_DROP_OLD,         /* number left of the window */
    ESP_DROP_ICV,         /* the integrity value did not hold */
    ESP_DROP_PADDING,     /* verified, but the trailer is wrong (RFC 4303 2.4) */
    ESP_DROP_BELOW_FLOOR, /* verified, at or below what an earlier owner may have accepted: the
                             replay-recovery counter */
    ESP_DROP_DUMMY,       /* verified, next header 59: meant to be dropped (RFC 4303 2.6) */
    ESP_DROP_NEXT_HEADER, /* verified, neither IPv4 nor IPv6 inside */
    ESP_DROP_SELECTORS,   /* verified or to be sealed, but outside of the traffic selectors */
    ESP_DROP_NO_LEASE, /* no lease for the shard, or a grant of another epoch: fail closed (I13) */
    ESP_DROP_NO_NUMBERS, /* reservation used up and the waiting queue full or its time over */
    ESP_DROP_EXHAUSTED,  /* no number left below 2^32 (2^64 with ESN): I1c */
    ESP_DROP_HARD_LIMIT, /* hard packet limit */
    ESP_DROP_CEILING, /* verified, above the ceiling, and the waiting queue full or its time over */
    ESP_DROP_TOO_BIG, /* does not fit in the buffer */
    ESP_DROP_CIPHER,  /* the cipher refused to seal */
    ESP_DROP_WAIT,    /* no drop: the packet waits for a reservation or a ceiling */
    ESP_DROP_COUNT
};

/* "replayed", "below-floor", ...: for metrics and the admin interface. Static. */
const char *esp_drop_name(enum esp_drop d);

#endif
