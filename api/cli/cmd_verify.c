/* holdfast audit verify: is the chain whole? Of what the node answers, page by page, or of a file: `audit list -o json`, in either
 * order, or a node's audit.jsonl. Each entry's hash is made anew from what it says (replication/audit.h).
 *
 * What is missing in between, exchanged, moved or altered shows by itself. What is cut off does not: the beginning, since a node
 * keeps the newest 1,024 entries only, so a chain is taken from its first entry on; and the end, where the file says nothing of it,
 * or was made to. So the end is compared with a head: the one in the file, or (--node) the node's, which a majority has.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"
#include "base/hex.h"
#include "replication/audit.h"

enum { OPTION_FILE, OPTION_NODE };
enum { FILE_BYTES = 64 << 20, PAGE = 200, PATH_BYTES = 96, MEMBERS = 8 + AUDIT_TEXTS };

struct check {
    struct audit_verifier v;
    bool begun;
    uint64_t first; /* sequence */
    uint64_t findings;
    struct { /* the first one */
        enum audit_finding finding;
        uint64_t entry,
            place; /* its sequence as it says, or would have; the how many-th; 0 = the end */
        uint64_t from, to; /* AUDIT_MISSING */
    } broken;
    bool has_head; /* what the end was compared with */
    struct audit_head head;
    uint64_t newer; /* entries of the node behind the end */
};

static const char *meaning(enum audit_finding f)
{
    static const char *const texts[] = {
        [AUDIT_SOUND] = "",
        [AUDIT_MALFORMED] = "is no entry of an audit, or a part of one",
        [AUDIT_ALTERED] = "was altered: its bytes have another hash than it says",
        [AUDIT_UNCHAINED] = "does not follow from the one before it: one of the two was exchanged",
        [AUDIT_MISSING] = "comes too early",
        [AUDIT_REPEATED] = "was moved, or is there twice: a later one stands before it",
        [AUDIT_NOT_HEAD] = "has another hash than the head says: the chain is another one",
        [AUDIT_AHEAD] = "lies behind the head: the chain is longer than it is there"};

    return texts[f];
}

static void found(struct check *c, enum audit_finding f, uint64_t entry, uint64_t place)
{
    if (f == AUDIT_SOUND || c->findings++ > 0) {
        return;
    }
    c->broken.finding = f;
    c->broken.entry = entry;
    c->broken.place = place;
    c->broken.from = c->v.missing_from;
    c->broken.to = c->v.missing_to;
}

/* --- an entry as a line --- */

static bool read_hash(const json_t *object, const char *name, uint8_t out[SHA256_BYTES])
{
    const char *hex = json_string_value(json_object_get(object, name));

    return hex != NULL && strlen(hex) == (size_t)2 * SHA256_BYTES &&
           hex_get(hex, SHA256_BYTES, out);
}

static bool read_number(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);

    *out = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool read_texts(const json_t *object, struct audit_entry *e)
{
    for (int i = 0; i < AUDIT_TEXTS; i++) {
        const json_t *value = json_object_get(object, audit_text_name((enum audit_text)i));

        e->texts[i] = json_string_value(value);
        /* A zero inside would end what the hash is made of. */
        if (e->texts[i] == NULL || strlen(e->texts[i]) != json_string_length(value) ||
            !audit_text_valid((enum audit_text)i, e->texts[i])) {
            return false;
        }
    }
    return true;
}

/* As its node wrote it: all of its members, and no others. False: it is none. Texts are borrowed. */
static bool read_entry(const json_t *object, struct audit_entry *e)
{
    uint64_t node;

    if (json_object_size(object) != MEMBERS || !read_number(object, "sequence", &e->sequence) ||
        !read_number(object, "index", &e->index) ||
        !read_number(object, "cluster_ms", &e->cluster_ms) ||
        !read_number(object, "wall_ms", &e->wall_ms) ||
        !read_number(object, "unaudited", &e->unaudited) || !read_number(object, "node", &node) ||
        node > UINT32_MAX || !read_texts(object, e)) {
        return false;
    }
    e->node = (uint32_t)node;
    return read_hash(object, "previous", e->previous) && read_hash(object, "hash", e->hash);
}

