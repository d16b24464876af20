#include "numbers.h"

#include <stdlib.h>

static void *grown(void *p, size_t *cap, size_t need, size_t unit)
{
    size_t n = *cap ? *cap * 2 : 1024;
    void *q;

    if (need <= *cap)
        return p;
    q = realloc(p, n * unit);
    if (q)
        *cap = n;
    return q;
}

uint64_t numbers_send(struct numbers *n, uint64_t ns)
{
    void *p = grown(n->sent_ns, &n->cap_sent, n->n_sent + 1, sizeof *n->sent_ns);

    if (!p) {
        n->out_of_memory = true;
        return UINT64_MAX;
    }
    n->sent_ns = p;
    n->sent_ns[n->n_sent] = ns;
    return n->n_sent++;
}

void numbers_arrive(struct numbers *n, uint64_t number, uint64_t ns)
{
    void *p = grown(n->arrivals, &n->cap_arrivals, n->n_arrivals + 1, sizeof *n->arrivals);

    if (!p) {
        n->out_of_memory = true;
        return;
    }
    n->arrivals = p;
    n->arrivals[n->n_arrivals++] = (struct numbers_arrival){number, ns};
}

uint64_t numbers_gap(const struct numbers *n, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t last = from_ns, gap = 0;

    for (size_t i = 0; i < n->n_arrivals; i++) {
        uint64_t ns = n->arrivals[i].ns;

        if (ns < from_ns) {
            last = ns;
            continue;
        }
        if (ns > to_ns)
            ns = to_ns;
        if (ns > last && ns - last > gap)
            gap = ns - last;
        if (ns > last)
            last = ns;
        if (ns == to_ns)
            return gap;
    }
    return to_ns > last && to_ns - last > gap ? to_ns - last : gap;
}

void numbers_judge(const struct numbers *n, uint64_t from_ns, uint64_t to_ns,
                   struct numbers_summary *out)
{
    uint64_t *first = calloc(n->n_sent ? n->n_sent : 1, sizeof *first);
    uint64_t highest = 0;

    *out = (struct numbers_summary){.sent = n->n_sent, .received = n->n_arrivals};
    out->gap_ns = numbers_gap(n, from_ns, to_ns);
    out->lost = n->n_sent;
    for (size_t i = 0; first && i < n->n_arrivals; i++) {
        const struct numbers_arrival *a = &n->arrivals[i];

        if (a->number >= n->n_sent)
            continue; /* not one of ours */
        if (first[a->number]) {
            if (out->duplicated++ == 0) {
                out->duplicate = a->number;
                out->duplicate_first_ns = first[a->number];
                out->duplicate_second_ns = a->ns;
            }
            continue;
        }
        first[a->number] = a->ns ? a->ns : 1;
        out->lost--;
        if (a->number < highest)
            out->reordered++;
        else
            highest = a->number;
    }
    while (first && out->lost && out->first_lost < n->n_sent && first[out->first_lost])
        out->first_lost++;
    for (size_t i = out->first_lost; first && out->lost && i < n->n_sent; i++) {
        if (first[i])
            continue;
        if (!out->lost_from_ns)
            out->lost_from_ns = n->sent_ns[i];
        out->lost_to_ns = n->sent_ns[i];
    }
    free(first);
}

void numbers_sum(struct numbers_summary *sum, const struct numbers_summary *s)
{
    sum->sent += s->sent;
    sum->received += s->received;
    sum->lost += s->lost;
    sum->duplicated += s->duplicated;
    sum->reordered += s->reordered;
    if (s->gap_ns > sum->gap_ns)
        sum->gap_ns = s->gap_ns;
    if (s->lost && (!sum->lost_from_ns || s->lost_from_ns < sum->lost_from_ns))
        sum->lost_from_ns = s->lost_from_ns;
    if (s->lost_to_ns > sum->lost_to_ns)
        sum->lost_to_ns = s->lost_to_ns;
}

void numbers_deinit(struct numbers *n)
{
    free(n->sent_ns);
    free(n->arrivals);
    *n = (struct numbers){0};
}
