/* What answers at the admin socket may be anything: as HTTP, and as JSON that a command shows. Nothing
 * breaks, each command ends with one of its four statuses.
 *
 *   first byte: 1 -o json; 2 the rest is a whole HTTP answer; then which command 1; then one answer
 *   after the other, each: length 2, JSON text (the last one is given again and again)
 */
#include <stdlib.h>
#include <string.h>

/* Its reader of answers is not for others: here it is. */
#define cli_http cli_http_of_the_socket
#define cli_http_stream cli_http_stream_of_the_socket
#include "api/cli/http.c"
#undef cli_http
#undef cli_http_stream

#include "base/assert.h"
#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

bool cli_http(const struct cli *cli, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes);

static struct {
    const uint8_t *data;
    size_t size;
    bool whole;
    uint8_t status;
} answers;

static bool parse(const uint8_t *data, size_t n, unsigned *status, json_t **body)
{
    struct reply r = {.bytes = malloc(n + 1), .n = n, .room = n + 1};
    bool good;

    HF_ASSERT(r.bytes != NULL);
    memcpy(r.bytes, data, n);
    r.bytes[n] = '\0';
    good = parse_reply(&r, status, body);
    HF_ASSERT(!good || (*status >= 100 || *status <= 999));
    free(r.bytes);
    return good;
}

/* In place of the socket. */
bool cli_http(const struct cli *cli, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes)
{
    const uint8_t *text = answers.data + 2;
    size_t n;
    json_error_t e;

    (void)cli;
    (void)request;
    HF_ASSERT(method != NULL && path[0] == '/');
    (void)snprintf(error, error_bytes, "it broke off");
    if (answers.whole)
        return parse(answers.data, answers.size, status, body);
    if (answers.size < 2)
        return false;
    n = get_be16(answers.data);
    n = n < answers.size - 2 ? n : answers.size - 2;
    *status = answers.status >= 200 ? 409 : 200;
    *body = n == 0 ? NULL : json_loadb((const char *)text, n, 0, &e);
    if (answers.size - 2 - n >= 2) {
        answers.data += 2 + n;
        answers.size -= 2 + n;
    }
    return n == 0 || *body != NULL;
}

/* All of it is a stream, in two pieces. */
enum cli_streamed cli_http_stream(const struct cli *cli, size_t server, const char *path,
                                  cli_take_fn *take, void *self, unsigned *status, json_t **body,
                                  char *error, size_t error_bytes);
enum cli_streamed cli_http_stream(const struct cli *cli, size_t server, const char *path,
                                  cli_take_fn *take, void *self, unsigned *status, json_t **body,
                                  char *error, size_t error_bytes)
{
    size_t half = answers.size / 2;
    const char *bytes = (const char *)answers.data;

    HF_ASSERT(server == 0 && path[0] == '/');
    if (answers.whole)
        return parse(answers.data, answers.size, status, body) ? CLI_STREAM_REFUSED
                                                               : CLI_STREAM_BROKE;
    (void)cli;
    (void)snprintf(error, error_bytes, "it broke off");
    return take(self, bytes, half) && take(self, bytes + half, answers.size - half)
               ? CLI_STREAM_ENDED
               : CLI_STREAM_BROKE;
}

static char *const commands[][10] = {
    {"holdfast", "cluster", "status"},
    {"holdfast", "cluster", "transfer", "2"},
    {"holdfast", "cluster", "token", "4", "10.0.0.4:7400"},
    {"holdfast", "cluster", "join", "--token", "00112233445566778899aabbccddeeff"},
    {"holdfast", "cluster", "remove", "3"},
    {"holdfast", "cluster", "replace", "3", "4", "10.0.0.4:7400"},
    {"holdfast", "cluster", "recover", "--lost", "2,3", "--force"},
    {"holdfast", "cluster", "recover"},
    {"holdfast", "cluster", "rotate-keys"},
    {"holdfast", "snapshot", "save", "/dev/null/nowhere"},
    {"holdfast", "shard", "list"},
    {"holdfast", "shard", "move", "1", "--to", "2"},
    {"holdfast", "node", "drain", "2"},
    {"holdfast", "node", "undrain", "2"},
    {"holdfast", "sa", "list"},
    {"holdfast", "sa", "rekey", "0123456789abcdef", "--kind", "child"},
    {"holdfast", "drill", "arm", "child-rekey:gateway:sent"},
    {"holdfast", "reload"},
    {"holdfast", "token", "add", "ci", "--role", "viewer"},
    {"holdfast", "token", "list"},
    {"holdfast", "token", "remove", "0123456789ab"},
    {"holdfast", "audit", "list", "--principal", "root", "--operation", "token.add"},
    {"holdfast", "attempt", "list", "--peer", "192.0.2.7", "--identity", "a b"},
    {"holdfast", "explain", "--last"},
    {"holdfast", "explain", "0001a3f20000002a"},
    {"holdfast", "events", "--after", "5.41.3"},
};

static int run(char *const *words, bool json)
{
    struct cli cli = {0};
    char *argv[14] = {NULL};
    char *text = NULL, *complaint = NULL;
    size_t text_bytes = 0, complaint_bytes = 0;
    int argc = 0, status = -1;

    while (words[argc] != NULL) {
        argv[argc] = words[argc];
        argc++;
    }
    if (json) {
        argv[argc++] = (char *)(uintptr_t) "-o";
        argv[argc++] = (char *)(uintptr_t) "json";
    }
    cli.out = open_memstream(&text, &text_bytes);
    cli.err = open_memstream(&complaint, &complaint_bytes);
    HF_ASSERT(cli.out != NULL && cli.err != NULL);
    HF_ASSERT(cli_parse(&cli, argc, argv, &status));
    status = cli.command->run(&cli);
    HF_ASSERT(fclose(cli.out) == 0 && fclose(cli.err) == 0);
    HF_ASSERT(status == CLI_DONE || complaint_bytes > 0);
    free(text);
    free(complaint);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int status;

    if (size < 2)
        return 0;
    answers.data = data + 2;
    answers.size = size - 2;
    answers.whole = (data[0] & 2) != 0;
    answers.status = data[0];
    status = run(commands[data[1] % (sizeof commands / sizeof commands[0])], (data[0] & 1) != 0);
    HF_ASSERT(status >= CLI_DONE && status <= CLI_NO_NODE);
    return 0;
}
