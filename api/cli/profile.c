/* ~/.config/holdfast/cli.yaml: which servers there are, and how they are asked. Strict: a key that is
 * not known is a mistake, told with its line and column.
 *
 *   default: office                 # optional
 *   profiles:
 *     office:
 *       servers: [gw1.example.org:8443, gw2.example.org:8443]
 *       ca: ca.pem                  # files are beside this one unless they begin with /
 *       token_file: office.token    # or cert and key
 *     here: { socket: /run/holdfast/admin.sock }
 */
#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/cli/where.h"
#include "base/secret.h"
#include "base/yaml_text.h"

enum { MOST_PROFILES = 64, MOST_FILE = 64 << 10, MOST_LIST = 2048 };

static const char *const keys[CLI_PLACES] = {"socket", "servers", "ca",
                                             "cert",   "key",     "token_file"};

struct profile {
    char *name;
    char *at[CLI_PLACES];
};

struct reader {
    struct fy_parser *parser;
    struct fy_event *event; /* the next one; NULL: none */
    const char *path;
    char *why;
    char *chosen; /* `default` */
    struct profile profiles[MOST_PROFILES];
    size_t n;
};

static bool fail_at(struct reader *r, const struct fy_mark *mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail_at(struct reader *r, const struct fy_mark *mark, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->why, CLI_WHY_BYTES, "%.500s:%d:%d: ", r->path,
                     mark != NULL ? mark->line + 1 : 1, mark != NULL ? mark->column + 1 : 1);

    va_start(args, format);
    (void)vsnprintf(r->why + n, (size_t)(CLI_WHY_BYTES - n), format, args);
    va_end(args);
    return false;
}

static const struct fy_mark *mark_of(const struct reader *r)
{
    return r->event != NULL ? fy_event_start_mark(r->event) : NULL;
}

static void advance(struct reader *r)
{
    if (r->event != NULL) {
        fy_parser_event_free(r->parser, r->event);
    }
    r->event = fy_parser_parse(r->parser);
}

static bool is(const struct reader *r, enum fy_event_type type)
{
    return r->event != NULL && r->event->type == type;
}

/* The next one must be of that type; it is passed. */
static bool pass(struct reader *r, enum fy_event_type type, const char *wanted)
{
    if (!is(r, type)) {
        return fail_at(r, mark_of(r), r->event == NULL ? "this is no YAML%.0s" : "here must be %s",
                       wanted);
    }
    if (type == FYET_MAPPING_START &&
        (r->event->mapping_start.anchor != NULL || r->event->mapping_start.tag != NULL)) {
        return fail_at(r, mark_of(r), "anchors and tags are not taken here");
    }
    advance(r);
    return true;
}

/* Piece by piece: fy_token_get_text() of libfyaml 0.7.12 leaks. */
static char *copy_text(struct fy_token *token)
{
    struct fy_token_iter *iter = fy_token_iter_create(token);
    const struct fy_iter_chunk *chunk = NULL;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    while (iter != NULL && out != NULL &&
           (chunk = fy_token_iter_chunk_next(iter, chunk, NULL)) != NULL) {
        (void)fwrite(chunk->str, 1, chunk->len, out);
    }
    fy_token_iter_destroy(iter);
    if (out == NULL || fclose(out) != 0 || strlen(text) != bytes) {
        free(text);
        return NULL; /* a zero byte, or no memory */
    }
    return text;
}

/* A text; the caller frees it. NULL: it was said. */
static char *scalar(struct reader *r, const char *wanted)
{
    char *text;

    if (!is(r, FYET_SCALAR) || r->event->scalar.anchor != NULL || r->event->scalar.tag != NULL) {
        (void)fail_at(r, mark_of(r), r->event == NULL ? "this is no YAML%.0s" : "here must be %s",
                      wanted);
        return NULL;
    }
    text = copy_text(r->event->scalar.value);
    if (text == NULL || text[0] == '\0') {
        (void)fail_at(r, mark_of(r), "here must be %s", wanted);
        free(text);
        return NULL;
    }
    advance(r);
    return text;
}

/* Files are beside the one that names them. */
static char *beside(const char *path, char *file)
{
    const char *slash = strrchr(path, '/');
    char *out = NULL;

    if (file[0] == '/' || slash == NULL) {
        return file;
    }
    if (asprintf(&out, "%.*s/%s", (int)(slash - path), path, file) < 0) {
        out = NULL;
    }
    free(file);
    return out;
}

