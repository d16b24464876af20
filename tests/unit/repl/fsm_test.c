/* The state machine, verdict by verdict. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "replication/fsm.h"
#include "unit/repl/make.h"

static struct fsm fsm;
static struct maker m; /* node 1, owner of shard 1 */
static struct fsm_outcome out;
static struct repl_item_result items[8];
static uint64_t log_index;
static uint64_t position;

/* Judges one record, each in an entry of its own. */
static enum repl_verdict judge(Holdfast__Record *r)
{
    fsm_begin_entry(&fsm, ++log_index, 0);
    memset(items, 0, sizeof items);
    fsm_apply(&fsm, r, position, items, &out);
    record_free(r);
    return out.verdict;
}

/* Node 1 (boot 11) owns shard 1, node 2 (boot 22) is a member. */
static void begin(void)
{
    fsm_init(&fsm, 1);
    log_index = 1;
    position = 0;
    cr_assert_eq(judge(make_boot(1, 11, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_boot(2, 22, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_assign(1, 0, 1, 11)), REPL_ACCEPTED);
    m = (struct maker){.node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = log_index};
}

static void end(void)
{
    fsm_deinit(&fsm);
}

TestSuite(repl_fsm, .init = begin, .fini = end);

static uint64_t version_of(uint64_t sa_id)
{
    const struct fsm_sa *sa = fsm_sa(&fsm, sa_id);

    cr_assert_not_null(sa);
    return fsm_sa_version(&fsm, sa);
}

static struct repl_claim claim_of(uint32_t spi_in)
{
    const struct fsm_claim *c = fsm_claim(&fsm, spi_in);

    cr_assert_not_null(c);
    return fsm_claim_now(&fsm, c);
}

Test(repl_fsm, assignments_compare_the_epoch_and_the_boot)
{
    uint64_t first = m.epoch_index;

    cr_assert_eq(judge(make_assign(1, 0, 2, 22)), REPL_REFUSED_EPOCH, "not the first any more");
    cr_assert_eq(judge(make_assign(1, first + 1, 2, 22)), REPL_REFUSED_EPOCH);
    cr_assert_eq(judge(make_assign(1, first, 2, 21)), REPL_REFUSED_UNKNOWN, "a dead boot");
    cr_assert_eq(judge(make_assign(1, first, 3, 33)), REPL_REFUSED_UNKNOWN, "no such member");
    cr_assert_eq(judge(make_assign(1, first, 2, 22)), REPL_ACCEPTED);
    cr_assert_eq(out.assigned->epoch.index, log_index);
    cr_assert_eq(out.assigned->assignments, 2);
    cr_assert_eq(out.replaced.index, first);
    cr_assert_eq(judge(make_assign(1, first, 2, 22)), REPL_REFUSED_EPOCH, "a duplicate");
    /* And the old owner's records are refused from now on. */
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0, "")), REPL_REFUSED_EPOCH);
}

Test(repl_fsm, only_the_owner_of_the_epoch_writes)
{
    struct maker other = m;

    other.node = 2;
    other.boot = 22;
    cr_assert_eq(judge(make_create(&other, 7, "s", 300, 0, "")), REPL_REFUSED_EPOCH);
    other = m;
    other.boot = 99;
    cr_assert_eq(judge(make_create(&other, 7, "s", 300, 0, "")), REPL_REFUSED_EPOCH,
                 "no such boot");
    other = m;
    other.epoch_index--;
    cr_assert_eq(judge(make_create(&other, 7, "s", 300, 0, "")), REPL_REFUSED_EPOCH);
    other = m;
    other.shard = 2;
    other.request = 50;
    cr_assert_eq(judge(make_create(&other, 7, "s", 300, 0, "")), REPL_REFUSED_EPOCH,
                 "no such shard");
    m.request = 60;
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0, "")), REPL_ACCEPTED);
}

