/* Each payload: what is encoded decodes to the same, alone and inside a whole message. */
#include <criterion/criterion.h>

#include "wire/body.h"

/* Encodes by `put`, decodes the chain, and encodes again from what was decoded. */
static struct span finish(struct wire_builder *b)
{
    struct span out;

    cr_assert(wire_builder_finish(b, &out));
    return out;
}

static struct wire_body decode(const struct wire_builder *b, struct span bytes)
{
    struct wire_body body;

    cr_assert_eq(wire_body_decode(b->first, bytes, &body), WIRE_OK);
    return body;
}

static void fill_sa(struct wire_sa *sa, const uint8_t *spi)
{
    memset(sa, 0, sizeof *sa);
    wire_sa_add_proposal(sa, 1, WIRE_PROTO_ESP, span_of(spi, 4));
    wire_sa_add_transform(sa, WIRE_TR_ENCR, 20, 256);
    wire_sa_add_transform(sa, WIRE_TR_ENCR, 20, 128);
    wire_sa_add_transform(sa, WIRE_TR_ESN, 0, 0);
    wire_sa_add_proposal(sa, 7, WIRE_PROTO_IKE, span_of(spi, 8));
    wire_sa_add_transform(sa, WIRE_TR_PRF, 5, 0);
    wire_sa_add_transform(sa, WIRE_TR_KE, 31, 0);
    wire_sa_add_proposal(sa, 255, WIRE_PROTO_IKE, span_of(NULL, 0));
    wire_sa_add_transform(sa, 200, 65535, 65535);
}

Test(payload, sa_round_trip)
{
    const uint8_t spi[8] = {0xaa, 2, 3, 4, 5, 6, 7, 8};
    uint8_t first[512], second[512];
    struct wire_builder b = wire_builder_chain(first, sizeof first), again;
    struct wire_sa sa;
    struct wire_body body;
    struct span bytes;

    fill_sa(&sa, spi);
    wire_put_sa(&b, &sa);
    bytes = finish(&b);
    body = decode(&b, bytes);
    cr_assert(body.has_sa && body.sa.n_proposals == 3 && body.sa.n_transforms == 6);
    for (size_t i = 0; i < 3; i++) {
        const struct wire_proposal *p = &body.sa.proposals[i], *q = &sa.proposals[i];

        cr_assert(p->number == q->number && p->protocol == q->protocol && p->first == q->first &&
                  p->n == q->n && span_equal(p->spi, q->spi));
    }
    for (size_t i = 0; i < 6; i++)
        cr_assert(body.sa.transforms[i].type == sa.transforms[i].type &&
                  body.sa.transforms[i].id == sa.transforms[i].id &&
                  body.sa.transforms[i].key_bits == sa.transforms[i].key_bits &&
                  !body.sa.transforms[i].unknown_attribute);
    again = wire_builder_chain(second, sizeof second);
    wire_put_sa(&again, &body.sa);
    cr_assert(span_equal(bytes, finish(&again)));
}

Test(payload, sa_bytes_as_in_the_rfc)
{
    /* RFC 7296 3.3, written out by hand: one proposal, AES-GCM-16 with 256 bits, PRF, group 31. */
    static const uint8_t want[] = {
        0, 0, 0, 40,             /* generic header */
        0, 0, 0, 36, 1, 1, 0, 3, /* proposal: last, length, number 1, IKE, no SPI, 3 transforms */
        3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0, 3, 0, 0, 8, 2, 0, 0, 5, 0, 0, 0, 8, 4, 0, 0, 31,
    };
    uint8_t room[64];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_sa sa = {0};

    wire_sa_add_proposal(&sa, 1, WIRE_PROTO_IKE, span_of(NULL, 0));
    wire_sa_add_transform(&sa, WIRE_TR_ENCR, 20, 256);
    wire_sa_add_transform(&sa, WIRE_TR_PRF, 5, 0);
    wire_sa_add_transform(&sa, WIRE_TR_KE, 31, 0);
    wire_put_sa(&b, &sa);
    cr_assert(span_equal(finish(&b), span_of(want, sizeof want)));
}

