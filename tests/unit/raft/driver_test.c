/* The driver's own rules, with a single driver whose disk and peers the test plays. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "unit/raft/rig.h"

static struct rig r;

static struct raft_frame vote_request(uint64_t term, uint64_t last, uint64_t last_term,
                                      bool pre_vote)
{
    return (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                               .term = term,
                               .index = last,
                               .index_term = last_term,
                               .pre_vote = pre_vote};
}

static struct raft_frame accepted(uint64_t term, uint64_t last)
{
    return (struct raft_frame){.type = RAFT_FRAME_APPEND_RESULT, .term = term, .index = last};
}

Test(raft_driver, bootstrap_writes_entry_one)
{
    rig_init(&r, 1, 3, 0);
    struct raft_driver_status s = raft_driver_status(r.driver);
    cr_assert_eq(s.term, 1);
    cr_assert_eq(s.commit_index, 1);
    cr_assert_eq(r.applied, 1);
    cr_assert_eq(r.configuration.n_servers, 3);
    cr_assert_eq(r.configuration.index, 1);
    cr_assert_eq(s.role, RAFT_DRIVER_VOTER);
    rig_deinit(&r);
}

Test(raft_driver, bootstrap_refuses_a_configuration_without_a_voter)
{
    uint64_t now = 0;
    struct sim_storage *disk = sim_storage_create(1, &now);
    struct repl_storage storage = sim_storage_interface(disk);
    struct repl_configuration none = {0};
    struct repl_configuration spare = {.n_servers = 1, .servers = {{1, RAFT_DRIVER_SPARE}}};
    struct repl_configuration twice = {.n_servers = 2,
                                       .servers = {{1, RAFT_DRIVER_VOTER}, {1, RAFT_DRIVER_VOTER}}};
    cr_assert_not(raft_driver_bootstrap(&storage, &none));
    cr_assert_not(raft_driver_bootstrap(&storage, &spare));
    cr_assert_not(raft_driver_bootstrap(&storage, &twice));
    cr_assert_eq(sim_storage_next(disk), UINT64_MAX);
    sim_storage_destroy(disk);
}

/* Term and vote are durable before the answer leaves. */
Test(raft_driver, no_vote_leaves_before_it_is_durable)
{
    rig_init(&r, 2, 3, 0);
    sim_storage_set_delay(r.storage, 50, 50);
    rig_feed(&r, 1, vote_request(2, 1, 1, false));
    cr_assert_eq(r.n_sent, 0);
    rig_run(&r, 49);
    cr_assert_eq(r.n_sent, 0);
    rig_run(&r, 2);
    cr_assert_eq(r.n_sent, 1);
    cr_assert(r.sent[0].frame.granted);
    struct repl_loaded loaded;
    sim_storage_load(r.storage, &loaded);
    cr_assert_eq(loaded.term, 2);
    cr_assert_eq(loaded.voted_for, 1);
    rig_deinit(&r);
}

/* And everything that follows from the new term waits behind it, in order. */
Test(raft_driver, frames_wait_in_order_for_the_vote)
{
    rig_init(&r, 2, 3, 0);
    sim_storage_set_delay(r.storage, 50, 50);
    rig_feed(&r, 1, vote_request(2, 1, 1, false));
    rig_feed(&r, 3, vote_request(3, 1, 1, false));
    rig_append(&r, 3, 3, 1, 1, 1, "");
    cr_assert_eq(r.n_sent, 0);
    rig_disk(&r);
    cr_assert_eq(r.n_sent, 3);
    cr_assert(r.sent[0].to == 1 && r.sent[0].frame.term == 2 && r.sent[0].frame.granted);
    cr_assert(r.sent[1].to == 3 && r.sent[1].frame.term == 3 && r.sent[1].frame.granted);
    cr_assert(r.sent[2].to == 3 && r.sent[2].frame.type == RAFT_FRAME_APPEND_RESULT);
    cr_assert(r.sent[0].frame.sequence < r.sent[1].frame.sequence &&
              r.sent[1].frame.sequence < r.sent[2].frame.sequence);
    rig_deinit(&r);
}

