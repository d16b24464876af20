#include "replication/grant.h"

void repl_claim_touch(struct repl_claim *claim, uint64_t assignments)
{
    HF_ASSERT(assignments >= claim->touched);

    uint64_t n = assignments - claim->touched;

    claim->reservation_end += n * GRANT_ASSIGN_NUMBERS;
    claim->ceiling += n * GRANT_ASSIGN_CEILING;
    claim->version += n;
    claim->touched = assignments;
}

struct repl_grant repl_claim_grant(const struct repl_claim *claim, uint64_t assignments)
{
    struct repl_claim now = *claim;

    repl_claim_touch(&now, assignments);
    if (claim->touched == assignments)
        return (struct repl_grant){.first = now.reservation_end,
                                   .end = now.reservation_end,
                                   .floor = now.ceiling,
                                   .ceiling = now.ceiling};
    return (struct repl_grant){.first = now.reservation_end - GRANT_ASSIGN_NUMBERS,
                               .end = now.reservation_end,
                               .floor = now.ceiling - GRANT_ASSIGN_CEILING,
                               .ceiling = now.ceiling};
}