Test(payload, small_ones_round_trip)
{
    uint8_t room[1024];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    const uint32_t spis[] = {0x100, 0xffffffff, 0x12345678};
    struct wire_body body;
    struct span bytes;

    wire_put_ke(&b, 31, span_of("public value of 32 bytes, padded", 32));
    wire_put_id(&b, WIRE_PL_IDI, WIRE_ID_FQDN, span_of("client.test", 11));
    wire_put_id(&b, WIRE_PL_IDR, WIRE_ID_IPV4, span_of("\x0a\x00\x00\x01", 4));
    wire_put_auth(&b, WIRE_AUTH_PSK, span_of("mac", 3));
    wire_put_nonce(&b, span_of("0123456789abcdef", 16));
    wire_put_notify_plain(&b, WIRE_N_INITIAL_CONTACT, span_of(NULL, 0));
    wire_put_notify_plain(&b, 40000, span_of("private", 7));
    wire_put_notify_esp(&b, WIRE_N_REKEY_SA, 0xcafebabe);
    wire_put_delete_ike(&b);
    wire_put_delete_esp(&b, spis, 3);
    bytes = finish(&b);
    body = decode(&b, bytes);
    cr_assert(body.has_ke && body.ke.group == 31 && body.ke.value.len == 32);
    cr_assert(body.has_idi && body.idi.type == WIRE_ID_FQDN && body.idi.data.len == 11 &&
              body.idi.body.len == 15);
    cr_assert(body.has_idr && body.idr.type == WIRE_ID_IPV4 && body.idr.data.len == 4);
    cr_assert(body.has_auth && body.auth.method == WIRE_AUTH_PSK && body.auth.data.len == 3);
    cr_assert(body.has_nonce && span_equal(body.nonce, span_of("0123456789abcdef", 16)));
    cr_assert_eq(body.n_notifies, 3);
    cr_assert_eq(body.notifies[1].type, 40000, "unknown types pass through");
    cr_assert(body.notifies[2].protocol == WIRE_PROTO_ESP && body.notifies[2].spi.len == 4 &&
              get_be32(body.notifies[2].spi.data) == 0xcafebabe);
    cr_assert_eq(wire_body_notify(&body, WIRE_N_REKEY_SA), &body.notifies[2]);
    cr_assert_null(wire_body_notify(&body, WIRE_N_COOKIE));
    cr_assert_null(wire_body_error(&body));
    cr_assert(body.n_deletes == 2 && body.deletes[0].protocol == WIRE_PROTO_IKE &&
              body.deletes[0].n_spis == 0);
    cr_assert_eq(body.deletes[1].n_spis, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(wire_delete_spi(&body.deletes[1], i), spis[i]);
}

Test(payload, first_error_notify)
{
    uint8_t room[64];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_body body;

    wire_put_notify_plain(&b, WIRE_N_INITIAL_CONTACT, span_of(NULL, 0));
    wire_put_notify_plain(&b, WIRE_N_NO_PROPOSAL_CHOSEN, span_of(NULL, 0));
    body = decode(&b, finish(&b));
    cr_assert_eq(wire_body_error(&body)->type, WIRE_N_NO_PROPOSAL_CHOSEN);
}

Test(payload, selectors_round_trip)
{
    uint8_t room[512];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_ts_list list = {.n = 3};
    struct wire_body body;

    list.items[0] = (struct wire_ts){
        .port_high = 65535, .low = addr_v4(0x0a000000), .high = addr_v4(0x0a0000ff)};
    list.items[1] = (struct wire_ts){.protocol = 17,
                                     .port_low = 53,
                                     .port_high = 53,
                                     .low.family = ADDR_V6,
                                     .high.family = ADDR_V6};
    memset(list.items[1].high.bytes, 0xff, 16);
    list.items[2] = (struct wire_ts){
        .protocol = 1, .port_low = 65535, .low = addr_v4(1), .high = addr_v4(1)}; /* OPAQUE */
    wire_put_ts(&b, WIRE_PL_TSI, &list);
    wire_put_ts(&b, WIRE_PL_TSR, &list);
    body = decode(&b, finish(&b));
    cr_assert(body.has_tsi && body.has_tsr && !body.tsi.skipped);
    cr_assert_eq(body.tsi.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct wire_ts *p = &body.tsr.items[i], *q = &list.items[i];

        cr_assert(p->protocol == q->protocol && p->port_low == q->port_low &&
                  p->port_high == q->port_high && addr_equal(&p->low, &q->low) &&
                  addr_equal(&p->high, &q->high));
    }
}

Test(payload, selectors_of_unknown_types_are_skipped_and_told)
{
    static const uint8_t body[] = {2, 0, 0, 0,        /* count */
                                   9, 0, 0, 6,  1, 2, /* type 9: somebody's, 2 bytes */
                                   7, 0, 0, 16, 0, 0, 0xff, 0xff, 10, 0, 0, 1, 10, 0, 0, 2};
    struct wire_ts_list list;

    cr_assert_eq(wire_ts_decode(span_of(body, sizeof body), &list), WIRE_OK);
    cr_assert(list.n == 1 && list.skipped && list.items[0].low.bytes[3] == 1);
}

Test(payload, configuration_round_trip)
{
    uint8_t room[128];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    const struct wire_cp cp = {
        .type = WIRE_CFG_REPLY,
        .attrs = {{.type = WIRE_CP_IP4_ADDRESS, .value = {(uint8_t *)"\n\0\0\1", 4}},
                  {.type = WIRE_CP_IP4_DNS, .value = {NULL, 0}},
                  {.type = 0x7fff, .value = {(uint8_t *)"x", 1}}},
        .n = 3};
    struct wire_body body;

    wire_put_cp(&b, &cp);
    body = decode(&b, finish(&b));
    cr_assert(body.has_cp && body.cp.type == WIRE_CFG_REPLY && body.cp.n == 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert(body.cp.attrs[i].type == cp.attrs[i].type &&
                  span_equal(body.cp.attrs[i].value, cp.attrs[i].value));
    room[8] |= 0x80; /* the reserved bit of the first attribute's type */
    body = decode(&b, span_of(room, b.w.len));
    cr_assert_eq(body.cp.attrs[0].type, WIRE_CP_IP4_ADDRESS);
}

Test(payload, vendor_ids_are_kept_up_to_a_number_and_never_refused)
{
    uint8_t room[512];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_body body;

    wire_put_vendor(&b, span_of(NULL, 0));
    for (size_t i = 1; i < WIRE_MAX_VENDOR_IDS + 5; i++)
        wire_put_vendor(&b, span_of("0123456789abcdef01234", i));
    body = decode(&b, finish(&b));
    cr_assert_eq(body.n_vendor_ids, WIRE_MAX_VENDOR_IDS);
    for (size_t i = 0; i < WIRE_MAX_VENDOR_IDS; i++)
        cr_assert(span_equal(body.vendor_ids[i], span_of("0123456789abcdef01234", i)));
}

Test(payload, builder_refuses_what_is_too_long)
{
    static uint8_t room[70000], big[65536];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct span out;

    wire_put_nonce(&b, span_of(big, 65531)); /* 65535 with its header: the most there is */
    cr_assert(wire_builder_finish(&b, &out));
    b = wire_builder_chain(room, sizeof room);
    wire_put_nonce(&b, span_of(big, 65532));
    cr_assert_not(wire_builder_finish(&b, &out));
}
