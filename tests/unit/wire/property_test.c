/* Properties of all payloads together, over random valid messages from seeds: encode, decode, compare,
 * encode again; every truncation; every byte changed. All input ends where readable memory ends.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "generate.h"

enum { MESSAGES = 4000, CUT_MESSAGES = 60, BENT_MESSAGES = 60, SMALL_PAYLOADS = 5 };

static const uint8_t all_types[] = {WIRE_PL_SA,     WIRE_PL_KE,    WIRE_PL_IDI,    WIRE_PL_IDR,
                                    WIRE_PL_AUTH,   WIRE_PL_NONCE, WIRE_PL_NOTIFY, WIRE_PL_DELETE,
                                    WIRE_PL_VENDOR, WIRE_PL_TSI,   WIRE_PL_TSR,    WIRE_PL_CP,
                                    WIRE_PL_EAP,    WIRE_PL_CERT,  WIRE_PL_CERTREQ};

static struct model model;
static struct wire_body decoded, again;
static uint8_t room[MODEL_MESSAGE_BYTES], room_again[MODEL_MESSAGE_BYTES];

/* Encodes the model, decodes, compares, and encodes again what was decoded. */
static void round_trip(uint64_t seed)
{
    uint8_t first, first_again;
    struct span bytes = model_encode(&model.body, model.order, model.n, room, &first), twice;

    cr_assert_eq(wire_body_decode(first, guarded(bytes), &decoded), WIRE_OK, "seed %lu", seed);
    cr_assert(model_equal(&decoded, &model.body), "seed %lu", seed);
    twice = model_encode(&decoded, model.order, model.n, room_again, &first_again);
    cr_assert(first == first_again && span_equal(bytes, twice), "seed %lu", seed);
}

Test(property, what_is_encoded_is_decoded_and_encoded_to_the_same_bytes)
{
    size_t payloads = 0, alone = 0;

    for (uint64_t seed = 1; seed <= MESSAGES; seed++) {
        struct sim_random r = {seed};

        model_make(&model, &r, 24);
        payloads += model.n;
        round_trip(seed);
        for (size_t i = 0; i < sizeof all_types && seed % 8 == 0; i++, alone++) {
            model_make_one(&model, &r, all_types[i]);
            round_trip(seed);
        }
    }
    printf("compared %d messages of %zu payloads, and %zu payloads alone\n", MESSAGES, payloads,
           alone);
}

/* A chain that was cut promises what is not there: each of its lengths would need the missing bytes. */
Test(property, no_truncation_passes_or_reads_beyond_the_end)
{
    size_t cuts = 0;

    for (uint64_t seed = 1; seed <= CUT_MESSAGES; seed++) {
        struct sim_random r = {seed};
        struct span bytes;
        uint8_t first;

        model_make(&model, &r, SMALL_PAYLOADS);
        bytes = model_encode(&model.body, model.order, model.n, room, &first);
        for (size_t n = 0; n < bytes.len; n++, cuts++)
            cr_assert_neq(wire_body_decode(first, guarded(span_of(bytes.data, n)), &decoded),
                          WIRE_OK, "seed %lu, %zu of %zu bytes", seed, n, bytes.len);
    }
    printf("compared %zu truncations\n", cuts);
}

/* The payloads of a decoded chain that are encoded here, in order. False: something was in it that
 * is dropped by decoding (an attribute or selector that is not known). */
static bool order_of(uint8_t first, struct span bytes, uint8_t *order, size_t *n)
{
    static struct wire_chain chain;
    uint8_t unsupported;
    size_t vendors = 0;

    cr_assert_eq(wire_chain_decode(first, bytes, &chain, &unsupported), WIRE_OK);
    *n = 0;
    for (size_t i = 0; i < chain.n; i++) {
        uint8_t type = chain.items[i].type;

        if (type == WIRE_PL_VENDOR && vendors++ >= WIRE_MAX_VENDOR_IDS)
            continue;
        order[(*n)++] = type;
    }
    for (size_t i = 0; i < decoded.sa.n_transforms; i++)
        if (decoded.sa.transforms[i].unknown_attribute)
            return false;
    return !decoded.tsi.skipped && !decoded.tsr.skipped;
}

/* What still decodes after a byte was changed has one meaning: encoded and decoded it is the same. */
static void bent(uint8_t first, struct span bytes, size_t *accepted)
{
    uint8_t order[WIRE_MAX_PAYLOADS], first_again;
    struct span in = guarded(bytes), out;
    size_t n;

    if (wire_body_decode(first, in, &decoded) != WIRE_OK || !order_of(first, in, order, &n))
        return;
    out = model_encode(&decoded, order, n, room_again, &first_again);
    if (n == 0)
        return;
    cr_assert_eq(wire_body_decode(first_again, out, &again), WIRE_OK);
    decoded.idi.body = again.idi.body; /* reserved bytes are not kept */
    decoded.idr.body = again.idr.body;
    cr_assert(model_equal(&decoded, &again));
    (*accepted)++;
}

Test(property, no_changed_byte_crashes_or_reads_beyond_the_end)
{
    size_t tried = 0, accepted = 0;

    for (uint64_t seed = 1; seed <= BENT_MESSAGES; seed++) {
        struct sim_random r = {seed};
        struct span bytes;
        uint8_t first;

        model_make(&model, &r, SMALL_PAYLOADS);
        bytes = model_encode(&model.body, model.order, model.n, room, &first);
        for (size_t i = 0; i < bytes.len; i++) {
            const uint8_t was = room[i];
            const uint8_t values[] = {0, 0xff, (uint8_t)(was + 1), (uint8_t)(was - 1),
                                      (uint8_t)sim_next(&r)};

            for (size_t j = 0; j < sizeof values; j++, tried++) {
                room[i] = values[j];
                bent(first, bytes, &accepted);
            }
            room[i] = was;
        }
    }
    cr_assert(accepted > 0 && accepted < tried);
    printf("compared %zu changed bytes, %zu of them still a message\n", tried, accepted);
}

/* RFC 7296 2.5: the critical bit is ignored on each payload that is understood, an unknown payload
 * with it refuses the message and is named, one without it is skipped. All 256 types. */
Test(property, the_critical_bit_of_every_payload_type)
{
    size_t known = 0;

    for (unsigned type = 1; type < 256; type++)
        for (int critical = 0; critical < 2; critical++) {
            uint8_t bytes[] = {0, critical ? 0x80 : 0, 0, 4};
            struct wire_chain chain;
            uint8_t unsupported = 0;
            enum wire_result result =
                wire_chain_decode((uint8_t)type, span_of(bytes, 4), &chain, &unsupported);
            bool understood = (type >= 33 && type <= 48) || type == 53;

            cr_assert_eq(wire_payload_is_known((uint8_t)type), understood, "type %u", type);
            if (understood) {
                known++;
                cr_assert(result == WIRE_OK && chain.n == 1, "type %u", type);
            } else if (critical) {
                cr_assert(result == WIRE_CRITICAL && unsupported == type, "type %u", type);
            } else {
                cr_assert(result == WIRE_OK && chain.n == 0, "type %u", type);
            }
        }
    cr_assert_eq(known, 2 * 17);
    printf("compared %d payload types\n", 255);
}
