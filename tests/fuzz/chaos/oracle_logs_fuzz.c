/* What the judges read in nodes' logs: who owned what, and whose lease was over. Any text at all, as two logs of one
 * node (cut at the first byte's place) and as one of another, beside a capture in which every node speaks all the time. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "chaos/lab.h"
#include "chaos/oracle_tenures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 2, FRAMES = 64, STEP_MS = 20 };

static const uint64_t zero_ns = 1795801926000000000u; /* 2026-11-27T17:52:06Z */

static size_t lines_of(const char *log)
{
    size_t n = 1;

    for (; *log; log++)
        n += *log == '\n';
    return n;
}

static void fill(struct capture *c, struct capture_frame *frames)
{
    for (size_t i = 0; i < FRAMES; i++)
        frames[i] = (struct capture_frame){.ns = zero_ns + i * STEP_MS * 1000000u,
                                           .port = (uint8_t)(1 + i % NODES),
                                           .left = true,
                                           .src = LAB_VIP + (uint32_t)(i / NODES % 2),
                                           .dst = LAB_CLIENT,
                                           .kind = CAPTURE_ESP};
    c->frames = frames;
    c->n_frames = FRAMES;
}

/* By shard and assignment, each once, none but those of the lab. */
static void look_at_tellings(const struct oracle_tellings *t, size_t lines)
{
    HF_ASSERT(t->out_of_memory || t->n <= lines);
    for (size_t i = 0; i < t->n; i++) {
        const struct oracle_told *a = &t->list[i], *b = a + 1;

        HF_ASSERT(a->shard >= 1 && a->shard <= LAB_MAX_SHARDS && a->by >= 1 && a->by <= NODES);
        HF_ASSERT(i + 1 == t->n || a->shard < b->shard ||
                  (a->shard == b->shard && a->assignment < b->assignment));
    }
}

static void look_at_tenures(const struct oracle_tellings *t, const struct capture *c)
{
    uint64_t made[LAB_MAX_SHARDS + 1] = {0};
    struct oracle_tenure *list;
    const char *why = NULL;
    size_t n;

    for (size_t i = 0; i < t->n; i++)
        made[t->list[i].shard] = 1;
    list = oracle_told_tenures(t, c, made, 2, &n, &why);
    HF_ASSERT(list != NULL || (n == 0 && why != NULL));
    HF_ASSERT(n <= t->n);
    for (size_t i = 0; i < n; i++)
        HF_ASSERT(list[i].shard >= 1 && list[i].shard <= 2);
    free(list);
}

/* Each shard is judged between two of its lines, and behind the last. */
static void look_at_leases(const struct capture *c, const char *const *logs, size_t lines)
{
    const struct oracle_hands hands = {.slack_ns = 5000000, .batch = 64};
    struct oracle_report r = {0};
    unsigned ends = oracle_lease_over(c, zero_ns, 1, logs, NODES, &hands, &r);

    HF_ASSERT(ends <= lines && r.n <= lines + LAB_MAX_SHARDS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct capture_frame frames[FRAMES];
    struct oracle_tellings told = {0};
    struct oracle_report report = {0};
    struct capture c = {0};
    const char *logs[NODES];
    size_t cut, lines;
    char *first, *second;

    if (size == 0)
        return 0;
    cut = 1 + data[0] * (size - 1) / 255;
    first = strndup((const char *)data + 1, cut - 1);
    second = strndup((const char *)data + cut, size - cut);
    HF_ASSERT(first != NULL && second != NULL);
    fill(&c, frames);
    logs[0] = first;
    logs[1] = second;
    lines = lines_of(first) + lines_of(second);
    for (unsigned i = 0; i < NODES; i++)
        oracle_take_tellings(&told, i + 1, logs[i], zero_ns, &report);
    look_at_tellings(&told, lines);
    look_at_tenures(&told, &c);
    look_at_leases(&c, logs, lines);
    oracle_tellings_deinit(&told);
    free(first);
    free(second);
    return 0;
}
