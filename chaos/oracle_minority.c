/* Where no majority is there, nobody may act once the last lease is over (I5, I13). */
#include "lab.h"
#include "oracle.h"

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

void oracle_minority_silent(const struct capture *c, uint64_t zero_ns, uint64_t from_ns,
                            uint64_t to_ns, struct oracle_report *r)
{
    struct {
        uint64_t first_ns;
        unsigned n;
    } spoke[LAB_MAX_NODES + 1] = {0};

    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (!f->left || f->port == CAPTURE_CLIENT_PORT || f->port > LAB_MAX_NODES ||
            !lab_shard_of_vip(f->src) || f->ns < from_ns || f->ns > to_ns)
            continue;
        if (spoke[f->port].n++ == 0)
            spoke[f->port].first_ns = f->ns;
    }
    for (unsigned node = 1; node <= LAB_MAX_NODES; node++)
        if (spoke[node].n > 0)
            oracle_violation(
                r,
                "minority-silent: node %u spoke as a service address at %.3f ms, %u times in all; "
                "the last lease had ended by %.3f ms and no majority was there until %.3f ms",
                node, ms_after(spoke[node].first_ns, zero_ns), spoke[node].n,
                ms_after(from_ns, zero_ns), ms_after(to_ns, zero_ns));
}

size_t oracle_minority_delivers_nothing(const struct numbers *n, const char *direction,
                                        uint64_t zero_ns, uint64_t from_ns, uint64_t to_ns,
                                        unsigned late, struct oracle_report *r)
{
    const struct numbers_arrival *first = NULL;
    unsigned in_hand = 0;
    size_t sent = 0, wrong = 0;

    for (size_t i = 0; i < n->n_sent; i++)
        sent += n->sent_ns[i] >= from_ns && n->sent_ns[i] <= to_ns;
    for (size_t i = 0; i < n->n_arrivals; i++) {
        const struct numbers_arrival *a = &n->arrivals[i];
        bool before = a->number < n->n_sent && n->sent_ns[a->number] < from_ns;

        if (a->ns < from_ns || a->ns > to_ns || (before && ++in_hand <= late))
            continue;
        if (wrong++ == 0)
            first = a;
    }
    if (first != NULL)
        oracle_violation(r,
                         "minority-delivers: %s: number %llu arrived at %.3f ms, %zu in all; the "
                         "last lease had ended by %.3f ms",
                         direction, (unsigned long long)first->number, ms_after(first->ns, zero_ns),
                         wrong, ms_after(from_ns, zero_ns));
    return sent;
}
