/* The account of numbers: lost, twice, out of order, and the longest gap inside a window. */
#include <criterion/criterion.h>

#include "chaos/numbers.h"

Test(numbers, counts)
{
    struct numbers n = {0};
    struct numbers_summary s;

    for (uint64_t i = 0; i < 6; i++)
        cr_assert_eq(numbers_send(&n, i), i);
    numbers_arrive(&n, 0, 100);
    numbers_arrive(&n, 2, 200);
    numbers_arrive(&n, 1, 250);
    numbers_arrive(&n, 4, 900);
    numbers_arrive(&n, 4, 950);
    numbers_arrive(&n, 77, 960); /* was never sent */
    numbers_judge(&n, 0, 1000, &s);
    cr_assert_eq(s.sent, 6);
    cr_assert_eq(s.lost, 2);
    cr_assert_eq(s.first_lost, 3);
    cr_assert(s.lost_from_ns == 3 && s.lost_to_ns == 5);
    cr_assert_eq(s.reordered, 1);
    cr_assert_eq(s.duplicated, 1);
    cr_assert_eq(s.duplicate, 4);
    cr_assert_eq(s.gap_ns, 650);
    numbers_deinit(&n);
}

Test(numbers, gap_begins_at_the_last_arrival_before_the_window_and_ends_with_it)
{
    struct numbers n = {0};
    struct numbers_summary s;

    numbers_arrive(&n, 0, 100);
    numbers_arrive(&n, 1, 500);
    numbers_arrive(&n, 2, 520);
    numbers_judge(&n, 200, 600, &s);
    cr_assert_eq(s.gap_ns, 400); /* from 100, which is before the window */
    numbers_judge(&n, 510, 2000, &s);
    cr_assert_eq(s.gap_ns, 1480); /* nothing after 520 */
    numbers_judge(&n, 505, 515, &s);
    cr_assert_eq(s.gap_ns, 15);
    numbers_deinit(&n);
}

Test(numbers, sums_take_the_longest_gap)
{
    struct numbers_summary sum = {0}, a = {.sent = 5, .lost = 1, .gap_ns = 9},
                           b = {.sent = 7,
                                .duplicated = 2,
                                .reordered = 3,
                                .received = 6,
                                .gap_ns = 4};

    numbers_sum(&sum, &a);
    numbers_sum(&sum, &b);
    cr_assert(sum.sent == 12 && sum.lost == 1 && sum.duplicated == 2 && sum.reordered == 3 &&
              sum.received == 6 && sum.gap_ns == 9);
}
