/* The account of one direction of numbered packets: when each number was sent, and each arrival.
 * Pure. */
#ifndef HF_CHAOS_NUMBERS_H
#define HF_CHAOS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers_arrival {
    uint64_t number, ns;
};

struct numbers {
    uint64_t *sent_ns; /* by number, from 0 */
    size_t n_sent, cap_sent;
    struct numbers_arrival *arrivals; /* in order of arrival */
    size_t n_arrivals, cap_arrivals;
    bool out_of_memory;
};

struct numbers_summary {
    uint64_t sent, received, lost, duplicated, reordered;
    uint64_t first_lost;
    uint64_t lost_from_ns, lost_to_ns; /* when the first and the last of the lost were sent */
    uint64_t gap_ns;                   /* longest time without an arrival inside the window */
    uint64_t duplicate, duplicate_first_ns,
        duplicate_second_ns; /* the first number that came twice */
};

/* The next number; its send time is noted. */
uint64_t numbers_send(struct numbers *n, uint64_t ns);
void numbers_arrive(struct numbers *n, uint64_t number, uint64_t ns);

/* Counts everything; the gap is taken between arrivals in [from_ns, to_ns], the last arrival before
 * from_ns included. A window in which nothing arrived is one gap up to to_ns. */
void numbers_judge(const struct numbers *n, uint64_t from_ns, uint64_t to_ns,
                   struct numbers_summary *out);

/* The gap alone. */
uint64_t numbers_gap(const struct numbers *n, uint64_t from_ns, uint64_t to_ns);

/* Adds s's counts to the sum; the gap is the longer one. The firsts stay as they are. */
void numbers_sum(struct numbers_summary *sum, const struct numbers_summary *s);

void numbers_deinit(struct numbers *n);

#endif
