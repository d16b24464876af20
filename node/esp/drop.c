#include "esp/drop.h"

const char *esp_drop_name(enum esp_drop d)
{
    static const char *const names[ESP_DROP_COUNT] = {
        [ESP_DROP_NONE] = "none",
        [ESP_DROP_MALFORMED] = "malformed",
        [ESP_DROP_REPLAYED] = "replayed",
        [ESP_DROP_OLD] = "old",
        [ESP_DROP_ICV] = "icv",
        [ESP_DROP_PADDING] = "padding",
        [ESP_DROP_BELOW_FLOOR] = "below-floor",
        [ESP_DROP_DUMMY] = "dummy",
        [ESP_DROP_NEXT_HEADER] = "next-header",
        [ESP_DROP_SELECTORS] = "selectors",
        [ESP_DROP_NO_LEASE] = "no-lease",
        [ESP_DROP_NO_NUMBERS] = "no-numbers",
        [ESP_DROP_EXHAUSTED] = "exhausted",
        [ESP_DROP_HARD_LIMIT] = "hard-limit",
        [ESP_DROP_CEILING] = "ceiling",
        [ESP_DROP_TOO_BIG] = "too-big",
        [ESP_DROP_CIPHER] = "cipher",
        [ESP_DROP_WAIT] = "wait",
    };

    return (unsigned)d < ESP_DROP_COUNT ? names[d] : "unknown";
}
