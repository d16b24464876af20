/* The rules: facts in, findings out. */
#include "daemon/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replication/record.h"

enum {
    MANY_BEHIND = 4096, /* entries: seconds of a busy cluster */
    FEW_EXPIRED = 5,    /* half-open SAs, before silence on 4500 says something */
    MANY_RETRANSMITTED = 20,
    RETRANSMITTED_PERCENT = 20,
    MANY_LOST = 3, /* clients */
    MANY_REPLAYED = 10,
    REPLAYED_OF = 1000, /* one of so many */
    MANY_LOGINS = 10
};

struct list {
    struct doctor_finding *out;
    size_t n;
};

static void subject(struct list *l, enum doctor_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void evidence(struct list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Begins a finding; evidence() ends it. One too many is left out: there are enough. */
static void subject(struct list *l, enum doctor_id id, const char *format, ...)
{
    va_list args;

    if (l->n == DOCTOR_MOST)
        return;
    l->out[l->n].id = id;
    va_start(args, format);
    (void)vsnprintf(l->out[l->n].subject, DOCTOR_SUBJECT_BYTES, format, args);
    va_end(args);
}

static void evidence(struct list *l, const char *format, ...)
{
    va_list args;

    if (l->n == DOCTOR_MOST)
        return;
    va_start(args, format);
    (void)vsnprintf(l->out[l->n].evidence, DOCTOR_EVIDENCE_BYTES, format, args);
    va_end(args);
    l->n++;
}

/* ---- the cluster, as this node sees it ---- */

static size_t voters(const struct repl_status *st, size_t *good)
{
    size_t n = 0;

    *good = 0;
    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct repl_node_status *node = &st->nodes[i];

        n += node->votes;
        *good += node->votes && node->connected && node->heard && node->distrust == REPL_TRUSTED;
    }
    return n;
}

static void find_quorum(const struct doctor_facts *f, struct list *l)
{
    const struct repl_status *st = f->status;
    size_t good, n = voters(st, &good);

    if (!st->quorum) {
        subject(l, DOCTOR_no_quorum, "the cluster");
        evidence(l, "node %u hears %zu of %zu voters%s%s", st->node, good, n,
                 st->waits[0] != '\0' ? ": " : "", st->waits);
    } else if (n > 1 && good <= n / 2 + 1) {
        subject(l, DOCTOR_no_spare, "the cluster");
        evidence(l, "%zu of %zu voters are well, %zu are a majority", good, n, n / 2 + 1);
    }
    if (st->quorum && st->speaks != 0 && st->speaks < RECORD_SPEAKS) {
        subject(l, DOCTOR_old_program, "the cluster");
        evidence(l, "records of version %u are spoken, this program knows %d", st->speaks,
                 RECORD_SPEAKS);
    }
    if (f->keys_overdue) {
        subject(l, DOCTOR_keys_overdue, "the cluster");
        evidence(l, "the former key %016" PRIx64 " is not erased in the time that is promised",
                 st->key.former);
    }
}

static void find_reach(const struct repl_status *st, const struct repl_node_status *n,
                       struct list *l)
{
    bool self = n->node == st->node;

    if (n->distrust != REPL_TRUSTED && !repl_distrust_is_new(n->distrust)) {
        subject(l, DOCTOR_node_distrusted, "node %u", n->node);
        evidence(l, "it counts for nothing: %s", repl_distrust_name(n->distrust));
    } else if (!self && !n->connected) {
        subject(l, DOCTOR_node_unreachable, "node %u", n->node);
        evidence(l, "node %u has no connection with it; it is a %s", st->node,
                 repl_role_name(n->role));
    } else if (!n->healthy && (self || n->heard) && n->role == REPL_VOTER) {
        subject(l, DOCTOR_node_unhealthy, "node %u", n->node);
        evidence(l, "it is reached, and is not well by its own report");
    } else if (n->connected && !self && st->commit_index > n->applied_index + MANY_BEHIND) {
        subject(l, DOCTOR_node_behind, "node %u", n->node);
        evidence(l, "it has applied %" PRIu64 " of %" PRIu64 " entries", n->applied_index,
                 st->commit_index);
    }
    if (n->agreement == REPL_DIFFERS) {
        subject(l, DOCTOR_state_differs, "node %u", n->node);
        evidence(l, "at the same index its state's digest is another one");
    }
}

static void find_nodes(const struct doctor_facts *f, struct list *l)
{
    const struct repl_status *st = f->status;

    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct repl_node_status *n = &st->nodes[i];

        if (!repl_is_member(n->role))
            continue;
        find_reach(st, n, l);
        if (n->drained) {
            subject(l, DOCTOR_node_drained, "node %u", n->node);
            evidence(l, "an operator drained it");
        } else if (n->reluctant && n->node != st->node) {
            subject(l, DOCTOR_node_reluctant, "node %u", n->node);
            evidence(l, "by its own report it would rather own nothing");
        }
    }
}

