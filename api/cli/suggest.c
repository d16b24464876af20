/* Which word was meant: the edit distance with swaps (optimal string alignment). */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "api/cli/cli.h"

enum { MOST_LETTERS = 40 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned cli_distance(const char *a, const char *b)
{
    unsigned rows[3][MOST_LETTERS + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    size_t n = strnlen(a, MOST_LETTERS + 1), m = strnlen(b, MOST_LETTERS + 1);

    if (n > MOST_LETTERS || m > MOST_LETTERS) {
        return UINT_MAX;
    }
    for (size_t k = 0; k <= m; k++) {
        last[k] = (unsigned)k;
    }
    for (size_t i = 1; i <= n; i++) {
        unsigned *free_row = before;

        now[0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            now[k] = least(least(last[k], now[k - 1]) + 1, last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                now[k] = least(now[k], before[k - 2] + 1);
            }
        }
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

/* A third of the letters may be wrong, one at least, three at most. */
void cli_nearest_try(struct cli_nearest *nearest, const char *candidate, const char *before)
{
    unsigned distance = cli_distance(nearest->word, candidate);
    size_t third = strlen(nearest->word) / 3, most = third < 1 ? 1 : third > 3 ? 3 : third;

    if (distance <= most && (nearest->best == NULL || distance < nearest->distance)) {
        nearest->best = candidate;
        nearest->distance = distance;
        (void)snprintf(nearest->said, sizeof nearest->said, "%s%s", before, candidate);
    }
}
