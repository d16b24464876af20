/* What the world itself holds of what happens, beside the watch: numbers used and packets accepted
 * once, one message for one name, one digest for one index. Each costs O(1). */
#ifndef HF_SIM_CHECK_H
#define HF_SIM_CHECK_H

#include "replication/digest.h"

/* A map from 64-bit names (spread already, never 0) to values. */
struct sim_map {
    struct sim_map_item {
        uint64_t name, value;
    } * items;
    size_t n, capacity; /* a power of two or 0 */
};

struct sim_check {
    struct sim_map sealed, opened, messages, digests;
};

void sim_check_deinit(struct sim_check *c);
/* Each false: that is a breach. */
bool sim_check_sealed(struct sim_check *c, uint64_t key, uint64_t seq);
bool sim_check_opened(struct sim_check *c, uint64_t key, uint64_t seq);
/* An IKE message that leaves one end; those of IKE_SA_INIT are not judged: SPI 0 names none. */
bool sim_check_message(struct sim_check *c, uint64_t end, struct span message);
bool sim_check_digest(struct sim_check *c, uint64_t index, struct digest digest);

/* Numbered packets of one direction: which of them arrived. */
struct sim_numbers {
    uint64_t next;
    uint8_t *arrived; /* bits */
    size_t capacity;
};
/* False: it arrived before, or was never sent. */
bool sim_numbers_arrive(struct sim_numbers *s, uint64_t number);

#endif