Test(repl_fsm, a_request_is_judged_once)
{
    Holdfast__Record *first = make_create(&m, 7, "s", 300, 0, "");
    Holdfast__Record *again;
    struct digest before;

    cr_assert_not(fsm_judged(&fsm, 1, 11, 1));
    cr_assert_eq(judge(first), REPL_ACCEPTED);
    cr_assert(fsm_judged(&fsm, 1, 11, 1));
    m.request = 1;
    again = make_create(&m, 8, "s", 301, 0, "");
    before = fsm_content_digest(&fsm);
    cr_assert_eq(judge(again), REPL_REFUSED_DUPLICATE);
    cr_assert(digest_equal(before, fsm_content_digest(&fsm)));
    /* Out of order is fine; a refusal settles its request too. */
    m.request = 5;
    cr_assert_eq(judge(make_delete(&m, 99, 0)), REPL_REFUSED_UNKNOWN);
    m.request = 5;
    cr_assert_eq(judge(make_create(&m, 9, "s", 302, 0, "")), REPL_REFUSED_DUPLICATE);
    m.request = 2;
    cr_assert_eq(judge(make_audit(&m, "x")), REPL_ACCEPTED);
    m.request = 2 + FSM_WINDOW;
    cr_assert_not(fsm_judged(&fsm, 1, 11, 2 + FSM_WINDOW));
    m.request = 3 + FSM_WINDOW;
    cr_assert_eq(judge(make_audit(&m, "x")), REPL_REFUSED_MALFORMED, "beyond the window");
    for (uint64_t r = 3; r < 3 + 2 * FSM_WINDOW; r++) {
        m.request = r;
        cr_assert_eq(judge(make_audit(&m, "x")), r == 5 ? REPL_REFUSED_DUPLICATE : REPL_ACCEPTED);
    }
    /* Another boot begins anew. */
    cr_assert_eq(judge(make_boot(1, 12, 11)), REPL_ACCEPTED);
    m.boot = 12;
    m.request = 1;
    cr_assert_eq(judge(make_audit(&m, "x")), REPL_ACCEPTED);
}

Test(repl_fsm, a_malformed_record_settles_its_request_all_the_same)
{
    Holdfast__Record *r = make_create(&m, 7, "s", 300, 0, "");

    r->sa_create->sa_id = 0;
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED);
    cr_assert(fsm_judged(&fsm, 1, 11, 1));
    m.request = 1;
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0, "")), REPL_REFUSED_DUPLICATE);
}

Test(repl_fsm, ids_spis_and_addresses_are_unique)
{
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0x0a000001, "alice")), REPL_ACCEPTED);
    cr_assert_eq(judge(make_create(&m, 7, "s", 301, 0, "")), REPL_REFUSED_EXISTS, "SA id");
    cr_assert_eq(judge(make_create(&m, 8, "s", 300, 0, "")), REPL_REFUSED_EXISTS, "SPI");
    cr_assert_eq(judge(make_create(&m, 8, "s", 301, 0x0a000001, "bob")), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_create(&m, 8, "s", 301, 0x0a000001, "alice")), REPL_REFUSED_EXISTS,
                 "held by an SA");
    cr_assert_null(fsm_sa(&fsm, 8), "a refused record leaves nothing behind");
    cr_assert_null(fsm_claim(&fsm, 301));
    cr_assert_eq(judge(make_create(&m, 8, "s", 301, 0x0a000002, "alice")), REPL_ACCEPTED);
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x02", 4))->sa->id, 8);
}

