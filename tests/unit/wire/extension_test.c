/* What the RFCs around 7296 added: fragments, EAP, redirect, announced methods, configuration values,
 * and the registry of Notify types. Each decoder with the table of what it refuses. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "wire/auth_methods.h"
#include "wire/body.h"
#include "wire/dns_name.h"
#include "wire/redirect.h"
#include "wire/skf.h"

#include "rows.h"

/* The data of the only Notify of a chain. */
static struct span only_notify(struct wire_builder *b, uint16_t type)
{
    static struct wire_body body;
    struct span bytes;

    cr_assert(wire_builder_finish(b, &bytes));
    cr_assert_eq(wire_body_decode(b->first, bytes, &body), WIRE_OK);
    cr_assert(body.n_notifies == 1 && body.notifies[0].type == type);
    return body.notifies[0].data;
}

Test(eap, refuses)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\1\1\0", WIRE_TRUNCATED),
        ROW("longer than the payload", "\1\1\0\6\1", WIRE_TRUNCATED),
        ROW("shorter than the payload", "\1\1\0\5\1\1", WIRE_MALFORMED),
        ROW("length 0", "\1\1\0\0\1", WIRE_MALFORMED),
        ROW("Request without a type", "\1\1\0\4", WIRE_MALFORMED),
        ROW("Response without a type", "\2\1\0\4", WIRE_MALFORMED),
        ROW("Request of type 0", "\1\1\0\5\0", WIRE_MALFORMED),
        ROW("Success with data", "\3\1\0\5\1", WIRE_MALFORMED),
        ROW("Failure with data", "\4\1\0\6\1\1", WIRE_MALFORMED),
        ROW("code 0", "\0\1\0\5\1", WIRE_MALFORMED),
        ROW("code 5", "\5\1\0\5\1", WIRE_MALFORMED),
    };
    struct wire_eap eap;

    REFUSES(table, wire_eap_decode, struct wire_eap);
    cr_assert_eq(wire_eap_decode(span_of("\2\x9\0\6\x1a!", 6), &eap), WIRE_OK);
    cr_assert(eap.code == WIRE_EAP_RESPONSE && eap.identifier == 9 && eap.type == 26 &&
              eap.data.len == 1 && eap.message.len == 6);
    cr_assert_eq(wire_eap_decode(span_of("\3\x9\0\4", 4), &eap), WIRE_OK);
    cr_assert(eap.code == WIRE_EAP_SUCCESS && eap.type == 0 && eap.data.len == 0);
}

enum { IV = 8, TEXT = 20, ICV = 16 };

Test(skf, put_and_split)
{
    const struct wire_header h = {.major = 2, .exchange = WIRE_EX_IKE_AUTH, .message_id = 1};
    size_t compared = 0;

    for (uint16_t number = 1; number <= 3; number++) {
        const struct wire_skf fragment = {
            .number = number, .total = 3, .inner_first = number == 1 ? WIRE_PL_IDI : WIRE_PL_NONE};
        uint8_t room[256], unsupported;
        struct wire_builder b = wire_builder_message(room, sizeof room, &h);
        struct wire_sk_room put = wire_put_skf(&b, &fragment, IV, TEXT, ICV);
        struct wire_chain chain;
        struct wire_skf got;
        struct span m;

        cr_assert(wire_builder_finish(&b, &m));
        /* RFC 7383 2.5: both counters are authenticated. */
        cr_assert_eq(put.aad_bytes,
                     WIRE_HEADER_BYTES + WIRE_PAYLOAD_HEADER_BYTES + WIRE_SKF_HEADER_BYTES);
        cr_assert_eq(
            wire_chain_decode(room[16], span_of(m.data + 28, m.len - 28), &chain, &unsupported),
            WIRE_OK);
        cr_assert(chain.n == 1 && chain.items[0].type == WIRE_PL_SKF);
        cr_assert_eq(wire_skf_split(chain.items[0].next, chain.items[0].body, IV, ICV, &got),
                     WIRE_OK);
        cr_assert(got.number == number && got.total == 3 &&
                  got.inner_first == fragment.inner_first);
        cr_assert(got.sk.iv.data == put.iv && got.sk.ciphertext.data == put.ciphertext &&
                  got.sk.icv.data == put.icv && got.sk.ciphertext.len == TEXT + 1);
        for (size_t n = 0; n < WIRE_SKF_HEADER_BYTES + IV + 1 + ICV; n++, compared++)
            cr_assert_eq(wire_skf_split(chain.items[0].next, span_of(chain.items[0].body.data, n),
                                        IV, ICV, &got),
                         WIRE_TRUNCATED);
    }
    printf("compared %zu truncations\n", compared);
}

