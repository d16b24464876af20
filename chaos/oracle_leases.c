/* What a node says of a shard that it has no lease for. */
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "oracle_tenures.h"

#define NS_PER_MS 1000000ull

/* Without a lease from, at the latest, to, at the earliest. */
struct lapse {
    uint64_t from_ns, to_ns;
};

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

/* Is this line about the lease of a shard? *lost_ns: 0 where it is held, else when it ended at the
 * latest. */
static bool lease_of(const char *line, uint64_t zero_ns, unsigned *shard, uint64_t *lost_ns,
                     uint64_t *said_ns)
{
    const char *said = strstr(line, " repl shard "), *end = strchr(line, '\n');
    unsigned long long ago;
    int at = 0;

    if (said == NULL || (end != NULL && said > end) || !oracle_stamp_of(line, zero_ns, said_ns))
        return false;
    *lost_ns = 0;
    if (sscanf(said, " repl shard %u: lease held%n", shard, &at) == 1 && at > 0)
        return true;
    if (sscanf(said, " repl shard %u: lease lost, it ended %llu ms ago", shard, &ago) != 2)
        return false;
    /* Both are rounded down. Never 0, which would be held. */
    *lost_ns = *said_ns + NS_PER_MS;
    *lost_ns = ago < (*lost_ns - 1) / NS_PER_MS ? *lost_ns - ago * NS_PER_MS : 1;
    return true;
}

/* When the process that wrote it spoke first. A start has no lease, whatever the one before it had. False: it is none
 * of ours, or wrote nothing. */
static bool begin_of(const char *log, uint64_t zero_ns, uint64_t *ns)
{
    for (const char *line = log; line != NULL && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (oracle_stamp_of(line, zero_ns, ns))
            return true;
    }
    return false;
}

static void judge_lapse(const struct capture *c, uint64_t zero_ns, uint8_t node, unsigned shard,
                        struct lapse lapse, const struct oracle_hands *hands,
                        struct oracle_report *r)
{
    const struct capture_frame *first = NULL;
    struct oracle_held_up held_up = {0};
    unsigned wrong = 0;

    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (!f->left || f->port != node || lab_shard_of_vip(f->src) != shard ||
            f->ns <= lapse.from_ns + hands->slack_ns || f->ns + hands->slack_ns >= lapse.to_ns ||
            oracle_was_in_hand(hands, &held_up, f))
            continue;
        if (wrong++ == 0)
            first = f;
    }
    if (first != NULL)
        oracle_violation(r,
                         "lease-over: node %u sent %s as shard %u's service address at %.3f ms, %u "
                         "times in all; by its log its lease was over since %.3f ms",
                         node, oracle_frame_kind(first), shard, ms_after(first->ns, zero_ns), wrong,
                         ms_after(lapse.from_ns, zero_ns));
}

unsigned oracle_lease_over(const struct capture *c, uint64_t zero_ns, uint8_t node,
                           const char *const *logs, size_t n_logs, const struct oracle_hands *hands,
                           struct oracle_report *r)
{
    uint64_t lost_ns[LAB_MAX_SHARDS + 1] = {0}, begin; /* 0: it has it */
    unsigned told = 0;

    for (size_t i = 0; i < n_logs; i++) {
        for (unsigned s = 1; begin_of(logs[i], zero_ns, &begin) && s <= LAB_MAX_SHARDS; s++)
            if (lost_ns[s] == 0)
                lost_ns[s] = begin;
        for (const char *line = logs[i]; line != NULL && *line; line = strchr(line, '\n')) {
            uint64_t lost, said;
            unsigned shard;

            line += *line == '\n';
            if (!lease_of(line, zero_ns, &shard, &lost, &said) || shard < 1 ||
                shard > LAB_MAX_SHARDS)
                continue;
            if (lost == 0 && lost_ns[shard] != 0)
                judge_lapse(c, zero_ns, node, shard, (struct lapse){lost_ns[shard], said}, hands,
                            r);
            told += lost != 0;
            lost_ns[shard] = lost;
        }
    }
    for (unsigned s = 1; s <= LAB_MAX_SHARDS; s++)
        if (lost_ns[s] != 0)
            judge_lapse(c, zero_ns, node, s, (struct lapse){lost_ns[s], UINT64_MAX}, hands, r);
    return told;
}
