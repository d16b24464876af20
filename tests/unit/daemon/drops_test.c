/* The account of dropped packets over SAs that come, count and go while it is walked. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "daemon/drops.h"

enum { SAS = 3 * DROPS_AT_ONCE, STEPS = 60000 };

/* What the account knows of an SA is this one call; an SA here is a number. */
static uint64_t counted[SAS];

void esp_sa_read(struct esp_sa *sa, struct esp_sa_view *view)
{
    const uint64_t *count = (const uint64_t *)(void *)sa;

    memset(view, 0, sizeof *view);
    view->drops_in[1] = *count;
    view->drops_out[2] = 2 * *count;
    view->in_packets = 3 * *count;
    view->out_packets = 4 * *count;
    view->in_bytes = 5 * *count;
    view->out_bytes = 6 * *count;
}

static struct drops_node nodes[SAS];
static bool there[SAS];
static uint64_t seed = 7;

static uint64_t draw(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

static void come_or_go(struct drops_account *a, size_t i)
{
    if (there[i]) {
        drops_remove(a, &nodes[i]);
    } else {
        counted[i] = 0;
        drops_add(a, &nodes[i], (struct esp_sa *)(void *)&counted[i]);
    }
    there[i] = !there[i];
}

Test(drops, nothing_is_lost_nothing_counts_twice_and_it_never_goes_back)
{
    struct drops_account a = {.n = 0};
    struct datapath_drops told = {.packets_in = 0};
    uint64_t true_sum = 0, last = 0, walks;

    for (size_t i = 0; i < SAS; i++)
        come_or_go(&a, i);
    for (int step = 0; step < STEPS; step++) {
        size_t i = draw(SAS);

        if (draw(8) == 0) {
            come_or_go(&a, i);
        } else if (there[i]) {
            counted[i] += 3;
            true_sum += 3;
        }
        if (draw(20) != 0)
            continue;
        drops_walk(&a);
        drops_read(&a, &told);
        cr_assert(told.in[1] >= last && told.in[1] <= true_sum, "step %d: %lu, %lu, %lu", step,
                  (unsigned long)last, (unsigned long)told.in[1], (unsigned long)true_sum);
        last = told.in[1];
    }
    /* At rest two walks tell exactly what there was, SAs that went included. */
    for (walks = a.walk + 2; a.walk < walks;)
        drops_walk(&a);
    drops_read(&a, &told);
    printf("compared %d steps, %lu walks, %lu drops\n", STEPS, (unsigned long)a.walk,
           (unsigned long)true_sum);
    cr_assert_eq(told.in[1], true_sum);
    cr_assert_eq(told.out[2], 2 * true_sum);
    cr_assert_eq(told.packets_in, 3 * true_sum);
    cr_assert_eq(told.packets_out, 4 * true_sum);
    cr_assert_eq(told.bytes_in, 5 * true_sum);
    cr_assert_eq(told.bytes_out, 6 * true_sum);
    cr_assert(a.walk > 100 && true_sum > STEPS);
}

/* Few SAs: what is read is of now. */
Test(drops, of_few_sas_every_reading_is_exact)
{
    struct drops_account a = {.n = 0};
    struct datapath_drops told;

    for (size_t i = 0; i < 10; i++)
        come_or_go(&a, i);
    for (uint64_t i = 1; i <= 100; i++) {
        counted[i % 10]++;
        drops_read(&a, &told);
        cr_assert_eq(told.in[1], i);
    }
}
