/* The command line's cli.yaml: whatever stands in it, it is a profile or a mistake that is told. */
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *at[CLI_PLACES] = {NULL}, why[CLI_WHY_BYTES] = "";
    char *text = malloc(size + 1);
    struct cli_server server;
    bool found = false;

    HF_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (!cli_profile_parse("/x/cli.yaml", text, size, NULL, at, &found, why)) {
        HF_ASSERT(why[0] != '\0' && !found);
    }
    HF_ASSERT(found || at[CLI_AT_SERVERS] == NULL);
    HF_ASSERT(!found || (at[CLI_AT_SOCKET] == NULL) != (at[CLI_AT_SERVERS] == NULL));
    for (size_t i = 0; i < CLI_PLACES; i++) {
        free(at[i]);
    }
    if (cli_server_parse(text, strlen(text), &server)) {
        HF_ASSERT(server.host[0] != '\0' && strtol(server.port, NULL, 10) > 0);
    }
    free(text);
    return 0;
}
