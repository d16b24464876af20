#include "verdict.h"

#include <string.h>

static enum verdict worse(enum verdict a, enum verdict b)
{
    static const int rank[] = {
        [VERDICT_PASS] = 0, [VERDICT_INCONCLUSIVE] = 1, [VERDICT_ABORTED] = 2, [VERDICT_FAIL] = 3};

    return rank[a] >= rank[b] ? a : b;
}

static enum verdict of_cell(const json_t *cell)
{
    const char *v = json_string_value(json_object_get(cell, "verdict"));

    for (unsigned i = VERDICT_PASS; v && i <= VERDICT_ABORTED; i++) {
        if (strcmp(v, verdict_word((enum verdict)i)) == 0)
            return (enum verdict)i;
    }
    return VERDICT_ABORTED;
}

enum verdict verdict_of_cells(const json_t *cells, size_t planned)
{
    enum verdict v = VERDICT_PASS;
    const json_t *cell;
    size_t i;

    json_array_foreach(cells, i, cell) v = worse(v, of_cell(cell));
    if (planned == 0 || json_array_size(cells) != planned)
        v = worse(v, VERDICT_ABORTED);
    return v;
}

const char *verdict_word(enum verdict v)
{
    static const char *const words[] = {"pass", "fail", "inconclusive", "aborted"};

    return words[v];
}
