#include "oracle_tenures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lab.h"

#define NS_PER_S 1000000000ll
#define NS_PER_HOUR (3600 * NS_PER_S)
#define MOST_S (1ll << 32) /* either side of 1970; twice as many nanoseconds are still a number */

/* A drill moves clocks by whole hours, and lasts less than half of one. False: no clock says so. */
static bool brought_back(int64_t s, unsigned ms, uint64_t zero_ns, uint64_t *ns)
{
    int64_t off;

    if (s < -MOST_S || s > MOST_S || zero_ns > INT64_MAX / 2)
        return false;
    off = s * NS_PER_S + ms * 1000000ll - (int64_t)zero_ns;
    off -= (off + (off < 0 ? -NS_PER_HOUR / 2 : NS_PER_HOUR / 2)) / NS_PER_HOUR * NS_PER_HOUR;
    if (off < 0 && (uint64_t)-off > zero_ns)
        return false;
    *ns = off < 0 ? zero_ns - (uint64_t)-off : zero_ns + (uint64_t)off;
    return true;
}

bool oracle_stamp_of(const char *line, uint64_t zero_ns, uint64_t *ns)
{
    struct tm tm = {0};
    unsigned ms;
    int at = 0;

    if (sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &at) != 7 ||
        at == 0)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return brought_back(timegm(&tm), ms, zero_ns, ns);
}

static bool telling_of(const char *line, uint64_t zero_ns, struct oracle_told *out)
{
    const char *said = strstr(line, " repl shard "), *end = strchr(line, '\n');
    unsigned long long epoch, assignment;

    if (said == NULL || (end != NULL && said > end) ||
        !oracle_stamp_of(line, zero_ns, &out->from_ns) ||
        sscanf(said, " repl shard %u: epoch %llu, owner node %u, assignment %llu", &out->shard,
               &epoch, &out->owner, &assignment) != 4)
        return false;
    out->epoch = epoch;
    out->assignment = assignment;
    return true;
}

/* Room for it at its place; NULL: memory. */
static struct oracle_told *make_room(struct oracle_tellings *t, size_t at)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct oracle_told *list = realloc(t->list, cap * sizeof *list);

        if (list == NULL) {
            t->out_of_memory = true;
            return NULL;
        }
        t->list = list;
        t->cap = cap;
    }
    memmove(&t->list[at + 1], &t->list[at], (t->n - at) * sizeof t->list[0]);
    t->n++;
    return &t->list[at];
}

static void take(struct oracle_tellings *t, const struct oracle_told *told, struct oracle_report *r)
{
    struct oracle_told *known;
    size_t at = t->n;

    while (at > 0 && (t->list[at - 1].shard > told->shard ||
                      (t->list[at - 1].shard == told->shard &&
                       t->list[at - 1].assignment >= told->assignment)))
        at--;
    known = at < t->n ? &t->list[at] : NULL;
    if (known == NULL || known->shard != told->shard || known->assignment != told->assignment) {
        known = make_room(t, at);
        if (known != NULL)
            *known = *told;
        return;
    }
    if (known->owner != told->owner || known->epoch != told->epoch)
        oracle_violation(r,
                         "one-owner: shard %u's assignment %llu is epoch %llu of node %u for node "
                         "%u, epoch %llu of node %u for node %u",
                         told->shard, (unsigned long long)told->assignment,
                         (unsigned long long)known->epoch, known->owner, known->by,
                         (unsigned long long)told->epoch, told->owner, told->by);
    if (told->from_ns < known->from_ns)
        known->from_ns = told->from_ns;
}

void oracle_take_tellings(struct oracle_tellings *t, unsigned node, const char *log,
                          uint64_t zero_ns, struct oracle_report *r)
{
    struct oracle_told told;

    for (const char *line = log; line != NULL && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        told.by = node;
        if (!telling_of(line, zero_ns, &told) || told.shard < 1 || told.shard > LAB_MAX_SHARDS)
            continue;
        take(t, &told, r);
    }
}

void oracle_tellings_deinit(struct oracle_tellings *t)
{
    free(t->list);
    *t = (struct oracle_tellings){0};
}

/* Numbered from 1 to `made` at least, none missing. Returns how many entries are the shard's. */
static size_t chain_of(const struct oracle_tellings *t, size_t from, unsigned shard, uint64_t made)
{
    size_t n = 0;

    while (from + n < t->n && t->list[from + n].shard == shard) {
        if (t->list[from + n].assignment != n + 1)
            return 0;
        n++;
    }
    return n >= made ? n : 0;
}

/* What its owner had in hand of an earlier tenure may be taken for its first: early, never late. */
static uint64_t first_spoken(const struct capture *c, const struct oracle_told *told,
                             uint64_t before_ns)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->left && f->port == told->owner && lab_shard_of_vip(f->src) == told->shard &&
            f->ns >= told->from_ns && f->ns < before_ns)
            return f->ns;
    }
    return told->from_ns;
}

struct oracle_tenure *oracle_told_tenures(const struct oracle_tellings *t, const struct capture *c,
                                          const uint64_t *made, unsigned shards, size_t *n,
                                          const char **why)
{
    struct oracle_tenure *out = t->out_of_memory ? NULL : calloc(t->n + 1, sizeof *out);
    size_t at = 0;

    *n = 0;
    *why = "memory is short";
    for (unsigned s = 1; out != NULL && s <= shards; s++) {
        size_t chain = chain_of(t, at, s, made[s]);

        if (chain == 0) {
            *why = "the nodes' logs lack one";
            free(out);
            *n = 0;
            return NULL;
        }
        for (size_t i = at; i < at + chain; i++)
            out[(*n)++] = (struct oracle_tenure){
                .shard = s,
                .node = (uint8_t)t->list[i].owner,
                .from_ns = first_spoken(c, &t->list[i],
                                        i + 1 < at + chain ? t->list[i + 1].from_ns : UINT64_MAX)};
        at += chain;
    }
    return out;
}