Test(skf, numbers_that_contradict_one_another)
{
    static const struct {
        const char *what;
        uint16_t number, total;
        uint8_t next;
        enum wire_result want;
    } table[] = {
        {"number 0", 0, 3, 0, WIRE_MALFORMED},
        {"total 0", 1, 0, 35, WIRE_MALFORMED},
        {"both 0", 0, 0, 0, WIRE_MALFORMED},
        {"beyond the total", 4, 3, 0, WIRE_MALFORMED},
        {"a later one names a payload", 2, 3, 35, WIRE_MALFORMED},
        {"the only one", 1, 1, 35, WIRE_OK},
        {"the first, empty inside", 1, 2, 0, WIRE_OK},
        {"the last", 65535, 65535, 0, WIRE_OK},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        uint8_t body[WIRE_SKF_HEADER_BYTES + 25] = {0};
        struct wire_skf out, pattern;

        memset(&out, 0x5c, sizeof out);
        memset(&pattern, 0x5c, sizeof pattern);
        put_be16(body, table[i].number);
        put_be16(body + 2, table[i].total);
        cr_assert_eq(wire_skf_split(table[i].next, span_of(body, sizeof body), 8, 16, &out),
                     table[i].want, "%s", table[i].what);
        cr_assert(table[i].want == WIRE_OK || memcmp(&out, &pattern, sizeof out) == 0, "%s",
                  table[i].what);
    }
}

Test(skf, ends_the_chain_and_is_refused_inside)
{
    uint8_t room[128], unsupported;
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    const struct wire_skf fragment = {.number = 1, .total = 1, .inner_first = WIRE_PL_IDI};
    static struct wire_body body;
    struct wire_chain chain;
    struct span bytes;

    (void)wire_put_skf(&b, &fragment, IV, TEXT, ICV);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_chain_decode(b.first, span_of(room, bytes.len + 1), &chain, &unsupported),
                 WIRE_MALFORMED);
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_MALFORMED);
}

Test(redirect, refuses)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\1", WIRE_TRUNCATED),
        ROW("beyond the end", "\1\4\1\2\3", WIRE_TRUNCATED),
        ROW("type 0", "\0\4\1\2\3\4", WIRE_MALFORMED),
        ROW("type 4", "\4\4\1\2\3\4", WIRE_MALFORMED),
        ROW("IPv4 of 3 bytes", "\1\3\1\2\3", WIRE_MALFORMED),
        ROW("IPv4 of 16 bytes", "\1\x10xxxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("IPv6 of 4 bytes", "\2\4\1\2\3\4", WIRE_MALFORMED),
        ROW("no name", "\3\0", WIRE_MALFORMED),
        ROW("name that ends in a zero byte", "\3\2a\0", WIRE_MALFORMED),
        ROW("name with a line end", "\3\4a\nb.", WIRE_MALFORMED),
        ROW("nonce of 15 bytes", "\1\4\1\2\3\4aaaaaaaaaaaaaaa", WIRE_MALFORMED),
    };
    static const struct row no_nonce[] = {
        ROW("something behind the gateway", "\1\4\1\2\3\4aaaaaaaaaaaaaaaa", WIRE_MALFORMED),
        ROW("one byte behind the gateway", "\1\4\1\2\3\4a", WIRE_MALFORMED),
        ROW("empty", "", WIRE_TRUNCATED),
    };

    REFUSES(table, wire_redirect_decode, struct wire_redirect);
    REFUSES(no_nonce, wire_redirected_from_decode, struct wire_gateway);
}

