/* A snapshot in pieces: what a leader sends and when, what a node that lags takes, and what happens
 * when it is cut off at any piece. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "cluster.h"
#include "rig.h"

enum { IMAGE = 10 * RIG_PIECE - 7, PIECES = 10, WINDOW = 4 };

static struct rig r;
static uint8_t image[IMAGE];

static void submit(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct span command = span_of("x", 1);
        uint64_t first, term;

        cr_assert_eq(raft_driver_submit(r.driver, r.now_ms, &command, 1, &first, &term),
                     RAFT_DRIVER_OK);
        rig_disk(&r);
    }
}

static void answer(uint32_t from, uint64_t rejected, uint64_t index)
{
    uint64_t term = raft_driver_status(r.driver).term;

    rig_feed(
        &r, from,
        (struct raft_frame){
            .type = RAFT_FRAME_APPEND_RESULT, .term = term, .rejected = rejected, .index = index});
    rig_disk(&r);
}

/* Node 1 leads; its log begins behind what node 3 has. */
static uint64_t leader_with_a_snapshot(void)
{
    uint64_t last;

    for (size_t i = 0; i < IMAGE; i++)
        image[i] = (uint8_t)(i * 31 + i / 256);
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    rig_disk(&r);
    submit(30);
    last = raft_driver_status(r.driver).last_index;
    answer(2, 0, last);
    cr_assert_eq(r.applied, last);
    cr_assert_eq(raft_driver_snapshot_take(r.driver, r.now_ms, last, span_of(image, IMAGE)),
                 RAFT_DRIVER_OK);
    rig_disk(&r);
    cr_assert_eq(r.taken, last);
    r.n_sent = 0;
    return last;
}

static const struct rig_sent *piece(size_t number)
{
    for (size_t i = 0; i < r.n_sent; i++)
        if (r.sent[i].to == 3 && r.sent[i].frame.type == RAFT_FRAME_INSTALL && number-- == 0)
            return &r.sent[i];
    return NULL;
}

static size_t pieces(void)
{
    size_t n = 0;

    while (piece(n) != NULL)
        n++;
    return n;
}

static void acknowledge(uint64_t index, uint32_t transfer, uint64_t offset, bool again)
{
    rig_feed(&r, 3,
             (struct raft_frame){.type = RAFT_FRAME_INSTALL_ACK,
                                 .term = raft_driver_status(r.driver).term,
                                 .index = index,
                                 .transfer = transfer,
                                 .offset = offset,
                                 .again = again});
    rig_disk(&r);
}

/* Whatever node 3 does not have yet: a few pieces only, and heartbeats between them. */
Test(raft_install, few_pieces_are_on_their_way_and_heartbeats_pass)
{
    uint64_t last = leader_with_a_snapshot(), offset = 0;
    size_t heartbeats = 0;

    answer(3, last, 1);
    for (int k = 0; k < 3; k++) {
        rig_run(&r, 30);
        answer(3, last, 1); /* what it says to a heartbeat that is anchored at the snapshot */
    }
    cr_assert_eq(pieces(), WINDOW, "%zu pieces without a word from the node", pieces());
    for (size_t i = 0; i < r.n_sent; i++)
        heartbeats += r.sent[i].to == 3 && r.sent[i].frame.type == RAFT_FRAME_APPEND;
    cr_assert_geq(heartbeats, 2, "%zu heartbeats beside the pieces", heartbeats);
    for (size_t k = 0; k < PIECES; k++) {
        const struct rig_sent *s = piece(k);

        cr_assert(s != NULL && s->frame.index == last && s->frame.total == IMAGE);
        cr_assert_eq(s->frame.offset, k * RIG_PIECE);
        offset = k + 1 == PIECES ? IMAGE : (k + 1) * RIG_PIECE;
        acknowledge(last, s->frame.transfer, offset, false);
        cr_assert_leq(pieces(), k + 1 + WINDOW);
    }
    cr_assert_eq(pieces(), PIECES);
    cr_assert_eq(raft_driver_counters(r.driver)->pieces_out, PIECES);
    rig_run(&r, 500);
    cr_assert_eq(pieces(), PIECES, "it was all there, and is sent again");
    rig_deinit(&r);
}

/* Nothing comes back: sent again from what is known to be there, not for ever. */
Test(raft_install, a_silent_node_is_sent_to_again_and_given_up)
{
    uint64_t last = leader_with_a_snapshot();
    uint32_t transfer;

    answer(3, last, 1);
    rig_run(&r, 40); /* a heartbeat's turn */
    cr_assert_eq(pieces(), WINDOW);
    transfer = piece(0)->frame.transfer;
    acknowledge(last, transfer, 2 * RIG_PIECE, false);
    cr_assert_eq(pieces(), 2 + WINDOW);
    for (int k = 0; k < 3; k++) { /* node 2 keeps it in office */
        rig_run(&r, 50);
        answer(2, 0, last);
        answer(3, last, 1);
    }
    cr_assert_eq(piece(2 + WINDOW)->frame.offset, 2 * RIG_PIECE);
    cr_assert_neq(piece(2 + WINDOW)->frame.transfer, transfer);
    acknowledge(last, transfer, 3 * RIG_PIECE, false); /* of the former sending: of no interest */
    acknowledge(last, piece(2 + WINDOW)->frame.transfer, RIG_PIECE, true);
    cr_assert_eq(piece(2 + 2 * WINDOW)->frame.offset, RIG_PIECE, "asked for, and not sent");
    rig_deinit(&r);
}