/* [a:1, b:2], or one text with commas. */
static char *servers(struct reader *r)
{
    char list[MOST_LIST] = "";
    size_t n = 0;

    if (!is(r, FYET_SEQUENCE_START)) {
        return scalar(r, "a list of HOST:PORT");
    }
    advance(r);
    while (!is(r, FYET_SEQUENCE_END)) {
        char *one = scalar(r, "HOST:PORT");

        if (one == NULL) {
            return NULL;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n > 0 ? "," : "", one);
        free(one);
        if (n >= sizeof list) {
            (void)fail_at(r, mark_of(r), "the list is too long");
            return NULL;
        }
    }
    if (n == 0) {
        (void)fail_at(r, mark_of(r), "the list is empty");
        return NULL;
    }
    advance(r);
    return strdup(list);
}

static bool refuse_key(struct reader *r, const struct fy_mark *mark, const char *key,
                       const char *const *known, size_t n)
{
    struct cli_nearest nearest = {.word = key};

    for (size_t i = 0; i < n; i++) {
        cli_nearest_try(&nearest, known[i], "");
    }
    return fail_at(r, mark,
                   nearest.best != NULL ? "unknown key '%.80s': did you mean '%s'?"
                                        : "unknown key '%.80s'%s",
                   key, nearest.said);
}

static bool read_field(struct reader *r, struct profile *p, const char *key,
                       const struct fy_mark *mark)
{
    for (size_t i = 0; i < CLI_PLACES; i++) {
        if (strcmp(key, keys[i]) != 0) {
            continue;
        }
        if (p->at[i] != NULL) {
            return fail_at(r, mark, "'%s' stands here twice", key);
        }
        p->at[i] = i == CLI_AT_SERVERS ? servers(r) : scalar(r, "a path");
        if (p->at[i] != NULL && i != CLI_AT_SERVERS) {
            p->at[i] = beside(r->path, p->at[i]);
        }
        return p->at[i] != NULL;
    }
    return refuse_key(r, mark, key, keys, CLI_PLACES);
}

static bool read_profile(struct reader *r, struct profile *p, const struct fy_mark *at)
{
    if (!pass(r, FYET_MAPPING_START, "what the profile consists of")) {
        return false;
    }
    while (!is(r, FYET_MAPPING_END)) {
        struct fy_mark mark = mark_of(r) != NULL ? *mark_of(r) : *at;
        char *key = scalar(r, "a key");
        bool ok = key != NULL && read_field(r, p, key, &mark);

        free(key);
        if (!ok) {
            return false;
        }
    }
    if ((p->at[CLI_AT_SOCKET] == NULL) == (p->at[CLI_AT_SERVERS] == NULL)) {
        return fail_at(r, at, "a profile has `servers` or `socket`, and not both");
    }
    advance(r);
    return true;
}

static bool read_profiles(struct reader *r)
{
    if (!pass(r, FYET_MAPPING_START, "profiles, by their names")) {
        return false;
    }
    while (!is(r, FYET_MAPPING_END)) {
        struct fy_mark mark = mark_of(r) != NULL ? *mark_of(r) : (struct fy_mark){0};
        char *name = scalar(r, "a profile's name");

        if (name == NULL) {
            return false;
        }
        for (size_t i = 0; i < r->n; i++) {
            if (strcmp(r->profiles[i].name, name) == 0) {
                (void)fail_at(r, &mark, "the profile '%.80s' stands here twice", name);
                free(name);
                return false;
            }
        }
        if (r->n == MOST_PROFILES) {
            free(name);
            return fail_at(r, &mark, "more than %d profiles", MOST_PROFILES);
        }
        r->profiles[r->n].name = name;
        if (!read_profile(r, &r->profiles[r->n++], &mark)) {
            return false;
        }
    }
    advance(r);
    return true;
}

static bool read_root(struct reader *r)
{
    static const char *const known[] = {"default", "profiles"};
    bool profiles = false;

    while (!is(r, FYET_MAPPING_END)) {
        struct fy_mark mark = mark_of(r) != NULL ? *mark_of(r) : (struct fy_mark){0};
        char *key = scalar(r, "a key");
        bool ok = key != NULL;

        if (ok && strcmp(key, "default") == 0 && r->chosen == NULL) {
            r->chosen = scalar(r, "a profile's name");
            ok = r->chosen != NULL;
        } else if (ok && strcmp(key, "profiles") == 0 && !profiles) {
            profiles = true;
            ok = read_profiles(r);
        } else if (ok && (strcmp(key, "default") == 0 || strcmp(key, "profiles") == 0)) {
            ok = fail_at(r, &mark, "'%s' stands here twice", key);
        } else if (ok) {
            ok = refuse_key(r, &mark, key, known, 2);
        }
        free(key);
        if (!ok) {
            return false;
        }
    }
    advance(r);
    return true;
}

static bool read_stream(struct reader *r)
{
    advance(r);
    if (!pass(r, FYET_STREAM_START, "YAML")) {
        return false;
    }
    if (is(r, FYET_STREAM_END)) {
        return true;
    }
    return pass(r, FYET_DOCUMENT_START, "a document") &&
           pass(r, FYET_MAPPING_START, "`profiles:`") && read_root(r) &&
           pass(r, FYET_DOCUMENT_END, "the end of the document") &&
           (is(r, FYET_STREAM_END) || fail_at(r, mark_of(r), "a second document"));
}