Test(raft_driver, a_vote_survives_a_restart)
{
    rig_init(&r, 2, 3, 0);
    rig_feed(&r, 1, vote_request(2, 1, 1, false));
    rig_disk(&r);
    rig_stop(&r);
    r.n_sent = 0;
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    rig_feed(&r, 3, vote_request(2, 1, 1, false));
    rig_disk(&r);
    cr_assert_eq(r.n_sent, 1);
    cr_assert_not(r.sent[0].frame.granted);
    rig_deinit(&r);
}

/* An acceptance names only what is durable, and only entries that still stand. */
Test(raft_driver, acceptance_waits_for_the_disk_and_for_what_still_stands)
{
    rig_init(&r, 2, 3, 0);
    sim_storage_set_delay(r.storage, 50, 50);
    rig_append(&r, 1, 2, 1, 1, 1, "cccc");
    rig_append(&r, 3, 3, 3, 2, 1,
               "cc"); /* a new leader: 4 and 5 are gone while their write is under way */
    rig_run(&r, 49);
    cr_assert_null(rig_last(&r, RAFT_FRAME_APPEND_RESULT, 3));
    rig_disk(&r);
    const struct rig_sent *s = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 3);
    cr_assert(s != NULL && s->frame.rejected == 0 && s->frame.index == 5);
    for (size_t i = 0; i < r.n_sent;
         i++) /* nothing said that term 2's entries 4 and 5 are stored */
        cr_assert(r.sent[i].to != 3 || r.sent[i].frame.index == 3 || r.sent[i].frame.index == 5 ||
                  r.sent[i].frame.index == 1);
    cr_assert(sim_storage_has(r.storage, 5, 3));
    cr_assert_eq(raft_driver_term_of(r.driver, 4), 3);
    rig_deinit(&r);
}

Test(raft_driver, applies_once_and_in_order_and_again_after_a_restart)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 1, "cbc");
    rig_disk(&r);
    cr_assert_eq(r.applied, 1);
    rig_append(&r, 1, 2, 4, 2, 4, "");
    cr_assert_eq(r.applied, 4);
    cr_assert_eq(r.applied_commands, 2);
    uint64_t index = 4;
    cr_assert_eq(r.last_command_len, sizeof index);
    cr_assert_arr_eq(r.last_command, &index, sizeof index);
    rig_stop(&r);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert_eq(r.applied, 1); /* what else is committed is learnt from the leader */
    rig_append(&r, 1, 2, 4, 2, 4, "");
    cr_assert_eq(r.applied, 4);
    rig_deinit(&r);
}

Test(raft_driver, submit_tells_index_and_term_and_keeps_the_bytes)
{
    uint64_t first = 0, term = 0;
    uint8_t odd[13] = "thirteen byte";
    rig_init(&r, 1, 3, 0);
    struct span entries[2] = {span_of(NULL, 0), span_of(odd, sizeof odd)};
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, entries, 2, &first, &term),
                 RAFT_DRIVER_NOT_LEADER);
    rig_elect(&r);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, entries, 2, &first, &term), RAFT_DRIVER_OK);
    cr_assert_eq(first, 3); /* 2 is the barrier of its term */
    rig_feed(&r, 2, accepted(term, 2));
    rig_disk(&r);
    cr_assert_eq(r.applied, 2);
    cr_assert(raft_driver_status(r.driver).own_term_committed);
    rig_feed(&r, 2, accepted(term, 4));
    rig_disk(&r);
    cr_assert_eq(r.applied, 4);
    cr_assert_eq(r.last_command_len, sizeof odd);
    cr_assert_arr_eq(r.last_command, odd, sizeof odd);
    rig_deinit(&r);
}