/* INITIAL_CONTACT: all in one record, or nothing. */
Test(repl_fsm, a_new_sa_ends_others_and_may_have_their_address)
{
    struct digest before;
    Holdfast__Record *r;

    (void)judge(make_create(&m, 7, "s", 300, 0x0a000001, "alice"));
    (void)judge(make_create(&m, 8, "s", 400, 0x0a000002, "alice"));
    (void)judge(make_create(&m, 9, "s", 500, 0x0a000003, "bob"));
    before = fsm.sum;
    for (int spoilt = 0; spoilt < 6; spoilt++) {
        enum repl_verdict wrong[] = {REPL_REFUSED_VERSION,   REPL_REFUSED_UNKNOWN,
                                     REPL_REFUSED_MALFORMED, REPL_REFUSED_MALFORMED,
                                     REPL_REFUSED_EXISTS,    REPL_REFUSED_EXISTS};

        r = make_create(&m, 10, "s", spoilt == 5 ? 300 : 600, spoilt == 4 ? 0x0a000003 : 0x0a000001,
                        "alice");
        make_end(r, 7, version_of(7));
        if (spoilt < 4)
            make_end(r,
                     spoilt == 1   ? 99
                     : spoilt == 2 ? 7
                     : spoilt == 3 ? 10
                                   : 8,
                     version_of(8) + (spoilt == 0));
        cr_assert_eq(judge(r), wrong[spoilt], "row %d", spoilt);
        cr_assert(digest_equal(before, fsm.sum), "row %d left something behind", spoilt);
    }
    r = make_create(&m, 10, "s", 600, 0x0a000001, "alice");
    make_end(r, 7, version_of(7));
    make_end(r, 8, version_of(8));
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(out.sa->id, 10);
    cr_assert_null(fsm_sa(&fsm, 7));
    cr_assert_null(fsm_sa(&fsm, 8));
    cr_assert_null(fsm_claim(&fsm, 300));
    cr_assert_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x02", 4)));
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4))->sa->id, 10);
    cr_assert_not_null(fsm_sa(&fsm, 9), "nobody else's");
    r = make_step(&m, 10, version_of(10), "t", 0, 0);
    make_successor(r, 11, "next", 0);
    r->sa_step->successor->ends = repl_alloc_zero(1, sizeof(Holdfast__SaDelete *));
    r->sa_step->successor->n_ends = 1;
    r->sa_step->successor->ends[0] = repl_alloc_zero(1, sizeof(Holdfast__SaDelete));
    holdfast__sa_delete__init(r->sa_step->successor->ends[0]);
    r->sa_step->successor->ends[0]->sa_id = 9;
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "a rekey ends nobody");
}

Test(repl_fsm, steps_compare_the_version_and_replace_the_state)
{
    uint64_t v1;
    uint64_t v2;

    (void)judge(make_create(&m, 7, "one", 300, 0, ""));
    v1 = out.sa_version;
    cr_assert_eq(v1, version_of(7));
    cr_assert_eq(judge(make_step(&m, 7, v1 + 1, "two", 0, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_step(&m, 9, v1, "two", 0, 0)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(judge(make_step(&m, 7, v1, "two", 0, 0)), REPL_ACCEPTED);
    v2 = out.sa_version;
    cr_assert_gt(v2, v1);
    cr_assert_eq(fsm_sa(&fsm, 7)->state_len, 3);
    cr_assert_eq(memcmp(fsm_sa(&fsm, 7)->state, "two", 3), 0);
    cr_assert_eq(judge(make_step(&m, 7, v1, "three", 0, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_step(&m, 7, v2, "three", 400, 300)), REPL_ACCEPTED);
    cr_assert_null(fsm_claim(&fsm, 300));
    cr_assert_not_null(fsm_claim(&fsm, 400));
    cr_assert_eq(out.sa->n_claims, 1);
    cr_assert_eq(judge(make_step(&m, 7, version_of(7), "x", 400, 0)), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_step(&m, 7, version_of(7), "x", 0, 300)), REPL_REFUSED_UNKNOWN);
    (void)judge(make_create(&m, 8, "other", 500, 0, ""));
    cr_assert_eq(judge(make_step(&m, 7, version_of(7), "x", 0, 500)), REPL_REFUSED_UNKNOWN,
                 "another SA's child");
}

Test(repl_fsm, a_successor_takes_children_and_address_in_the_same_record)
{
    Holdfast__Record *r;
    uint64_t v;

    (void)judge(make_create(&m, 7, "old", 300, 0x0a000001, "alice"));
    v = version_of(7);
    r = make_step(&m, 7, v, "rekeyed", 301, 0);
    make_successor(r, 8, "new", 0);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(out.sa->id, 8);
    cr_assert_eq(out.sa->n_claims, 2);
    cr_assert_eq(out.successor_version, version_of(8));
    cr_assert_eq(fsm_sa(&fsm, 7)->n_claims, 0);
    cr_assert_null(fsm_sa(&fsm, 7)->leases[0]);
    cr_assert_eq(fsm_claim(&fsm, 300)->sa->id, 8);
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4))->sa->id, 8);
    /* The old one's Delete takes nothing of it away. */
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    cr_assert_not_null(fsm_claim(&fsm, 300));
    cr_assert_not_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4)));

    r = make_step(&m, 8, version_of(8), "rekeyed", 0, 0);
    make_successor(r, 8, "itself", 0);
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED);
    (void)judge(make_create(&m, 9, "third", 0, 0, ""));
    r = make_step(&m, 8, version_of(8), "rekeyed", 0, 0);
    make_successor(r, 9, "taken", 0);
    cr_assert_eq(judge(r), REPL_REFUSED_EXISTS);
    r = make_step(&m, 8, version_of(8), "rekeyed", 0, 0);
    make_successor(r, 10, "elsewhere", 0x0a000009);
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "the address moves as it is");
    r = make_step(&m, 8, version_of(8), "rekeyed", 0, 0);
    make_successor(r, 10, "the same", 0x0a000001);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4))->sa->id, 10);
}

