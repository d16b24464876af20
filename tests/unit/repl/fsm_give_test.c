/* An SA gives its addresses to the next one of its identity (RFC 7296 2.8.3): all of it, or nothing. */
#include <criterion/criterion.h>

#include "replication/fsm.h"
#include "unit/repl/make.h"

enum { ALICES = 0x0a000001, BOBS = 0x0a000002 };

static struct fsm fsm;
static struct maker m;
static struct fsm_outcome out;
static uint64_t log_index;

static enum repl_verdict judge(Holdfast__Record *r)
{
    struct repl_item_result items[8] = {0};

    fsm_begin_entry(&fsm, ++log_index, 0);
    fsm_apply(&fsm, r, 0, items, &out);
    record_free(r);
    return out.verdict;
}

/* SA 7 of alice with an address of each family, SA 9 of bob; shard 1 is node 1's. */
static void begin(void)
{
    Holdfast__Record *r;

    fsm_init(&fsm, 1);
    log_index = 1;
    cr_assert_eq(judge(make_boot(1, 11, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_assign(1, 0, 1, 11)), REPL_ACCEPTED);
    m = (struct maker){.node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = log_index};
    r = make_create(&m, 7, "old", 300, ALICES, "alice");
    make_address6(r->sa_create, 7);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(judge(make_create(&m, 9, "s", 400, BOBS, "bob")), REPL_ACCEPTED);
}

static void end(void)
{
    fsm_deinit(&fsm);
}

TestSuite(repl_fsm_give, .init = begin, .fini = end);

static uint64_t version_of(uint64_t sa_id)
{
    return fsm_sa_version(&fsm, fsm_sa(&fsm, sa_id));
}

/* The id of the SA that has 10.0.0.`last`, 0 = nobody; fd00:99::7. */
static uint64_t holder(uint8_t last)
{
    const uint8_t ip[4] = {10, 0, 0, last};
    const struct fsm_lease *l = fsm_lease(&fsm, span_of(ip, sizeof ip));

    return l != NULL && l->sa != NULL ? l->sa->id : 0;
}

static uint64_t holder6(void)
{
    const uint8_t ip[16] = {0xfd, 0, 0, 0x99, [15] = 7};
    const struct fsm_lease *l = fsm_lease(&fsm, span_of(ip, sizeof ip));

    return l != NULL && l->sa != NULL ? l->sa->id : 0;
}

/* alice's SA 10, which takes the address from 7. */
static Holdfast__Record *next_of(const char *identity, uint32_t address)
{
    Holdfast__Record *r = make_create(&m, 10, "new", 600, address, identity);

    make_give(r, 7, version_of(7), "without");
    return r;
}

Test(repl_fsm_give, the_next_sa_has_the_address_and_the_old_one_goes_on)
{
    uint64_t before = version_of(7);
    Holdfast__Record *r = next_of("alice", ALICES);

    make_address6(r->sa_create, 7);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_eq(out.sa->id, 10);
    cr_assert(holder(1) == 10 && holder6() == 10);
    cr_assert(span_equal(span_of(fsm_sa(&fsm, 7)->state, fsm_sa(&fsm, 7)->state_len),
                         span_of("without", 7)));
    cr_assert_eq(fsm_claim(&fsm, 300)->sa->id, 7, "its CHILD SA stays");
    cr_assert_eq(judge(make_step(&m, 7, before, "late", 0, 0)), REPL_REFUSED_VERSION);
    r = make_step(&m, 7, version_of(7), "ended", 0, 300);
    r->sa_step->address_back = true;
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert(holder(1) == 10 && holder6() == 10, "what it gave away it cannot give back");
    cr_assert_eq(judge(make_delete(&m, 7, version_of(7))), REPL_ACCEPTED);
    cr_assert(holder(1) == 10 && holder6() == 10);
    r = make_step(&m, 10, version_of(10), "rekeyed", 0, 0);
    make_successor(r, 11, "next", 0);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert(holder(1) == 11 && holder6() == 11);
    cr_assert_eq(judge(make_delete(&m, 11, version_of(11))), REPL_ACCEPTED);
    cr_assert(holder(1) == 0 && holder6() == 0);
}

/* It is rekeyed afterwards: its successor has none. */
Test(repl_fsm_give, one_family_of_two)
{
    Holdfast__Record *r = next_of("alice", ALICES);

    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert(holder(1) == 10 && holder6() == 7);
    r = make_step(&m, 7, version_of(7), "rekeyed", 0, 0);
    make_successor(r, 8, "next", 0);
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert(holder(1) == 10 && holder6() == 8);
}

Test(repl_fsm_give, all_or_nothing)
{
    struct digest before = fsm.sum;
    Holdfast__Record *r = next_of("alice", ALICES);

    r->sa_create->gives->version++;
    cr_assert_eq(judge(r), REPL_REFUSED_VERSION, "it moved meanwhile");
    r = next_of("alice", ALICES);
    r->sa_create->gives->sa_id = 99;
    cr_assert_eq(judge(r), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(judge(next_of("bob", ALICES)), REPL_REFUSED_EXISTS, "another identity");
    cr_assert_eq(judge(next_of("alice", BOBS)), REPL_REFUSED_EXISTS, "not the giver's");
    cr_assert_eq(judge(next_of("alice", 0)), REPL_REFUSED_MALFORMED, "nothing to give");
    r = next_of("alice", ALICES);
    make_end(r, 9, version_of(9));
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "and ends another");
    r = next_of("alice", ALICES);
    r->sa_create->gives->sa_id = 10;
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "itself");
    r = next_of("alice", ALICES);
    r->sa_create->gives->state.len = 0;
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "no state");
    r = make_step(&m, 9, version_of(9), "rekeyed", 0, 0);
    make_successor(r, 8, "next", ALICES);
    make_give(&(Holdfast__Record){.sa_create = r->sa_step->successor}, 7, version_of(7), "x");
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "a rekey takes from nobody");
    cr_assert(digest_equal(before, fsm.sum), "something was left behind");
}
