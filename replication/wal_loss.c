#include "replication/wal_loss.h"

uint64_t wal_loss_must_have(uint64_t mark, uint64_t snapshot)
{
    return mark < snapshot ? snapshot : mark;
}

bool wal_loss_found(uint64_t last, uint64_t mark, uint64_t snapshot)
{
    return last < wal_loss_must_have(mark, snapshot);
}