Test(redirect, round_trip)
{
    struct wire_gateway gateways[] = {
        {.type = WIRE_GATEWAY_IPV4, .ip = addr_v4(0x0a4d0164)},
        {.type = WIRE_GATEWAY_IPV6, .ip = {.family = ADDR_V6, .bytes = {0xfd, 1, [15] = 2}}},
        {.type = WIRE_GATEWAY_FQDN, .fqdn = span_of("gw2.holdfast.test", 17)},
    };
    uint8_t room[256];

    for (size_t i = 0; i < COUNT(gateways); i++)
        for (size_t nonce = 0; nonce <= 32; nonce += 32) {
            const struct wire_redirect meant = {gateways[i],
                                                span_of("0123456789abcdef0123456789abcdef", nonce)};
            struct wire_builder b = wire_builder_chain(room, sizeof room);
            struct wire_redirect got;
            struct wire_gateway from;

            wire_put_redirect(&b, &meant);
            cr_assert_eq(wire_redirect_decode(only_notify(&b, WIRE_N_REDIRECT), &got), WIRE_OK);
            cr_assert(got.gateway.type == gateways[i].type &&
                      addr_equal(&got.gateway.ip, &gateways[i].ip) &&
                      span_equal(got.gateway.fqdn, gateways[i].fqdn) &&
                      span_equal(got.nonce, meant.nonce));
            b = wire_builder_chain(room, sizeof room);
            wire_put_redirected_from(&b, &gateways[i]);
            cr_assert_eq(
                wire_redirected_from_decode(only_notify(&b, WIRE_N_REDIRECTED_FROM), &from),
                WIRE_OK);
            cr_assert(from.type == gateways[i].type && addr_equal(&from.ip, &gateways[i].ip) &&
                      span_equal(from.fqdn, gateways[i].fqdn));
        }
}

Test(auth_methods, three_forms_and_what_is_refused)
{
    static const struct row table[] = {
        ROW("length 0", "\0\x0e", WIRE_MALFORMED),
        ROW("length 1", "\1\x0e", WIRE_MALFORMED),
        ROW("half", "\2", WIRE_TRUNCATED),
        ROW("beyond the end", "\5\x0e\0\x30", WIRE_TRUNCATED),
    };
    /* RFC 9593 3.2: two, three, and more bytes. */
    static const uint8_t bytes[] = {2, 2, 3, 14, 1, 6, 14, 2, 0x30, 1, 5};
    uint8_t room[64], many[2 * (WIRE_MAX_AUTH_METHODS + 1)];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_auth_methods got;

    REFUSES(table, wire_auth_methods_decode, struct wire_auth_methods);
    cr_assert_eq(wire_auth_methods_decode(span_of(bytes, sizeof bytes), &got), WIRE_OK);
    cr_assert(got.n == 3 && got.items[0].method == 2 && got.items[0].cert_link == 0);
    cr_assert(got.items[1].method == 14 && got.items[1].cert_link == 1 &&
              got.items[1].algorithm.len == 0);
    cr_assert(got.items[2].cert_link == 2 && got.items[2].algorithm.len == 3);
    wire_put_auth_methods(&b, &got);
    cr_assert(
        span_equal(only_notify(&b, WIRE_N_SUPPORTED_AUTH_METHODS), span_of(bytes, sizeof bytes)));
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = 2;
    cr_assert_eq(wire_auth_methods_decode(span_of(many, sizeof many), &got), WIRE_TOO_MANY);
    cr_assert_eq(wire_auth_methods_decode(span_of(many, sizeof many - 2), &got), WIRE_OK);
}

Test(dns_name, table)
{
    static const struct {
        const char *name;
        bool holds;
    } table[] = {
        {"example.com", true},
        {"example.com.", true},
        {".", true},
        {"a", true},
        {"_ldap._tcp.x", true},
        {"xn--bcher-kva.test", true},
        {"", false},
        {"..", false},
        {".a", false},
        {"a..b", false},
        {"a b", false},
        {"a\nb", false},
        {"a;b", false},
        {"b\xc3\xbc.test", false},
        {"a..", false},
    };
    char label[65] = {0}, name[300] = {0};

    for (size_t i = 0; i < COUNT(table); i++)
        cr_assert_eq(wire_dns_name_holds(span_of(table[i].name, strlen(table[i].name))),
                     table[i].holds, "'%s'", table[i].name);
    cr_assert_not(wire_dns_name_holds(span_of("a\0b", 3)));
    memset(label, 'x', 64);
    cr_assert(wire_dns_name_holds(span_of(label, 63)));
    cr_assert_not(wire_dns_name_holds(span_of(label, 64)));
    memset(name, 'y', sizeof name);
    for (size_t i = 50; i < sizeof name; i += 51)
        name[i] = '.';
    cr_assert(wire_dns_name_holds(span_of(name, 253)));
    cr_assert_not(wire_dns_name_holds(span_of(name, 254)));
    name[253] = '.';
    cr_assert(wire_dns_name_holds(span_of(name, 254)), "the dot at the end is not counted");
    cr_assert_not(wire_dns_name_holds(span_of(name, 255)));
}

