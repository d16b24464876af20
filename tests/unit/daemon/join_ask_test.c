/* A node asks to join: who answers it, and whose refusals it believes. */
#include <criterion/criterion.h>

#include <string.h>

#include "daemon/join_ask.h"

static const uint8_t token[32] = {1, 2, 3, 4, 5}, another[32] = {9, 9, 9, 9};

/* What node `self` knows: nodes 1 and 2 wait outside, 3 is the cluster, all linked. */
static struct repl_status seen_by(uint32_t self)
{
    struct repl_status st = {.node = self, .n_nodes = 3, .quorum = self == 3};

    for (uint32_t i = 0; i < 3; i++)
        st.nodes[i] =
            (struct repl_node_status){.node = i + 1, .connected = true, .role = REPL_OUTSIDE};
    if (self != 3)
        return st;
    st.nodes[0].role = st.nodes[1].role = REPL_EXPECTED;
    st.nodes[2].role = REPL_VOTER;
    st.n_tokens = 1;
    st.tokens[0].node = 2;
    memcpy(st.tokens[0].hash, token, sizeof token);
    return st;
}

Test(join_ask, who_is_outside_says_nothing)
{
    struct repl_status one = seen_by(1), three = seen_by(3);

    cr_assert_eq(join_answer(&one, 2, token), JOIN_SILENCE);
    cr_assert_eq(join_answer(&three, 2, token), JOIN_TAKEN);
    cr_assert_eq(join_answer(&three, 2, another), JOIN_REFUSED);
    cr_assert_eq(join_answer(&three, 1, token), JOIN_REFUSED, "it is another node's");
    three.nodes[2].role = REPL_LEAVING; /* it is leaving itself: others will answer */
    cr_assert_eq(join_answer(&three, 2, another), JOIN_SILENCE);
}

Test(join_ask, a_state_that_may_be_old_refuses_nobody)
{
    struct repl_status three = seen_by(3);

    three.quorum = false;
    cr_assert_eq(join_answer(&three, 2, another), JOIN_SILENCE);
    cr_assert_eq(join_answer(&three, 2, token), JOIN_TAKEN, "the log decides");
}

Test(join_ask, who_is_in_is_not_refused)
{
    struct repl_status three = seen_by(3);

    three.n_tokens = 0;
    three.nodes[1].role = REPL_JOINING;
    cr_assert_eq(join_answer(&three, 2, token), JOIN_SILENCE);
}

static bool refuse(struct join_refusals *r, const struct repl_status *st, uint32_t from,
                   const char *why, const uint8_t means[32])
{
    uint8_t said[JOIN_WHY_BYTES];

    return join_refused(r, st, from, span_of(said, join_refusal(why, means, said)), token);
}

Test(join_ask, a_refusal_counts_once_all_who_are_linked_have_refused)
{
    struct repl_status two = seen_by(2);
    struct join_refusals r = {.n = 0};

    cr_assert_not(refuse(&r, &two, 1, "no", token));
    cr_assert_not(refuse(&r, &two, 1, "no", token), "twice the same is one");
    cr_assert_str_eq(r.why, "no");
    cr_assert(refuse(&r, &two, 3, "used", token));
    cr_assert_str_eq(r.why, "used");
}

Test(join_ask, who_is_not_linked_is_not_waited_for)
{
    struct repl_status two = seen_by(2);
    struct join_refusals r = {.n = 0};

    two.nodes[0].connected = false;
    cr_assert(refuse(&r, &two, 3, "no", token));
}

/* Of the token that was tried before this one: on its way since. */
Test(join_ask, a_refusal_of_another_token_is_none)
{
    struct repl_status two = seen_by(2);
    struct join_refusals r = {.n = 0};

    two.nodes[0].connected = false;
    cr_assert_not(refuse(&r, &two, 3, "no", another));
    cr_assert_eq(r.n, 0);
}

/* As nodes said it before: the words alone. */
Test(join_ask, a_refusal_without_its_token_is_heard)
{
    struct repl_status two = seen_by(2);
    struct join_refusals r = {.n = 0};
    uint8_t long_one[2 * JOIN_WHY_BYTES];

    two.nodes[0].connected = false;
    cr_assert(join_refused(&r, &two, 3, span_of((const uint8_t *)"no", 2), token));
    memset(long_one, 'x', sizeof long_one);
    cr_assert(join_refused(&r, &two, 3, span_of(long_one, sizeof long_one), token));
    cr_assert_eq(strlen(r.why), JOIN_WHY_BYTES - 1);
}

/* Found by fuzz/admin: an operator was told nothing, or what moves his terminal's cursor. */
Test(join_ask, a_reason_is_plain_text_and_never_empty)
{
    struct repl_status two = seen_by(2);
    struct join_refusals r = {.n = 0};

    two.nodes[0].connected = false;
    cr_assert(refuse(&r, &two, 3, "", token));
    cr_assert_str_eq(r.why, "refused, and no reason was given");
    cr_assert(refuse(&r, &two, 3, "no\x1b[2J\xc3\n", token));
    cr_assert_str_eq(r.why, "no?[2J??");
}

/* Who was removed counts for ever; a second token for one node takes the place of the first. */
Test(join_ask, ids_are_used_up_some_day)
{
    struct repl_status three = seen_by(3);

    three.n_gone = REPL_MAX_IDS - 2; /* 3 itself, a token for 2 */
    cr_assert(join_ids_used_up(&three, 70));
    cr_assert_not(join_ids_used_up(&three, 2));
    three.n_gone--;
    cr_assert_not(join_ids_used_up(&three, 70));
}
