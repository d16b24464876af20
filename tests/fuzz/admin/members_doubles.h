/* What admin_members.c calls, for its fuzzer and its tests: each looks at what it is given. One at a time. */
#ifndef HF_FUZZ_MEMBERS_DOUBLES_H
#define HF_FUZZ_MEMBERS_DOUBLES_H

#include "daemon/internal.h"

/* What the node knows of the others; what the doubles saw. */
struct members_doubles {
    struct repl_status status;
    uint64_t now_ms;
    bool busy; /* the log takes nothing now */
    unsigned sent, introduced, joins, leaves, tokens, drains, answered, refused;
    bool drained; /* the newest of each */
    uint64_t leave_until_ms, drain_until_ms, drain_removal;
    struct api_problem problem;
};

extern struct members_doubles doubles;

/* A request of the admin server that waits; ended by exactly one answer or refusal. */
struct api_request *doubles_request(void);

#endif
