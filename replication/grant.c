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
    struct repl_grant g;

    HF_ASSERT(assignments >= claim->told);
    repl_claim_touch(&now, assignments);
    g = (struct repl_grant){.first = now.reservation_end,
                            .end = now.reservation_end,
                            .floor = now.ceiling,
                            .ceiling = now.ceiling,
                            .packets_in = now.packets_in,
                            .packets_out = now.packets_out,
                            .bytes_in = now.bytes_in,
                            .bytes_out = now.bytes_out,
                            .untold = assignments - now.told};
    if (claim->touched == assignments)
        return g;
    g.first -= GRANT_ASSIGN_NUMBERS;
    g.floor -= GRANT_ASSIGN_CEILING;
    return g;
}
