/* The relay's decisions: by seed, by class and way, by the n-th message of an exchange. */
#include <criterion/criterion.h>

#include <string.h>

#include "chaos/relay.h"
#include "frames.h"

static struct relay_core core;

static struct relay_packet esp(enum relay_way way)
{
    return (struct relay_packet){.way = way, .class = RELAY_ESP};
}

static struct relay_packet message(enum relay_way way, enum relay_class class, uint32_t id,
                                   bool response)
{
    return (struct relay_packet){.way = way,
                                 .class = class,
                                 .spi_i = 0x1111,
                                 .spi_r = 0x2222,
                                 .message_id = id,
                                 .response = response};
}

static struct relay_fate fate_of(struct relay_packet p)
{
    struct relay_fate fate;

    relay_decide(&core, &p, &fate);
    return fate;
}

static void begin(struct relay_rule rule, uint64_t seed)
{
    relay_core_init(&core, &(struct relay_settings){.rules = {rule}, .n_rules = 1}, seed);
    core.impairs = true;
}

static const struct relay_rule bad = {.ways = RELAY_ALL_WAYS,
                                      .classes = RELAY_ALL_CLASSES,
                                      .loss = 30,
                                      .duplicate = 10,
                                      .reorder = 20,
                                      .delay_ms = 5,
                                      .jitter_ms = 3};

Test(relay, the_same_seed_gives_the_same_fates_whatever_the_others_do)
{
    struct relay_fate first[200];
    unsigned differ = 0;

    begin(bad, 7);
    for (unsigned i = 0; i < 200; i++)
        first[i] = fate_of(esp(RELAY_IN));
    begin(bad, 7);
    for (unsigned i = 0; i < 200; i++) {
        struct relay_fate again;

        (void)fate_of(esp(RELAY_OUT)); /* another way, another class: not one decision moves */
        (void)fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, i, false));
        again = fate_of(esp(RELAY_IN));
        cr_assert_eq(again.copies, first[i].copies);
        cr_assert_eq(again.after_ns[0], first[i].after_ns[0]);
        cr_assert_eq(again.after_ns[1], first[i].after_ns[1]);
    }
    begin(bad, 8);
    for (unsigned i = 0; i < 200; i++)
        differ += fate_of(esp(RELAY_IN)).copies != first[i].copies;
    cr_assert_gt(differ, 20);
    differ = 0;
    begin(bad, 7); /* the other way's losses are others */
    for (unsigned i = 0; i < 200; i++)
        differ += fate_of(esp(RELAY_OUT)).copies != first[i].copies;
    cr_assert_gt(differ, 20);
}

Test(relay, shares_come_true_and_are_counted)
{
    const struct relay_count *n = &core.counts[RELAY_IN][RELAY_ESP];
    uint64_t none = 0, two = 0, late = 0;

    begin(bad, 1);
    for (unsigned i = 0; i < 20000; i++) {
        struct relay_fate f = fate_of(esp(RELAY_IN));

        none += f.copies == 0;
        two += f.copies == 2;
        late += f.copies > 0 && f.after_ns[0] >= (uint64_t)(RELAY_REORDER_MS + 5) * 1000000;
        cr_assert(f.copies == 0 || (f.after_ns[0] >= 5000000 && f.after_ns[0] < 23000000));
    }
    cr_assert(none > 5700 && none < 6300, "%llu lost", (unsigned long long)none);
    cr_assert(two > 1250 && two < 1550, "%llu doubled", (unsigned long long)two);
    cr_assert(late > 2600 && late < 3000, "%llu overtaken", (unsigned long long)late);
    cr_assert_eq(n->seen, 20000);
    cr_assert_eq(n->dropped, none);
    cr_assert_eq(n->duplicated, two);
    cr_assert_eq(n->reordered, late);
}

