/* What a node answers to PAST, state by state: one that is stuck asks who went on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_parts.h"

struct answer {
    const char *of;
    uint64_t applied, session, former, locked, blind, awaits;
    bool diverged, muted, has;
    enum seal_what answer;
};

enum { KEY = 7, OTHER = 8, ASKED_AT = 100 };

static const struct answer answers[] = {
    {.of = "it went on", .applied = 100, .session = OTHER, .answer = SEAL_GONE},
    {.of = "the former key is named",
     .applied = 100,
     .session = OTHER,
     .former = KEY,
     .answer = SEAL_GONE},
    {.of = "it has the key", .applied = 100, .session = OTHER, .has = true},
    {.of = "it is not there yet", .applied = 99, .session = OTHER},
    {.of = "its state is wrong", .applied = 100, .session = OTHER, .diverged = true},
    {.of = "it has no key at all", .applied = 100},
    {.of = "it lacks that key, there", .applied = 100, .session = KEY, .answer = SEAL_LACK},
    {.of = "it lacks that key, but is not there yet", .applied = 99, .session = KEY},
    {.of = "it is locked", .applied = 9, .session = KEY, .locked = KEY, .answer = SEAL_LACK},
    {.of = "it is locked for another",
     .applied = 200,
     .session = OTHER,
     .locked = OTHER,
     .answer = SEAL_LACK},
    {.of = "it is blind", .applied = 200, .session = OTHER, .blind = KEY, .answer = SEAL_LACK},
    {.of = "it awaits a state",
     .applied = 200,
     .session = KEY,
     .awaits = 9,
     .diverged = true,
     .answer = SEAL_LACK},
    {.of = "locked, under distrust", .session = KEY, .locked = KEY, .muted = true},
    {.of = "lacks it, under distrust", .applied = 100, .session = KEY, .muted = true},
    {.of = "went on, under distrust",
     .applied = 100,
     .session = OTHER,
     .muted = true,
     .answer = SEAL_GONE},
};

Test(repl_lost, what_a_node_says_of_a_key_that_another_lacks)
{
    const struct seal_message past = {
        .what = SEAL_PAST, .kind = SEAL_SESSION, .id = KEY, .index = ASKED_AT};
    size_t n = sizeof answers / sizeof *answers;

    for (size_t i = 0; i < n; i++) {
        const struct answer *a = &answers[i];
        struct seal_ring ring = {.keys = {{.id = a->has ? KEY : 0, .kind = SEAL_SESSION}}};
        struct replica *r = repl_alloc_zero(1, sizeof *r);

        r->options.ring = &ring;
        r->fsm.applied_index = a->applied;
        r->fsm.session_key = a->session;
        r->fsm.former_key = a->former;
        r->locked.want = a->locked;
        r->blind = a->blind;
        r->awaits_above = a->awaits;
        r->diverged = a->diverged;
        r->raft.muted = a->muted ? REPL_DISTRUST_SUFFIX : REPL_TRUSTED;
        cr_assert_eq(replica_answer_past(r, &past), a->answer, "%s", a->of);
        free(r);
    }
    (void)printf("compared %zu answers\n", n);
}