Test(raft_driver, at_most_512_are_uncommitted)
{
    uint64_t first, term;
    struct span many[513];
    for (size_t i = 0; i < 513; i++)
        many[i] = span_of("x", 1);
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, many, 513, &first, &term),
                 RAFT_DRIVER_TOO_BIG);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, many, 512, &first, &term),
                 RAFT_DRIVER_BUSY);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, many, 511, &first, &term), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, many, 1, &first, &term), RAFT_DRIVER_BUSY);
    rig_disk(&r);
    rig_feed(&r, 2, accepted(term, 2));
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, many, 1, &first, &term), RAFT_DRIVER_OK);
    rig_deinit(&r);
}

Test(raft_driver, an_entry_too_big_is_refused_and_the_biggest_goes_through)
{
    uint64_t first, term;
    uint8_t *bytes = calloc(1, REPL_MAX_ENTRY_BYTES);
    struct span big = span_of(bytes, REPL_MAX_ENTRY_BYTES - 7);
    rig_init(&r, 1, 1, 0);
    rig_disk(&r);
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, &big, 1, &first, &term),
                 RAFT_DRIVER_TOO_BIG);
    big.len--;
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, &big, 1, &first, &term), RAFT_DRIVER_OK);
    rig_disk(&r);
    cr_assert_eq(r.applied, first);
    free(bytes);
    rig_deinit(&r);
}

/* An AppendEntries of several megabytes is cut into frames of about one. */
Test(raft_driver, a_long_append_is_cut_into_frames)
{
    uint64_t first, term;
    uint8_t *bytes = calloc(1, 300000);
    struct span entries[10];
    for (size_t i = 0; i < 10; i++)
        entries[i] = span_of(bytes, 300000);
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    term = raft_driver_status(r.driver).term;
    rig_feed(&r, 2, accepted(term, 2)); /* pipeline from here on */
    r.n_sent = 0;
    cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, entries, 10, &first, &term),
                 RAFT_DRIVER_OK);
    uint64_t next = first;
    unsigned frames = 0;
    for (size_t i = 0; i < r.n_sent; i++)
        if (r.sent[i].to == 2 && r.sent[i].frame.n_entries > 0) {
            cr_assert_eq(r.sent[i].frame.index + 1, next);
            next += r.sent[i].frame.n_entries;
            frames++;
        }
    cr_assert_eq(next, first + 10);
    cr_assert_eq(frames, 4);
    free(bytes);
    rig_deinit(&r);
}

Test(raft_driver, malformed_frames_change_nothing)
{
    uint8_t bytes[512];
    rig_init(&r, 2, 3, 0);
    struct raft_driver_status before = raft_driver_status(r.driver);
    struct raft_frame f = vote_request(9, 5, 3, false);
    f.boot = 1;
    f.sequence = 1;
    size_t len = raft_frame_encode(&f, bytes);
    for (size_t n = 0; n < len; n++)
        cr_assert_eq(raft_driver_receive(r.driver, r.now_ms, 1, span_of(bytes, n)),
                     RAFT_DRIVER_MALFORMED);
    cr_assert_eq(raft_driver_receive(r.driver, r.now_ms, 0, span_of(bytes, len)),
                 RAFT_DRIVER_MALFORMED);
    cr_assert_eq(raft_driver_receive(r.driver, r.now_ms, 2, span_of(bytes, len)),
                 RAFT_DRIVER_MALFORMED);
    struct raft_driver_status after = raft_driver_status(r.driver);
    cr_assert_eq(before.term, after.term);
    cr_assert_eq(raft_driver_counters(r.driver)->frames_malformed, len + 2);
    cr_assert_eq(r.n_sent, 0);
    cr_assert_eq(raft_driver_receive(r.driver, r.now_ms, 1, span_of(bytes, len)), RAFT_DRIVER_OK);
    rig_disk(&r);
    cr_assert_eq(raft_driver_status(r.driver).term, 9);
    rig_deinit(&r);
}