/* What came before the first one is not there to be looked at: it says itself what it follows. */
static void begin(struct check *c, const struct audit_entry *e)
{
    c->begun = true;
    c->first = e->sequence;
    if (e->sequence > 1) {
        c->v.at.count = e->sequence - 1;
        memcpy(c->v.at.hash, e->previous, sizeof c->v.at.hash);
    }
}

/* `line`: as it stands in a file; empty: it is made of the object. */
static void take(struct check *c, const json_t *object, struct span line)
{
    struct audit_entry e = {.sequence = 0};
    char made[AUDIT_MAX_LINE];
    enum audit_finding finding;
    bool is_one = read_entry(object, &e);
    uint64_t entry = is_one ? e.sequence : c->v.at.count + 1;

    if (is_one && !c->begun && e.sequence > 0) {
        begin(c, &e);
    }
    if (line.len == 0 && is_one) {
        line = span_of(made, audit_line(&e, made));
    }
    finding = audit_verify_line(&c->v, line);
    found(c, finding, entry, c->v.lines);
}

static void take_head(struct check *c, const struct audit_head *head)
{
    c->has_head = true;
    c->head = *head;
    found(c, audit_verify_head(&c->v, head), c->v.at.count, 0);
}

static bool read_head(const json_t *body, struct audit_head *head)
{
    const json_t *object = json_object_get(body, "head");

    return read_number(object, "sequence", &head->count) && read_hash(object, "hash", head->hash);
}

/* --- from a node --- */

static json_t *page(struct cli *cli, const char *next, int *status)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof path, "/v1/audit?order=oldest&limit=%d%s%.16s", PAGE,
                   next[0] != '\0' ? "&cursor=" : "", next);
    return cli_ask_exact(cli, "GET", path, NULL, status);
}

/* The head is of the last page: entries may come meanwhile. */
static int check_node(struct cli *cli, struct check *c)
{
    char next[24] = "";
    struct audit_head head = {0};
    int status = CLI_DONE;

    do {
        json_t *body = page(cli, next, &status), *entry;
        const char *more;
        size_t i;

        if (body == NULL) {
            return status;
        }
        json_array_foreach(json_object_get(body, "entries"), i, entry)
        {
            take(c, entry, span_of("", 0));
        }
        more = json_string_value(json_object_get(body, "next"));
        (void)snprintf(next, sizeof next, "%s", more != NULL && i > 0 ? more : "");
        if (!read_head(body, &head)) {
            (void)fprintf(cli->err, "holdfast: the node's answer has no head\n");
            json_decref(body);
            return CLI_REFUSED;
        }
        json_decref(body);
    } while (next[0] != '\0');
    take_head(c, &head);
    return CLI_DONE;
}

/* The node's entry of the file's last sequence is the file's: then all of the chain before it is, too. */
static int compare_older(struct cli *cli, struct check *c, const struct audit_head *head)
{
    char path[PATH_BYTES];
    int status = CLI_DONE;
    struct audit_head there = {.count = c->v.at.count};
    json_t *body;

    (void)snprintf(path, sizeof path, "/v1/audit/%" PRIu64, c->v.at.count);
    body = cli_ask_exact(cli, "GET", path, NULL, &status);
    if (body == NULL) {
        (void)fprintf(cli->err,
                      "holdfast: so the end of the file cannot be compared: nothing proves it\n");
        return status;
    }
    if (!read_hash(body, "hash", there.hash)) {
        (void)fprintf(cli->err, "holdfast: the node's answer has no hash\n");
        status = CLI_REFUSED;
    }
    json_decref(body);
    if (status == CLI_DONE) {
        take_head(c, &there);
        c->newer = head->count - there.count;
    }
    return status;
}

static int compare_node(struct cli *cli, struct check *c)
{
    struct audit_head head = {0};
    int status = CLI_DONE;
    json_t *body = cli_ask_exact(cli, "GET", "/v1/audit?limit=1", NULL, &status);

    if (body == NULL) {
        return status;
    }
    if (!read_head(body, &head)) {
        (void)fprintf(cli->err, "holdfast: the node's answer has no head\n");
        status = CLI_REFUSED;
    } else if (c->v.at.count > 0 && c->v.at.count < head.count) {
        status = compare_older(cli, c, &head);
    } else {
        take_head(c, &head);
    }
    json_decref(body);
    return status;
}

