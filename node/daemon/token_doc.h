/* A bearer token as the cluster keeps it: the bytes of the document (kind "token", name = its id).
 *
 *   format 1 | role 1 | created, wall clock 8 s | created, cluster time 8 ms | valid 4 s | SHA-256 of the secret 32 |
 *   length 1, name | length 1, who made it                                                     (network order, to the last byte)
 *
 * One token has one encoding. Pure: the bytes come from the log, so any are a result, never an assertion.
 */
#ifndef HF_DAEMON_TOKEN_DOC_H
#define HF_DAEMON_TOKEN_DOC_H

#include "base/span.h"

enum {
    TOKEN_FORMAT = 1,
    TOKEN_NAME_BYTES = 49, /* 1 to 48 letters, digits or . _ @ -, and a zero */
    TOKEN_BY_BYTES = 128,  /* UTF-8 without control characters, and a zero */
    TOKEN_HASH_BYTES = 32,
    TOKEN_MOST_VALID_S = 365 * 86400,
    TOKEN_FIXED_BYTES = 1 + 1 + 8 + 8 + 4 + TOKEN_HASH_BYTES,
    TOKEN_DOC_BYTES = TOKEN_FIXED_BYTES + 1 + TOKEN_NAME_BYTES - 1 + 1 + TOKEN_BY_BYTES - 1
};

/* The numbers are written down: they never change. */
enum token_role { TOKEN_VIEWER = 1, TOKEN_OPERATOR = 2, TOKEN_ADMIN = 3, TOKEN_DRILL = 4 };

struct token_doc {
    enum token_role role;
    uint64_t created_s;  /* wall clock of the node that made it; below 2^40 */
    uint64_t created_ms; /* cluster time then; below 2^50 */
    uint32_t valid_s;    /* 1 to TOKEN_MOST_VALID_S */
    uint8_t hash[TOKEN_HASH_BYTES];
    char name[TOKEN_NAME_BYTES], by[TOKEN_BY_BYTES];
};

/* How many bytes; 0: it is none that may be kept. */
size_t token_doc_encode(const struct token_doc *t, uint8_t out[TOKEN_DOC_BYTES]);
/* False: it is none, and *out is as it was. */
bool token_doc_decode(struct span bytes, struct token_doc *out);

/* It has ended when either clock says so: cluster time goes on at the leader's pace through changes of any clock, and stands
 * still while all nodes are off; the wall clock does not, but may be set back. */
bool token_doc_ended(const struct token_doc *t, uint64_t cluster_ms, uint64_t wall_s);

#endif