/* A second leader of a leader's own term is refused: the core would take its state apart. */
Test(raft_driver, a_second_leader_of_the_term_is_refused)
{
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    uint64_t term = raft_driver_status(r.driver).term;
    cr_assert_eq(rig_append(&r, 3, term, 1, 1, 1, "c"), RAFT_DRIVER_MALFORMED);
    cr_assert_eq(raft_driver_status(r.driver).state, RAFT_DRIVER_LEADER);
    cr_assert_eq(rig_append(&r, 3, term + 1, 1, 1, 1, "c"), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_status(r.driver).state, RAFT_DRIVER_FOLLOWER);
    rig_deinit(&r);
}

Test(raft_driver, a_failed_write_ends_everything)
{
    rig_init(&r, 2, 3, 0);
    sim_storage_fail(r.storage);
    rig_append(&r, 1, 2, 1, 1, 1, "c");
    rig_disk(&r);
    cr_assert_eq(r.failed, 1);
    cr_assert_eq(r.n_sent, 0);
    cr_assert_eq(rig_append(&r, 1, 2, 1, 1, 1, "c"), RAFT_DRIVER_FAILED);
    cr_assert_eq(raft_driver_next_timeout(r.driver), UINT64_MAX);
    cr_assert_eq(r.failed, 1);
    rig_deinit(&r);
}

/* A peer whose log contradicts what is committed here: one of us is wrong, and this node does not
 * go on. */
Test(raft_driver, contradiction_of_committed_entries_fails_the_node)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 5, "cccc");
    rig_disk(&r);
    cr_assert_eq(r.applied, 5);
    rig_append(&r, 3, 3, 3, 2, 5, "c");
    cr_assert_eq(r.failed, 1);
    cr_assert_eq(raft_driver_term_of(r.driver, 4), 2);
    cr_assert_eq(raft_driver_counters(r.driver)->contradicted, 1);
    cr_assert_not_null(strstr(r.why, "node 3's log contradicts what is committed here: entry 4 is "
                                     "of term 3 there, of term 2 here"),
                       "%s", r.why);
    cr_assert_not_null(strstr(r.why, "holdfast cluster replace 2"), "%s", r.why);
    rig_deinit(&r);
}

/* What came before its entries, too; and its snapshot. */
Test(raft_driver, a_contradiction_says_who_and_what)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 5, "cccc");
    rig_disk(&r);
    rig_append(&r, 3, 4, 5, 3, 5, "c");
    cr_assert_eq(r.failed, 1);
    cr_assert_not_null(strstr(r.why, "entry 5 is of term 3 there, of term 2 here"), "%s", r.why);
    rig_deinit(&r);
}

static void never_apply(void *self, uint64_t index, const struct repl_entry *entry)
{
    (void)self, (void)index, (void)entry;
    abort();
}

static void never_restore(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    (void)self, (void)meta, (void)data;
    abort();
}

static void any_restore(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    (void)self, (void)data;
    cr_assert_eq(meta->index, 8);
}

static enum raft_driver_result start_with(struct repl_loaded *loaded)
{
    struct sim_storage *disk = sim_storage_create(1, &r.now_ms);
    struct repl_storage storage = sim_storage_interface(disk);
    struct repl_transport transport = {0};
    struct raft_driver_options options = {
        .node = 1, .boot = 1, .incarnation = 1, .seed = 1, .election_ms = 150, .heartbeat_ms = 30};
    struct raft_driver_callbacks callbacks = {
        .self = &r, .apply = never_apply, .restore = never_restore};
    struct raft_driver *d = raft_driver_create(&options, &storage, &transport, &callbacks);
    enum raft_driver_result result = raft_driver_start(d, loaded, 0);
    raft_driver_destroy(d);
    sim_storage_destroy(disk);
    return result;
}