Test(repl_fsm, extends_are_judged_item_by_item)
{
    Holdfast__Record *r;
    uint64_t v;

    (void)judge(make_create(&m, 7, "s", 300, 0, ""));
    (void)judge(make_create(&m, 8, "s", 400, 0, ""));
    v = claim_of(300).version;
    r = make_extend(&m, 300, v, 128, 20);
    make_item(r, 999, 1, 1, 1);
    make_item(r, 400, 1, 128, 20);
    make_item(r, 400, claim_of(400).version, 32, 0);
    make_item(r, 300, v, 256, 0);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(items[0].verdict, REPL_ACCEPTED);
    cr_assert_eq(items[1].verdict, REPL_REFUSED_UNKNOWN);
    cr_assert_eq(items[2].verdict, REPL_REFUSED_VERSION);
    cr_assert_eq(items[3].verdict, REPL_REFUSED_MALFORMED, "a reservation never shrinks");
    cr_assert_eq(items[4].verdict, REPL_REFUSED_VERSION, "the same claim twice in one record");
    cr_assert_eq(claim_of(300).reservation_end, 128);
    cr_assert_eq(claim_of(300).ceiling, 20);
    cr_assert_eq(items[0].claim.version, claim_of(300).version);
    cr_assert_gt(items[0].claim.version, v);
    /* A ceiling may shrink; a delayed record of before matches no more, though the values do. */
    v = claim_of(300).version;
    cr_assert_eq(judge(make_extend(&m, 300, v, 0, 10)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_extend(&m, 300, claim_of(300).version, 0, 20)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_extend(&m, 300, v, 0, 10)), REPL_REFUSED_VERSION);
    cr_assert_eq(claim_of(300).ceiling, 20);
    cr_assert_eq(judge(make_extend(&m, 999, 1, 1, 1)), REPL_REFUSED_UNKNOWN, "no item accepted");
}

