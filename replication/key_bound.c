#include "replication/key_bound.h"

#include "replication/record.h"

void repl_key_bound(const struct repl_status *status, struct repl_key_bound *out)
{
    const struct repl_key_status *k = &status->key;
    bool rotates = k->session != 0 && k->age_ms != 0 && status->speaks >= RECORD_SPEAKS_ROTATION;
    uint64_t present_ms =
        k->session != 0 && status->cluster_ms > k->came_ms ? status->cluster_ms - k->came_ms : 0;

    /* The former one waits since the present one took its place. */
    *out = (struct repl_key_bound){.present_ms = present_ms,
                                   .former_ms = k->former != 0 ? present_ms : 0,
                                   .within_ms = rotates ? k->age_ms + REPL_ERASE_WITHIN_MS : 0};
    out->overdue = rotates && (out->former_ms > REPL_ERASE_WITHIN_MS ||
                               present_ms > k->age_ms + REPL_ERASE_WITHIN_MS);
}
