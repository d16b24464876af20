/* The registry of Notify types (IANA, "IKEv2 Notify Message Error Types" and "Status Types", through
 * RFC 9867 and one of a draft) with the lengths that the RFC of each fixes. In order of type: wire_notify_find()
 * halves it.
 */
#include "wire/notify.h"

enum { UNBOUNDED = UINT16_MAX };

/* {min, max, step} of a row. */
#define ANY 0, UNBOUNDED, 1
#define EXACT(n) (n), (n), 1
#define FROM(n) (n), UNBOUNDED, 1
#define BETWEEN(a, b) (a), (b), 1
#define EITHER(a, b) (a), (b), (b) - (a)
#define LIST_OF(n) 0, UNBOUNDED, (n)
#define ROW(name, size)                                                                            \
    {                                                                                              \
        WIRE_N_##name, #name, size                                                                 \
    }

/* clang-format off: one type a line */
static const struct wire_notify_info table[] = {
    ROW(UNSUPPORTED_CRITICAL_PAYLOAD, EXACT(1)),
    ROW(INVALID_IKE_SPI, ANY),
    ROW(INVALID_MAJOR_VERSION, ANY),
    ROW(INVALID_SYNTAX, ANY),
    ROW(INVALID_MESSAGE_ID, EXACT(4)),
    ROW(INVALID_SPI, EXACT(4)),
    ROW(NO_PROPOSAL_CHOSEN, ANY),
    ROW(INVALID_KE_PAYLOAD, EXACT(2)),
    ROW(AUTHENTICATION_FAILED, ANY),
    ROW(SINGLE_PAIR_REQUIRED, ANY),
    ROW(NO_ADDITIONAL_SAS, ANY),
    ROW(INTERNAL_ADDRESS_FAILURE, ANY),
    ROW(FAILED_CP_REQUIRED, ANY),
    ROW(TS_UNACCEPTABLE, ANY),
    ROW(INVALID_SELECTORS, ANY),
    ROW(UNACCEPTABLE_ADDRESSES, ANY),
    ROW(UNEXPECTED_NAT_DETECTED, ANY),
    {WIRE_N_USE_ASSIGNED_HOA, "USE_ASSIGNED_HoA", ANY}, /* as registered */
    ROW(TEMPORARY_FAILURE, ANY),
    ROW(CHILD_SA_NOT_FOUND, ANY),
    ROW(INVALID_GROUP_ID, ANY),
    ROW(AUTHORIZATION_FAILED, ANY),
    ROW(STATE_NOT_FOUND, ANY),
    ROW(TS_MAX_QUEUE, ANY),
    ROW(REGISTRATION_FAILED, ANY),
    ROW(INITIAL_CONTACT, ANY),
    ROW(SET_WINDOW_SIZE, EXACT(4)),
    ROW(ADDITIONAL_TS_POSSIBLE, ANY),
    ROW(IPCOMP_SUPPORTED, FROM(3)),
    ROW(NAT_DETECTION_SOURCE_IP, EXACT(20)),
    ROW(NAT_DETECTION_DESTINATION_IP, EXACT(20)),
    ROW(COOKIE, BETWEEN(1, WIRE_COOKIE_MAX_BYTES)),
    ROW(USE_TRANSPORT_MODE, ANY),
    ROW(HTTP_CERT_LOOKUP_SUPPORTED, ANY),
    ROW(REKEY_SA, ANY),
    ROW(ESP_TFC_PADDING_NOT_SUPPORTED, ANY),
    ROW(NON_FIRST_FRAGMENTS_ALSO, ANY),
    ROW(MOBIKE_SUPPORTED, ANY),
    ROW(ADDITIONAL_IP4_ADDRESS, EXACT(4)),  /* RFC 4555 */
    ROW(ADDITIONAL_IP6_ADDRESS, EXACT(16)), /* RFC 4555 */
    ROW(NO_ADDITIONAL_ADDRESSES, ANY),
    ROW(UPDATE_SA_ADDRESSES, ANY),
    ROW(COOKIE2, BETWEEN(8, 64)),         /* RFC 4555 */
    ROW(NO_NATS_ALLOWED, EITHER(12, 36)), /* RFC 4555 */
    ROW(AUTH_LIFETIME, EXACT(4)),         /* RFC 4478 */
    ROW(MULTIPLE_AUTH_SUPPORTED, ANY),
    ROW(ANOTHER_AUTH_FOLLOWS, ANY),
    ROW(REDIRECT_SUPPORTED, ANY),
    ROW(REDIRECT, FROM(3)),         /* RFC 5685 */
    ROW(REDIRECTED_FROM, FROM(3)),  /* RFC 5685 */
    ROW(TICKET_LT_OPAQUE, FROM(5)), /* RFC 5723 */
    ROW(TICKET_REQUEST, ANY),
    ROW(TICKET_ACK, ANY),
    ROW(TICKET_NACK, ANY),
    ROW(TICKET_OPAQUE, FROM(1)), /* RFC 5723 */
    ROW(LINK_ID, ANY),
    ROW(USE_WESP_MODE, ANY),
    ROW(ROHC_SUPPORTED, ANY),
    ROW(EAP_ONLY_AUTHENTICATION, ANY),
    ROW(CHILDLESS_IKEV2_SUPPORTED, ANY),
    ROW(QUICK_CRASH_DETECTION, BETWEEN(16, 128)), /* RFC 6290 */
    ROW(IKEV2_MESSAGE_ID_SYNC_SUPPORTED, ANY),
    ROW(IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED, ANY),
    ROW(IKEV2_MESSAGE_ID_SYNC, EXACT(12)),        /* RFC 6311 */
    ROW(IPSEC_REPLAY_COUNTER_SYNC, EITHER(4, 8)), /* RFC 6311 */
    ROW(SECURE_PASSWORD_METHODS, LIST_OF(2)),     /* RFC 6467 */
    ROW(PSK_PERSIST, ANY),
    ROW(PSK_CONFIRM, ANY),
    ROW(ERX_SUPPORTED, ANY),
    ROW(IFOM_CAPABILITY, ANY),
    ROW(GROUP_SENDER, ANY),
    ROW(IKEV2_FRAGMENTATION_SUPPORTED, ANY),
    ROW(SIGNATURE_HASH_ALGORITHMS, LIST_OF(2)), /* RFC 7427 */
    ROW(CLONE_IKE_SA_SUPPORTED, ANY),
    ROW(CLONE_IKE_SA, ANY),
    ROW(PUZZLE, EXACT(3)), /* RFC 8019 */
    ROW(USE_PPK, ANY),
    ROW(PPK_IDENTITY, ANY),
    ROW(NO_PPK_AUTH, FROM(1)), /* RFC 8784 */
    ROW(INTERMEDIATE_EXCHANGE_SUPPORTED, ANY),
    ROW(IP4_ALLOWED, ANY),
    ROW(IP6_ALLOWED, ANY),
    ROW(ADDITIONAL_KEY_EXCHANGE, FROM(1)), /* RFC 9370 */
    ROW(USE_AGGFRAG, EXACT(1)),            /* RFC 9347 */
    ROW(SUPPORTED_AUTH_METHODS, ANY),
    ROW(SA_RESOURCE_INFO, ANY),
    ROW(USE_PPK_INT, ANY),
    ROW(PPK_IDENTITY_KEY, FROM(9)), /* RFC 9867 */
    ROW(IKE_SA_INIT_FULL_TRANSCRIPT_AUTH, ANY),
};
/* clang-format on */

enum { N_ROWS = sizeof table / sizeof table[0] };

const struct wire_notify_info *wire_notify_row(size_t i)
{
    return i < N_ROWS ? &table[i] : NULL;
}

const struct wire_notify_info *wire_notify_find(uint16_t type)
{
    size_t low = 0, high = N_ROWS;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table[middle].type == type)
            return &table[middle];
        if (table[middle].type < type)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *wire_notify_name(uint16_t type)
{
    const struct wire_notify_info *info = wire_notify_find(type);

    return info != NULL ? info->name : "unknown";
}

bool wire_notify_size_fits(uint16_t type, size_t len)
{
    const struct wire_notify_info *info = wire_notify_find(type);

    return info == NULL ||
           (len >= info->min && len <= info->max && (len - info->min) % info->step == 0);
}
