/* The frames between drivers: what is encoded is decoded, and nothing else. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "replication/raft_frame.h"
#include "replication/raft_log.h"
#include "sim/sim_random.h"

static const struct repl_configuration three = {
    .index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 0}, {3, 2}}};

static size_t sample(enum raft_frame_type type, uint8_t *out)
{
    struct raft_frame f = {
        .type = type, .boot = 77, .sequence = 5, .term = 9, .index = 4, .index_term = 3};
    f.named = true;
    f.incarnation = 0x0102030405060708;
    uint8_t command[16], change[RAFT_CHANGE_BYTES];
    size_t used;
    switch (type) {
    case RAFT_FRAME_REQUEST_VOTE:
        f.disrupt = f.pre_vote = true;
        break;
    case RAFT_FRAME_REQUEST_VOTE_RESULT:
        f.granted = true;
        break;
    case RAFT_FRAME_APPEND_RESULT:
        f.muted = true;
        f.rejected = 8;
        break;
    case RAFT_FRAME_INSTALL:
        f.configuration = three;
        f.data = span_of("image", 5);
        f.transfer = 6;
        f.offset = 20;
        f.total = 30;
        used = raft_frame_encode(&f, out);
        memcpy(out + used, f.data.data, f.data.len);
        return used + f.data.len;
    case RAFT_FRAME_APPEND: {
        raft_command_put(span_of("command", 7), command);
        struct repl_entry entries[3] = {
            {.term = 3, .kind = REPL_ENTRY_COMMAND, .data = span_of(command, 16)},
            {.term = 4, .kind = REPL_ENTRY_BARRIER},
            {.term = 9,
             .kind = REPL_ENTRY_CHANGE,
             .data = span_of(change, raft_change_put(&three, change))}};
        f.n_entries = 3;
        f.commit = 2;
        used = raft_frame_encode(&f, out);
        for (size_t i = 0; i < 3; i++)
            used += raft_frame_encode_entry(&entries[i], out + used);
        return used;
    }
    case RAFT_FRAME_INSTALL_ACK:
        f.again = true;
        f.transfer = 6;
        f.offset = 20;
        break;
    case RAFT_FRAME_TIMEOUT_NOW:
        break;
    case RAFT_FRAME_TRUST:
        f.index_term = f.term;
        f.peer_boot = 78;
        break;
    case RAFT_FRAME_DISTRUST:
        f.peer_boot = 78;
        break;
    case RAFT_FRAME_FOUND:
        f.peer_boot = 78;
        f.begun = true;
        break;
    }
    return raft_frame_encode(&f, out);
}

Test(raft_frame, what_is_encoded_is_decoded)
{
    uint8_t bytes[512];
    struct raft_frame f;
    size_t n = sample(RAFT_FRAME_REQUEST_VOTE, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f));
    cr_assert(f.type == RAFT_FRAME_REQUEST_VOTE && f.boot == 77 && f.sequence == 5 && f.term == 9 &&
              f.disrupt && f.pre_vote);
    cr_assert(f.named && f.incarnation == 0x0102030405060708);
    cr_assert(f.index == 4 && f.index_term == 3);
    n = sample(RAFT_FRAME_REQUEST_VOTE_RESULT, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.granted && !f.pre_vote);
    n = sample(RAFT_FRAME_APPEND_RESULT, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.rejected == 8 && f.index == 4 &&
              f.muted);
    n = sample(RAFT_FRAME_TRUST, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.peer_boot == 78 && f.index == 4 &&
              f.index_term == 9);
    n = sample(RAFT_FRAME_DISTRUST, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.peer_boot == 78 && f.index == 4);
    n = sample(RAFT_FRAME_FOUND, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.peer_boot == 78 && f.begun &&
              !f.agreed);
    n = sample(RAFT_FRAME_TIMEOUT_NOW, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.index == 4 && f.index_term == 3);
    n = sample(RAFT_FRAME_INSTALL, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.data.len == 5 &&
              memcmp(f.data.data, "image", 5) == 0);
    cr_assert(f.configuration.n_servers == 3 && f.configuration.servers[2].role == 2 &&
              f.configuration.index == 1);
    cr_assert(f.transfer == 6 && f.offset == 20 && f.total == 30);
    n = sample(RAFT_FRAME_INSTALL_ACK, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.again && f.index == 4 &&
              f.transfer == 6 && f.offset == 20);
    n = sample(RAFT_FRAME_APPEND, bytes);
    cr_assert(raft_frame_decode(span_of(bytes, n), &f) && f.n_entries == 3 && f.commit == 2);
    struct repl_entry e = raft_frame_next_entry(&f.entries);
    cr_assert(e.term == 3 && e.kind == REPL_ENTRY_COMMAND);
    struct span command = raft_command_get(e.data);
    cr_assert(command.len == 7 && memcmp(command.data, "command", 7) == 0);
    e = raft_frame_next_entry(&f.entries);
    cr_assert(e.term == 4 && e.kind == REPL_ENTRY_BARRIER && e.data.len == 0);
    e = raft_frame_next_entry(&f.entries);
    cr_assert(e.term == 9 && e.kind == REPL_ENTRY_CHANGE && f.entries.len == 0);
}

/* An older program's: byte for byte what that wrote and reads. */
Test(raft_frame, without_a_name_it_is_as_before)
{
    struct raft_frame f = {
        .type = RAFT_FRAME_TIMEOUT_NOW, .boot = 77, .sequence = 5, .term = 9, .index = 4};
    static const uint8_t former[] = {2, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0,
                                     0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,  9, 0, 0,
                                     0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,  0, 3};
    uint8_t bytes[128];

    f.index_term = 3;
    f.incarnation = 7; /* is not said */
    cr_assert_eq(raft_frame_encode(&f, bytes), sizeof former);
    cr_assert_arr_eq(bytes, former, sizeof former);
    f = (struct raft_frame){0};
    cr_assert(raft_frame_decode(span_of(former, sizeof former), &f));
    cr_assert(!f.named && f.incarnation == 0 && f.index == 4 && f.index_term == 3 && f.term == 9);
}

