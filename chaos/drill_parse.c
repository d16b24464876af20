#include "drill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/yaml.h"

enum { FILE_MAX = 1 << 20 };

static const char *const fault_words[] = {"none", "kill", NULL};
static const char *const gateway_words[] = {"holdfast", "strongswan", NULL};
static const char *const mode_words[] = {"process", "machine", NULL};
static const char *const exchange_words[] = {"at-rest", "child-rekey", "child-rekey-pfs",
                                             "ike-rekey", NULL};
static const char *const role_words[] = {"client", "gateway", NULL};
static const char *const point_words[] = {"stepped", "submitted", "committed",
                                          "sent",    "peer",      NULL};
static const char *const leader_words[] = {"owner", "other", "any", NULL};
static const char *const direction_words[] = {"in", "out", NULL};
static const char *const auth_words[] = {"psk", NULL};
static const char *const kind_words[] = {"Drill", NULL};
static const char *const hypothesis_words[] = {"tunnel-up", "traffic-flows", "quorum", "one-owner",
                                               NULL};
static const char *const expect_words[] = {"exchange-ends",   "replay-refused",
                                           "upload-goes-on",  "rekey-child",
                                           "rekey-ike",       "dpd",
                                           "second-takeover", NULL};

const char *drill_mode_name(enum drill_mode m)
{
    return mode_words[m];
}

const char *drill_exchange_name(enum drill_exchange e)
{
    return exchange_words[e];
}

const char *drill_role_name(enum drill_role r)
{
    return role_words[r];
}

const char *drill_point_name(enum drill_point p)
{
    return point_words[p];
}

const char *drill_leader_name(enum drill_leader l)
{
    return leader_words[l];
}

struct reader {
    const char *file;
    char *error;
    bool failed;
};

static bool refuse(struct reader *r, const struct yaml_node *at, const char *what,
                   const char *detail)
{
    if (!r->failed)
        (void)snprintf(r->error, DRILL_ERROR, "%s:%u:%u: %s%s%s", r->file, at ? at->line : 1,
                       at ? at->column : 1, what, detail ? " " : "", detail ? detail : "");
    r->failed = true;
    return false;
}

static bool refuse_word(struct reader *r, const struct yaml_node *at, const char *what,
                        const char *const *words)
{
    char known[256] = "";

    for (size_t i = 0; words[i]; i++) {
        size_t len = strlen(known);

        (void)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", words[i]);
    }
    {
        char text[320];

        (void)snprintf(text, sizeof text, "%s (known: %s)", what, known);
        return refuse(r, at, text, NULL);
    }
}

/* A map whose keys are all among `keys`. */
static bool is_map(struct reader *r, const struct yaml_node *node, const char *const *keys)
{
    if (node->kind != YAML_MAP)
        return refuse(r, node, "a map is expected", NULL);
    for (const struct yaml_node *c = node->child; c; c = c->next) {
        bool known = false;

        for (size_t i = 0; keys[i]; i++)
            known = known || strcmp(c->key->text, keys[i]) == 0;
        if (!known) {
            char what[128];

            (void)snprintf(what, sizeof what, "unknown key '%.60s'", c->key->text);
            return refuse_word(r, c->key, what, keys);
        }
    }
    return true;
}

static bool take_word(struct reader *r, const struct yaml_node *node, const char *const *words,
                      unsigned *index)
{
    if (node->kind != YAML_SCALAR)
        return refuse(r, node, "one word is expected", NULL);
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], node->text) == 0) {
            *index = i;
            return true;
        }
    }
    {
        char what[128];

        (void)snprintf(what, sizeof what, "unknown word '%.60s'", node->text);
        return refuse_word(r, node, what, words);
    }
}

/* One word or a list of words, as bits. */
static bool take_words(struct reader *r, const struct yaml_node *node, const char *const *words,
                       unsigned *bits)
{
    unsigned one = 0;

    *bits = 0;
    if (node->kind == YAML_MAP)
        return refuse(r, node, "a word or a list of words is expected", NULL);
    if (node->kind == YAML_SCALAR) {
        if (!take_word(r, node, words, &one))
            return false;
        *bits = 1u << one;
        return true;
    }
    for (const struct yaml_node *c = node->child; c; c = c->next) {
        if (!take_word(r, c, words, &one))
            return false;
        if (*bits & 1u << one)
            return refuse(r, c, "this word is there twice:", c->text);
        *bits |= 1u << one;
    }
    return true;
}

static bool take_number(struct reader *r, const struct yaml_node *node, unsigned long low,
                        unsigned long high, uint64_t *to)
{
    char *end, text[96];
    unsigned long v;

    if (node->kind != YAML_SCALAR || node->text[0] < '0' || node->text[0] > '9')
        return refuse(r, node, "a number is expected", NULL);
    errno = 0;
    v = strtoul(node->text, &end, 10);
    if (*end != '\0' || errno || v < low || v > high) {
        (void)snprintf(text, sizeof text, "a number from %lu to %lu is expected", low, high);
        return refuse(r, node, text, NULL);
    }
    *to = v;
    return true;
}

