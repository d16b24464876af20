/* Notify payload, RFC 7296 3.10. Types that are not named here pass through with their number. */
#ifndef HF_WIRE_NOTIFY_H
#define HF_WIRE_NOTIFY_H

#include "wire/payload.h"

enum wire_notify_type {
    /* errors, below 16384 */
    WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
    WIRE_N_INVALID_IKE_SPI = 4,
    WIRE_N_INVALID_MAJOR_VERSION = 5,
    WIRE_N_INVALID_SYNTAX = 7,
    WIRE_N_INVALID_MESSAGE_ID = 9,
    WIRE_N_INVALID_SPI = 11,
    WIRE_N_NO_PROPOSAL_CHOSEN = 14,
    WIRE_N_INVALID_KE_PAYLOAD = 17,
    WIRE_N_AUTHENTICATION_FAILED = 24,
    WIRE_N_SINGLE_PAIR_REQUIRED = 34,
    WIRE_N_NO_ADDITIONAL_SAS = 35,
    WIRE_N_INTERNAL_ADDRESS_FAILURE = 36,
    WIRE_N_FAILED_CP_REQUIRED = 37,
    WIRE_N_TS_UNACCEPTABLE = 38,
    WIRE_N_INVALID_SELECTORS = 39,
    WIRE_N_TEMPORARY_FAILURE = 43,
    WIRE_N_CHILD_SA_NOT_FOUND = 44,
    /* status */
    WIRE_N_INITIAL_CONTACT = 16384,
    WIRE_N_SET_WINDOW_SIZE = 16385,
    WIRE_N_ADDITIONAL_TS_POSSIBLE = 16386,
    WIRE_N_IPCOMP_SUPPORTED = 16387,
    WIRE_N_NAT_DETECTION_SOURCE_IP = 16388,
    WIRE_N_NAT_DETECTION_DESTINATION_IP = 16389,
    WIRE_N_COOKIE = 16390,
    WIRE_N_USE_TRANSPORT_MODE = 16391,
    WIRE_N_HTTP_CERT_LOOKUP_SUPPORTED = 16392,
    WIRE_N_REKEY_SA = 16393,
    WIRE_N_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
    WIRE_N_NON_FIRST_FRAGMENTS_ALSO = 16395,
    WIRE_N_MOBIKE_SUPPORTED = 16396,
    WIRE_N_EAP_ONLY_AUTHENTICATION = 16417,
    WIRE_N_IKEV2_FRAGMENTATION_SUPPORTED = 16430,
    WIRE_N_SIGNATURE_HASH_ALGORITHMS = 16431,
    WIRE_N_IP4_ALLOWED = 16439, /* RFC 8983: which families of addresses there are */
    WIRE_N_IP6_ALLOWED = 16440
};

enum { WIRE_N_FIRST_STATUS = 16384, WIRE_COOKIE_MAX_BYTES = 64 };

struct wire_notify {
    uint8_t protocol; /* enum wire_protocol, 0 = none */
    struct span spi;  /* 0, 4 or 8 bytes */
    uint16_t type;
    struct span data;
};

static inline bool wire_notify_is_error(uint16_t type)
{
    return type < WIRE_N_FIRST_STATUS;
}

enum wire_result wire_notify_decode(struct span body, struct wire_notify *out) HF_MUST_USE;
void wire_put_notify(struct wire_builder *b, const struct wire_notify *n);
/* The common form: no protocol, no SPI. */
void wire_put_notify_plain(struct wire_builder *b, uint16_t type, struct span data);
/* With an ESP SPI (REKEY_SA, CHILD_SA_NOT_FOUND). */
void wire_put_notify_esp(struct wire_builder *b, uint16_t type, uint32_t spi);

#endif
