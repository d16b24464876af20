/* Where no majority is there, nobody may act once the last lease is over (I5, I13). */
#include "lab.h"
#include "oracle.h"

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

void oracle_minority_silent(const struct capture *c, uint64_t zero_ns, uint64_t from_ns,
                            uint64_t to_ns, unsigned batch, struct oracle_report *r)
{
    unsigned in_hand = 0;

    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (!f->left || f->port == CAPTURE_CLIENT_PORT || !lab_shard_of_vip(f->src) ||
            f->ns < from_ns || f->ns > to_ns)
            continue;
        if (f->kind == CAPTURE_ESP && ++in_hand <= batch)
            continue;
        oracle_violation(r,
                         "minority-silent: node %u spoke as a service address at %.3f ms, the last "
                         "lease had ended by %.3f ms and no majority was there until %.3f ms",
                         f->port, ms_after(f->ns, zero_ns), ms_after(from_ns, zero_ns),
                         ms_after(to_ns, zero_ns));
    }
}

void oracle_minority_delivers_nothing(const struct numbers *n, const char *direction,
                                      uint64_t zero_ns, uint64_t from_ns, uint64_t to_ns,
                                      unsigned batch, struct oracle_report *r)
{
    unsigned in_hand = 0;

    for (size_t i = 0; i < n->n_arrivals; i++) {
        const struct numbers_arrival *a = &n->arrivals[i];

        if (a->ns < from_ns || a->ns > to_ns || ++in_hand <= batch)
            continue;
        oracle_violation(
            r,
            "minority-delivers: %s: number %llu arrived at %.3f ms, the last lease had "
            "ended by %.3f ms",
            direction, (unsigned long long)a->number, ms_after(a->ns, zero_ns),
            ms_after(from_ns, zero_ns));
        return;
    }
}
