/* A drill's YAML: a good one expands to cells, a bad one has a place. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "chaos/drill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[DRILL_ERROR], *text = malloc(size + 1);
    struct drill_cell *cells = NULL;
    struct drill d;
    size_t n = 0;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (drill_parse_text(&d, "f", text, error)) {
        HF_ASSERT(d.clients >= d.shards && d.relay.n_rules <= RELAY_MAX_RULES);
        HF_ASSERT(drill_cells(&d, &cells, &n) && n > 0);
    } else {
        HF_ASSERT(strncmp(error, "f:", 2) == 0);
    }
    free(cells);
    free(text);
    return 0;
}
