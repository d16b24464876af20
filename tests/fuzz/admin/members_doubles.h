/* What admin_members.c calls, for its fuzzer and its tests: each looks at what it is given. One at a time. */
#ifndef HF_FUZZ_MEMBERS_DOUBLES_H
#define HF_FUZZ_MEMBERS_DOUBLES_H

#include "daemon/internal.h"

/* What the node knows of the others; what the doubles saw. */
struct members_doubles {
    struct repl_status status;
    uint64_t now_ms;
    bool busy;       /* the log takes nothing now */
    uint64_t wishes; /* that were taken: the number of the newest one */
    unsigned sent, introduced, joins, leaves, tokens, drains, answered, refused;
    bool drained; /* the newest of each */
    uint64_t leave_until_ms, drain_until_ms, drain_removal;
    unsigned kinds[6];              /* of frames, as often as they were sent */
    char asked_by[AUDIT_MAX_VALUE]; /* who asked, of the newest wish; "": nobody said */
    struct api_problem problem;
};

extern struct members_doubles doubles;

/* A request of the admin server that waits; ended by exactly one answer or refusal. */
struct api_request *doubles_request(void);
extern const struct api_asker
    doubles_asker; /* role, principal, address, request id: "admin email:a 10.9.9.9 r-1" */

#endif
