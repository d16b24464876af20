/* A small HTTP/1.1 client: one request, Connection: close, an answer with Content-Length, which is read
 * to that length and not beyond cli->limits; or a stream of events, piece by piece, to the connection's end. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/cli/stream.h"
#include "base/secret.h"

enum { MOST_TOKEN = 256, MOST_HEAD = 64 << 10 };

struct reply {
    char *bytes; /* zero-terminated */
    size_t n, room;
};

/* The value of a header within [head, end), or NULL. */
static const char *find_header(const char *head, const char *end, const char *name)
{
    const char *line = head;

    while ((line = strstr(line, "\r\n")) != NULL && line < end) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            return line + strlen(name) + 1;
        }
    }
    return NULL;
}

/* "HTTP/1.1 200 OK", headers, Content-Length in digits. False: that is not how a node speaks. *head:
 * bytes before the body; 0: there is more to come. */
static bool parse_head(const struct reply *r, unsigned *status, size_t *head, size_t *length)
{
    const char *end = r->n > 0 ? strstr(r->bytes, "\r\n\r\n") : NULL, *value;
    char *after = NULL;

    *head = 0;
    if (strncmp(r->bytes, "HTTP/1.1 ", r->n < 9 ? r->n : 9) != 0 ||
        (end == NULL && r->n > MOST_HEAD)) {
        return false;
    }
    if (end == NULL) {
        return true;
    }
    if (r->n < 13 || strspn(r->bytes + 9, "0123456789") != 3) {
        return false;
    }
    value = find_header(r->bytes, end, "Content-Length");
    if (value == NULL || find_header(r->bytes, end, "Transfer-Encoding") != NULL) {
        return false;
    }
    value += strspn(value, " \t");
    if (strspn(value, "0123456789") < 1 || strspn(value, "0123456789") > 18) {
        return false;
    }
    *length = strtoul(value, &after, 10);
    *status = (unsigned)strtoul(r->bytes + 9, NULL, 10);
    *head = (size_t)(end + 4 - r->bytes);
    return *after == '\r' && *status >= 100;
}

/* A body of exactly Content-Length bytes that is JSON or empty. */
static bool parse_reply(const struct reply *r, unsigned *status, json_t **body)
{
    size_t head, length = 0;
    json_error_t e;

    *body = NULL;
    if (!parse_head(r, status, &head, &length) || head == 0 || length != r->n - head) {
        return false;
    }
    if (length > 0) {
        *body = json_loadb(r->bytes + head, length, JSON_REJECT_DUPLICATES, &e);
    }
    return length == 0 || *body != NULL;
}

static bool grow(struct reply *r)
{
    size_t room = r->room == 0 ? 65536 : 2 * r->room;
    char *grown;

    if (r->room - r->n >= 4096) {
        return true;
    }
    grown = realloc(r->bytes, room);
    if (grown == NULL) {
        return false;
    }
    r->bytes = grown;
    r->room = room;
    return true;
}

static bool foreign(struct cli_stream *s)
{
    (void)snprintf(s->error, s->error_bytes,
                   "what answers at %s does not speak as holdfastd does: check --socket, --server",
                   s->name);
    return false;
}

/* Reads to the end that the head tells, or to the connection's. */
static bool read_all(struct cli_stream *s, struct reply *r)
{
    size_t most = s->cli->limits.most_bytes;

    for (;;) {
        size_t head = 0, length = 0;
        unsigned status;
        ssize_t got;

        if (!grow(r)) {
            (void)snprintf(s->error, s->error_bytes, "out of memory");
            return false;
        }
        got = cli_stream_read(s, r->bytes + r->n, r->room - r->n - 1);
        if (got < 0) {
            return false;
        }
        r->n += (size_t)got;
        r->bytes[r->n] = '\0';
        if (got == 0) {
            return true;
        }
        if (!parse_head(r, &status, &head, &length)) {
            return foreign(s);
        }
        if (length > most || r->n > most) {
            (void)snprintf(s->error, s->error_bytes,
                           "the answer of %s is larger than %zu bytes: it is not taken", s->name,
                           most);
            return false;
        }
        if (head > 0 && r->n >= head + length) {
            return true;
        }
    }
}

/* The token's header, or "". False: `error`. */
static bool token_header(const struct cli *cli, char out[MOST_TOKEN + 32], char *error,
                         size_t error_bytes)
{
    const char *path = cli->where.at[CLI_AT_TOKEN_FILE];
    char why[CLI_WHY_BYTES];
    size_t n = 0, len;
    char *text;

    out[0] = '\0';
    if (path == NULL || cli->where.n_servers == 0) {
        return true;
    }
    text = cli_guarded_read(path, true, 4096, &n, why);
    if (text == NULL) {
        (void)snprintf(error, error_bytes, "%s", why);
        return false;
    }
    len = strcspn(text, "\r\n");
    if (len < 1 || len > MOST_TOKEN ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") <
            len) {
        (void)snprintf(error, error_bytes, "%s: its first line is no token (hf_...)", path);
        len = 0;
    } else {
        (void)snprintf(out, MOST_TOKEN + 32, "Authorization: Bearer %.*s\r\n", (int)len, text);
    }
    secret_wipe_bytes(text, n);
    free(text);
    return len > 0;
}

/* malloc'd; it may hold a token. */
static char *make_request(const struct cli_stream *s, const char *method, const char *path,
                          json_t *request, const char *token, size_t *len)
{
    char *body = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL, *text = NULL;
    int n = asprintf(
        &text,
        "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
        method, path, s->tls != NULL ? s->name : "holdfast",
        strcmp(method, "DELETE") == 0 ? "If-Match: *\r\n" : "",
        body != NULL ? "Content-Type: application/json\r\n" : "", token,
        body != NULL ? strlen(body) : 0, body != NULL ? body : "");

    if (body != NULL) {
        secret_wipe_bytes(body, strlen(body));
    }
    free(body);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? text : NULL;
}

