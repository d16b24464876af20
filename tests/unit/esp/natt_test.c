/* Port 4500: IKE, ESP, keepalives and rubbish. */
#include <criterion/criterion.h>

#include "esp/natt.h"

Test(natt, classify)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
        enum esp_natt want;
        size_t inner;
    } table[] = {
        {{0}, 0, ESP_NATT_INVALID, 0},
        {{0xff}, 1, ESP_NATT_KEEPALIVE, 0},
        {{0xfe}, 1, ESP_NATT_INVALID, 0},
        {{0xff, 0xff}, 2, ESP_NATT_INVALID, 0},
        {{0, 0, 0, 0}, 4, ESP_NATT_INVALID, 0},
        {{1, 2, 3, 4}, 4, ESP_NATT_INVALID, 0},
        {{0, 0, 0, 0, 9}, 5, ESP_NATT_IKE, 1},
        {{0, 0, 0, 1, 9}, 5, ESP_NATT_ESP, 5},
        {{0xff, 0xff, 0xff, 0xff, 1, 2, 3}, 7, ESP_NATT_ESP, 7},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct span inner = {0};

        cr_assert_eq(esp_natt_classify(span_of(table[i].bytes, table[i].len), &inner),
                     table[i].want, "row %zu", i);
        cr_assert_eq(inner.len, table[i].inner, "row %zu", i);
    }
}
