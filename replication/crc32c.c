#include "replication/crc32c.h"

#include <pthread.h>
#include <string.h>

enum { POLYNOMIAL_BITS = 8, SLICES = 8 };

static const uint32_t reflected_polynomial = 0x82f63b78u;
static uint32_t table[SLICES][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < POLYNOMIAL_BITS; bit++)
            c = (c & 1) ? (c >> 1) ^ reflected_polynomial : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int s = 1; s < SLICES; s++)
            table[s][i] = (table[s - 1][i] >> 8) ^ table[0][table[s - 1][i] & 0xff];
}

/* Eight bytes a turn, one table per byte position. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    (void)pthread_once(&once, fill_table);
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
              table[4][crc >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    for (; n > 0; n--, p++)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return ~crc;
}
