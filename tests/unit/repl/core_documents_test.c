/* Documents and the audit in a cluster: the same on every node, also on one that comes late, is older, or goes on alone. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/repl/cluster.h"

#define ANY HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY
#define ABSENT HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT

static const struct fsm *fsm_of(struct rig *rig, uint32_t node)
{
    return replica_fsm(rig_node(rig, node)->replica);
}

static uint64_t send(struct rig *rig, uint32_t node, const char *name,
                     Holdfast__DocumentChange__Expect expect, const char *bytes)
{
    struct maker m = rig_maker(rig, node, 1);
    Holdfast__Record *r = make_documents(&m);

    make_change_of(r, "connection", name, expect, 0, bytes);
    return rig_submit(rig, node, r);
}

/* 1 + its verdict. */
static uint8_t change(struct rig *rig, uint32_t node, const char *name,
                      Holdfast__DocumentChange__Expect expect, const char *bytes)
{
    uint64_t request = send(rig, node, name, expect, bytes);

    cr_assert_neq(request, 0);
    cr_assert(rig_run(rig, 5000, rig_settled, node));
    return rig_node(rig, node)->verdict[request];
}

static bool has(struct rig *rig, uint32_t node, const char *name, const char *bytes)
{
    const struct repl_document *d = fsm_document(fsm_of(rig, node), "connection", name);

    return d != NULL && d->len == strlen(bytes) && memcmp(d->bytes, bytes, d->len) == 0;
}

Test(repl_documents, any_node_takes_a_change_and_all_have_it)
{
    struct rig *rig = cluster_running(3, 9701);

    cr_assert_eq(change(rig, 2, "a", ABSENT, "one"), 1);
    cr_assert_eq(change(rig, 3, "a", ABSENT, "two"), 1 + REPL_REFUSED_VERSION);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert(has(rig, i, "a", "one"));
        cr_assert_eq(fsm_of(rig, i)->audit.head.count, 2);
        cr_assert_arr_eq(fsm_of(rig, i)->audit.head.hash, fsm_of(rig, 1)->audit.head.hash,
                         SHA256_BYTES);
    }
    cluster_finish(rig);
}

Test(repl_documents, of_two_at_once_one_is_accepted)
{
    struct rig *rig = cluster_running(3, 9702);
    uint64_t request[4];
    unsigned accepted = 0;

    for (uint32_t i = 1; i <= 3; i++)
        request[i] = send(rig, i, "a", ABSENT, i == 1 ? "1" : i == 2 ? "2" : "3");
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert(rig_run(rig, 5000, rig_settled, i));
        accepted += rig_node(rig, i)->verdict[request[i]] == 1;
    }
    cr_assert_eq(accepted, 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cluster_finish(rig);
}

Test(repl_documents, who_lagged_gets_them_with_a_snapshot)
{
    struct rig *rig = cluster_snapshotting(9703);
    char name[16];

    cr_assert_eq(change(rig, 1, "old", ANY, "x"), 1);
    rig_kill(rig, 3);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "n%u", i % 50);
        cr_assert_eq(change(rig, 1 + i % 2, name, ANY, "bytes"), 1);
    }
    cr_assert_eq(change(rig, 1, "old", ANY, NULL), 1);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_geq(rig_node(rig, 3)->resets, 1, "no snapshot was installed");
    cr_assert_eq(fsm_of(rig, 3)->documents.n, 50);
    cr_assert_eq(fsm_of(rig, 3)->audit.head.count, 302);
    cr_assert_eq(fsm_of(rig, 3)->audit.n, 302);
    cluster_finish(rig);
}

static bool speaks_all(const struct rig *rig, uint64_t node)
{
    return fsm_spoken(replica_fsm(rig->nodes[node - 1].replica)) == RECORD_SPEAKS;
}

Test(repl_documents, not_while_one_member_is_older)
{
    struct rig *rig = rig_create(3, 1, 9704);

    rig_node(rig, 3)->speaks = RECORD_SPEAKS_DOCUMENTS - 1;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(change(rig, 1, "a", ANY, "x"), 1 + REPL_REFUSED_MALFORMED);
    cr_assert_eq(fsm_of(rig, 1)->audit.head.count, 0);
    cr_assert_eq(rig_node(rig, 3)->halt_told, 0, "it never met what it does not know");
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    rig_kill(rig, 3);
    rig_node(rig, 3)->speaks = 0;
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, speaks_all, 1));
    cr_assert_eq(change(rig, 1, "a", ANY, "x"), 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert(has(rig, 3, "a", "x"));
    cluster_finish(rig);
}

Test(repl_documents, they_outlive_a_power_loss_and_a_recovery)
{
    struct rig *rig = cluster_running(3, 9705);

    cr_assert_eq(change(rig, 2, "a", ANY, "one"), 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(has(rig, 1, "a", "one"));
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    cr_assert(rig_recover(rig, 1, 77));
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(has(rig, 1, "a", "one"));
    cr_assert_str_eq(
        fsm_audit_kept(fsm_of(rig, 1), fsm_of(rig, 1)->audit.n - 1)->texts[AUDIT_OPERATION],
        "cluster.recover");
    cr_assert_eq(change(rig, 1, "a", ANY, "two"), 1);
    cluster_finish(rig);
}
