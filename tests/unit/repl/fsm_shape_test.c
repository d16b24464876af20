/* Records that are not well-formed: refused before any state is looked at, which stays as it was. */
#include "unit/repl/fsm_rig.h"

TestSuite(repl_fsm_shape, .init = begin, .fini = end);

struct misshaped {
    const char *what;
    void (*spoil)(Holdfast__Record *r);
};

static void no_node(Holdfast__Record *r)
{
    r->node = 0;
}

static void no_shard(Holdfast__Record *r)
{
    r->shard = 0;
}

static void no_request(Holdfast__Record *r)
{
    r->request = 0;
}

static void no_epoch(Holdfast__Record *r)
{
    r->epoch->index = 0;
}

static void no_state(Holdfast__Record *r)
{
    r->sa_create->state.len = 0;
}

static void reserved_spi(Holdfast__Record *r)
{
    r->sa_create->children[0]->spi_in = 255;
}

static void odd_address(Holdfast__Record *r)
{
    r->sa_create->addresses[0].len = 3;
}

static void no_body(Holdfast__Record *r)
{
    holdfast__sa_create__free_unpacked(r->sa_create, NULL);
    r->sa_create = NULL;
    r->body_case = HOLDFAST__RECORD__BODY__NOT_SET;
}

Test(repl_fsm_shape, misshaped_records_are_refused)
{
    static const struct misshaped table[] = {
        {"node", no_node},   {"shard", no_shard},   {"request", no_request},  {"epoch", no_epoch},
        {"state", no_state}, {"spi", reserved_spi}, {"address", odd_address}, {"body", no_body},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        Holdfast__Record *r = make_create(&m, 7, "s", 300, 0x0a000001, "alice");
        struct digest before = fsm.sum;

        table[i].spoil(r);
        cr_assert_not(record_valid(r), "%s", table[i].what);
        cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "%s", table[i].what);
        cr_assert(digest_equal(before, fsm.sum));
    }
}
