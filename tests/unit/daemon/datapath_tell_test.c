/* What counts for an SA's limits is told in a record of its own, and that record comes to nothing.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "datapath_rig.h"
#include "esp/tally.h"

enum { SOFT = 700, HARD = 900, MORE = 500 };

static const struct pair_options limited = {
    .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_packets = SOFT, .hard_packets = HARD};

/* The SA goes on, and what was not told is told with what came since. Outbound only: what arrives
 * is told with the ceiling, which follows it closely. */
static void told_again(enum rig_refusal refusal)
{
    uint64_t slack = esp_tally_slack(SOFT, HARD), sent = 0, counted;
    const struct repl_claim *claim;
    struct rig_node *n = &rig_nodes[0];
    unsigned told;

    rig_begin(&limited);
    rig_refusal = refusal;
    for (; n->refusals == 0 && sent < HARD - MORE; sent++)
        cr_assert_eq(rig_send(), ESP_DROP_NONE);
    cr_assert_eq(n->refusals, 1, "nothing was told in %lu packets", (unsigned long)sent);
    told = n->told;
    for (unsigned i = 0; i < MORE; i++)
        cr_assert_eq(rig_send(), ESP_DROP_NONE, "packet %u after the refusal", i);
    sent += MORE;
    cr_assert_gt(n->told, told, "never told again");
    cr_assert_leq(n->told - told, 2 * MORE / slack + 2, "told over and over");
    claim = &fsm_claim(&rig_fsm, limited.spi)->claim;
    counted = claim->packets_out;
    cr_assert(counted <= sent && counted + slack >= sent, "%lu told of %lu", (unsigned long)counted,
              (unsigned long)sent);
    printf("compared %lu packets, %lu of them told\n", (unsigned long)sent, (unsigned long)counted);
    rig_end();
}

Test(datapath, what_could_not_be_told_is_told_later)
{
    told_again(RIG_NOT_TAKEN);
}

Test(datapath, what_was_told_in_vain_is_told_again)
{
    told_again(RIG_REFUSED);
}