/* Each line: what contradicts itself on the disk. */
Test(raft_driver, refuses_a_log_that_contradicts_itself)
{
    uint8_t change[RAFT_CHANGE_BYTES], command[8] = {0};
    struct repl_configuration three = {.n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}};
    struct span data = span_of(change, raft_change_put(&three, change));
    struct repl_entry good = {.term = 1, .kind = REPL_ENTRY_CHANGE, .data = data};
    struct repl_entry text = {.term = 1, .kind = REPL_ENTRY_COMMAND, .data = span_of(command, 8)};
    struct repl_entry late = {.term = 4, .kind = REPL_ENTRY_COMMAND, .data = span_of(command, 8)};
    struct repl_entry odd = {.term = 1, .kind = REPL_ENTRY_COMMAND, .data = span_of(command, 7)};
    struct repl_entry no_command[] = {
        good, {.term = 1, .kind = REPL_ENTRY_CHANGE, .data = span_of(command, 8)}};
    struct repl_entry first_is_text[] = {text}, falling[] = {good, late, text},
                      padded[] = {good, odd};
    struct repl_snapshot_meta no_voter = {.index = 5, .term = 1, .configuration = {.index = 1}};
    struct repl_loaded bad[] = {
        {.term = 0, .voted_for = 1},
        {.term = 3, .entries = &good, .n_entries = 1, .first_index = 2},
        {.term = 3, .entries = &good, .n_entries = 1, .first_index = 0},
        {.term = 3, .entries = first_is_text, .n_entries = 1, .first_index = 1},
        {.term = 4, .entries = falling, .n_entries = 3, .first_index = 1},
        {.term = 3, .entries = padded, .n_entries = 2, .first_index = 1},
        {.term = 3, .entries = no_command, .n_entries = 2, .first_index = 1},
        {.term = 3, .snapshot = no_voter, .first_index = 6},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(start_with(&bad[i]), RAFT_DRIVER_INVALID, "case %zu", i);
}

/* A log that lacks the snapshot's last entry is discarded before anything else. */
Test(raft_driver, discards_a_log_that_lacks_the_snapshot)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 1, "ccccccccc");
    rig_disk(&r);
    rig_stop(&r);
    struct repl_loaded loaded;
    sim_storage_load(r.storage, &loaded);
    loaded.term = 4;
    loaded.snapshot = (struct repl_snapshot_meta){
        .index = 8,
        .term = 3,
        .configuration = {.index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}}};
    loaded.snapshot_data = span_of("image", 5);
    struct repl_storage storage = sim_storage_interface(r.storage);
    struct repl_entry *entries = calloc(loaded.n_entries, sizeof *entries);
    memcpy(entries, loaded.entries, loaded.n_entries * sizeof *entries);
    loaded.entries = entries;
    storage.vote(storage.self, 4, 0);
    storage.draft_begin(storage.self, REPL_DRAFT_OWN, &loaded.snapshot);
    storage.draft_write(storage.self, REPL_DRAFT_OWN, loaded.snapshot_data);
    storage.draft_close(storage.self, REPL_DRAFT_OWN);
    sim_storage_flush(r.storage);
    storage.snapshot(storage.self, &loaded.snapshot);
    sim_storage_flush(r.storage);
    struct raft_driver_options options = {
        .node = 2, .boot = 1, .incarnation = 1, .seed = 1, .election_ms = 150, .heartbeat_ms = 30};
    struct repl_transport transport = {0};
    struct raft_driver_callbacks callbacks = {
        .self = &r, .apply = never_apply, .restore = any_restore};
    struct raft_driver *d = raft_driver_create(&options, &storage, &transport, &callbacks);
    cr_assert_eq(raft_driver_start(d, &loaded, r.now_ms), RAFT_DRIVER_OK);
    struct raft_driver_status s = raft_driver_status(d);
    cr_assert(s.last_index == 8 && s.applied_index == 8 && s.commit_index == 8 &&
              s.log_entries == 0);
    struct repl_storage_done done;
    r.now_ms += 10;
    cr_assert(sim_storage_pop(r.storage, &done));
    cr_assert_eq(done.op, REPL_STORAGE_INSTALL);
    raft_driver_storage_done(d, r.now_ms, &done);
    raft_driver_destroy(d);
    sim_storage_load(r.storage, &loaded);
    cr_assert(loaded.n_entries == 0 && loaded.snapshot.index == 8);
    free(entries);
    sim_storage_destroy(r.storage);
}