Test(notify_table, is_in_order_and_each_type_has_one_name)
{
    size_t n = 0;

    for (; wire_notify_row(n) != NULL; n++) {
        const struct wire_notify_info *row = wire_notify_row(n);

        cr_assert_eq(wire_notify_find(row->type), row, "%s", row->name);
        cr_assert_str_eq(wire_notify_name(row->type), row->name);
        cr_assert(row->min <= row->max && row->step > 0, "%s", row->name);
        for (size_t i = 0; i < n; i++) {
            cr_assert_lt(wire_notify_row(i)->type, row->type, "%s", row->name);
            cr_assert_str_neq(wire_notify_row(i)->name, row->name);
        }
    }
    cr_assert_null(wire_notify_find(0));
    cr_assert_null(wire_notify_find(2)); /* reserved in RFC 7296 */
    cr_assert_null(wire_notify_find(65535));
    cr_assert_str_eq(wire_notify_name(40000), "unknown");
    cr_assert_eq(n, 25 + 64);
    printf("compared %zu types\n", n);
}

/* For each type: lengths that its RFC allows, then lengths that it does not. 999 ends a list. */
Test(notify_table, data_of_a_fixed_form_is_judged)
{
    static const struct {
        uint16_t type;
        uint16_t right[4], wrong[4];
    } table[] = {
        {WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD, {1, 999}, {0, 2, 999}},
        {WIRE_N_INVALID_MESSAGE_ID, {4, 999}, {0, 3, 8, 999}},
        {WIRE_N_INVALID_KE_PAYLOAD, {2, 999}, {0, 1, 3, 999}},
        {WIRE_N_SET_WINDOW_SIZE, {4, 999}, {0, 5, 999}},
        {WIRE_N_IPCOMP_SUPPORTED, {3, 7, 999}, {0, 2, 999}},
        {WIRE_N_NAT_DETECTION_SOURCE_IP, {20, 999}, {0, 19, 21, 999}},
        {WIRE_N_NAT_DETECTION_DESTINATION_IP, {20, 999}, {0, 19, 32, 999}},
        {WIRE_N_COOKIE, {1, 64, 999}, {0, 65, 999}},
        {WIRE_N_ADDITIONAL_IP4_ADDRESS, {4, 999}, {0, 16, 999}},
        {WIRE_N_ADDITIONAL_IP6_ADDRESS, {16, 999}, {4, 17, 999}},
        {WIRE_N_COOKIE2, {8, 64, 999}, {0, 7, 65, 999}},
        {WIRE_N_NO_NATS_ALLOWED, {12, 36, 999}, {0, 24, 37, 999}},
        {WIRE_N_AUTH_LIFETIME, {4, 999}, {0, 8, 999}},
        {WIRE_N_REDIRECT, {3, 22, 999}, {0, 2, 999}},
        {WIRE_N_TICKET_LT_OPAQUE, {5, 100, 999}, {0, 4, 999}},
        {WIRE_N_TICKET_OPAQUE, {1, 999}, {0, 999}},
        {WIRE_N_QUICK_CRASH_DETECTION, {16, 128, 999}, {0, 15, 129, 999}},
        {WIRE_N_IKEV2_MESSAGE_ID_SYNC, {12, 999}, {0, 8, 13, 999}},
        {WIRE_N_IPSEC_REPLAY_COUNTER_SYNC, {4, 8, 999}, {0, 6, 12, 999}},
        {WIRE_N_SIGNATURE_HASH_ALGORITHMS, {0, 2, 8, 999}, {1, 3, 999}},
        {WIRE_N_PUZZLE, {3, 999}, {0, 2, 4, 999}},
        {WIRE_N_PPK_IDENTITY, {0, 5, 999}, {999}}, /* empty in the answer (RFC 8784 3) */
        {WIRE_N_NO_PPK_AUTH, {1, 64, 999}, {0, 999}},
        {WIRE_N_ADDITIONAL_KEY_EXCHANGE, {1, 999}, {0, 999}},
        {WIRE_N_USE_AGGFRAG, {1, 999}, {0, 2, 999}},
        {WIRE_N_PPK_IDENTITY_KEY, {9, 40, 999}, {0, 8, 999}},
        /* No data is defined: what comes is ignored (RFC 4555 3.1 says so in as many words). */
        {WIRE_N_MOBIKE_SUPPORTED, {0, 1, 999}, {999}},
        {WIRE_N_IKEV2_FRAGMENTATION_SUPPORTED, {0, 4, 999}, {999}},
        {WIRE_N_USE_PPK, {0, 1, 999}, {999}},
        {40000, {0, 100, 999}, {999}},
    };
    size_t compared = 0;

    for (size_t i = 0; i < COUNT(table); i++)
        for (int right = 0; right < 2; right++) {
            const uint16_t *lengths = right ? table[i].right : table[i].wrong;

            for (size_t j = 0; j < 4 && lengths[j] != 999; j++, compared++) {
                uint8_t body[4 + 200] = {0};
                struct wire_notify n;

                put_be16(body + 2, table[i].type);
                cr_assert_eq(wire_notify_decode(span_of(body, 4u + lengths[j]), &n),
                             right ? WIRE_OK : WIRE_MALFORMED, "%s of %u bytes",
                             wire_notify_name(table[i].type), lengths[j]);
            }
        }
    printf("compared %zu lengths\n", compared);
}