static bool take_unsigned(struct reader *r, const struct yaml_node *node, unsigned low,
                          unsigned high, unsigned *to)
{
    uint64_t v;

    if (!take_number(r, node, low, high, &v))
        return false;
    *to = (unsigned)v;
    return true;
}

/* "150ms" or "2s". */
static bool take_ms(struct reader *r, const struct yaml_node *node, unsigned *to)
{
    char *end;
    unsigned long v;

    if (node->kind != YAML_SCALAR || node->text[0] < '0' || node->text[0] > '9')
        return refuse(r, node, "a time like 150ms or 2s is expected", NULL);
    v = strtoul(node->text, &end, 10);
    if (strcmp(end, "s") == 0 && v <= 3600)
        v *= 1000;
    else if (strcmp(end, "ms") != 0)
        return refuse(r, node, "a time like 150ms or 2s is expected", NULL);
    if (v < 1 || v > 3600000)
        return refuse(r, node, "a time from 1ms to 3600s is expected", NULL);
    *to = (unsigned)v;
    return true;
}

/* The value of a key, or NULL; `required` makes its absence an error. */
static const struct yaml_node *value_of(struct reader *r, const struct yaml_node *map,
                                        const char *key, bool required)
{
    const struct yaml_node *v = yaml_get(map, key);

    if (!v && required)
        (void)refuse(r, map, "this key is missing:", key);
    return v;
}

static void read_timing(struct reader *r, const struct yaml_node *map, struct node_timing *t)
{
    static const char *const keys[] = {"election", "heartbeat", "lease", "lease_heartbeat", NULL};
    unsigned *const to[] = {&t->election_ms, &t->heartbeat_ms, &t->lease_ms,
                            &t->lease_heartbeat_ms};

    if (!is_map(r, map, keys))
        return;
    for (size_t i = 0; keys[i]; i++) {
        const struct yaml_node *v = yaml_get(map, keys[i]);

        if (v)
            (void)take_ms(r, v, to[i]);
    }
}

static void read_topology(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"nodes",   "shards", "clients", "auth",
                                       "gateway", "timing", NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!is_map(r, map, keys))
        return;
    if ((v = value_of(r, map, "nodes", true)))
        (void)take_unsigned(r, v, 1, LAB_MAX_NODES, &d->nodes);
    if (v && !r->failed && d->nodes != 1 && d->nodes != 3 && d->nodes != 5)
        (void)refuse(r, v, "1, 3 or 5 nodes make a cluster", NULL);
    if ((v = value_of(r, map, "shards", false)))
        (void)take_unsigned(r, v, 1, 1, &d->shards);
    if ((v = value_of(r, map, "clients", false)))
        (void)take_unsigned(r, v, 1, 1, &d->clients);
    if ((v = value_of(r, map, "auth", false)))
        (void)take_word(r, v, auth_words, &word);
    if ((v = value_of(r, map, "gateway", false)) && take_word(r, v, gateway_words, &word))
        d->gateway = (enum drill_gateway)word;
    if ((v = value_of(r, map, "timing", false)))
        read_timing(r, v, &d->timing);
}

static void read_traffic(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"pps", "bytes", "directions", NULL};
    const struct yaml_node *v;

    if (!is_map(r, map, keys))
        return;
    if ((v = value_of(r, map, "pps", true)))
        (void)take_unsigned(r, v, 1, 2000, &d->pps);
    if ((v = value_of(r, map, "bytes", false)))
        (void)take_unsigned(r, v, 32, 1300, &d->bytes);
    if ((v = value_of(r, map, "directions", false)) &&
        take_words(r, v, direction_words, &d->directions) && !d->directions)
        (void)refuse(r, v, "at least one direction is needed", NULL);
}

static void read_at(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"exchange", "role", "point", NULL};
    const struct yaml_node *v;

    if (!is_map(r, map, keys))
        return;
    if ((v = value_of(r, map, "exchange", true)))
        (void)take_words(r, v, exchange_words, &d->exchanges);
    if (v && d->exchanges & 1u << DRILL_AT_REST)
        (void)refuse(r, v, "leave `at` out to kill at rest", NULL);
    if ((v = value_of(r, map, "role", true)))
        (void)take_words(r, v, role_words, &d->roles);
    if ((v = value_of(r, map, "point", true)))
        (void)take_words(r, v, point_words, &d->points);
    if (!r->failed && (!d->exchanges || !d->roles || !d->points))
        (void)refuse(r, map, "an empty list makes no cell", NULL);
}