Test(raft_driver, snapshot_trims_to_trailing_and_is_restored_at_start)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 1, "ccccccccccccccccccc");
    rig_disk(&r);
    rig_append(&r, 1, 2, 20, 2, 20, "");
    cr_assert_eq(raft_driver_snapshot_take(r.driver, r.now_ms, 21, span_of("x", 1)),
                 RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_snapshot_take(r.driver, r.now_ms, 18, span_of("x", 1)),
                 RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_snapshot_take(r.driver, r.now_ms, 20, span_of("x", 1)),
                 RAFT_DRIVER_BUSY);
    rig_disk(&r);
    cr_assert(r.taken == 18 && r.taken_result == RAFT_DRIVER_OK);
    struct raft_driver_status s = raft_driver_status(r.driver);
    cr_assert(s.snapshot_index == 18 && s.log_entries == 6); /* 15 to 20 */
    cr_assert_eq(raft_driver_snapshot_take(r.driver, r.now_ms, 18, span_of("x", 1)),
                 RAFT_DRIVER_INVALID);
    rig_stop(&r);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert(r.restored == 18 && r.applied == 18);
    cr_assert_eq(raft_driver_status(r.driver).last_index, 20);
    cr_assert_eq(r.configuration.n_servers, 3);
    rig_deinit(&r);
}

/* confirm(): only what a majority stored since counts. */
Test(raft_driver, confirmation_needs_a_majority_since_the_call)
{
    struct raft_driver_confirmation asked = {0};
    uint64_t commit = 0;
    rig_init(&r, 1, 3, 0);
    cr_assert_eq(raft_driver_confirm(r.driver, r.now_ms, &asked), RAFT_DRIVER_NOT_LEADER);
    rig_elect(&r);
    uint64_t term = raft_driver_status(r.driver).term;
    rig_feed(&r, 2, accepted(term, 2));
    rig_disk(&r);
    cr_assert_eq(raft_driver_confirm(r.driver, r.now_ms, &asked), RAFT_DRIVER_OK);
    rig_disk(&r);
    rig_feed(&r, 2, accepted(term, 2));
    cr_assert_eq(raft_driver_confirmed(r.driver, &asked, &commit), RAFT_DRIVER_BUSY);
    rig_feed(&r, 3, accepted(term, 3));
    cr_assert_eq(raft_driver_confirmed(r.driver, &asked, &commit), RAFT_DRIVER_OK);
    cr_assert_eq(commit, 3);
    cr_assert_eq(raft_driver_confirm(r.driver, r.now_ms, &asked), RAFT_DRIVER_OK);
    rig_append(&r, 3, term + 1, 3, term, 3, "b");
    rig_disk(&r);
    cr_assert_eq(raft_driver_confirmed(r.driver, &asked, &commit), RAFT_DRIVER_LOST);
    rig_deinit(&r);
}

Test(raft_driver, a_silent_majority_ends_leadership)
{
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    rig_run(&r, 400);
    cr_assert_neq(raft_driver_status(r.driver).state, RAFT_DRIVER_LEADER);
    rig_deinit(&r);
}

Test(raft_driver, an_unsendable_frame_is_counted_and_comes_again)
{
    rig_init(&r, 1, 3, 0);
    r.refuse = true;
    rig_run(&r, 1000);
    cr_assert(raft_driver_counters(r.driver)->frames_unsent > 0);
    cr_assert_eq(r.n_sent, 0);
    r.refuse = false;
    rig_elect(&r);
    rig_deinit(&r);
}
