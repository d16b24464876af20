#include "drill_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

static const char *const gateway_words[] = {"holdfast", "strongswan", NULL};
static const char *const direction_words[] = {"in", "out", NULL};
static const char *const auth_words[] = {"psk", NULL};
static const char *const kind_words[] = {"Drill", NULL};
static const char *const outside_words[] = {"v4", "v6", NULL};
static const char *const inside_words[] = {"v4", "v6", "dual", NULL};
static const char *const hypothesis_words[] = {"tunnel-up", "traffic-flows", "quorum", "one-owner",
                                               NULL};
static const char *const expect_words[] = {
    "exchange-ends",   "replay-refused", "upload-goes-on", "rekey-child", "rekey-ike", "dpd",
    "second-takeover", "nothing-lost",   "no-dpd",         "nobody-else", NULL};

static void read_timing(struct reader *r, const struct yaml_node *map, struct node_timing *t)
{
    static const char *const keys[] = {"election", "heartbeat", "lease", "lease_heartbeat", NULL};
    unsigned *const to[] = {&t->election_ms, &t->heartbeat_ms, &t->lease_ms,
                            &t->lease_heartbeat_ms};

    if (!read_is_map(r, map, keys))
        return;
    for (size_t i = 0; keys[i]; i++) {
        const struct yaml_node *v = yaml_get(map, keys[i]);

        if (v)
            (void)read_ms(r, v, to[i]);
    }
}

static void read_families(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"outside", "inside", NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "outside", false)) && read_word(r, v, outside_words, &word))
        d->outside_v6 = word == 1;
    if ((v = read_value(r, map, "inside", false)) && read_word(r, v, inside_words, &word)) {
        d->inside_v4 = word != 1;
        d->inside_v6 = word != 0;
    }
}

static void read_topology(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"nodes",   "shards", "clients",  "auth",
                                       "gateway", "timing", "families", NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "nodes", true)))
        (void)read_unsigned(r, v, 1, LAB_MAX_NODES, &d->nodes);
    if (v && !r->failed && d->nodes != 1 && d->nodes != 3 && d->nodes != 5)
        (void)read_refuse(r, v, "1, 3 or 5 nodes make a cluster", NULL);
    if ((v = read_value(r, map, "shards", false)))
        (void)read_unsigned(r, v, 1, LAB_MAX_SHARDS, &d->shards);
    if ((v = read_value(r, map, "clients", false)))
        (void)read_unsigned(r, v, 1, LAB_MAX_CLIENTS, &d->clients);
    if ((v = read_value(r, map, "auth", false)))
        (void)read_word(r, v, auth_words, &word);
    if ((v = read_value(r, map, "gateway", false)) && read_word(r, v, gateway_words, &word))
        d->gateway = (enum drill_gateway)word;
    if ((v = read_value(r, map, "timing", false)))
        read_timing(r, v, &d->timing);
    if ((v = read_value(r, map, "families", false)))
        read_families(r, v, d);
    if (!r->failed && d->gateway == DRILL_STRONGSWAN && (d->shards > 1 || d->clients > 1))
        (void)read_refuse(r, map, "the reference gateway has one shard and one client", NULL);
    if (!r->failed && d->clients < d->shards)
        (void)read_refuse(r, map, "each shard needs a client of its own, at least", NULL);
}

static void read_traffic(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"pps", "bytes", "directions", NULL};
    const struct yaml_node *v;

    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "pps", true)))
        (void)read_unsigned(r, v, 1, 2000, &d->pps);
    if ((v = read_value(r, map, "bytes", false)))
        (void)read_unsigned(r, v, 32, 1300, &d->bytes);
    if ((v = read_value(r, map, "directions", false)) &&
        read_words(r, v, direction_words, &d->directions) && !d->directions)
        (void)read_refuse(r, v, "at least one direction is needed", NULL);
    if (!r->failed && d->pps * d->clients > DRILL_MAX_PPS)
        (void)read_refuse(r, map, "pps is for each client: together they send too much", NULL);
}

static void read_limits(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"gap",    "reach",    "takeover",  "upload",
                                       "settle", "pause_in", "pause_out", NULL};
    unsigned *const to[] = {&d->gap_ms,    &d->reach_ms,    &d->takeover_ms, &d->upload_ms,
                            &d->settle_ms, &d->pause_in_ms, &d->pause_out_ms};

    if (!read_is_map(r, map, keys))
        return;
    for (size_t i = 0; keys[i]; i++) {
        const struct yaml_node *v = yaml_get(map, keys[i]);

        if (v)
            (void)read_ms(r, v, to[i]);
    }
}

static void read_drill(struct reader *r, const struct yaml_node *root, struct drill *d)
{
    static const char *const keys[] = {"kind",    "name",       "seed",  "topology",
                                       "traffic", "hypothesis", "fault", "expect",
                                       "limits",  "relay",      NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!read_is_map(r, root, keys))
        return;
    if ((v = read_value(r, root, "kind", true)))
        (void)read_word(r, v, kind_words, &word);
    if ((v = read_value(r, root, "name", true))) {
        if (v->kind != YAML_SCALAR || v->text[0] == '\0' || strlen(v->text) >= DRILL_NAME ||
            strspn(v->text, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(v->text))
            (void)read_refuse(
                r, v, "a name of small letters, digits and '-' is expected, at most 63", NULL);
        else
            (void)snprintf(d->name, sizeof d->name, "%s", v->text);
    }
    if ((v = read_value(r, root, "seed", false)))
        (void)read_number(r, v, 0, 0x7fffffffffffffffu, &d->seed);
    if ((v = read_value(r, root, "topology", true)))
        read_topology(r, v, d);
    if ((v = read_value(r, root, "traffic", true)))
        read_traffic(r, v, d);
    if ((v = read_value(r, root, "hypothesis", false)))
        (void)read_words(r, v, hypothesis_words, &d->hypothesis);
    if ((v = read_value(r, root, "fault", true)))
        read_fault(r, v, d);
    if ((v = read_value(r, root, "relay", false)))
        read_relay(r, v, d);
    if ((v = read_value(r, root, "expect", false)))
        (void)read_words(r, v, expect_words, &d->expect);
    if (!r->failed && d->expect & DRILL_EXP_DPD && d->clients > NODE_FEW_CLIENTS)
        (void)read_refuse(r, yaml_get(root, "expect"), "dpd is tried with 20 clients at most",
                          NULL);
    if ((v = read_value(r, root, "limits", false)))
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
                        .inside_v4 = true,
                        .modes = 1u << DRILL_MACHINE,
                        .times = 1,
                        .every_ms = 2000,
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