static void read_fault(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"type", "mode", "at", "leader", NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!is_map(r, map, keys))
        return;
    if ((v = value_of(r, map, "type", true)) && take_word(r, v, fault_words, &word))
        d->fault = (enum drill_fault)word;
    if ((v = value_of(r, map, "mode", d->fault == DRILL_KILL)) &&
        take_words(r, v, mode_words, &d->modes) && !d->modes)
        (void)refuse(r, v, "an empty list makes no cell", NULL);
    if ((v = value_of(r, map, "leader", false)) && take_words(r, v, leader_words, &d->leaders) &&
        !d->leaders)
        (void)refuse(r, v, "an empty list makes no cell", NULL);
    if ((v = value_of(r, map, "at", false)))
        read_at(r, v, d);
    if (v && d->gateway == DRILL_STRONGSWAN)
        (void)refuse(r, v, "the reference gateway has no step points", NULL);
    if (d->fault == DRILL_KILL && d->gateway == DRILL_HOLDFAST && d->nodes == 1)
        (void)refuse(r, map, "a kill would leave no majority of 1 node", NULL);
}

static void read_limits(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"gap", "reach", "takeover", "upload", "settle", NULL};
    unsigned *const to[] = {&d->gap_ms, &d->reach_ms, &d->takeover_ms, &d->upload_ms,
                            &d->settle_ms};

    if (!is_map(r, map, keys))
        return;
    for (size_t i = 0; keys[i]; i++) {
        const struct yaml_node *v = yaml_get(map, keys[i]);

        if (v)
            (void)take_ms(r, v, to[i]);
    }
}

static void read_drill(struct reader *r, const struct yaml_node *root, struct drill *d)
{
    static const char *const keys[] = {"kind",       "name",  "seed",   "topology", "traffic",
                                       "hypothesis", "fault", "expect", "limits",   NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!is_map(r, root, keys))
        return;
    if ((v = value_of(r, root, "kind", true)))
        (void)take_word(r, v, kind_words, &word);
    if ((v = value_of(r, root, "name", true))) {
        if (v->kind != YAML_SCALAR || v->text[0] == '\0' || strlen(v->text) >= DRILL_NAME ||
            strspn(v->text, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(v->text))
            (void)refuse(r, v, "a name of small letters, digits and '-' is expected, at most 63",
                         NULL);
        else
            (void)snprintf(d->name, sizeof d->name, "%s", v->text);
    }
    if ((v = value_of(r, root, "seed", false)))
        (void)take_number(r, v, 0, 0x7fffffffffffffffu, &d->seed);
    if ((v = value_of(r, root, "topology", true)))
        read_topology(r, v, d);
    if ((v = value_of(r, root, "traffic", true)))
        read_traffic(r, v, d);
    if ((v = value_of(r, root, "hypothesis", false)))
        (void)take_words(r, v, hypothesis_words, &d->hypothesis);
    if ((v = value_of(r, root, "fault", true)))
        read_fault(r, v, d);
    if ((v = value_of(r, root, "expect", false)))
        (void)take_words(r, v, expect_words, &d->expect);
    if ((v = value_of(r, root, "limits", false)))
        read_limits(r, v, d);
}

static void report_yaml(void *arg, unsigned line, unsigned column, const char *text)
{
    struct reader *r = arg;

    if (!r->failed)
        (void)snprintf(r->error, DRILL_ERROR, "%s:%u:%u: %s", r->file, line, column, text);
    r->failed = true;
}

bool drill_parse_text(struct drill *d, const char *file, const char *text, char error[DRILL_ERROR])
{
    struct reader r = {.file = file, .error = error};
    struct yaml_node *root;

    error[0] = '\0';
    root = yaml_parse(span_of(text, strlen(text)), report_yaml, &r);
    *d = (struct drill){.seed = 1,
                        .nodes = 3,
                        .shards = 1,
                        .clients = 1,
                        .timing = {150, 30, 150, 30},
                        .pps = 200,
                        .bytes = 64,
                        .directions = 3,
                        .modes = 1u << DRILL_MACHINE,
                        .exchanges = 1u << DRILL_AT_REST,
                        .roles = 1u << DRILL_CLIENT,
                        .points = 1u << DRILL_STEPPED,
                        .leaders = 1u << DRILL_LEADER_ANY,
                        .reach_ms = 5000,
                        .takeover_ms = 5000,
                        .upload_ms = 1000,
                        .settle_ms = 8000};
    (void)snprintf(d->file, sizeof d->file, "%s", file);
    if (root && !r.failed)
        read_drill(&r, root, d);
    yaml_free(root);
    return !r.failed;
}

bool drill_parse(struct drill *d, const char *file, char error[DRILL_ERROR])
{
    FILE *f = fopen(file, "re");
    char *text = f ? calloc(1, FILE_MAX + 1) : NULL;
    size_t n = text ? fread(text, 1, FILE_MAX, f) : 0;
    bool ok;

    if (!text || ferror(f) || n == FILE_MAX || memchr(text, '\0', n)) {
        (void)snprintf(error, DRILL_ERROR, "%s:1:1: cannot be read as text: %s", file,
                       strerror(errno));
        ok = false;
    } else {
        ok = drill_parse_text(d, file, text, error);
    }
    free(text);
    if (f)
        (void)fclose(f);
    return ok;
}