Test(cp_value, lengths_that_an_attribute_cannot_have)
{
    static const struct row table[] = {
        ROW("IPv4 address of 3", "\2\0\0\0\0\1\0\3xxx", WIRE_MALFORMED),
        ROW("netmask of 8", "\2\0\0\0\0\2\0\10xxxxxxxx", WIRE_MALFORMED),
        ROW("IPv6 address of 15", "\2\0\0\0\0\10\0\17xxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("IPv6 address of 18", "\2\0\0\0\0\10\0\22xxxxxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("IPv6 DNS of 17", "\2\0\0\0\0\12\0\21xxxxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("IPv4 subnet of 4", "\2\0\0\0\0\15\0\4xxxx", WIRE_MALFORMED),
        ROW("IPv6 subnet of 16", "\2\0\0\0\0\17\0\20xxxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("supported attributes of 3", "\2\0\0\0\0\16\0\3xxx", WIRE_MALFORMED),
        ROW("trust anchor without a digest", "\2\0\0\0\0\32\0\4xxxx", WIRE_MALFORMED),
    };
    uint8_t bytes[8] = {WIRE_CFG_REQUEST};
    struct wire_cp cp;

    REFUSES(table, wire_cp_decode, struct wire_cp);
    for (uint8_t type = 0; type < 40; type++) { /* an empty one is a question */
        bytes[5] = type;
        cr_assert_eq(wire_cp_decode(span_of(bytes, sizeof bytes), &cp), WIRE_OK, "type %u", type);
    }
    cr_assert_str_eq(wire_cp_attribute_name(WIRE_CP_IP6_ADDRESS), "INTERNAL_IP6_ADDRESS");
    cr_assert_str_eq(wire_cp_attribute_name(23456), "unknown");
}

Test(cp_value, dual_stack_reply_with_split_dns)
{
    const struct ip_addr v4 = addr_v4(0x0a630007), mask = addr_v4(0xffffffff);
    const struct ip_addr dns6 = {.family = ADDR_V6, .bytes = {0xfd, [15] = 0x35}};
    const struct wire_cp_prefix v6 = {.ip = {.family = ADDR_V6, .bytes = {0xfd, [15] = 7}},
                                      .bits = 128};
    uint8_t room[256], prefixes[2][WIRE_CP_PREFIX_BYTES];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_cp cp = {.type = WIRE_CFG_REPLY};
    static struct wire_body body;
    struct wire_cp_trust_anchor anchor;
    struct wire_cp_prefix prefix;
    struct ip_addr ip;
    struct span bytes, name;

    wire_cp_add_address(&cp, WIRE_CP_IP4_ADDRESS, &v4);
    wire_cp_add_address(&cp, WIRE_CP_IP4_NETMASK, &mask);
    wire_cp_add_prefix(&cp, WIRE_CP_IP6_ADDRESS, &v6, prefixes[0]);
    wire_cp_add_address(&cp, WIRE_CP_IP6_DNS, &dns6);
    wire_cp_add_prefix(&cp, WIRE_CP_IP4_SUBNET, &(struct wire_cp_prefix){addr_v4(0x0a4d0200), 23},
                       prefixes[1]);
    wire_cp_add(&cp, WIRE_CP_DNS_DOMAIN, span_of("corp.test", 9));
    wire_cp_add(&cp, WIRE_CP_DNSSEC_TA, span_of("\xa8\x43\x08\x02xyz", 7));
    wire_put_cp(&b, &cp);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_OK);
    cr_assert_eq(body.cp.n, 7);
    cr_assert(wire_cp_read_address(&body.cp.attrs[0], &ip) && addr_equal(&ip, &v4));
    cr_assert(wire_cp_read_address(&body.cp.attrs[1], &ip) && addr_equal(&ip, &mask));
    cr_assert(body.cp.attrs[2].value.len == 17 && wire_cp_read_prefix(&body.cp.attrs[2], &prefix) &&
              prefix.bits == 128 && addr_equal(&prefix.ip, &v6.ip));
    cr_assert(wire_cp_read_address(&body.cp.attrs[3], &ip) && addr_equal(&ip, &dns6));
    cr_assert(wire_cp_read_prefix(&body.cp.attrs[4], &prefix) && prefix.bits == 23);
    cr_assert(wire_cp_read_domain(&body.cp.attrs[5], &name) && name.len == 9);
    cr_assert(wire_cp_read_trust_anchor(&body.cp.attrs[6], &anchor) && anchor.key_tag == 0xa843 &&
              anchor.algorithm == 8 && anchor.digest_type == 2 && anchor.digest.len == 3);
}

Test(cp_value, what_a_value_cannot_say)
{
    static const struct {
        const char *what;
        uint16_t type;
        const char *value;
        size_t len;
    } table[] = {
        {"a mask with holes", WIRE_CP_IP4_SUBNET, "\x0a\0\0\0\xff\0\xff\0", 8},
        {"a mask upside down", WIRE_CP_IP4_SUBNET, "\x0a\0\0\0\0\0\0\xff", 8},
        {"129 bits", WIRE_CP_IP6_SUBNET, "xxxxxxxxxxxxxxxx\x81", 17},
        {"no value", WIRE_CP_IP6_ADDRESS, "", 0},
        {"another type", WIRE_CP_IP4_ADDRESS, "\x0a\0\0\1", 4},
    };
    struct wire_cp_prefix prefix;
    struct ip_addr ip;
    struct span name;

    for (size_t i = 0; i < COUNT(table); i++) {
        const struct wire_cp_attr attr = {table[i].type, span_of(table[i].value, table[i].len)};

        cr_assert_not(wire_cp_read_prefix(&attr, &prefix), "%s", table[i].what);
    }
    for (unsigned bits = 0; bits <= 32; bits++) { /* every mask there is */
        uint8_t room[WIRE_CP_PREFIX_BYTES];
        struct wire_cp cp = {0};

        wire_cp_add_prefix(&cp, WIRE_CP_IP4_SUBNET,
                           &(struct wire_cp_prefix){addr_v4(0), (uint8_t)bits}, room);
        cr_assert(wire_cp_read_prefix(&cp.attrs[0], &prefix) && prefix.bits == bits);
    }
    cr_assert_not(wire_cp_read_address(&(struct wire_cp_attr){WIRE_CP_IP4_DNS, {0}}, &ip));
    cr_assert_not(
        wire_cp_read_address(&(struct wire_cp_attr){WIRE_CP_DNS_DOMAIN, span_of("abcd", 4)}, &ip));
    cr_assert_not(
        wire_cp_read_domain(&(struct wire_cp_attr){WIRE_CP_DNS_DOMAIN, span_of("a\nb", 3)}, &name));
}

Test(delete, of_every_protocol)
{
    static const uint32_t spis[] = {1, 0xfffffffe};
    uint8_t room[64];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    static struct wire_body body;
    struct span bytes;

    wire_put_delete_ike(&b);
    wire_put_delete_spis(&b, WIRE_PROTO_AH, spis, 2);
    wire_put_delete_spis(&b, WIRE_PROTO_ESP, spis, 1);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_OK);
    cr_assert(body.n_deletes == 3 && body.deletes[0].protocol == WIRE_PROTO_IKE);
    cr_assert(body.deletes[1].protocol == WIRE_PROTO_AH && body.deletes[1].n_spis == 2 &&
              wire_delete_spi(&body.deletes[1], 1) == 0xfffffffe);
    cr_assert(body.deletes[2].protocol == WIRE_PROTO_ESP && body.deletes[2].n_spis == 1);
}