Test(repl_fsm, an_assignment_grants_and_raises_every_version)
{
    struct repl_claim before;
    uint64_t sa_before;
    struct repl_grant g;

    (void)judge(make_create(&m, 7, "s", 300, 0, ""));
    before = claim_of(300);
    sa_before = version_of(7);
    cr_assert_eq(judge(make_assign(1, m.epoch_index, 2, 22)), REPL_ACCEPTED);
    cr_assert_eq(claim_of(300).reservation_end, before.reservation_end + 65536);
    cr_assert_eq(claim_of(300).ceiling, before.ceiling + 8);
    cr_assert_eq(claim_of(300).version, before.version + 1);
    cr_assert_eq(version_of(7), sa_before + 1);
    g = repl_claim_grant(&fsm_claim(&fsm, 300)->claim, 2);
    cr_assert_eq(g.first, before.reservation_end);
    cr_assert_eq(g.end, before.reservation_end + 65536);
    cr_assert_eq(g.floor, before.ceiling);
    cr_assert_eq(g.ceiling, before.ceiling + 8);

    struct maker n = {.node = 2, .boot = 22, .request = 1, .shard = 1, .epoch_index = log_index};

    cr_assert_eq(judge(make_step(&n, 7, sa_before, "x", 0, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_extend(&n, 300, before.version, 70000, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_extend(&n, 300, before.version + 1, 70000, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_step(&n, 7, sa_before + 1, "x", 0, 0)), REPL_ACCEPTED);
}

/* For limits by packets and bytes: what owners told never goes back, and the next one learns after how many
 * owners some may be missing. */
Test(repl_fsm, packets_told_are_kept_and_never_go_back)
{
    static const struct {
        uint64_t in, out, kept_in, kept_out;
    } table[] = {{5, 7, 5, 7}, {4, 9, 5, 9}, {6, 0, 6, 9}, {0, 0, 6, 9}};
    struct repl_grant g;

    (void)judge(make_create(&m, 7, "s", 300, 0, ""));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Holdfast__Record *r = make_extend(&m, 300, claim_of(300).version, 0, 0);

        r->extend->items[0]->packets_in = table[i].in;
        r->extend->items[0]->packets_out = table[i].out;
        r->extend->items[0]->bytes_in = 1000 * table[i].in;
        r->extend->items[0]->bytes_out = 1001 * table[i].out;
        cr_assert_eq(judge(r), REPL_ACCEPTED);
        cr_assert_eq(items[0].claim.packets_in, table[i].kept_in, "row %zu", i);
        cr_assert_eq(items[0].claim.packets_out, table[i].kept_out, "row %zu", i);
        cr_assert_eq(claim_of(300).packets_in, table[i].kept_in);
        cr_assert_eq(claim_of(300).packets_out, table[i].kept_out);
        cr_assert_eq(claim_of(300).bytes_in, 1000 * table[i].kept_in, "row %zu", i);
        cr_assert_eq(claim_of(300).bytes_out, 1001 * table[i].kept_out, "row %zu", i);
    }
    for (uint64_t takeovers = 1; takeovers <= 3; takeovers++) {
        cr_assert_eq(judge(make_assign(1, m.epoch_index, 1, 11)), REPL_ACCEPTED);
        m.epoch_index = log_index;
        g = repl_claim_grant(&fsm_claim(&fsm, 300)->claim, fsm_shard(&fsm, 1)->assignments);
        cr_assert_eq(g.packets_in, 6);
        cr_assert_eq(g.packets_out, 9);
        cr_assert_eq(g.bytes_in, 6000);
        cr_assert_eq(g.bytes_out, 9009);
        cr_assert_eq(g.untold, takeovers);
    }
    cr_assert_eq(judge(make_extend(&m, 300, claim_of(300).version, 0, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_assign(1, m.epoch_index, 1, 11)), REPL_ACCEPTED);
    m.epoch_index = log_index;
    g = repl_claim_grant(&fsm_claim(&fsm, 300)->claim, fsm_shard(&fsm, 1)->assignments);
    cr_assert_eq(g.untold, 1, "counted from the last that told");
}

Test(repl_fsm, versions_never_repeat_over_the_lives_of_an_id)
{
    uint64_t last = 0;

    for (int life = 0; life < 50; life++) {
        (void)judge(make_create(&m, 7, "s", 300, 0, ""));
        cr_assert_gt(version_of(7), last);
        cr_assert_gt(claim_of(300).version, last);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(judge(make_step(&m, 7, version_of(7), "t", 0, 0)), REPL_ACCEPTED);
        cr_assert_eq(judge(make_assign(1, m.epoch_index, 1, 11)), REPL_ACCEPTED);
        m.epoch_index = log_index;
        last = version_of(7) > claim_of(300).version ? version_of(7) : claim_of(300).version;
        cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    }
}

Test(repl_fsm, a_delete_takes_claims_and_address_along)
{
    (void)judge(make_create(&m, 7, "s", 300, 0x0a000001, "alice"));
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7) + 1)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    cr_assert_null(fsm_sa(&fsm, 7));
    cr_assert_null(fsm_claim(&fsm, 300));
    cr_assert_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4)));
    cr_assert_eq(judge(make_delete(&m, 7, 0)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(judge(make_create(&m, 9, "s", 300, 0x0a000001, "bob")), REPL_ACCEPTED);
}

/* An ended IKE SA lingers without its address: whoever comes next may have it at once, and the
 * deletion of the old SA takes nothing away. */
Test(repl_fsm, a_step_gives_the_address_back)
{
    struct digest before;
    Holdfast__Record *step;

    (void)judge(make_create(&m, 7, "s", 300, 0x0a000001, "alice"));
    before = fsm_content_digest(&fsm);
    step = make_step(&m, 7, version_of(7), "ended", 0, 300);
    step->sa_step->address_back = true;
    cr_assert_eq(judge(step), REPL_ACCEPTED);
    cr_assert_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4)));
    cr_assert_null(fsm_sa(&fsm, 7)->leases[0]);
    cr_assert_not(digest_equal(before, fsm_content_digest(&fsm)));
    cr_assert_eq(judge(make_create(&m, 8, "s", 301, 0x0a000001, "bob")), REPL_ACCEPTED);
    step = make_step(&m, 7, version_of(7), "again", 0, 0);
    step->sa_step->address_back = true;
    cr_assert_eq(judge(step), REPL_ACCEPTED, "it has none: nothing to give back");
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4))->sa, fsm_sa(&fsm, 8));
    step = make_step(&m, 8, version_of(8), "old", 0, 0);
    make_successor(step, 9, "new", 0x0a000001);
    step->sa_step->address_back = true;
    cr_assert_eq(judge(step), REPL_REFUSED_MALFORMED, "moved or given back, not both");
}

