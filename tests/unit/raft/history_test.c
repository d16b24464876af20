/* A frame of another incarnation of the cluster counts for nothing, whoever let it in. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/raft/rig.h"

enum { OURS = RIG_INCARNATION, THEIRS = 1 << 20 };

static struct rig r;

static const struct raft_frame each[] = {
    {.type = RAFT_FRAME_APPEND, .term = 9, .index = 1, .index_term = 1},
    {.type = RAFT_FRAME_APPEND_RESULT, .term = 9, .index = 1},
    {.type = RAFT_FRAME_REQUEST_VOTE, .term = 9, .index = 5, .index_term = 8, .disrupt = true},
    {.type = RAFT_FRAME_REQUEST_VOTE_RESULT, .term = 9, .granted = true},
    {.type = RAFT_FRAME_INSTALL,
     .term = 9,
     .index = 6,
     .index_term = 8,
     .configuration = {.index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}},
     .transfer = 1,
     .total = 5,
     .data = {.data = (const uint8_t *)"image", .len = 5}},
    {.type = RAFT_FRAME_INSTALL_ACK, .term = 9, .index = 1},
    {.type = RAFT_FRAME_TIMEOUT_NOW, .term = 9, .index = 5, .index_term = 8},
    {.type = RAFT_FRAME_TRUST, .term = 9, .peer_boot = 5711, .index = 1, .index_term = 9},
    {.type = RAFT_FRAME_DISTRUST, .term = 9, .peer_boot = 5711, .index = 1},
    {.type = RAFT_FRAME_FOUND, .term = 9, .peer_boot = 5711, .begun = true}};
enum { KINDS = sizeof each / sizeof *each };

static enum raft_driver_result say(uint32_t from, struct raft_frame f, uint64_t incarnation)
{
    f.named = true;
    f.incarnation = incarnation;
    return rig_feed(&r, from, f);
}

static uint64_t foreign(void)
{
    return raft_driver_counters(r.driver)->foreign;
}

static bool same_state(const struct raft_driver_status *a, const struct raft_driver_status *b)
{
    return a->term == b->term && a->state == b->state && a->leader == b->leader &&
           a->last_index == b->last_index && a->commit_index == b->commit_index &&
           a->muted == b->muted && a->installing == b->installing;
}

/* Each kind, to a follower and to a leader; of another history, and of one that has none but may not
 * say that any more. */
Test(raft_history, no_frame_of_another_one_counts)
{
    size_t n = 0;

    for (int leads = 0; leads < 2; leads++) {
        rig_init(&r, 1, 3, 0);
        if (leads)
            rig_elect(&r);
        for (size_t i = 0; i < KINDS; i++, n++) {
            struct raft_driver_status before = raft_driver_status(r.driver), after;
            bool answers =
                each[i].type == RAFT_FRAME_APPEND_RESULT || each[i].type == RAFT_FRAME_INSTALL_ACK;
            uint64_t refused = foreign();
            size_t sent = r.n_sent;

            cr_assert_eq(say(2, each[i], THEIRS), RAFT_DRIVER_OK);
            if (!answers)
                cr_assert_eq(say(2, each[i], 0), RAFT_DRIVER_OK);
            rig_disk(&r);
            after = raft_driver_status(r.driver);
            cr_assert(same_state(&before, &after), "kind %d moved it", each[i].type);
            cr_assert_eq(r.n_sent, sent, "kind %d was answered", each[i].type);
            cr_assert_eq(foreign() - refused, answers ? 1 : 2);
            cr_assert_eq(r.strangers, foreign());
        }
        cr_assert_eq(r.failed, 0);
        rig_deinit(&r);
    }
    (void)printf("compared %zu frames\n", n);
}

/* Neither its place in the order of frames nor that it was heard. */
Test(raft_history, what_is_refused_takes_nobodys_place)
{
    struct raft_frame f = each[0];

    rig_init(&r, 1, 3, 0);
    f.boot = 99;
    f.sequence = 1000;
    (void)say(2, f, THEIRS);
    f.boot = 2;
    f.sequence = 1;
    (void)say(2, f, OURS);
    f.boot = 99; /* would be an earlier start's by now */
    (void)say(2, f, THEIRS);
    f.boot = 2;
    f.sequence = 2;
    f.commit = 1;
    (void)say(2, f, OURS);
    cr_assert_eq(raft_driver_status(r.driver).leader, 2);
    cr_assert_eq(r.applied, 1);
    cr_assert_eq(foreign(), 2);
    rig_deinit(&r);
}

/* What this node sends says its own, and an older program's link has no room for it. */
Test(raft_history, frames_name_it_where_they_are_understood)
{
    const struct rig_sent *asked;

    rig_init(&r, 1, 3, 0);
    rig_run(&r, 400);
    asked = rig_last(&r, RAFT_FRAME_REQUEST_VOTE, 2);
    cr_assert(asked != NULL && asked->frame.named && asked->frame.incarnation == OURS);
    r.speaks = REPL_LINK_NAMES_HISTORY - 1;
    rig_elect(&r);
    rig_run(&r, 60);
    asked = rig_last(&r, RAFT_FRAME_APPEND, 3);
    cr_assert(asked != NULL && !asked->frame.named);
    r.speaks = REPL_LINK_NAMES_HISTORY;
    rig_run(&r, 60);
    asked = rig_last(&r, RAFT_FRAME_APPEND, 3);
    cr_assert(asked != NULL && asked->frame.named && asked->frame.incarnation == OURS);
    rig_deinit(&r);
}

