/* From nothing: IKE_SA_INIT, IKE_AUTH, then everything else on what they made. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static void agree(struct pair *p)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s", wrong);
}

Test(connect, tunnel_then_rekeys_of_all_kinds_by_both)
{
    struct pair *p = pair_new_unconnected(3);

    pair_connect(p);
    agree(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    cr_assert(pair_sender(p, CLIENT) != NULL && pair_sender(p, GATEWAY) != NULL);
    for (int who = CLIENT; who <= GATEWAY; who++) {
        static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_REKEY_CHILD_PFS,
                                         IKE_WANT_REKEY_IKE, IKE_WANT_DPD, IKE_WANT_CHILD};

        for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
            cr_assert_eq(pair_command(p, (enum pair_who)who, wants[i]), IKE_STEPPED);
            pair_run(p);
            agree(p);
        }
    }
    cr_assert_eq(pair_count_children(p, GATEWAY), 3);
    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_DELETE_IKE), IKE_STEPPED);
    pair_run(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
    pair_pass(p, 70000);
    for (int s = IKE_SA_HALF_OPEN; s <= IKE_SA_ENDED; s++)
        cr_assert_eq(pair_count_sas(p, GATEWAY, (enum ike_sa_state)s), 0);
    pair_free(p);
}

/* CHILD SAs until there is no room; then each can be rekeyed still, by either side. */
Test(connect, as_many_children_as_can_be_rekeyed)
{
    struct pair *p = pair_new_unconnected(6);
    size_t n;

    pair_connect(p);
    for (n = 1; n < IKE_MAX_CHILDREN - 1; n++) {
        cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_CHILD), IKE_STEPPED);
        pair_run(p);
        cr_assert_eq(pair_count_children(p, GATEWAY), n + 1);
    }
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_CHILD), IKE_STEPPED, "the wish is spent");
    pair_run(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), n);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        for (int who = CLIENT; who <= GATEWAY; who++) {
            const struct ike_child *c =
                &pair_sa(p, (enum pair_who)who, IKE_SA_ESTABLISHED)->children[i];

            if (c->state != IKE_CHILD_INSTALLED)
                continue;
            cr_assert_eq(
                pair_command_child(p, (enum pair_who)who, IKE_WANT_REKEY_CHILD_PFS, c->spi_in),
                IKE_STEPPED);
            pair_run(p);
            cr_assert_eq(pair_count_children(p, GATEWAY), n);
            agree(p);
        }
    pair_free(p);
}

Test(connect, over_a_bad_link)
{
    struct pair *p = pair_new_unconnected(4);

    p->loss_percent = 30;
    pair_connect(p);
    pair_pass(p, 40000);
    agree(p);
    pair_free(p);
}

Test(connect, half_open_ends_by_time_at_both_ends)
{
    struct pair *p = pair_new_unconnected(5);

    p->held[GATEWAY] = true; /* the client never hears anything */
    pair_connect(p);
    pair_pass(p, 29000);
    cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_HALF_OPEN), 1);
    pair_pass(p, 120000);
    cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_HALF_OPEN), 0);
    cr_assert_eq(pair_count_sas(p, CLIENT, IKE_SA_HALF_OPEN), 0);
    cr_assert_geq(pair_count_reason(p, GATEWAY, IKE_REASON_HALF_OPEN_EXPIRED), 1);
    cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_PEER_DEAD), 1);
    pair_free(p);
}
