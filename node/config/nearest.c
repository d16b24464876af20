/* Which known word was probably meant: edit distance with swaps of neighbours (optimal string
 * alignment). */
#include "config/internal.h"

enum { LONGEST = 40 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
    unsigned row[3][LONGEST + 1];
    size_t na = strlen(a), nb = strlen(b);

    if (na > LONGEST || nb > LONGEST) {
        return LONGEST;
    }
    for (unsigned k = 0; k <= nb; k++) {
        row[0][k] = k;
        row[1][k] = 0;
        row[2][k] = 0;
    }
    for (unsigned i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

        now[0] = i;
        for (unsigned k = 1; k <= nb; k++) {
            now[k] = least(up[k - 1] + (a[i - 1] != b[k - 1]), least(up[k], now[k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                now[k] = least(now[k], up2[k - 2] + 1);
            }
        }
    }
    return row[na % 3][nb];
}

const char *nearest_word(const char *word, const char *const *words)
{
    const char *found = NULL;
    unsigned best = (unsigned)strlen(word) / 3 + 1;

    for (; *words != NULL; words++) {
        unsigned d = distance(word, *words);

        if (d <= best && d < strlen(*words)) {
            found = *words;
            best = d == 0 ? 0 : d - 1;
        }
    }
    return found;
}