static const struct fsm_sa *holder6(uint8_t last)
{
    uint8_t b[16] = {0xfd, 0, 0, 0x99, [15] = last};
    const struct fsm_lease *l = fsm_lease(&fsm, span_of(b, sizeof b));

    return l != NULL ? l->sa : NULL;
}

static Holdfast__Record *create_both(uint64_t sa_id, uint32_t spi, uint32_t v4, uint8_t v6,
                                     const char *who)
{
    Holdfast__Record *r = make_create(&m, sa_id, "s", spi, v4, who);

    make_address6(r->sa_create, v6);
    return r;
}

/* One lease of each family: claimed together or not at all, moved by an IKE rekey, given back
 * together. */
Test(repl_fsm, an_sa_has_an_address_of_each_family)
{
    struct digest before;
    Holdfast__Record *r;

    cr_assert_eq(judge(create_both(7, 300, 0x0a000001, 1, "alice")), REPL_ACCEPTED);
    cr_assert_eq(holder6(1), fsm_sa(&fsm, 7));
    cr_assert_not_null(fsm_sa(&fsm, 7)->leases[0]);
    before = fsm_content_digest(&fsm);
    cr_assert_eq(judge(create_both(8, 301, 0x0a000002, 1, "bob")), REPL_REFUSED_EXISTS);
    cr_assert_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x02", 4)), "not one without the other");
    cr_assert_eq(judge(create_both(8, 301, 0x0a000001, 2, "bob")), REPL_REFUSED_EXISTS);
    cr_assert(digest_equal(before, fsm_content_digest(&fsm)));
    cr_assert_eq(judge(create_both(8, 301, 0x0a000002, 2, "bob")), REPL_ACCEPTED);

    r = make_step(&m, 7, version_of(7), "old", 0, 0);
    make_successor(r, 9, "new", 0x0a000001);
    make_address6(r->sa_step->successor, 2);
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "another one than the old SA's");
    r = make_step(&m, 7, version_of(7), "old", 0, 0);
    make_successor(r, 9, "new", 0);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(holder6(1), fsm_sa(&fsm, 9), "both move by themselves");
    cr_assert_eq(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4))->sa, fsm_sa(&fsm, 9));

    r = make_step(&m, 9, version_of(9), "ended", 0, 300);
    r->sa_step->address_back = true;
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_null(holder6(1));
    cr_assert_null(fsm_lease(&fsm, span_of("\x0a\x00\x00\x01", 4)));

    r = make_create(&m, 10, "s", 302, 0x0a000002, "bob"); /* INITIAL_CONTACT takes both over */
    make_address6(r->sa_create, 2);
    make_end(r, 8, version_of(8));
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(holder6(2), fsm_sa(&fsm, 10));
    cr_assert_eq(judge(make_delete(&m, 10, version_of(10))), REPL_ACCEPTED);
    cr_assert_null(holder6(2));

    r = create_both(11, 303, 0, 3, "carol");
    make_address6(r->sa_create, 4);
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "two of one family");
}

