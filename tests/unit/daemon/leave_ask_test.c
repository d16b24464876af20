/* Who may be removed beside whom. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "daemon/leave_ask.h"

static struct repl_status st;
static char why[LEAVE_WHY_BYTES];

/* Voters 1 to n, all well; this is node 1. */
static void voters(size_t n)
{
    st = (struct repl_status){.node = 1, .n_nodes = n};
    for (size_t i = 0; i < n; i++)
        st.nodes[i] = (struct repl_node_status){
            .node = (uint32_t)i + 1, .connected = true, .heard = true, .role = REPL_VOTER};
}

Test(leave_ask, beside_nodes_that_are_well)
{
    size_t compared = 0;

    for (size_t n = 2; n <= 5; n++)
        for (uint32_t node = 2; node <= n; node++, compared++) {
            voters(n);
            cr_assert(leave_goes_on(&st, node, why));
            cr_assert_str_empty(why);
        }
    printf("compared %zu removals\n", compared);
}

/* Dead, its link broken; silent, its link stands; or under distrust: all the same. */
Test(leave_ask, refused_beside_one_of_three_that_is_missing)
{
    for (int how = 0; how < 3; how++) {
        voters(3);
        if (how == 0)
            st.nodes[2].connected = false;
        else if (how == 1)
            st.nodes[2].heard = false;
        else
            st.nodes[2].distrust = REPL_DISTRUST_BOOT;
        cr_assert_not(leave_goes_on(&st, 2, why));
        cr_assert_not_null(strstr(why, how == 2 ? "node 3 is not trusted" : "node 3 is not heard"));
        cr_assert_not_null(strstr(why, "`holdfast cluster remove 3`"), "%s", why);
        cr_assert(leave_goes_on(&st, 3, why), "the way out that it says is none");
    }
    printf("compared 3 refusals\n");
}

Test(leave_ask, one_of_five_is_not_missed)
{
    voters(5);
    st.nodes[4].connected = false;
    cr_assert(leave_goes_on(&st, 2, why));
    st.nodes[3].heard = false; /* 1, 3 of 1, 3, 4, 5 */
    cr_assert_not(leave_goes_on(&st, 2, why));
    cr_assert_not_null(strstr(why, "`holdfast cluster remove 4`"));
    cr_assert(leave_goes_on(&st, 4, why));
    printf("compared 3 judgements\n");
}

/* Those that left do not stay, whatever Raft's configuration still says. */
Test(leave_ask, who_leaves_or_learns_is_no_voter_that_stays)
{
    voters(5);
    st.nodes[4].role = REPL_LEARNER;
    st.nodes[3].role = REPL_LEAVING;
    st.nodes[2].connected = false;
    cr_assert_not(leave_goes_on(&st, 2, why));
    cr_assert(leave_goes_on(&st, 3, why));
    printf("compared 2 judgements\n");
}

Test(leave_ask, without_a_majority_there_is_no_removal_that_helps)
{
    voters(3);
    st.nodes[1].connected = st.nodes[2].connected = false;
    cr_assert_not(leave_goes_on(&st, 2, why));
    cr_assert_not_null(strstr(why, "cluster recover"), "%s", why);
    voters(1);
    cr_assert_not(leave_goes_on(&st, 1, why));
    cr_assert_str_not_empty(why);
    printf("compared 2 judgements\n");
}
