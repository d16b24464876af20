/* Whose state is the majority's (replication/witness.h), as a table of who said what. */
#include <criterion/criterion.h>

#include "replication/witness.h"

static const struct digest right = {1, 2}, wrong = {1, 3}, other = {7, 7};

/* Of three voters, all said at one index. */
static void vote(struct witness *w, uint64_t index, struct digest one, struct digest two,
                 struct digest three)
{
    witness_say(w, 1, true, 3, index, one);
    witness_say(w, 2, true, 3, index, two);
    witness_say(w, 3, true, 3, index, three);
}

static void expect(const struct witness *w, enum witness_verdict one, enum witness_verdict two,
                   enum witness_verdict three)
{
    cr_assert_eq(witness_verdict(w, 1), one);
    cr_assert_eq(witness_verdict(w, 2), two);
    cr_assert_eq(witness_verdict(w, 3), three);
}

Test(repl_witness, the_majority_decides_whoever_it_is)
{
    struct witness w = {0};

    expect(&w, WITNESS_UNKNOWN, WITNESS_UNKNOWN, WITNESS_UNKNOWN);
    vote(&w, 5, right, right, right);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_AGREES);
    vote(&w, 6, wrong, right, right);
    expect(&w, WITNESS_OUTVOTED, WITNESS_AGREES, WITNESS_AGREES);
    vote(&w, 7, right, right, wrong);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_OUTVOTED);
}

Test(repl_witness, without_a_majority_nobody_can_tell)
{
    struct witness w = {0};

    witness_say(&w, 1, true, 3, 9, right);
    expect(&w, WITNESS_UNKNOWN, WITNESS_UNKNOWN, WITNESS_UNKNOWN);
    witness_say(&w, 2, true, 3, 9, wrong);
    expect(&w, WITNESS_TIED, WITNESS_TIED, WITNESS_UNKNOWN);
    witness_say(&w, 3, true, 3, 9, wrong); /* it speaks at last, of the same index */
    expect(&w, WITNESS_OUTVOTED, WITNESS_AGREES, WITNESS_AGREES);
    vote(&w, 10, right, wrong, other);
    expect(&w, WITNESS_TIED, WITNESS_TIED, WITNESS_TIED);
    /* Two of five are no majority. */
    w = (struct witness){0};
    witness_say(&w, 1, true, 5, 9, right);
    witness_say(&w, 2, true, 5, 9, right);
    cr_assert_eq(witness_verdict(&w, 1), WITNESS_UNKNOWN);
}

Test(repl_witness, only_voters_count_but_all_are_judged)
{
    struct witness w = {0};

    witness_say(&w, 1, true, 3, 9, right);
    witness_say(&w, 2, false, 3, 9, wrong);
    witness_say(&w, 4, false, 3, 9, wrong);
    expect(&w, WITNESS_TIED, WITNESS_TIED, WITNESS_UNKNOWN);
    witness_say(&w, 3, true, 3, 9, right);
    expect(&w, WITNESS_AGREES, WITNESS_OUTVOTED, WITNESS_AGREES);
    cr_assert_eq(witness_verdict(&w, 4), WITNESS_OUTVOTED);
}

Test(repl_witness, words_come_late_and_in_any_order)
{
    struct witness w = {0};

    /* Node 1 runs ahead; the others' word of index 32 comes when it is far beyond. */
    for (uint64_t i = 1; i <= 10; i++)
        witness_say(&w, 1, true, 3, i * 32, right);
    witness_say(&w, 2, true, 3, 32, right);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_UNKNOWN);
    witness_say(&w, 3, true, 3, 32, wrong);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_OUTVOTED);
    /* A newer index tells more than an older one. */
    vote(&w, 320, right, right, right);
    witness_say(&w, 3, true, 3, 64, wrong);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_AGREES);
    /* Of what is too long ago nothing is kept: no verdict. */
    for (uint64_t i = 11; i <= 11 + WITNESS_MARKS; i++)
        witness_say(&w, 1, true, 3, i * 32, right);
    w.nodes[1].verdict = WITNESS_UNKNOWN;
    w.nodes[1].judged_index = 0;
    witness_say(&w, 2, true, 3, 96, right);
    cr_assert_eq(witness_verdict(&w, 2), WITNESS_UNKNOWN);
}

Test(repl_witness, a_state_that_was_replaced_begins_anew)
{
    struct witness w = {0};

    vote(&w, 6, wrong, right, right);
    witness_forget(&w, 1);
    expect(&w, WITNESS_UNKNOWN, WITNESS_AGREES, WITNESS_AGREES);
    witness_say(&w, 1, true, 3, 6, right);
    expect(&w, WITNESS_AGREES, WITNESS_AGREES, WITNESS_AGREES);
    /* Its word on an index may change: a bit that fell over between two reports. */
    witness_say(&w, 1, true, 3, 6, wrong);
    expect(&w, WITNESS_OUTVOTED, WITNESS_AGREES, WITNESS_AGREES);
    witness_say(&w, 2, true, 1, 0, wrong); /* nothing applied yet: no word */
    expect(&w, WITNESS_OUTVOTED, WITNESS_AGREES, WITNESS_AGREES);
}

/* Up to where a node's state was right for sure, whatever became of it. */
Test(repl_witness, what_a_majority_agreed_to)
{
    struct witness w = {0};

    cr_assert_eq(witness_agreed(&w, 1), 0);
    vote(&w, 32, right, right, right);
    witness_say(&w, 1, true, 3, 64, right);
    cr_assert_eq(witness_agreed(&w, 1), 32, "its own word alone is none");
    witness_say(&w, 1, true, 3, 80, wrong);
    witness_say(&w, 2, true, 3, 80, right);
    cr_assert_eq(witness_agreed(&w, 1), 32);
    witness_say(&w, 3, true, 3, 64, right); /* of an older index, and it tells something */
    expect(&w, WITNESS_TIED, WITNESS_TIED, WITNESS_AGREES);
    cr_assert_eq(witness_agreed(&w, 1), 64);
    cr_assert_eq(witness_agreed(&w, 2), 32);
    /* At that very index it fell over. */
    vote(&w, 96, right, right, right);
    witness_say(&w, 2, true, 3, 96, wrong);
    cr_assert_eq(witness_agreed(&w, 1), 96);
    cr_assert_eq(witness_agreed(&w, 2), 95);
    witness_forget(&w, 1);
    cr_assert_eq(witness_agreed(&w, 1), 0);
}

/* Over its life a cluster has more nodes than there are places: of those that left nothing is kept. */
Test(repl_witness, as_many_nodes_as_ever_came)
{
    struct witness w = {0};

    for (uint32_t first = 1; first < 100; first++) {
        const uint32_t here[] = {first, first + 1, first + 2, first + 3, first + 4};

        witness_keep(&w, here, 5);
        for (uint32_t i = 0; i < 5; i++)
            witness_say(&w, here[i], true, 5, 5 * first + 1, i == first % 5 ? wrong : right);
        for (uint32_t i = 0; i < 5; i++)
            cr_assert_eq(witness_verdict(&w, here[i]),
                         i == first % 5 ? WITNESS_OUTVOTED : WITNESS_AGREES, "node %u of %u..",
                         here[i], first);
    }
}