/* A failed authentication costs two records and leaves nothing: replicas still differ by what they
 * judged. */
Test(repl_fsm, what_came_and_went_leaves_the_content_digest_as_it_was)
{
    struct digest content = fsm_content_digest(&fsm), all = fsm_digest(&fsm);

    fsm.cluster_ms++;
    cr_assert(digest_equal(content, fsm_content_digest(&fsm)));
    fsm.cluster_ms--;
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0, "")), REPL_ACCEPTED);
    cr_assert_not(digest_equal(content, fsm_content_digest(&fsm)));
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    cr_assert(digest_equal(content, fsm_content_digest(&fsm)));
    log_index = fsm.applied_index -= 2;
    cr_assert_not(digest_equal(all, fsm_digest(&fsm)), "the account of requests is not in it");
}

Test(repl_fsm, pool_leases_are_held_for_an_identity)
{
    cr_assert_eq(judge(make_lease(&m, 0x0a000001, "alice", false)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_lease(&m, 0x0a000001, "alice", false)), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0x0a000001, "bob")), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_create(&m, 7, "s", 300, 0x0a000001, "alice")), REPL_ACCEPTED);
    cr_assert_eq(judge(make_lease(&m, 0x0a000001, "alice", true)), REPL_REFUSED_EXISTS, "in use");
    cr_assert_eq(judge(make_lease(&m, 0x0a000002, "alice", true)), REPL_REFUSED_UNKNOWN);
    (void)judge(make_lease(&m, 0x0a000003, "carol", false));
    cr_assert_eq(judge(make_lease(&m, 0x0a000003, "bob", true)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(judge(make_lease(&m, 0x0a000003, "carol", true)), REPL_ACCEPTED);
}

Test(repl_fsm, a_handover_is_the_owners_and_can_be_taken_back)
{
    struct maker n = m;

    n.node = 2;
    n.boot = 22;
    cr_assert_eq(judge(make_handover(&n, 2, 22, 1)), REPL_REFUSED_EPOCH, "not by the successor");
    cr_assert_eq(judge(make_handover(&m, 2, 22, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_abort(&m, 1)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_handover(&m, 2, 22, 1)), REPL_REFUSED_VERSION, "it was taken back");
    cr_assert_eq(judge(make_abort(&m, 1)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_handover(&m, 2, 22, 2)), REPL_ACCEPTED);
    cr_assert_eq(out.assigned->owner_node, 2);
    cr_assert_eq(judge(make_abort(&m, 3)), REPL_REFUSED_EPOCH, "too late");
}

Test(repl_fsm, configuration_compares_its_version_and_keeps_its_timing)
{
    cr_assert_eq(judge(make_config(2, 150)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_config(1, 150)), REPL_ACCEPTED);
    cr_assert(out.configured);
    cr_assert_eq(judge(make_config(1, 150)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_config(2, 300)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_config(2, 150)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_config(3, 20)), REPL_REFUSED_MALFORMED, "shorter than its heartbeat");
}

Test(repl_fsm, cluster_time_never_goes_back_and_leaps_at_most_five_seconds)
{
    fsm_begin_entry(&fsm, ++log_index, 1000);
    cr_assert_eq(fsm.cluster_ms, 1000);
    fsm_begin_entry(&fsm, ++log_index, 400);
    cr_assert_eq(fsm.cluster_ms, 1000);
    fsm_begin_entry(&fsm, ++log_index, 1u << 30);
    cr_assert_eq(fsm.cluster_ms, 6000);
    fsm_begin_entry(&fsm, ++log_index, 0);
    cr_assert_eq(fsm.cluster_ms, 6000);
    fsm_begin_entry(&fsm, ++log_index, 6001);
    cr_assert_eq(fsm.cluster_ms, 6001);
}
