/* Notify payload, RFC 7296 3.10. Types that are not named here pass through with their number.
 *
 * Each registered type stands once in notify_table.c: its number, its name, and how long its data
 * may be. Data whose length its RFC fixes is judged by wire_notify_decode(), so no reader meets a
 * COOKIE2 of 3 bytes. Where the RFC says that there is no data, what comes is ignored, not refused:
 * RFC 4555 3.1 and others keep it free for later versions. */
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
    WIRE_N_UNACCEPTABLE_ADDRESSES = 40,
    WIRE_N_UNEXPECTED_NAT_DETECTED = 41,
    WIRE_N_USE_ASSIGNED_HOA = 42,
    WIRE_N_TEMPORARY_FAILURE = 43,
    WIRE_N_CHILD_SA_NOT_FOUND = 44,
    WIRE_N_INVALID_GROUP_ID = 45,
    WIRE_N_AUTHORIZATION_FAILED = 46,
    WIRE_N_STATE_NOT_FOUND = 47,
    WIRE_N_TS_MAX_QUEUE = 48,
    WIRE_N_REGISTRATION_FAILED = 49,
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
    WIRE_N_ADDITIONAL_IP4_ADDRESS = 16397,
    WIRE_N_ADDITIONAL_IP6_ADDRESS = 16398,
    WIRE_N_NO_ADDITIONAL_ADDRESSES = 16399,
    WIRE_N_UPDATE_SA_ADDRESSES = 16400,
    WIRE_N_COOKIE2 = 16401,
    WIRE_N_NO_NATS_ALLOWED = 16402,
    WIRE_N_AUTH_LIFETIME = 16403,
    WIRE_N_MULTIPLE_AUTH_SUPPORTED = 16404,
    WIRE_N_ANOTHER_AUTH_FOLLOWS = 16405,
    WIRE_N_REDIRECT_SUPPORTED = 16406,
    WIRE_N_REDIRECT = 16407,
    WIRE_N_REDIRECTED_FROM = 16408,
    WIRE_N_TICKET_LT_OPAQUE = 16409,
    WIRE_N_TICKET_REQUEST = 16410,
    WIRE_N_TICKET_ACK = 16411,
    WIRE_N_TICKET_NACK = 16412,
    WIRE_N_TICKET_OPAQUE = 16413,
    WIRE_N_LINK_ID = 16414,
    WIRE_N_USE_WESP_MODE = 16415,
    WIRE_N_ROHC_SUPPORTED = 16416,
    WIRE_N_EAP_ONLY_AUTHENTICATION = 16417,
    WIRE_N_CHILDLESS_IKEV2_SUPPORTED = 16418,
    WIRE_N_QUICK_CRASH_DETECTION = 16419,
    WIRE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420,
    WIRE_N_IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED = 16421,
    WIRE_N_IKEV2_MESSAGE_ID_SYNC = 16422,
    WIRE_N_IPSEC_REPLAY_COUNTER_SYNC = 16423,
    WIRE_N_SECURE_PASSWORD_METHODS = 16424,
    WIRE_N_PSK_PERSIST = 16425,
    WIRE_N_PSK_CONFIRM = 16426,
    WIRE_N_ERX_SUPPORTED = 16427,
    WIRE_N_IFOM_CAPABILITY = 16428,
    WIRE_N_GROUP_SENDER = 16429,
    WIRE_N_IKEV2_FRAGMENTATION_SUPPORTED = 16430,
    WIRE_N_SIGNATURE_HASH_ALGORITHMS = 16431,
    WIRE_N_CLONE_IKE_SA_SUPPORTED = 16432,
    WIRE_N_CLONE_IKE_SA = 16433,
    WIRE_N_PUZZLE = 16434,
    WIRE_N_USE_PPK = 16435,
    WIRE_N_PPK_IDENTITY = 16436,
    WIRE_N_NO_PPK_AUTH = 16437,
    WIRE_N_INTERMEDIATE_EXCHANGE_SUPPORTED = 16438,
    WIRE_N_IP4_ALLOWED = 16439,
    WIRE_N_IP6_ALLOWED = 16440,
    WIRE_N_ADDITIONAL_KEY_EXCHANGE = 16441,
    WIRE_N_USE_AGGFRAG = 16442,
    WIRE_N_SUPPORTED_AUTH_METHODS = 16443,
    WIRE_N_SA_RESOURCE_INFO = 16444,
    WIRE_N_USE_PPK_INT = 16445,
    WIRE_N_PPK_IDENTITY_KEY = 16446,
    WIRE_N_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH = 16447
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

/* A registered type: data of min, min + step, min + 2 * step, ... bytes, but no more than max. */
struct wire_notify_info {
    uint16_t type;
    const char *name; /* as registered */
    uint16_t min, max, step;
};

/* NULL: not registered (RFC 7296 3.10.1: a status type that is not known is ignored, an error type
 * is an error all the same). */
const struct wire_notify_info *wire_notify_find(uint16_t type);
/* The registered name, or "unknown". */
const char *wire_notify_name(uint16_t type);
/* May the data of this type have this length? Types that are not registered may have any. */
bool wire_notify_size_fits(uint16_t type, size_t len);
/* The i-th row of the table in order of type, or NULL behind the last. For tests and listings. */
const struct wire_notify_info *wire_notify_row(size_t i);

/* Refuses data of a length that the type cannot have, and SPIs other than 0, 4 or 8 bytes. */
enum wire_result wire_notify_decode(struct span body, struct wire_notify *out) HF_MUST_USE;
void wire_put_notify(struct wire_builder *b, const struct wire_notify *n);
/* The common form: no protocol, no SPI. */
void wire_put_notify_plain(struct wire_builder *b, uint16_t type, struct span data);
/* With an ESP SPI (REKEY_SA, CHILD_SA_NOT_FOUND). */
void wire_put_notify_esp(struct wire_builder *b, uint16_t type, uint32_t spi);

#endif
