/* Frames between raft drivers, on REPL_CHANNEL_RAFT: our own encoding of Raft's messages.
 *
 *   version u8 = 3 | type u8 | flags u8 | 0 u8 | boot u64 | sequence u64 | term u64 |
 *   incarnation u64 | body            version 2, of links before 4, has no incarnation
 *
 *   incarnation: of the sender's history; 0 = it has none yet (raft_history.c)
 *   REQUEST_VOTE         last_index u64, last_term u64     flags: 1 disrupt leader, 2 pre-vote
 *   REQUEST_VOTE_RESULT  -                                 flags: 1 granted, 2 pre-vote
 *   APPEND               prev_index u64, prev_term u64, commit u64, n u32, n times: term u64,
 *                        kind u8, len u32, data
 *   APPEND_RESULT        rejected u64, last_index u64      flags: 1 it does not count (I10)
 *   INSTALL              index u64, term u64, configuration, transfer u32, total u64, offset u64,
 *                        len u32, data                     (a piece of a snapshot)
 *   INSTALL_ACK          index u64, transfer u32, offset u64    flags: 1 send from there again
 *   TRUST                peer_boot u64, index u64, term u64     (raft_muted.c)
 *   DISTRUST             peer_boot u64, index u64
 *   FOUND                peer_boot u64 (0 = not known)     flags: 1 agreed, 2 begun (raft_found.c)
 *   TIMEOUT_NOW          last_index u64, last_term u64
 *   configuration        index u64, n u8, n times: node u32, role u8     (all big-endian)
 *
 * Integrity, order and the sender's identity are the transport's (transport.h): frames carry no
 * checksum and no sender. boot names the sender's start, sequence counts what it sent: the driver
 * drops what comes twice or out of order. Pure: no allocation, no I/O; decoding is bounded, refuses
 * what contradicts itself, and never asserts on input.
 */
#ifndef HF_REPL_RAFT_FRAME_H
#define HF_REPL_RAFT_FRAME_H

#include "base/assert.h"
#include "replication/storage.h"

enum {
    RAFT_FRAME_VERSION = 3,
    RAFT_FRAME_UNNAMED = 2, /* the version without the incarnation */
    RAFT_FRAME_UNNAMED_BYTES = 28,
    RAFT_FRAME_HEADER_BYTES = RAFT_FRAME_UNNAMED_BYTES + 8,
    RAFT_FRAME_MAX_ENTRIES = 1024,
    RAFT_FRAME_ENTRY_BYTES = 13,                            /* before each entry's data */
    RAFT_FRAME_APPEND_BYTES = RAFT_FRAME_HEADER_BYTES + 28, /* before the first entry, if named */
    RAFT_FRAME_CONFIGURATION_BYTES = 9 + 5 * REPL_MAX_SERVERS, /* at most */
    RAFT_FRAME_SMALL_BYTES = RAFT_FRAME_HEADER_BYTES + 16 + RAFT_FRAME_CONFIGURATION_BYTES +
                             24,   /* all but APPEND, without the data */
    RAFT_FRAME_MAX_PIECE = 1 << 20 /* of a snapshot */
};

enum raft_frame_type {
    RAFT_FRAME_APPEND = 1,
    RAFT_FRAME_APPEND_RESULT,
    RAFT_FRAME_REQUEST_VOTE,
    RAFT_FRAME_REQUEST_VOTE_RESULT,
    RAFT_FRAME_INSTALL,
    RAFT_FRAME_TIMEOUT_NOW,
    RAFT_FRAME_INSTALL_ACK,
    RAFT_FRAME_TRUST,    /* leader to a muted node: this barrier was made for your present start */
    RAFT_FRAME_DISTRUST, /* leader to a node: you acknowledged that index, and have it no more */
    RAFT_FRAME_FOUND     /* founder to founder, and the answer: what the sender holds */
};

struct raft_frame {
    enum raft_frame_type type;
    uint64_t boot, sequence, term;
    bool named;           /* it says its history: */
    uint64_t incarnation; /* 0 = the sender has none yet */
    bool disrupt, pre_vote, granted, again;
    bool muted;          /* APPEND_RESULT: the sender's copies do not count */
    bool agreed, begun;  /* FOUND; neither: entry 1 alone */
    uint64_t peer_boot;  /* TRUST, DISTRUST, FOUND: the receiver's start that is meant */
    uint64_t index;      /* last_index of votes, results, TIMEOUT_NOW; prev_index of APPEND; the
                            snapshot's of INSTALL */
    uint64_t index_term; /* the term at `index`; TRUST: the barrier's */
    uint64_t commit;     /* APPEND */
    uint64_t rejected;   /* APPEND_RESULT; 0 = accepted */
    uint32_t n_entries;  /* APPEND */
    struct span entries; /* APPEND: their encoding, checked; walk it with raft_frame_next_entry */
    struct repl_configuration configuration; /* INSTALL */
    struct span data;                        /* INSTALL */
    uint32_t transfer;                       /* INSTALL, INSTALL_ACK: which sending of it */
    uint64_t offset;                         /* INSTALL: of data; INSTALL_ACK: stored so far */
    uint64_t total;                          /* INSTALL: bytes of the snapshot */
};

/* False: malformed. *frame borrows `bytes`. */
HF_MUST_USE bool raft_frame_decode(struct span bytes, struct raft_frame *frame);

/* Takes the next entry off the front of a checked run; its data borrows the run. */
struct repl_entry raft_frame_next_entry(struct span *entries);

/* Writes everything but INSTALL's data (the caller sends it as a second part) and APPEND's entries,
 * which are to follow in *n bytes that raft_frame_encode_entry wrote. `out` holds
 * RAFT_FRAME_SMALL_BYTES. Returns the bytes written. */
size_t raft_frame_encode(const struct raft_frame *frame, uint8_t *out);
/* How many bytes that are, of an APPEND. */
size_t raft_frame_append_bytes(const struct raft_frame *frame);
/* `out` holds RAFT_FRAME_ENTRY_BYTES + data.len. */
size_t raft_frame_encode_entry(const struct repl_entry *entry, uint8_t *out);

/* A configuration as CHANGE entries and InstallSnapshot carry it. `out` holds
 * RAFT_FRAME_CONFIGURATION_BYTES. */
size_t raft_configuration_put(const struct repl_configuration *configuration, uint8_t *out);
/* Takes one off the front. False: malformed (unknown role, id 0 or twice, too many, none at all, no
 * voter). */
HF_MUST_USE bool raft_configuration_take(struct span *bytes,
                                         struct repl_configuration *configuration);

/* What a log entry holds, padded to a multiple of 8 bytes (libraft's rule):  COMMAND: len u32,
 * bytes, zeros;  BARRIER: nothing; CHANGE: configuration (its index 0), zeros. False: not that. */
HF_MUST_USE bool raft_entry_valid(enum repl_entry_kind kind, struct span data);
size_t raft_command_bytes(size_t len);
void raft_command_put(struct span command, uint8_t *out); /* `out` holds raft_command_bytes() */
struct span raft_command_get(struct span data);           /* of a valid one */
size_t raft_change_put(const struct repl_configuration *configuration,
                       uint8_t *out); /* RAFT_CHANGE_BYTES at most */
enum { RAFT_CHANGE_BYTES = (RAFT_FRAME_CONFIGURATION_BYTES + 7) & ~7 };

#endif
