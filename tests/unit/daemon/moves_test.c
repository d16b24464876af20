/* A move or a drain that the log refuses for ever is refused at once: the daemon's own file over doubles of
 * the log and the admin server. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "fuzz/admin/members_doubles.h"
#include "replication/record.h"

static struct daemon d;
static unsigned moves;

bool conductor_wish_move(struct conductor *c, uint32_t shard, uint32_t node,
                         const struct repl_admin *by)
{
    (void)c;
    HF_ASSERT(shard == 1 && node != 0 && by != NULL);
    (void)snprintf(doubles.asked_by, sizeof doubles.asked_by, "%s", by->principal);
    moves++;
    return true;
}

/* Three voters that are well; this is node 1, which owns the shard. */
static void begin(void)
{
    struct repl_status *st = &doubles.status;

    memset(&doubles, 0, sizeof doubles);
    memset(&d, 0, sizeof d);
    moves = 0;
    doubles.now_ms = 1000;
    *st = (struct repl_status){.node = 1, .leader = 1, .speaks = RECORD_SPEAKS, .quorum = true};
    st->n_nodes = 3;
    for (size_t i = 0; i < 3; i++)
        st->nodes[i] = (struct repl_node_status){.node = (uint32_t)i + 1,
                                                 .connected = true,
                                                 .heard = true,
                                                 .healthy = true,
                                                 .role = REPL_VOTER};
    st->n_shards = 1;
    st->shards[0] = (struct repl_shard_status){.shard = 1, .owner_node = 1, .home = 1};
    admin_moves_fill(&d.backend);
}

static void drain(uint32_t node, bool drained)
{
    d.backend.drain_node(&d, doubles_request(),
                         &(struct api_drain){.node = node, .drained = drained}, &doubles_asker);
}

static void move(uint32_t to)
{
    d.backend.move_shard(&d, doubles_request(), &(struct api_move){.shard = 1, .to = to},
                         &doubles_asker);
}

static void cr_assert_refused(unsigned status, const char *name)
{
    cr_assert(doubles.refused == 1 && doubles.answered == 0, "%u refused, %u answered",
              doubles.refused, doubles.answered);
    cr_assert_eq(doubles.problem.status, status, "%u %s", doubles.problem.status,
                 doubles.problem.detail);
    cr_assert_str_eq(doubles.problem.name, name);
}

Test(moves, who_is_no_member_is_neither_drained_nor_given_anything)
{
    static const enum repl_role roles[] = {REPL_EXPECTED, REPL_LEAVING, REPL_LEFT, REPL_OUTSIDE};
    size_t n = sizeof roles / sizeof *roles;

    for (size_t i = 0; i < 3 * n; i++) {
        begin();
        doubles.status.nodes[2].role = roles[i % n];
        if (i < 2 * n)
            drain(3, i < n);
        else
            move(3);
        admin_moves_tick(&d);
        cr_assert_refused(404, "unknown-node");
        cr_assert(doubles.drains == 0 && moves == 0, "the log was given it");
    }
    printf("compared %zu wishes\n", 3 * n);
}

Test(moves, whose_node_leaves_meanwhile_is_told_so)
{
    for (int i = 0; i < 2; i++) {
        begin();
        if (i == 0)
            drain(3, true);
        else
            move(3);
        doubles.status.nodes[2].role = REPL_LEAVING;
        admin_moves_tick(&d);
        cr_assert_refused(404, "unknown-node");
        cr_assert_null(d.waits[0].request);
    }
    printf("compared 2 wishes\n");
}

Test(moves, a_member_is_drained)
{
    begin();
    drain(3, true);
    cr_assert(doubles.drains == 1 && doubles.drained && doubles.drain_removal == 0);
    cr_assert_eq(doubles.drain_until_ms, 0);
    cr_assert_str_eq(doubles.asked_by, "admin email:a 10.9.9.9 r-1");
    admin_moves_tick(&d);
    cr_assert_eq(doubles.answered, 0, "it is not yet");
    doubles.status.nodes[2].drained = true;
    admin_moves_tick(&d);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
}

Test(moves, a_shard_is_moved)
{
    begin();
    move(3);
    cr_assert_eq(moves, 1);
    cr_assert_str_eq(doubles.asked_by, "email:a");
    doubles.status.shards[0].owner_node = doubles.status.shards[0].home = 3;
    admin_moves_tick(&d);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
}

/* Whoever may ask is asked for what he is called: the log refuses what cannot be shown. */
Test(moves, a_name_that_cannot_be_shown_stops_no_wish)
{
    struct api_asker odd = doubles_asker;

    begin();
    strcpy(odd.principal, "cn:a\x01\xff"
                          "b");
    d.backend.drain_node(&d, doubles_request(), &(struct api_drain){.node = 3, .drained = true},
                         &odd);
    cr_assert_str_eq(doubles.asked_by, "admin cn:a??b 10.9.9.9 r-1");
}
