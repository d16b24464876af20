/* What swanctl writes, and lines of strongSwan's log: text of another program. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "chaos/swan_log.h"
#include "chaos/swan_sas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct swan_sas sas;
    static struct swan_log log;
    char connection[40], address[64];
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)swan_sas_parse(text, &sas);
    HF_ASSERT(sas.n_sas <= SWAN_MAX_SAS);
    log.n_children = log.n_complaints = 0;
    swan_log_line(&log, text);
    (void)swan_log_address(text, connection, sizeof connection, address, sizeof address);
    free(text);
    return 0;
}