/* Nodes of before name none: with them the cluster goes on through a rolling upgrade. */
Test(raft_history, an_older_programs_frames_are_heard)
{
    rig_init(&r, 1, 3, 0);
    (void)rig_append(&r, 2, 4, 1, 1, 2, "b");
    rig_disk(&r);
    cr_assert_eq(raft_driver_status(r.driver).leader, 2);
    cr_assert_eq(r.applied, 2);
    cr_assert_eq(foreign(), 0);
    rig_deinit(&r);
}

/* Who could name it and does not is no older program: that is a word of no history, to be left out by leaving
 * out a word. What this node sends there has nothing to do with it: one direction may be of before yet. */
Test(raft_history, who_could_name_it_must)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct raft_driver_status before, after;

        rig_init(&r, 1, 3, 0);
        before = raft_driver_status(r.driver);
        r.hears = REPL_LINK_NAMES_HISTORY;
        r.speaks = REPL_LINK_NAMES_HISTORY - 1;
        cr_assert_eq(rig_feed(&r, 2, each[i]), RAFT_DRIVER_OK);
        rig_disk(&r);
        after = raft_driver_status(r.driver);
        cr_assert(same_state(&before, &after), "kind %d moved it", each[i].type);
        cr_assert_eq(r.n_sent, 0, "kind %d was answered", each[i].type);
        cr_assert_eq(foreign(), 1);
        cr_assert_eq(r.strangers, 1);
        r.hears = REPL_LINK_NAMES_HISTORY - 1;
        r.speaks = REPL_LINK_NAMES_HISTORY;
        (void)rig_append(&r, 2, 4, 1, 1, 2, "b");
        rig_disk(&r);
        cr_assert_eq(raft_driver_status(r.driver).leader, 2, "an older link is shut");
        cr_assert_eq(foreign(), 1);
        rig_deinit(&r);
    }
}

static void joins(void)
{
    rig_init_with(&r, 3, 0, NULL);
    r.storage = sim_storage_create(9, &r.now_ms);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_incarnation(r.driver), 0);
}

static enum raft_driver_result first_entry(uint32_t from, uint64_t incarnation)
{
    r.named = true;
    r.incarnation = incarnation;
    return rig_append(&r, from, 10, 0, 0, 0, "v");
}

/* It votes for nobody, is filled by the first, and belongs to that one from then on. */
Test(raft_history, who_joins_is_of_the_history_that_fills_it)
{
    joins();
    for (size_t i = 0; i < KINDS; i++)
        if (each[i].type != RAFT_FRAME_APPEND && each[i].type != RAFT_FRAME_INSTALL)
            (void)say(1, each[i], THEIRS);
    cr_assert_eq(foreign(), KINDS - 2);
    cr_assert_eq(r.strangers, 0, "it may be its own leader, which is early: nobody is alarmed");
    cr_assert_eq(raft_driver_status(r.driver).term, 0);
    (void)first_entry(1, THEIRS); /* none but the first begins with an entry 1 */
    cr_assert_eq(foreign(), KINDS - 1);
    cr_assert_eq(r.strangers, 1);
    (void)first_entry(1, OURS);
    rig_disk(&r);
    cr_assert_eq(raft_driver_incarnation(r.driver), OURS);
    cr_assert_eq(raft_driver_status(r.driver).last_index, 1);
    cr_assert_eq(rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1)->frame.incarnation, OURS);
    (void)say(2, each[4], THEIRS);
    cr_assert_eq(foreign(), KINDS);
    rig_stop(&r);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_incarnation(r.driver), OURS, "it is on the disk");
    rig_deinit(&r);
}

Test(raft_history, who_joins_by_a_snapshot_is_of_its_history)
{
    joins();
    r.image_of = THEIRS;
    (void)say(1, each[0], THEIRS); /* the leader asks how far its log goes */
    (void)say(1, each[4], THEIRS);
    cr_assert_eq(raft_driver_incarnation(r.driver), 0, "nothing is stored yet");
    rig_disk(&r);
    cr_assert_eq(r.restored, 6);
    cr_assert_eq(foreign(), 0);
    (void)say(1, each[2], OURS);
    cr_assert_eq(foreign(), 1);
    rig_stop(&r);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_incarnation(r.driver), THEIRS, "the snapshot says it");
    rig_deinit(&r);
}

/* A snapshot's pieces are on their way when another history's first entry comes: one of them counts. */
Test(raft_history, two_that_fill_a_node_do_not_meet_in_it)
{
    joins();
    (void)say(1, each[0], THEIRS);
    (void)say(1, each[4], THEIRS); /* all of it, and the disk is slow */
    (void)first_entry(2, OURS);
    rig_disk(&r);
    cr_assert_eq(raft_driver_incarnation(r.driver), OURS);
    cr_assert(r.restored == 0 && raft_driver_status(r.driver).last_index == 1,
              "the snapshot took the place of the other history's log");
    rig_deinit(&r);
}
