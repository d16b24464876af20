/* Random valid messages, one from each seed: every payload that is encoded here, with every field
 * anywhere in its range. A model is what was meant; encoding it, decoding the bytes and comparing
 * shows that nothing is lost or changed on the way.
 */
#ifndef TEST_UNIT_WIRE_GENERATE_H
#define TEST_UNIT_WIRE_GENERATE_H

#include "sim/sim_random.h"
#include "wire/body.h"

enum { MODEL_POOL_BYTES = 64 * 1024, MODEL_MESSAGE_BYTES = WIRE_MAX_MESSAGE_BYTES };

/* A chain of payloads as it is meant: the fields in `body`, their bytes in `pool`, and in which order
 * the payloads come (a Notify, Delete or Vendor ID takes the next one of its kind). */
struct model {
    struct wire_body body;
    uint8_t order[WIRE_MAX_PAYLOADS];
    size_t n;
    uint8_t pool[MODEL_POOL_BYTES];
    size_t used;
};

struct span model_bytes(struct model *m, struct sim_random *r, size_t min, size_t max);
/* A random message of up to max_payloads payloads. */
void model_make(struct model *m, struct sim_random *r, size_t max_payloads);
/* A message with the one payload of this type. */
void model_make_one(struct model *m, struct sim_random *r, uint8_t type);
/* Writes `body` with its payloads in this order into room of MODEL_MESSAGE_BYTES. */
struct span model_encode(const struct wire_body *body, const uint8_t *order, size_t n,
                         uint8_t *room, uint8_t *first);
/* Equal in every field, spans by content? (Not by address: one may be a copy.) */
bool model_equal(const struct wire_body *a, const struct wire_body *b);

/* `bytes` copied so that they end where readable memory ends: a read of one byte beyond them ends the
 * program. The place is one, used anew each time. */
struct span guarded(struct span bytes);

#endif
