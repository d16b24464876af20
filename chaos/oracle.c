#include "oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "traffic.h"

enum { SLASH_24 = 0xffffff00u };

void oracle_violation(struct oracle_report *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (r->n < ORACLE_MAX_VIOLATIONS)
        (void)vsnprintf(r->text[r->n], ORACLE_TEXT, format, args);
    va_end(args);
    r->n++;
}

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

static int by_number(const void *a, const void *b)
{
    const struct capture_frame *x = *(const struct capture_frame *const *)a,
                               *y = *(const struct capture_frame *const *)b;

    if (x->spi != y->spi)
        return x->spi < y->spi ? -1 : 1;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    return x->bytes_at < y->bytes_at ? -1 : 1;
}

void oracle_unique_numbers(const struct capture *c, uint64_t zero_ns, struct oracle_report *r)
{
    const struct capture_frame **esp = capture_list(c);
    size_t n = 0;

    if (!esp) {
        oracle_violation(r, "unique-numbers: out of memory, nothing judged");
        return;
    }
    for (size_t i = 0; i < c->n_frames; i++) {
        if (c->frames[i].kind == CAPTURE_ESP && c->frames[i].left &&
            c->frames[i].port != CAPTURE_CLIENT_PORT)
            esp[n++] = &c->frames[i];
    }
    qsort(esp, n, sizeof(void *), by_number);
    for (size_t i = 1; i < n; i++) {
        if (esp[i]->spi == esp[i - 1]->spi && esp[i]->seq == esp[i - 1]->seq)
            oracle_violation(r,
                             "unique-numbers: SPI %08x sequence %u left twice: node %u at %.3f ms "
                             "and node %u at %.3f ms",
                             esp[i]->spi, esp[i]->seq, esp[i - 1]->port,
                             ms_after(esp[i - 1]->ns, zero_ns), esp[i]->port,
                             ms_after(esp[i]->ns, zero_ns));
    }
    free(esp);
}

void oracle_no_renegotiation(const struct capture *c, uint64_t zero_ns, uint64_t up_ns,
                             uint64_t to_ns, struct oracle_report *r)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->kind != CAPTURE_IKE || f->port != CAPTURE_CLIENT_PORT || !f->left ||
            f->ns <= up_ns || f->ns > to_ns)
            continue;
        if (f->exchange == IKE_HDR_INIT || f->exchange == IKE_HDR_AUTH)
            oracle_violation(r,
                             "no-renegotiation: the client sent %s (message %u) at %.3f ms; its "
                             "tunnel was up at %.3f ms",
                             f->exchange == IKE_HDR_INIT ? "IKE_SA_INIT" : "IKE_AUTH",
                             f->message_id, ms_after(f->ns, zero_ns), ms_after(up_ns, zero_ns));
    }
}

static bool is_inner(uint32_t address)
{
    return (address & (uint32_t)LAB_POOL_MASK) == LAB_POOL ||
           (address & SLASH_24) == LAB_INSIDE_NET;
}

static bool has_magic(struct span s)
{
    for (size_t i = 0; i + 8 <= s.len; i++) {
        if (memcmp(s.data + i, TRAFFIC_MAGIC, 8) == 0)
            return true;
    }
    return false;
}

void oracle_no_plaintext(const struct capture *c, uint64_t zero_ns, struct oracle_report *r)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (!f->left)
            continue;
        if ((f->kind != CAPTURE_ARP && (is_inner(f->src) || is_inner(f->dst))) ||
            has_magic(capture_bytes(c, f)))
            oracle_violation(r, "no-plaintext: port %u sent %08x -> %08x in clear at %.3f ms",
                             f->port, f->src, f->dst, ms_after(f->ns, zero_ns));
    }
}

const char *oracle_frame_kind(const struct capture_frame *f)
{
    static const char *const kinds[] = {"ESP", "IKE", "a keepalive", "ARP", "IP"};

    return kinds[f->kind];
}

void oracle_dead_is_silent(const struct capture *c, uint64_t zero_ns, uint8_t port,
                           uint64_t from_ns, uint64_t to_ns, struct oracle_report *r)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->left && f->port == port && lab_shard_of_vip(f->src) && f->ns > from_ns &&
            f->ns < to_ns)
            oracle_violation(r,
                             "dead-is-silent: node %u sent %s as the service address at %.3f ms, "
                             "it died before %.3f ms",
                             port, oracle_frame_kind(f), ms_after(f->ns, zero_ns),
                             ms_after(from_ns, zero_ns));
    }
}

struct speaker_search {
    const struct oracle_tenure *now, *before;
    bool former; /* the node had one before it */
};

/* The shard's tenure that is in force at `ns`, the one before it, and whether the node was an owner. */
static struct speaker_search tenure_at(const struct oracle_tenure *tenures, size_t n,
                                       unsigned shard, uint8_t node, uint64_t ns)
{
    struct speaker_search s = {0};

    for (size_t i = 0; i < n; i++) {
        if (tenures[i].shard != shard || tenures[i].from_ns > ns)
            continue;
        s.before = s.now;
        s.former = s.former || (s.now && s.now->node == node);
        s.now = &tenures[i];
    }
    return s;
}