/* Every prefix, every longer one, and each flipped bit: never a crash; and what is taken encodes to
 * the same bytes. */
Test(raft_frame, hostile_bytes_are_a_result)
{
    unsigned refused = 0, taken = 0;
    for (int type = RAFT_FRAME_APPEND; type <= RAFT_FRAME_FOUND; type++) {
        uint8_t bytes[512];
        struct raft_frame f;
        size_t n = sample((enum raft_frame_type)type, bytes);
        cr_assert(raft_frame_decode(span_of(bytes, n), &f));
        for (size_t len = 0; len < n; len++) {
            uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that ASan sees a read behind it */
            memcpy(exact, bytes, len);
            cr_assert_not(raft_frame_decode(span_of(exact, len), &f), "type %d cut to %zu", type,
                          len);
            free(exact);
        }
        bytes[n] = 0;
        cr_assert_not(raft_frame_decode(span_of(bytes, n + 1), &f), "type %d with a byte more",
                      type);
        for (size_t bit = 0; bit < n * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (raft_frame_decode(span_of(bytes, n), &f)) {
                uint8_t again[512];
                size_t used = raft_frame_encode(&f, again);
                cr_assert_arr_eq(again, bytes, used);
                taken++;
            } else {
                refused++;
            }
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    cr_assert(refused > 300 && taken > 1000, "%u refused, %u taken", refused, taken);
}

/* Each contradiction that a decoder must find. */
Test(raft_frame, contradictions_are_refused)
{
    uint8_t bytes[512];
    struct raft_frame f;
    size_t n = sample(RAFT_FRAME_APPEND, bytes);
    size_t entry = RAFT_FRAME_APPEND_BYTES;
    struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {0, 1},           /* version */
        {0, 2},           /* ... which has no incarnation: all that follows is elsewhere */
        {1, 0},           /* type */
        {1, 8},           /* type */
        {2, 1},           /* flags */
        {3, 1},           /* reserved */
        {27, 8},          /* an entry newer than the leader */
        {27, 0},          /* term 0 */
        {51, 0},          /* an index with term 0 */
        {51, 10},         /* the entry before is newer than the leader */
        {51, 4},          /* terms fall */
        {63, 4},          /* one entry more than there is */
        {63, 2},          /* bytes are left */
        {60, 1},          /* far too many */
        {entry + 7, 0},   /* an entry of term 0 */
        {entry + 8, 4},   /* unknown kind */
        {entry + 12, 15}, /* not a multiple of 8 */
        {entry + 16, 4},  /* the command's length and the padding disagree */
        {entry + 24, 1},  /* padding that is not zero */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t was = bytes[bad[i].at];
        cr_assert_neq(was, bad[i].value, "case %zu changes nothing", i);
        bytes[bad[i].at] = bad[i].value;
        bool ok = raft_frame_decode(span_of(bytes, n), &f);
        bytes[bad[i].at] = was;
        cr_assert(!ok, "case %zu is taken", i);
        cr_assert(raft_frame_decode(span_of(bytes, n), &f));
    }
}

Test(raft_log, ring_against_a_plain_array)
{
    enum { MAX = 400 };
    struct sim_random random = {.state = 5};
    struct raft_log log;
    uint64_t terms[MAX + 1] = {0}, first = 1, last = 0, bytes = 0;
    raft_log_init(&log, 1);
    for (unsigned step = 0; step < 20000; step++) {
        uint64_t draw = sim_between(&random, 0, 9);
        if (draw < 6 && last < MAX) {
            uint8_t data[8] = {(uint8_t)(last + 1)};
            struct repl_entry e = {.term = step + 1,
                                   .kind = REPL_ENTRY_COMMAND,
                                   .data = span_of(data, sim_between(&random, 0, 8))};
            bool ok = raft_log_append(&log, &e);
            cr_assert(ok);
            terms[++last] = step + 1;
        } else if (draw == 6 && last >= first) {
            uint64_t index = sim_between(&random, first, last);
            raft_log_truncate(&log, index);
            last = index - 1;
        } else if (draw == 7 && last >= first) {
            uint64_t index = sim_between(&random, first, last);
            raft_log_trim(&log, index);
            first = index + 1;
        } else if (draw == 9 && last == MAX) {
            raft_log_reset(&log, 1);
            first = 1;
            last = 0;
        }
        cr_assert(log.first == first && raft_log_last(&log) == last &&
                  log.count == last + 1 - first);
        bytes = 0;
        for (uint64_t i = first; i <= last; i++) {
            cr_assert_eq(raft_log_get(&log, i)->term, terms[i]);
            bytes += raft_log_get(&log, i)->len;
        }
        cr_assert(log.bytes == bytes);
        cr_assert(raft_log_get(&log, first - 1) == NULL && raft_log_get(&log, last + 1) == NULL);
    }
    raft_log_deinit(&log);
}
