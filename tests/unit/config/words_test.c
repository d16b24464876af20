/* What `holdfast explain` calls an algorithm is what the configuration calls it: it can be written down as it is read. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "conductor/explain.h"
#include "config/internal.h"

Test(config_words, explain_has_the_same)
{
    char out[EXPLAIN_TRANSFORM_CHARS];
    unsigned n = 0;

    for (const struct transform_name *t = transform_names; t->word != NULL; t++, n++)
        cr_assert_str_eq(explain_transform(t->type, t->id, t->key_bits, out), t->word);
    cr_assert_gt(n, 20);
    printf("compared %u words\n", n);
}
