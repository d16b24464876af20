/* I5 between threads: a lease's time is never taken for one of another epoch. Tried on the product's own lease.h, and on
 * variants of it, each of which must be found. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "variant.h"

struct variant {
    const char *name;
    struct lease_trial (*run)(void);
};

#define X(name_) {#name_, lease_order_##name_},
static const struct variant variants[] = {VARIANTS};
#undef X
static struct lease_trial tried(const struct variant *v)
{
    struct lease_trial t = v->run();

    (void)fprintf(stderr, "%s: %zu looks, %zu let act, %zu breaches\n", v->name, t.looks, t.acts,
                  t.breaches);
    return t;
}

/* Nothing of the product's order is breached; each variant's is. */
Test(lease, each_order_is_needed_and_they_are_enough)
{
    struct lease_trial product = tried(&variants[0]);

    cr_assert_str_eq(variants[0].name, "product");
    cr_assert_gt(product.acts, 10);
    cr_assert_gt(product.looks, product.acts);
    cr_assert_eq(product.breaches, 0);
    cr_assert_gt(sizeof variants / sizeof variants[0], 9);
    for (size_t i = 1; i < sizeof variants / sizeof variants[0]; i++)
        cr_assert_gt(tried(&variants[i]).breaches, 0, "%s: nothing shows that it is wrong",
                     variants[i].name);
}

Test(lease, threads_never_take_a_time_of_another_epoch, .timeout = 240)
{
    struct lease_trial trial = lease_threads();

    (void)fprintf(stderr, "%zu looks, %zu let act, %zu breaches\n", trial.looks, trial.acts,
                  trial.breaches);
    cr_assert_gt(trial.acts, 100);
    cr_assert_eq(trial.breaches, 0);
}