/* --- from a file --- */

static char *read_all(struct cli *cli, const char *path, size_t *n)
{
    FILE *file = fopen(path, "rbe");
    char *text = file != NULL ? malloc(FILE_BYTES + 1) : NULL;

    *n = text != NULL ? fread(text, 1, FILE_BYTES + 1, file) : 0;
    if (text == NULL || ferror(file) || *n > FILE_BYTES) {
        (void)fprintf(cli->err, "holdfast: %s: %s\n", path,
                      *n > FILE_BYTES ? "more than 64 MiB: split it by lines" : strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[*n] = '\0';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

/* audit.jsonl: the hash is of the very bytes. */
static void check_lines(struct check *c, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end != NULL ? (size_t)(end - text) - at : n - at;
        json_t *object = json_loadb(text + at, len, JSON_REJECT_DUPLICATES, NULL);

        take(c, object, span_of(len > 0 ? text + at : "\n", len > 0 ? len : 1));
        json_decref(object);
        at += len + 1;
    }
}

static json_int_t sequence_at(const json_t *entries, size_t i)
{
    return json_integer_value(json_object_get(json_array_get(entries, i), "sequence"));
}

/* The newest first, unless --oldest was given. What more there is on that side the file does not have. */
static void check_list(struct check *c, const json_t *body)
{
    const json_t *entries = json_object_get(body, "entries");
    size_t n = json_array_size(entries);
    bool newest_first = n > 1 && sequence_at(entries, 0) > sequence_at(entries, n - 1);
    struct audit_head head;

    for (size_t i = 0; i < n; i++) {
        take(c, json_array_get(entries, newest_first ? n - 1 - i : i), span_of("", 0));
    }
    if (!read_head(body, &head)) {
        found(c, AUDIT_MALFORMED, c->v.at.count, 0);
    } else if (newest_first || n <= 1 || json_object_get(body, "next") == NULL) {
        take_head(c, &head);
    }
}

static int check_file(struct cli *cli, struct check *c, const char *path)
{
    static const char line[] = "{\"sequence\":";
    size_t n;
    char *text = read_all(cli, path, &n);
    json_error_t e;
    json_t *body;

    if (text == NULL) {
        return CLI_REFUSED;
    }
    if (strncmp(text, line, sizeof line - 1) == 0) {
        check_lines(c, text, n);
        free(text);
        return CLI_DONE;
    }
    body = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    free(text);
    if (!json_is_array(json_object_get(body, "entries"))) {
        (void)fprintf(cli->err,
                      "holdfast: %s is neither what `holdfast audit list -o json` prints nor an "
                      "audit.jsonl%s%s\n",
                      path, body == NULL ? ": " : "", body == NULL ? e.text : "");
        json_decref(body);
        return CLI_REFUSED;
    }
    check_list(c, body);
    json_decref(body);
    return CLI_DONE;
}

/* --- what came of it --- */

static void print_broken(struct cli *cli, const struct check *c)
{
    char place[64] = "";

    if (c->broken.place > 0) {
        (void)snprintf(place, sizeof place, " (number %" PRIu64 " of those looked at)",
                       c->broken.place);
    }
    if (c->broken.finding == AUDIT_MISSING && c->broken.place == 0) {
        (void)fprintf(cli->out,
                      "BROKEN: the end is missing: entries %" PRIu64 " to %" PRIu64
                      " are not there, which the head says there are\n",
                      c->broken.from, c->broken.to);
        return;
    }
    (void)fprintf(cli->out, "BROKEN: entry %" PRIu64 "%s %s", c->broken.entry, place,
                  meaning(c->broken.finding));
    if (c->broken.finding == AUDIT_MISSING) {
        (void)fprintf(cli->out,
                      ": entries %" PRIu64 " to %" PRIu64
                      " before it are not there (a list of one principal or operation has gaps)",
                      c->broken.from, c->broken.to);
    }
    (void)fprintf(cli->out, "\n");
    if (c->findings > 1) {
        (void)fprintf(cli->out, "%" PRIu64 " more behind it\n", c->findings - 1);
    }
}

static void print_sound(struct cli *cli, const struct check *c, const char hash[])
{
    if (c->v.lines == 0) {
        (void)fprintf(cli->out, "there are no entries\n");
        return;
    }
    (void)fprintf(cli->out, "sound: entries %" PRIu64 " to %" PRIu64 "; the newest is %s\n",
                  c->first, c->v.at.count, hash);
    if (c->first > 1) {
        (void)fprintf(cli->out, "what came before entry %" PRIu64 " was not looked at\n", c->first);
    }
    if (!c->has_head) {
        (void)fprintf(cli->out, "nothing here says whether more followed: --node asks the node\n");
    } else if (c->newer > 0) {
        (void)fprintf(cli->out, "they are the node's, which has %" PRIu64 " newer ones\n",
                      c->newer);
    }
}

static int tell(struct cli *cli, const struct check *c)
{
    bool sound = c->findings == 0;
    char hash[2 * SHA256_BYTES + 1];

    hex_put(c->v.at.hash, SHA256_BYTES, hash);
    if (cli->json) {
        json_t *out =
            json_pack("{s:b,s:I,s:I,s:I,s:s,s:b,s:I,s:I}", "sound", sound, "entries",
                      (json_int_t)c->v.lines, "first", (json_int_t)c->first, "last",
                      (json_int_t)c->v.at.count, "hash", hash, "compared_with_a_head", c->has_head,
                      "newer", (json_int_t)c->newer, "findings", (json_int_t)c->findings);

        if (!sound) {
            json_object_set_new(out, "broken",
                                json_pack("{s:I,s:s,s:I,s:I}", "entry", (json_int_t)c->broken.entry,
                                          "finding", audit_finding_name(c->broken.finding),
                                          "missing_from", (json_int_t)c->broken.from, "missing_to",
                                          (json_int_t)c->broken.to));
        }
        (void)cli_print_json(cli, out);
    } else if (sound) {
        print_sound(cli, c, hash);
    } else {
        print_broken(cli, c);
    }
    return sound ? CLI_DONE : CLI_REFUSED;
}

static int cli_audit_verify(struct cli *cli)
{
    struct check c = {0};
    const char *file = cli->options[OPTION_FILE];
    int status;

    if (file == NULL && cli->options[OPTION_NODE] != NULL) {
        (void)fprintf(cli->err, "holdfast: --node is for a file: without one the node is asked\n");
        return CLI_USAGE;
    }
    status = file != NULL ? check_file(cli, &c, file) : check_node(cli, &c);
    if (status == CLI_DONE && c.findings == 0 && file != NULL &&
        cli->options[OPTION_NODE] != NULL) {
        status = compare_node(cli, &c);
    }
    return status == CLI_DONE ? tell(cli, &c) : status;
}

const struct cli_command cli_row_audit_verify = {
    .group = "audit",
    .verb = "verify",
    .arguments = "",
    .help = "is the chain of what the node keeps whole? Or of a file; names the first broken entry",
    .text =
        "Each entry's hash is made anew from what the entry says, and must be the one that the "
        "next "
        "entry names. So what was altered, exchanged, moved or taken out is seen. What was cut off "
        "at the end is seen by the head alone: the one that the file has, or with --node the "
        "node's. A node keeps the newest 1,024 entries: it says from which one on it looked.",
    .role = "operator",
    .asks = "GET /v1/audit, GET /v1/audit/{sequence}",
    .exits = "0 the chain is whole; 1 it is broken",
    .examples = "holdfast audit verify\nholdfast audit verify --file audit.json --node  # as "
                "`audit list -o json` printed it",
    .options = {{"--file", "FILE", "what `audit list -o json` printed, or an audit.jsonl", CLI_FILE,
                 NULL},
                {"--node", NULL, "... and is its end the node's, or was some of it cut off?",
                 CLI_TEXT, NULL}},
    .run = cli_audit_verify};