/* The end of an exchange: the request (NULL: none was made) and its header have the token in them. */
static void end(struct cli_stream *s, struct reply *reply, char *text, size_t len,
                char token[MOST_TOKEN + 32])
{
    if (text != NULL) {
        secret_wipe_bytes(text, len);
    }
    secret_wipe_bytes(token, MOST_TOKEN + 32);
    free(text);
    free(reply->bytes);
    cli_stream_close(s);
}

enum outcome { ANSWERED, NOT_REACHED, BROKE_OFF };

static enum outcome ask_one(const struct cli *cli, size_t server, const char *method,
                            const char *path, json_t *request, unsigned *status, json_t **body,
                            char *error, size_t error_bytes)
{
    struct cli_stream s;
    struct reply reply = {0};
    enum outcome outcome = BROKE_OFF;
    char token[MOST_TOKEN + 32];
    size_t len = 0;
    char *text;

    if (!token_header(cli, token, error, error_bytes) ||
        !cli_stream_open(&s, cli, server, error, error_bytes)) {
        return NOT_REACHED;
    }
    text = make_request(&s, method, path, request, token, &len);
    if (text == NULL) {
        (void)snprintf(error, error_bytes, "out of memory");
    } else if (!cli_stream_write(&s, text, len) || !read_all(&s, &reply)) {
        /* it was said */
    } else if (reply.n == 0) {
        (void)snprintf(error, error_bytes,
                       cli->where.n_servers > 0
                           ? "holdfastd at %s closed without an answer: see its log"
                           : "holdfastd at %s closed without an answer: only root may ask, and 32 "
                             "at a time",
                       s.name);
    } else if (!parse_reply(&reply, status, body)) {
        (void)foreign(&s);
    } else {
        outcome = ANSWERED;
    }
    end(&s, &reply, text, len, token);
    return outcome;
}

/* Is it the answer that was wished for? *head: bytes before its body. */
static bool is_stream(const struct reply *r, size_t *head)
{
    const char *end = strstr(r->bytes, "\r\n\r\n");
    const char *type = end != NULL ? find_header(r->bytes, end, "Content-Type") : NULL;

    if (type == NULL || strncmp(r->bytes, "HTTP/1.1 200 ", 13) != 0 ||
        find_header(r->bytes, end, "Transfer-Encoding") != NULL) {
        return false;
    }
    type += strspn(type, " \t");
    *head = (size_t)(end + 4 - r->bytes);
    return strncmp(type, "text/event-stream\r", 18) == 0;
}

static bool read_head(struct cli_stream *s, struct reply *r)
{
    while (r->n == 0 || strstr(r->bytes, "\r\n\r\n") == NULL) {
        ssize_t got;

        if (!grow(r) || r->n > MOST_HEAD) {
            return foreign(s);
        }
        got = cli_stream_read(s, r->bytes + r->n, r->room - r->n - 1);
        if (got <= 0) {
            return got == 0 && foreign(s);
        }
        r->n += (size_t)got;
        r->bytes[r->n] = '\0';
    }
    return true;
}

static enum cli_streamed read_stream(struct cli_stream *s, struct reply *r, size_t head,
                                     cli_take_fn *take, void *self)
{
    bool more = take(self, r->bytes + head, r->n - head);

    while (more) {
        ssize_t got = cli_stream_read(s, r->bytes, r->room);

        if (got <= 0) {
            return got == 0 ? CLI_STREAM_ENDED : CLI_STREAM_BROKE;
        }
        more = take(self, r->bytes, (size_t)got);
    }
    (void)foreign(s);
    return CLI_STREAM_BROKE;
}

enum cli_streamed cli_http_stream(const struct cli *cli, size_t server, const char *path,
                                  cli_take_fn *take, void *self, unsigned *status, json_t **body,
                                  char *error, size_t error_bytes)
{
    struct cli_stream s;
    struct reply reply = {0};
    enum cli_streamed how = CLI_STREAM_BROKE;
    char token[MOST_TOKEN + 32];
    size_t len = 0, head = 0;
    char *text;

    if (!token_header(cli, token, error, error_bytes) ||
        !cli_stream_open(&s, cli, server, error, error_bytes)) {
        return CLI_STREAM_BROKE;
    }
    text = make_request(&s, "GET", path, NULL, token, &len);
    if (text != NULL && cli_stream_write(&s, text, len) && read_head(&s, &reply)) {
        if (is_stream(&reply, &head)) {
            how = read_stream(&s, &reply, head, take, self);
        } else if (read_all(&s, &reply) && parse_reply(&reply, status, body)) {
            how = CLI_STREAM_REFUSED;
        } else {
            (void)foreign(&s);
        }
    }
    end(&s, &reply, text, len, token);
    return how;
}

/* What was asked to change something may have done so where the answer was lost: it is not asked again
 * elsewhere. */
bool cli_http(const struct cli *cli, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes)
{
    size_t n = cli->where.n_servers > 0 ? cli->where.n_servers : 1;
    bool reads = strcmp(method, "GET") == 0;

    for (size_t i = 0; i < n; i++) {
        enum outcome outcome =
            ask_one(cli, i, method, path, request, status, body, error, error_bytes);

        if (outcome == ANSWERED) {
            return true;
        }
        if (outcome == BROKE_OFF && !reads) {
            size_t len = strlen(error);

            (void)snprintf(error + len, error_bytes - len,
                           "; whether it was done is not known: look before you ask again");
            return false;
        }
        if (i + 1 < n) {
            (void)fprintf(cli->err, "holdfast: %s; the next server is asked\n", error);
        }
    }
    return false;
}
