/* How many requests an address may make: a bucket that fills with `rate` a second up to `burst`. The
 * table is bounded: an address has PROBES places, and takes that of who was silent for longest. */
#include <string.h>

#include "api/http.h"

enum { PROBES = 8, MILLI = 1000 };

static uint64_t place_of(const uint8_t address[API_ADDRESS_BYTES])
{
    return span_fnv1a64(span_of(address, API_ADDRESS_BYTES));
}

bool api_rate_take(struct api_rate *r, const uint8_t address[API_ADDRESS_BYTES], uint64_t now_ms,
                   uint64_t *wait_ms)
{
    uint64_t at = place_of(address), most = (uint64_t)r->burst * MILLI, gained;
    size_t found = at % API_RATE_ENTRIES;

    if (r->rate == 0) {
        return true;
    }
    for (size_t i = 0; i < PROBES; i++) {
        size_t k = (at + i) % API_RATE_ENTRIES;

        if (r->entries[k].used && memcmp(r->entries[k].address, address, API_ADDRESS_BYTES) == 0) {
            found = k;
            break;
        }
        if (!r->entries[k].used ||
            (r->entries[found].used && r->entries[k].at_ms < r->entries[found].at_ms)) {
            found = k;
        }
    }
    if (!r->entries[found].used ||
        memcmp(r->entries[found].address, address, API_ADDRESS_BYTES) != 0) {
        memcpy(r->entries[found].address, address, API_ADDRESS_BYTES);
        r->entries[found].used = true;
        r->entries[found].milli = most;
        r->entries[found].at_ms = now_ms;
    }
    gained = (now_ms - r->entries[found].at_ms) * r->rate;
    gained += r->entries[found].milli;
    r->entries[found].milli = gained < most ? gained : most;
    r->entries[found].at_ms = now_ms;
    if (r->entries[found].milli < MILLI) {
        *wait_ms = (MILLI - r->entries[found].milli + r->rate - 1) / r->rate;
        return false;
    }
    r->entries[found].milli -= MILLI;
    return true;
}
