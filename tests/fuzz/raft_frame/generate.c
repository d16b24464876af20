/* Makes the corpora of raft_frame and raft_driver: one frame of each kind, and a few talks of
 * frames. Usage: generate CORPUS_FOLDER */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "replication/raft_frame.h"

static const struct repl_configuration three = {
    .index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}};
static const struct repl_configuration spare = {
    .index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 2}, {3, 1}}};

static void write_file(const char *folder, const char *target, const char *name,
                       const uint8_t *bytes, size_t len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* One APPEND with entries as kinds says: c command, b barrier, s and v configurations. */
static size_t append(uint8_t *out, uint64_t term, uint64_t prev, uint64_t prev_term,
                     uint64_t commit, const char *kinds)
{
    struct raft_frame f = {.type = RAFT_FRAME_APPEND,
                           .term = term,
                           .index = prev,
                           .index_term = prev_term,
                           .commit = commit};
    for (const char *k = kinds; *k != '\0'; k++)
        f.n_entries++;
    size_t used = raft_frame_encode(&f, out);
    for (const char *k = kinds; *k != '\0'; k++) {
        uint8_t data[RAFT_CHANGE_BYTES];
        struct repl_entry entry = {.term = term, .kind = REPL_ENTRY_BARRIER};
        if (*k == 'c') {
            entry.kind = REPL_ENTRY_COMMAND;
            raft_command_put(span_of("abc", 3), data);
            entry.data = span_of(data, raft_command_bytes(3));
        } else if (*k != 'b') {
            entry.kind = REPL_ENTRY_CHANGE;
            entry.data = span_of(data, raft_change_put(*k == 's' ? &spare : &three, data));
        }
        used += raft_frame_encode_entry(&entry, out + used);
    }
    return used;
}

static size_t small(uint8_t *out, struct raft_frame f)
{
    size_t used = raft_frame_encode(&f, out);
    if (f.data.len > 0)
        memcpy(out + used, f.data.data, f.data.len);
    return used + f.data.len;
}

static size_t install(uint8_t *out, uint64_t term, uint64_t index)
{
    return small(out, (struct raft_frame){.type = RAFT_FRAME_INSTALL,
                                          .term = term,
                                          .index = index,
                                          .index_term = term,
                                          .configuration = three,
                                          .total = 5,
                                          .data = span_of("image", 5)});
}

static size_t piece(uint8_t *out, uint64_t index, uint32_t transfer, uint64_t offset)
{
    return small(out, (struct raft_frame){.type = RAFT_FRAME_INSTALL,
                                          .term = 2,
                                          .index = index,
                                          .index_term = 2,
                                          .configuration = three,
                                          .transfer = transfer,
                                          .total = 15,
                                          .offset = offset,
                                          .data = span_of("image", 5)});
}

struct talk {
    uint8_t bytes[4096];
    size_t len;
};

static void say(struct talk *t, uint8_t control, const uint8_t *frame, size_t len)
{
    t->bytes[t->len] = control;
    put_be16(t->bytes + t->len + 1, (uint16_t)len);
    memcpy(t->bytes + t->len + 3, frame, len);
    t->len += 3 + len;
}

static void frames(const char *folder)
{
    static const char *names[] = {
        "",        "append",      "append_result", "request_vote", "request_vote_result",
        "install", "timeout_now", "install_ack",   "trust",        "distrust",
        "found"};
    for (int type = RAFT_FRAME_APPEND; type <= RAFT_FRAME_FOUND; type++) {
        uint8_t bytes[1024];
        struct raft_frame f = {.type = (enum raft_frame_type)type,
                               .boot = 1,
                               .sequence = 1,
                               .term = 3,
                               .index = 2,
                               .index_term = type == RAFT_FRAME_TRUST ? 3 : 2,
                               .peer_boot = 7};
        size_t len = type == RAFT_FRAME_APPEND    ? append(bytes, 3, 2, 2, 2, "cbsv")
                     : type == RAFT_FRAME_INSTALL ? install(bytes, 3, 9)
                                                  : small(bytes, f);
        write_file(folder, "raft_frame", names[type], bytes, len);
    }
}

static void talks(const char *folder)
{
    static struct talk follow, changes, election, installs, pieces;
    uint8_t f[1024];
    say(&follow, 0, f, append(f, 2, 1, 1, 1, "cccbccccccc"));
    say(&follow, 2, f, append(f, 2, 12, 2, 12, ""));
    say(&follow, 8, f, append(f, 2, 12, 2, 12, "ccc"));
    say(&follow, 3, f, append(f, 3, 3, 2, 13, "cc"));
    say(&follow, 3, f, append(f, 3, 12, 2, 14, "cc"));
    write_file(folder, "raft_driver", "follow", follow.bytes, follow.len);
    say(&changes, 0, f, append(f, 2, 1, 1, 1, "ccsv"));
    say(&changes, 3, f, append(f, 3, 4, 2, 1, "s"));
    say(&changes, 3, f, append(f, 3, 5, 3, 5, "vcs"));
    write_file(folder, "raft_driver", "changes", changes.bytes, changes.len);
    struct raft_frame yes = {
        .type = RAFT_FRAME_REQUEST_VOTE_RESULT, .term = 2, .granted = true, .pre_vote = true};
    say(&election, 6, f, small(f, yes));
    say(&election, 6, f, small(f, yes));
    yes.pre_vote = false;
    say(&election, 2, f, small(f, yes));
    say(&election, 2, f,
        small(f, (struct raft_frame){.type = RAFT_FRAME_APPEND_RESULT, .term = 2, .index = 2}));
    say(&election, 5, f,
        small(f, (struct raft_frame){.type = RAFT_FRAME_APPEND_RESULT, .term = 2, .rejected = 1}));
    say(&election, 3, f,
        small(f, (struct raft_frame){
                     .type = RAFT_FRAME_REQUEST_VOTE, .term = 9, .index = 9, .index_term = 8}));
    write_file(folder, "raft_driver", "election", election.bytes, election.len);
    say(&installs, 0, f, install(f, 2, 20));
    say(&installs, 0, f, install(f, 2, 30));
    say(&installs, 2, f, append(f, 2, 20, 2, 21, "c"));
    say(&installs, 2, f, append(f, 2, 10, 2, 22, "cccccccccccc"));
    say(&installs, 2, f,
        small(f, (struct raft_frame){
                     .type = RAFT_FRAME_TIMEOUT_NOW, .term = 2, .index = 22, .index_term = 2}));
    write_file(folder, "raft_driver", "installs", installs.bytes, installs.len);
    say(&pieces, 0, f, piece(f, 20, 1, 0));
    say(&pieces, 2, f, piece(f, 20, 1, 10)); /* one is missing */
    say(&pieces, 0, f, piece(f, 20, 2, 5));
    say(&pieces, 1, f, piece(f, 30, 1, 0)); /* another sender begins */
    say(&pieces, 3, f, piece(f, 30, 1, 5));
    say(&pieces, 1, f, piece(f, 30, 1, 10));
    say(&pieces, 2, f, append(f, 2, 30, 2, 31, "c"));
    say(&pieces, 0, f, piece(f, 20, 3, 0)); /* behind what is there */
    say(&pieces, 2, f,
        small(f, (struct raft_frame){
                     .type = RAFT_FRAME_INSTALL_ACK, .term = 2, .index = 30, .transfer = 1}));
    write_file(folder, "raft_driver", "pieces", pieces.bytes, pieces.len);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    frames(argv[1]);
    talks(argv[1]);
    return 0;
}
