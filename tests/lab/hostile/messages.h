/* Datagrams that no honest peer sends, one class each. Written by hand against RFC 7296 3.1 to 3.4
 * and RFC 4303 2, not with node/wire: a mistake of the encoder must not hide one of the decoder.
 */
#ifndef HF_TEST_HOSTILE_MESSAGES_H
#define HF_TEST_HOSTILE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOSTILE_MAX_BYTES = 16384, HOSTILE_MAX_RECORDED = 4096 };

/* One datagram that the honest client sent: UDP payload, non-ESP marker included. */
struct hostile_recorded {
    uint16_t source_port, length;
    const uint8_t *bytes;
};

/* What a message may be made of. */
struct hostile_job {
    uint64_t random;                                        /* state of the generator, never 0 */
    unsigned index;                                         /* of this datagram in its row */
    struct hostile_recorded recorded[HOSTILE_MAX_RECORDED]; /* in the order of sending */
    size_t n_recorded;
    uint64_t spi_i, spi_r; /* of the IKE SA in the recording */
    uint32_t last_id;      /* of the client's newest request */
};

struct hostile_class {
    const char *name;
    bool esp;      /* no non-ESP marker on port 4500; makes no sense on port 500 */
    bool replay;   /* bytes as recorded, marker included */
    bool recorded; /* needs a recording */
    /* Fills `out`; 0 = there is no (further) one. */
    size_t (*make)(struct hostile_job *job, uint8_t out[HOSTILE_MAX_BYTES]);
};

/* NULL-terminated by name. */
extern const struct hostile_class hostile_classes[];

/* An IKE_SA_INIT as an honest peer sends it; the initiator's SPI is its first 8 bytes. */
enum { HOSTILE_INIT_BYTES = 144, HOSTILE_COOKIE_MAX = 8 + 64 };
size_t hostile_init(struct hostile_job *j, uint8_t out[HOSTILE_INIT_BYTES]);

/* The cookie that an answer asks for (its only payload, RFC 7296 2.6), *len bytes of it within the
 * answer; NULL: it asks for none. */
const uint8_t *hostile_cookie(const uint8_t *answer, size_t n, size_t *len);
/* Puts it before the request's n bytes of payloads; there is room for HOSTILE_COOKIE_MAX more. The new
 * length; the request as it was where the cookie is too long. */
size_t hostile_put_cookie(uint8_t *request, size_t n, const uint8_t *cookie, size_t len);
/* Does the answer begin with an SA payload? */
bool hostile_is_accepted(const uint8_t *answer, size_t n);

#endif
