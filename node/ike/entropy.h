/* Which of an event's random bytes are for what: one place, so that no byte serves twice in a step.
 * Every secret, nonce and SPI of a step comes from here, is kept in the SA's state, and so does not
 * depend on the node that goes on with it.
 */
#ifndef HF_IKE_ENTROPY_H
#define HF_IKE_ENTROPY_H

#include "base/assert.h"
#include "crypto/suite.h"
#include "ike/limits.h"

enum {
    IKE_ENTROPY_NONCE = 0,          /* 32: our nonce of the exchange */
    IKE_ENTROPY_KE = 32,            /* 80: a KE private value */
    IKE_ENTROPY_IKE_SPI = 112,      /* 8 */
    IKE_ENTROPY_ESP_SPI = 120,      /* 4 (12 to spare) */
    IKE_ENTROPY_JITTER_SA = 136,    /* 8: soft limit of an IKE SA */
    IKE_ENTROPY_JITTER_CHILD = 144, /* 8: soft limit of a CHILD SA */
    IKE_ENTROPY_RETRY = 152,        /* 8: when to try again after a refusal */
    IKE_ENTROPY_FREE = 160          /* up to the end: not spoken for */
};

HF_STATIC_ASSERT((int)IKE_ENTROPY_IKE_SPI - (int)IKE_ENTROPY_KE >= (int)SUITE_KE_ENTROPY_MAX_BYTES);
HF_STATIC_ASSERT((int)IKE_ENTROPY_FREE <= (int)IKE_ENTROPY_BYTES);

#endif
