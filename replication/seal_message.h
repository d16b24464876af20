/* What nodes tell each other on REPL_CHANNEL_KEYS: one key a frame.
 *
 *   version 1 | what | kind | key id 8 | key 32 (GIVE), index 8 (PAST)
 *
 * Keys travel in it: the transport proves who the peer is, and nobody else reads along.
 */
#ifndef HF_REPL_SEAL_MESSAGE_H
#define HF_REPL_SEAL_MESSAGE_H

#include "replication/seal_ring.h"

enum seal_what {
    SEAL_NOTHING = 0, /* is never sent */
    SEAL_WANT = 1,    /* the key with this id; id 0: the one in use for that kind */
    SEAL_GIVE = 2,
    SEAL_LACK_FORMER = 3, /* programs of before say it to each WANT: no word about going on */
    SEAL_HAVE = 4,        /* ... of one that took a session's key */
    SEAL_PAST =
        5, /* who went on without the key with this id, which the log asks for at `index`? */
    SEAL_GONE = 6, /* the answer of one that did, and has no such key */
    SEAL_LACK = 7  /* ... of one that cannot go on either, for want of this key or another */
};

enum {
    SEAL_MESSAGE_SHORT_BYTES = 11,
    SEAL_MESSAGE_PAST_BYTES = SEAL_MESSAGE_SHORT_BYTES + 8,
    SEAL_MESSAGE_BYTES = SEAL_MESSAGE_SHORT_BYTES + SEAL_KEY_BYTES
};

struct seal_message {
    enum seal_what what;
    enum seal_kind kind;
    uint64_t id;
    uint64_t index;              /* PAST */
    uint8_t key[SEAL_KEY_BYTES]; /* GIVE; the caller wipes it */
};

/* The length; out has SEAL_MESSAGE_BYTES. */
size_t seal_message_encode(const struct seal_message *message, uint8_t *out);
/* False: malformed. Whether the id is that key's is the caller's to judge. */
bool seal_message_decode(struct span bytes, struct seal_message *message) HF_MUST_USE;

#endif
