/* The numbers that IANA registered for IKEv2 ("Internet Key Exchange Version 2 (IKEv2) Parameters"), written down
 * a second time and from other sources than the code: up to 16431 as Wireshark 4.0 has them, behind that as
 * libreswan has them in 2026. Compared both ways. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "wire/auth.h"
#include "wire/cert.h"
#include "wire/cp.h"
#include "wire/header.h"
#include "wire/id.h"
#include "wire/notify.h"
#include "wire/sa.h"
#include "wire/signature.h"
#include "wire/ts.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct named {
    uint16_t number;
    const char *name;
};

static const struct named errors[] = {
    {1, "UNSUPPORTED_CRITICAL_PAYLOAD"},
    {4, "INVALID_IKE_SPI"},
    {5, "INVALID_MAJOR_VERSION"},
    {7, "INVALID_SYNTAX"},
    {9, "INVALID_MESSAGE_ID"},
    {11, "INVALID_SPI"},
    {14, "NO_PROPOSAL_CHOSEN"},
    {17, "INVALID_KE_PAYLOAD"},
    {24, "AUTHENTICATION_FAILED"},
    {34, "SINGLE_PAIR_REQUIRED"},
    {35, "NO_ADDITIONAL_SAS"},
    {36, "INTERNAL_ADDRESS_FAILURE"},
    {37, "FAILED_CP_REQUIRED"},
    {38, "TS_UNACCEPTABLE"},
    {39, "INVALID_SELECTORS"},
    {40, "UNACCEPTABLE_ADDRESSES"},
    {41, "UNEXPECTED_NAT_DETECTED"},
    {42, "USE_ASSIGNED_HoA"},
    {43, "TEMPORARY_FAILURE"},
    {44, "CHILD_SA_NOT_FOUND"},
    {45, "INVALID_GROUP_ID"},
    {46, "AUTHORIZATION_FAILED"},
    {47, "STATE_NOT_FOUND"},
    {48, "TS_MAX_QUEUE"},
    {49, "REGISTRATION_FAILED"},
};

/* From 16384 on, without a gap. */
static const char *const status[] = {
    "INITIAL_CONTACT",
    "SET_WINDOW_SIZE",
    "ADDITIONAL_TS_POSSIBLE",
    "IPCOMP_SUPPORTED",
    "NAT_DETECTION_SOURCE_IP",
    "NAT_DETECTION_DESTINATION_IP",
    "COOKIE",
    "USE_TRANSPORT_MODE",
    "HTTP_CERT_LOOKUP_SUPPORTED",
    "REKEY_SA",
    "ESP_TFC_PADDING_NOT_SUPPORTED",
    "NON_FIRST_FRAGMENTS_ALSO",
    "MOBIKE_SUPPORTED",
    "ADDITIONAL_IP4_ADDRESS",
    "ADDITIONAL_IP6_ADDRESS",
    "NO_ADDITIONAL_ADDRESSES",
    "UPDATE_SA_ADDRESSES",
    "COOKIE2",
    "NO_NATS_ALLOWED",
    "AUTH_LIFETIME",
    "MULTIPLE_AUTH_SUPPORTED",
    "ANOTHER_AUTH_FOLLOWS",
    "REDIRECT_SUPPORTED",
    "REDIRECT",
    "REDIRECTED_FROM",
    "TICKET_LT_OPAQUE",
    "TICKET_REQUEST",
    "TICKET_ACK",
    "TICKET_NACK",
    "TICKET_OPAQUE",
    "LINK_ID",
    "USE_WESP_MODE",
    "ROHC_SUPPORTED",
    "EAP_ONLY_AUTHENTICATION",
    "CHILDLESS_IKEV2_SUPPORTED",
    "QUICK_CRASH_DETECTION",
    "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
    "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
    "IKEV2_MESSAGE_ID_SYNC",
    "IPSEC_REPLAY_COUNTER_SYNC",
    "SECURE_PASSWORD_METHODS",
    "PSK_PERSIST",
    "PSK_CONFIRM",
    "ERX_SUPPORTED",
    "IFOM_CAPABILITY",
    "GROUP_SENDER",
    "IKEV2_FRAGMENTATION_SUPPORTED",
    "SIGNATURE_HASH_ALGORITHMS",
    "CLONE_IKE_SA_SUPPORTED",
    "CLONE_IKE_SA",
    "PUZZLE",
    "USE_PPK",
    "PPK_IDENTITY",
    "NO_PPK_AUTH",
    "INTERMEDIATE_EXCHANGE_SUPPORTED",
    "IP4_ALLOWED",
    "IP6_ALLOWED",
    "ADDITIONAL_KEY_EXCHANGE",
    "USE_AGGFRAG",
    "SUPPORTED_AUTH_METHODS",
    "SA_RESOURCE_INFO",
    "USE_PPK_INT",
    "PPK_IDENTITY_KEY",
    "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH",
};

Test(registry, notify_types)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT(errors); i++, n++)
        cr_assert_str_eq(wire_notify_name(errors[i].number), errors[i].name, "%u",
                         errors[i].number);
    for (size_t i = 0; i < COUNT(status); i++, n++)
        cr_assert_str_eq(wire_notify_name((uint16_t)(16384 + i)), status[i], "%zu", 16384 + i);
    cr_assert_null(wire_notify_row(n), "a row too many: %s", wire_notify_row(n)->name);
    printf("compared %zu notify types\n", n);
}