Test(relay, the_first_rule_that_fits_decides_and_other_frames_pass)
{
    struct relay_rule deaf = {.ways = 1u << RELAY_IN, .classes = 1u << RELAY_ESP, .loss = 100};
    struct relay_rule slow = {.ways = RELAY_ALL_WAYS, .classes = RELAY_ALL_CLASSES, .delay_ms = 9};

    relay_core_init(&core, &(struct relay_settings){.rules = {deaf, slow}, .n_rules = 2}, 1);
    cr_assert_eq(fate_of(esp(RELAY_IN)).copies, 1); /* the rules are not in force */
    core.impairs = true;
    cr_assert_eq(fate_of(esp(RELAY_IN)).copies, 0);
    cr_assert_eq(fate_of(esp(RELAY_OUT)).after_ns[0], 9000000);
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_AUTH, 1, false)).after_ns[0], 9000000);
    cr_assert_eq(fate_of((struct relay_packet){.class = RELAY_OTHER}).copies, 1);
    cr_assert_eq(fate_of((struct relay_packet){.class = RELAY_OTHER}).after_ns[0], 0);
}

Test(relay, a_catch_takes_the_nth_message_and_its_copies_until_it_is_released)
{
    int hold, drop;

    relay_core_init(&core, &(struct relay_settings){0}, 1);
    hold = relay_catch_set(&core, RELAY_HOLD, RELAY_IN, RELAY_CREATE_CHILD, false, 2);
    drop = relay_catch_set(&core, RELAY_DROP, RELAY_OUT, RELAY_CREATE_CHILD, true, 1);
    cr_assert_neq(hold, drop);
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 4, false)).copies, 1);
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 5, true)).copies,
                 1); /* a response */
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 4, false)).copies, 1); /* a copy */
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_INFORMATIONAL, 5, false)).copies, 1);
    for (unsigned i = 0; i < 3; i++) {
        struct relay_fate f = fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 5, false));

        cr_assert_eq(f.copies, 0);
        cr_assert_eq(f.held_by, hold);
    }
    cr_assert_eq(core.catches[hold].caught, 3);
    cr_assert_eq(fate_of(message(RELAY_OUT, RELAY_CREATE_CHILD, 5, true)).held_by, RELAY_NO_CATCH);
    cr_assert_eq(core.catches[drop].caught, 1);
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 6, false)).copies, 1);
    relay_catch_clear(&core, hold);
    cr_assert_eq(fate_of(message(RELAY_IN, RELAY_CREATE_CHILD, 5, false)).copies, 1);
    cr_assert_eq(core.counts[RELAY_IN][RELAY_CREATE_CHILD].caught, 3);
}

Test(relay, frames_are_told_apart_by_their_outer_headers)
{
    static const struct {
        uint8_t exchange;
        enum relay_class class;
    } cases[] = {{IKE_HDR_INIT, RELAY_INIT},
                 {IKE_HDR_AUTH, RELAY_AUTH},
                 {IKE_HDR_CREATE_CHILD, RELAY_CREATE_CHILD},
                 {IKE_HDR_INFORMATIONAL, RELAY_INFORMATIONAL},
                 {43, RELAY_OTHER}};
    struct capture cap = {0};
    struct relay_packet p;
    uint8_t frame[200] = {0}, keepalive = 0xff;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame_ike(&cap, 1, 2, cases[i].exchange, true, 77, 0);
        relay_classify(RELAY_OUT, capture_bytes(&cap, &cap.frames[cap.n_frames - 1]), &p);
        cr_assert_eq(p.class, cases[i].class);
        cr_assert(cases[i].class == RELAY_OTHER ||
                  (p.message_id == 77 && p.response && p.spi_i == 0x1111 && p.spi_r == 0x2222));
    }
    frame_esp(&cap, 1, 1, 5, 6);
    relay_classify(RELAY_OUT, capture_bytes(&cap, &cap.frames[cap.n_frames - 1]), &p);
    cr_assert_eq(p.class, RELAY_ESP);
    relay_classify(RELAY_IN, span_of(frame, frame_make(frame, 1, 2, 4500, span_of(&keepalive, 1))),
                   &p);
    cr_assert_eq(p.class, RELAY_OTHER);
    relay_classify(RELAY_IN, span_of(frame, 3), &p);
    cr_assert_eq(p.class, RELAY_OTHER);
    capture_deinit(&cap);
}