static bool choose(struct reader *r, const char *name, char *at[CLI_PLACES], bool *found)
{
    const char *wanted = name != NULL ? name : r->chosen;

    for (size_t i = 0; wanted != NULL && i < r->n; i++) {
        if (strcmp(r->profiles[i].name, wanted) == 0) {
            memcpy(at, r->profiles[i].at, sizeof r->profiles[i].at);
            memset(r->profiles[i].at, 0, sizeof r->profiles[i].at);
            *found = true;
            return true;
        }
    }
    if (r->chosen != NULL && name == NULL) {
        return fail_at(r, NULL, "`default` names '%.80s', and there is no such profile", wanted);
    }
    return true;
}

static void not_text(void *arg, unsigned line, unsigned column, const char *text)
{
    struct reader *r = arg;

    (void)snprintf(r->why, CLI_WHY_BYTES, "%.500s:%u:%u: %s", r->path, line, column, text);
}

bool cli_profile_parse(const char *path, const char *text, size_t n, const char *name,
                       char *at[CLI_PLACES], bool *found, char why[CLI_WHY_BYTES])
{
    struct reader *r = calloc(1, sizeof *r);
    struct fy_diag_cfg quiet;
    struct fy_diag *diag;
    bool ok;

    if (r == NULL) {
        (void)snprintf(why, CLI_WHY_BYTES, "out of memory");
        return false;
    }
    r->path = path;
    r->why = why;
    if (!yaml_check_text(span_of(text, n), not_text, r)) {
        free(r);
        return false;
    }
    fy_diag_cfg_default(&quiet);
    quiet.fp = NULL;
    diag = fy_diag_create(&quiet);
    fy_diag_set_collect_errors(diag, true);
    r->parser = fy_parser_create(
        &(struct fy_parse_cfg){.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag});
    ok = r->parser != NULL && fy_parser_set_string(r->parser, text, n) == 0;
    if (!ok) {
        (void)snprintf(why, CLI_WHY_BYTES, "%.500s: this is no text", path);
    }
    ok = ok && (n == 0 || read_stream(r)) && choose(r, name, at, found);
    if (r->event != NULL) {
        fy_parser_event_free(r->parser, r->event);
    }
    fy_parser_destroy(r->parser);
    fy_diag_destroy(diag);
    for (size_t i = 0; i < r->n; i++) {
        free(r->profiles[i].name);
        for (size_t k = 0; k < CLI_PLACES; k++) {
            free(r->profiles[i].at[k]);
        }
    }
    free(r->chosen);
    free(r);
    return ok;
}

static const char *unguarded(const struct stat *st, bool secret)
{
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        return "it belongs to another user";
    }
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode)) {
        return "it is no file";
    }
    if (secret && (st->st_mode & 077) != 0) {
        return "others may read it: chmod 600";
    }
    return (st->st_mode & 022) != 0 ? "others may change it: chmod 644" : NULL;
}

char *cli_guarded_read(const char *path, bool secret, size_t most, size_t *n,
                       char why[CLI_WHY_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    const char *wrong = NULL;
    char *text = fd >= 0 ? malloc(most + 2) : NULL;
    ssize_t got = 0;
    int error = errno;

    *n = 0;
    if (fd >= 0 && text != NULL && fstat(fd, &st) == 0) {
        wrong = unguarded(&st, secret);
        while (wrong == NULL && *n <= most && (got = read(fd, text + *n, most + 1 - *n)) > 0) {
            *n += (size_t)got;
        }
        error = errno;
        wrong = wrong != NULL ? wrong : *n > most ? "it is too long" : NULL;
    }
    if (fd < 0 || text == NULL || got < 0 || wrong != NULL) {
        (void)snprintf(why, CLI_WHY_BYTES, "%.500s: %s", path,
                       wrong != NULL ? wrong : strerror(error));
        if (text != NULL) {
            secret_wipe_bytes(text, *n);
        }
        free(text);
        text = NULL;
    } else {
        text[*n] = '\0';
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = wrong != NULL ? EPERM : error;
    return text;
}

bool cli_profile_read(const char *path, const char *name, char *at[CLI_PLACES], bool *found,
                      char why[CLI_WHY_BYTES])
{
    size_t n;
    char *text = cli_guarded_read(path, false, MOST_FILE, &n, why);
    bool ok;

    if (text == NULL) {
        return errno == ENOENT || errno == ENOTDIR; /* no file: no profile */
    }
    ok = cli_profile_parse(path, text, n, name, at, found, why);
    free(text);
    return ok;
}