Test(registry, configuration_attributes)
{
    static const struct named attributes[] = {
        {1, "INTERNAL_IP4_ADDRESS"},
        {2, "INTERNAL_IP4_NETMASK"},
        {3, "INTERNAL_IP4_DNS"},
        {4, "INTERNAL_IP4_NBNS"},
        {6, "INTERNAL_IP4_DHCP"},
        {7, "APPLICATION_VERSION"},
        {8, "INTERNAL_IP6_ADDRESS"},
        {10, "INTERNAL_IP6_DNS"},
        {12, "INTERNAL_IP6_DHCP"},
        {13, "INTERNAL_IP4_SUBNET"},
        {14, "SUPPORTED_ATTRIBUTES"},
        {15, "INTERNAL_IP6_SUBNET"},
        {16, "MIP6_HOME_PREFIX"},
        {17, "INTERNAL_IP6_LINK"},
        {18, "INTERNAL_IP6_PREFIX"},
        {19, "HOME_AGENT_ADDRESS"},
        {20, "P_CSCF_IP4_ADDRESS"},
        {21, "P_CSCF_IP6_ADDRESS"},
        {22, "FTT_KAT"},
        {23, "EXTERNAL_SOURCE_IP4_NAT_INFO"},
        {24, "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK"},
        {25, "INTERNAL_DNS_DOMAIN"},
        {26, "INTERNAL_DNSSEC_TA"},
        {27, "ENCDNS_IP4"},
        {28, "ENCDNS_IP6"},
        {29, "ENCDNS_DIGEST_INFO"},
    };
    size_t known = 0;

    for (size_t i = 0; i < COUNT(attributes); i++)
        cr_assert_str_eq(wire_cp_attribute_name(attributes[i].number), attributes[i].name);
    for (unsigned type = 0; type <= UINT16_MAX; type++)
        known += strcmp(wire_cp_attribute_name((uint16_t)type), "unknown") != 0;
    cr_assert_eq(known, COUNT(attributes));
    printf("compared %zu attributes\n", known);
}

/* What the code has as names only. */
Test(registry, numbers)
{
    static const struct {
        unsigned ours, registered;
    } table[] = {
        {WIRE_PL_SA, 33},
        {WIRE_PL_KE, 34},
        {WIRE_PL_IDI, 35},
        {WIRE_PL_IDR, 36},
        {WIRE_PL_CERT, 37},
        {WIRE_PL_CERTREQ, 38},
        {WIRE_PL_AUTH, 39},
        {WIRE_PL_NONCE, 40},
        {WIRE_PL_NOTIFY, 41},
        {WIRE_PL_DELETE, 42},
        {WIRE_PL_VENDOR, 43},
        {WIRE_PL_TSI, 44},
        {WIRE_PL_TSR, 45},
        {WIRE_PL_SK, 46},
        {WIRE_PL_CP, 47},
        {WIRE_PL_EAP, 48},
        {WIRE_PL_SKF, 53},
        {WIRE_EX_IKE_SA_INIT, 34},
        {WIRE_EX_IKE_AUTH, 35},
        {WIRE_EX_CREATE_CHILD_SA, 36},
        {WIRE_EX_INFORMATIONAL, 37},
        {WIRE_EX_IKE_SESSION_RESUME, 38},
        {WIRE_EX_IKE_INTERMEDIATE, 43},
        {WIRE_EX_IKE_FOLLOWUP_KE, 44},
        {WIRE_PROTO_IKE, 1},
        {WIRE_PROTO_AH, 2},
        {WIRE_PROTO_ESP, 3},
        {WIRE_TR_ENCR, 1},
        {WIRE_TR_PRF, 2},
        {WIRE_TR_INTEG, 3},
        {WIRE_TR_KE, 4},
        {WIRE_TR_ESN, 5},
        {WIRE_TR_ADDKE1, 6},
        {WIRE_TR_ADDKE7, 12},
        {WIRE_ATTR_KEY_LENGTH, 14},
        {WIRE_TS_IPV4, 7},
        {WIRE_TS_IPV6, 8},
        {WIRE_ID_IPV4, 1},
        {WIRE_ID_FQDN, 2},
        {WIRE_ID_RFC822, 3},
        {WIRE_ID_IPV6, 5},
        {WIRE_ID_DER_DN, 9},
        {WIRE_ID_DER_GN, 10},
        {WIRE_ID_KEY_ID, 11},
        {WIRE_CERT_X509, 4},
        {WIRE_CFG_REQUEST, 1},
        {WIRE_CFG_REPLY, 2},
        {WIRE_CFG_SET, 3},
        {WIRE_CFG_ACK, 4},
        {WIRE_HASH_SHA1, 1},
        {WIRE_HASH_SHA256, 2},
        {WIRE_HASH_SHA384, 3},
        {WIRE_HASH_SHA512, 4},
        {WIRE_HASH_IDENTITY, 5},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        cr_assert_eq(table[i].ours, table[i].registered, "row %zu", i);
    printf("compared %zu numbers\n", COUNT(table));
}
