/* Where all nodes lost their power every SA of before has ended, for ever: no node has its keys any more, so nobody can have
 * sealed a packet with them, nor opened one (I1, I8; replication/seal.md). */
#include <stdlib.h>

#include "lab.h"
#include "oracle.h"

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The SA that a packet or message is of. */
static int by_sa(const struct capture_frame *a, const struct capture_frame *b)
{
    int by = compare(a->kind, b->kind);

    by = by ? by : compare(a->spi, b->spi);
    by = by ? by : compare(a->spi_i, b->spi_i);
    return by ? by : compare(a->spi_r, b->spi_r);
}

static int by_sa_and_time(const void *x, const void *y)
{
    const struct capture_frame *a = *(const struct capture_frame *const *)x,
                               *b = *(const struct capture_frame *const *)y;
    int by = by_sa(a, b);

    return by ? by : compare(a->ns, b->ns);
}

/* What a node sends under the keys of an SA. (IKE_SA_INIT is under none.) */
static bool under_a_key(const struct capture_frame *f)
{
    return f->left && f->port != CAPTURE_CLIENT_PORT &&
           (f->kind == CAPTURE_ESP || (f->kind == CAPTURE_IKE && f->exchange != IKE_HDR_INIT));
}

static void name_first(const struct capture_frame *f, size_t n, uint64_t zero_ns, uint64_t ended_ns,
                       struct oracle_report *r)
{
    bool esp = f->kind == CAPTURE_ESP;
    unsigned long long spi = esp ? f->spi : f->spi_i;

    oracle_violation(r,
                     "ended-silent: node %u sent %s of SPI %08llx, %s %u, at %.3f ms, %zu times in "
                     "all; each SA of before had ended at %.3f ms",
                     f->port, oracle_frame_kind(f), spi, esp ? "number" : "message",
                     esp ? f->seq : f->message_id, ms_after(f->ns, zero_ns), n,
                     ms_after(ended_ns, zero_ns));
}

size_t oracle_ended_silent(const struct capture *c, uint64_t zero_ns, uint64_t ended_ns,
                           struct oracle_report *r)
{
    const struct capture_frame **list = capture_list(c);
    size_t n = 0, sas = 0;

    if (!list) {
        oracle_violation(r, "ended-silent: out of memory, nothing judged");
        return 0;
    }
    for (size_t i = 0; i < c->n_frames; i++)
        if (under_a_key(&c->frames[i]))
            list[n++] = &c->frames[i];
    qsort(list, n, sizeof(void *), by_sa_and_time);
    for (size_t i = 0, end; i < n; i = end) {
        size_t after = i;

        for (end = i; end < n && by_sa(list[i], list[end]) == 0; end++)
            after += list[end]->ns <= ended_ns;
        if (after == i)
            continue; /* it began later */
        sas++;
        if (after < end)
            name_first(list[after], end - after, zero_ns, ended_ns, r);
    }
    free(list);
    return sas;
}

uint64_t oracle_began_anew(const struct capture *c, uint64_t ended_ns)
{
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->kind == CAPTURE_IKE && f->left && f->port != CAPTURE_CLIENT_PORT &&
            f->exchange == IKE_HDR_AUTH && f->flags & IKE_HDR_FLAG_RESPONSE && f->ns > ended_ns)
            return f->ns;
    }
    return UINT64_MAX;
}

size_t oracle_ended_delivers_nothing(const struct numbers *n, const char *direction,
                                     uint64_t zero_ns, uint64_t ended_ns, uint64_t anew_ns,
                                     struct oracle_report *r)
{
    const struct numbers_arrival *first = NULL;
    size_t sent = 0, wrong = 0;

    for (size_t i = 0; i < n->n_sent; i++)
        sent += n->sent_ns[i] > ended_ns && n->sent_ns[i] < anew_ns;
    for (size_t i = 0; i < n->n_arrivals; i++) {
        const struct numbers_arrival *a = &n->arrivals[i];

        /* What was sent before may pass a client that takes its time. */
        if (a->ns <= ended_ns || a->ns >= anew_ns || a->number >= n->n_sent ||
            n->sent_ns[a->number] <= ended_ns)
            continue;
        if (wrong++ == 0)
            first = a;
    }
    if (first)
        oracle_violation(
            r,
            "ended-delivers: %s: number %llu, sent at %.3f ms, arrived at %.3f ms, %zu "
            "in all; each SA of before had ended at %.3f ms",
            direction, (unsigned long long)first->number,
            ms_after(n->sent_ns[first->number], zero_ns), ms_after(first->ns, zero_ns), wrong,
            ms_after(ended_ns, zero_ns));
    return sent;
}