static struct raft_frame one_piece(uint64_t index, uint64_t term, size_t number, uint32_t transfer)
{
    struct repl_configuration c = {.index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}};
    size_t offset = number * RIG_PIECE;

    return (struct raft_frame){
        .type = RAFT_FRAME_INSTALL,
        .term = term,
        .index = index,
        .index_term = 2,
        .configuration = c,
        .transfer = transfer,
        .total = IMAGE,
        .offset = offset,
        .data = span_of(image + offset, IMAGE - offset < RIG_PIECE ? IMAGE - offset : RIG_PIECE)};
}

static const struct raft_frame *last_ack(uint32_t to)
{
    const struct rig_sent *s = rig_last(&r, RAFT_FRAME_INSTALL_ACK, to);

    cr_assert_not_null(s);
    return &s->frame;
}

/* After any number of pieces another leader begins with another snapshot; or the same one goes on
 * after a loss: it ends with what the sender had, whole. */
Test(raft_install, cut_off_after_any_piece_it_begins_anew_or_goes_on)
{
    size_t compared = 0;

    for (size_t cut = 0; cut <= PIECES; cut++)
        for (int other = 0; other < 2; other++, compared++) {
            uint64_t index = other != 0 ? 70 : 50;
            size_t from = other != 0 ? 0 : cut;

            rig_init(&r, 2, 3, 0);
            for (size_t k = 0; k < cut; k++) {
                rig_feed(&r, 1, one_piece(50, 2, k, 1));
                cr_assert(k > 1 || r.restored == 0);
                rig_disk(&r);
            }
            if (cut > 0 && cut < PIECES) { /* one is lost: it says where it stands */
                rig_feed(&r, 1, one_piece(50, 2, cut + 1 < PIECES ? cut + 1 : 1, 1));
                cr_assert(last_ack(1)->again && last_ack(1)->offset == cut * RIG_PIECE);
            }
            for (size_t k = from; k < PIECES && r.restored < index; k++) {
                rig_feed(&r, other != 0 ? 3 : 1, one_piece(index, other != 0 ? 3 : 2, k, 2));
                rig_disk(&r);
            }
            cr_assert_eq(r.restored, index, "cut after %zu pieces", cut);
            cr_assert(span_equal(sim_storage_snapshot(r.storage), span_of(image, IMAGE)));
            cr_assert_eq(r.failed, 0);
            rig_deinit(&r);
        }
    printf("compared %zu cuts\n", compared);
}

enum fault { LINK, FOLLOWER, LEADER };

/* The same in a whole cluster, with the link or a node gone at every piece. */
static void cluster_cut(uint64_t seed, uint64_t piece_at, enum fault fault)
{
    struct cluster c = {0};
    struct cluster_node *leader, *away;

    cluster_init(&c, seed, 3);
    c.snapshot_every = 20;
    leader = cluster_await_leader(&c, 3000);
    cr_assert_not_null(leader);
    away = cluster_node(&c, leader->id % 3 + 1);
    cluster_crash(&c, away->id);
    for (unsigned k = 0; k < 30; k++) {
        cluster_submit(&c, leader, 8);
        cluster_run(&c, 10);
    }
    cluster_start(&c, away->id);
    while (away->driver != NULL && raft_driver_counters(away->driver)->pieces_in < piece_at &&
           raft_driver_counters(away->driver)->installs_received == 0)
        cluster_run(&c, 1);
    switch (fault) {
    case LINK:
        sim_network_break(c.network, leader->id, away->id, 20);
        break;
    case FOLLOWER:
        cluster_crash(&c, away->id);
        cluster_start(&c, away->id);
        break;
    case LEADER:
        cluster_crash(&c, leader->id);
        cluster_run(&c, 1000);
        cluster_start(&c, leader->id);
        break;
    }
    cluster_demand_life(&c, 8000);
    cluster_deinit(&c);
}

Test(raft_install, the_link_or_a_node_goes_at_every_piece, .timeout = 120)
{
    size_t compared = 0;

    for (uint64_t at = 1; at <= 6; at++)
        for (int fault = LINK; fault <= LEADER; fault++)
            for (uint64_t seed = 1; seed <= 4; seed++, compared++)
                cluster_cut(seed, at, (enum fault)fault);
    printf("compared %zu clusters\n", compared);
}