bool oracle_was_in_hand(const struct oracle_hands *hands, struct oracle_held_up *held_up,
                        const struct capture_frame *f)
{
    if (f->kind != CAPTURE_ESP)
        return false;
    for (size_t i = 0; i < hands->n; i++) {
        struct oracle_hand *h = &hands->list[i];

        if (h->node == f->port && h->left > 0 && f->ns >= h->from_ns && f->ns <= h->to_ns) {
            h->left--;
            return true;
        }
    }
    if (!hands->held_up)
        return false;
    if (held_up->n++ == 0)
        held_up->first_ns = f->ns;
    return held_up->n <= hands->batch && f->ns <= held_up->first_ns + hands->slack_ns;
}

/* Packets of former owners in one tenure. */
struct speaker_count {
    unsigned on_their_way;
    struct oracle_held_up held_up;
};

static bool may_come_by(const struct oracle_hands *hands, struct speaker_count *count,
                        const struct speaker_search *s, const struct capture_frame *f)
{
    if (s->before && s->before->node == f->port && f->ns <= s->now->from_ns + hands->slack_ns &&
        ++count->on_their_way <= hands->batch)
        return true;
    return s->former && oracle_was_in_hand(hands, &count->held_up, f);
}

void oracle_one_speaker(const struct capture *c, uint64_t zero_ns,
                        const struct oracle_tenure *tenures, size_t n,
                        const struct oracle_hands *hands, struct oracle_report *r)
{
    struct speaker_count *counts = calloc(n ? n : 1, sizeof *counts);

    if (!counts) {
        oracle_violation(r, "one-speaker: out of memory, nothing judged");
        return;
    }
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];
        unsigned shard = lab_shard_of_vip(f->src);
        struct speaker_search s;

        if (!f->left || f->port == CAPTURE_CLIENT_PORT || !shard)
            continue;
        s = tenure_at(tenures, n, shard, f->port, f->ns);
        if (!s.now || s.now->node == f->port || may_come_by(hands, &counts[s.now - tenures], &s, f))
            continue;
        oracle_violation(r,
                         "one-speaker: node %u sent %s as shard %u's service address at %.3f ms, "
                         "which is node %u's since %.3f ms",
                         f->port, oracle_frame_kind(f), shard, ms_after(f->ns, zero_ns),
                         s.now->node, ms_after(s.now->from_ns, zero_ns));
    }
    free(counts);
}

void oracle_begins_nothing(const struct capture *c, uint64_t zero_ns, uint8_t exchange,
                           uint64_t from_ns, uint64_t to_ns, struct oracle_report *r)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->kind == CAPTURE_IKE && f->left && f->port != CAPTURE_CLIENT_PORT &&
            f->exchange == exchange && !(f->flags & IKE_HDR_FLAG_RESPONSE) && f->ns >= from_ns &&
            f->ns <= to_ns)
            oracle_violation(r,
                             "begins-nothing: node %u sent a request of exchange type %u (message "
                             "%u) at %.3f ms, while the client was heard",
                             f->port, exchange, f->message_id, ms_after(f->ns, zero_ns));
    }
}

void oracle_loss_explained(const struct numbers_summary *s, uint64_t zero_ns, const char *direction,
                           uint64_t dropped, const char *counted, struct oracle_report *r)
{
    if (s->lost > dropped)
        oracle_violation(r,
                         "loss: %s: %llu of %llu numbers are missing, sent from %.3f to %.3f ms; "
                         "the path dropped %llu packets; the nodes count: %s",
                         direction, (unsigned long long)s->lost, (unsigned long long)s->sent,
                         ms_after(s->lost_from_ns, zero_ns), ms_after(s->lost_to_ns, zero_ns),
                         (unsigned long long)dropped, counted);
}

void oracle_no_pause(const struct numbers_summary *s, const char *direction, unsigned allowed_ms,
                     struct oracle_report *r)
{
    if (s->gap_ns > (uint64_t)allowed_ms * 1000000u)
        oracle_violation(r, "pause: %s: %.1f ms without a packet, allowed are %u ms", direction,
                         (double)s->gap_ns / 1e6, allowed_ms);
}

void oracle_cluster_time(unsigned node, uint64_t from_ms, uint64_t to_ms, uint64_t passed_ms,
                         struct oracle_report *r)
{
    enum { AHEAD_MS = 1000 };

    if (to_ms < from_ms || to_ms - from_ms > passed_ms + AHEAD_MS ||
        to_ms - from_ms < passed_ms / 2)
        oracle_violation(
            r, "cluster-time: by node %u it went from %llu to %llu ms while %llu ms passed", node,
            (unsigned long long)from_ms, (unsigned long long)to_ms, (unsigned long long)passed_ms);
}

void oracle_delivered_once(const struct numbers *n, const char *direction, uint64_t zero_ns,
                           struct oracle_report *r)
{
    struct numbers_summary s;

    numbers_judge(n, 0, 0, &s);
    if (s.duplicated)
        oracle_violation(r,
                         "delivered-once: %s: %llu numbers came twice, first number %llu at %.3f "
                         "ms and at %.3f ms",
                         direction, (unsigned long long)s.duplicated,
                         (unsigned long long)s.duplicate, ms_after(s.duplicate_first_ns, zero_ns),
                         ms_after(s.duplicate_second_ns, zero_ns));
}