/* The node that this node takes for the owner may be gone: the log says so once another one is named. */
static const struct repl_node_status *reached(const struct repl_status *st, uint32_t node,
                                              uint64_t boot)
{
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node == node && st->nodes[i].boot == boot && st->nodes[i].connected)
            return &st->nodes[i];
    return NULL;
}

static void find_shards(const struct doctor_facts *f, struct list *l)
{
    const struct repl_status *st = f->status;

    for (size_t i = 0; st->quorum && i < st->n_shards; i++) {
        const struct repl_shard_status *s = &st->shards[i];

        if (s->owner_node == 0) {
            subject(l, DOCTOR_shard_unowned, "shard %u", s->shard);
            evidence(l, "no node owns it");
        } else if (!s->mine && reached(st, s->owner_node, s->owner_boot) == NULL) {
            subject(l, DOCTOR_shard_unowned, "shard %u", s->shard);
            evidence(l, "its owner is node %u, which is gone or was started anew", s->owner_node);
        } else if (s->mine && !f->acting[i]) {
            subject(l, DOCTOR_shard_silent, "shard %u", s->shard);
            evidence(l, "node %u owns it and may not act for it now", st->node);
        }
    }
}

/* ---- this node ---- */

static void find_link(const struct doctor_facts *f, bool up, const char *side, const char *name,
                      struct list *l)
{
    if (up)
        return;
    subject(l, DOCTOR_link_down, "node %u, interface %s", f->status->node, name);
    evidence(l, "the %s interface is down or has no carrier", side);
}

static void find_machine(const struct doctor_facts *f, struct list *l)
{
    uint32_t node = f->status->node;

    find_link(f, f->outside_up, "outside", f->outside, l);
    find_link(f, f->inside_up, "inside", f->inside, l);
    if (f->outside_mtu != 0 && f->outside_mtu < f->mtu_needed) {
        subject(l, DOCTOR_mtu, "node %u, interface %s", node, f->outside);
        evidence(l, "its MTU is %u bytes; a full packet of a client takes %u", f->outside_mtu,
                 f->mtu_needed);
    }
    if (f->disk_full) {
        subject(l, DOCTOR_disk_full, "node %u", node);
        evidence(l, "%.200s: more than %u%% of its file system are used", f->data_dir,
                 f->disk_percent);
    } else if (f->leaving) {
        subject(l, DOCTOR_node_reluctant, "node %u", node);
        evidence(l, "it was told to stop, and gives its shards away");
    }
    if (f->certificate != NULL) {
        subject(l, DOCTOR_certificate, "node %u", node);
        evidence(l, "its certificate among the nodes %.240s", f->certificate);
    }
    if (f->rollback_deaf || f->rollback_missed != 0) {
        subject(l, DOCTOR_rollback_unheard, "node %u", node);
        evidence(l, "%s, %" PRIu64 " events were missed",
                 f->rollback_deaf ? "the kernel's events are not heard any more" : "it listens",
                 f->rollback_missed);
    }
}

/* ---- what was counted ---- */

static void counted(const struct doctor_facts *f, struct list *l, enum doctor_id id,
                    enum doctor_counted which, uint64_t least, const char *what)
{
    if (f->since[which] < least)
        return;
    subject(l, id, "node %u", f->status->node);
    evidence(l, "%" PRIu64 " %s in the last %" PRIu64 " s", f->since[which], what,
             f->window_ms / 1000);
}

static void find_traffic(const struct doctor_facts *f, struct list *l)
{
    const uint64_t *n = f->since;

    counted(f, l, DOCTOR_pool_exhausted, DOCTOR_POOL_EXHAUSTED, 1, "clients got no address");
    counted(f, l, DOCTOR_sends_refused, DOCTOR_UDP_ERRORS, 1,
            "packets to clients were refused by the kernel");
    counted(f, l, DOCTOR_inside_refused, DOCTOR_TUN_ERRORS, 1,
            "packets for the inside were refused by the TUN");
    counted(f, l, DOCTOR_clients_lost, DOCTOR_PEER_DEAD, MANY_LOST, "clients stopped answering");
    counted(f, l, DOCTOR_numbers_late, DOCTOR_NUMBERS_LATE, 1,
            "packets waited for the log in vain, and were dropped");
    counted(f, l, DOCTOR_leases_lost, DOCTOR_LEASES_LOST, 1, "leases of its shards ended");
    counted(f, l, DOCTOR_hard_expired, DOCTOR_HARD_EXPIRED, 1,
            "SAs reached a hard limit before they were replaced");
    counted(f, l, DOCTOR_logins_fail, DOCTOR_LOGINS_REFUSED, MANY_LOGINS,
            "authentications were refused");
    if (n[DOCTOR_ESP_REPLAYED] * REPLAYED_OF > n[DOCTOR_ESP_IN])
        counted(f, l, DOCTOR_replays, DOCTOR_ESP_REPLAYED, MANY_REPLAYED,
                "packets came again or too late, and were dropped");
    if (n[DOCTOR_RETRANSMITTED] * 100 > n[DOCTOR_REQUESTED] * RETRANSMITTED_PERCENT)
        counted(f, l, DOCTOR_retransmissions, DOCTOR_RETRANSMITTED, MANY_RETRANSMITTED,
                "requests had to be sent again");
    /* Half-open SAs end on every node alike; only their owner's messages came here. */
    if (n[DOCTOR_HALF_OPEN_EXPIRED] >= FEW_EXPIRED && n[DOCTOR_IKE_IN] >= FEW_EXPIRED &&
        n[DOCTOR_IKE_IN_NATT] == 0) {
        subject(l, DOCTOR_port_4500_silent, "node %u", f->status->node);
        evidence(l,
                 "%" PRIu64 " clients began on UDP 500 and went no further; of %" PRIu64
                 " IKE messages none came to UDP 4500, in the last %" PRIu64 " s",
                 n[DOCTOR_HALF_OPEN_EXPIRED], n[DOCTOR_IKE_IN], f->window_ms / 1000);
    }
}

/* Stable, by what matters most; there are few. */
static void sort(struct doctor_finding *out, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct doctor_finding one = out[i];
        size_t k = i;

        for (; k > 0 && out[k - 1].id > one.id; k--)
            out[k] = out[k - 1];
        out[k] = one;
    }
}

size_t doctor_find(const struct doctor_facts *f, struct doctor_finding out[DOCTOR_MOST])
{
    struct list l = {.out = out};

    find_quorum(f, &l);
    find_machine(f, &l);
    find_nodes(f, &l);
    find_shards(f, &l);
    find_traffic(f, &l);
    sort(out, l.n);
    return l.n;
}

/* ---- the window ---- */

void doctor_keep(struct doctor_history *h, uint64_t now_ms, const uint64_t count[DOCTOR_COUNTED])
{
    struct doctor_sample *s = &h->samples[h->next];

    if (now_ms < h->next_ms)
        return;
    h->next_ms = now_ms + DOCTOR_SAMPLE_MS;
    s->at_ms = now_ms;
    memcpy(s->count, count, sizeof s->count);
    h->next = (h->next + 1) % DOCTOR_SAMPLES;
    h->n += h->n < DOCTOR_SAMPLES;
}

void doctor_since(const struct doctor_history *h, uint64_t now_ms,
                  const uint64_t count[DOCTOR_COUNTED], struct doctor_facts *f)
{
    const struct doctor_sample *s = &h->samples[(h->next + DOCTOR_SAMPLES - h->n) % DOCTOR_SAMPLES];

    f->window_ms = 0;
    memset(f->since, 0, sizeof f->since);
    if (h->n == 0)
        return;
    f->window_ms = now_ms - s->at_ms;
    for (int i = 0; i < DOCTOR_COUNTED; i++)
        f->since[i] = count[i] > s->count[i] ? count[i] - s->count[i] : 0;
}
