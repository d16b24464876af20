/* A service address moves from a node that is killed, or frozen, to another: who answers, how soon,
 * and what the dead node's kernel says meanwhile (it must say nothing). And the same without the
 * guard, which must show what the guard is for. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "io/clock.h"
#include "node.h"
#include "ns.h"

enum { LIMIT_TURNS = 2500 };

/* Turns until `id` answers both the client and the server; ms from now, or -1. */
static double until_answers(struct world *w, int id)
{
    uint64_t began = io_monotonic_ns(), client = w->to_client[id], server = w->to_server[id];

    for (int i = 0; i < LIMIT_TURNS; i++) {
        world_turn(w);
        if (w->to_client[id] > client && w->to_server[id] > server)
            return (double)(io_monotonic_ns() - began) / 1e6;
    }
    return -1;
}

static void settle(struct world *w, int id)
{
    node_activate(w, id);
    cr_assert(until_answers(w, id) >= 0, "node %d never answers", id);
    for (int i = 0; i < 50; i++)
        world_turn(w);
}

static void nothing_of(const struct world *w, const char *when)
{
    cr_assert(w->arp_for_vip == 0, "%s: %d ARP frames for the service addresses", when,
              (int)w->arp_for_vip);
    cr_assert(w->icmp == 0, "%s: %d ICMP packets", when, (int)w->icmp);
    cr_assert(w->plaintext_outside == 0, "%s: %d plaintext packets outside", when,
              (int)w->plaintext_outside);
    cr_assert(w->ipv4 == 0, "%s: %d IPv4 packets", when, (int)w->ipv4);
}

Test(move, kill_9_of_one_and_the_other_answers, .timeout = 120)
{
    double worst = 0, sum = 0;
    struct world w;
    int from = 1;

    world_init(&w, true);
    settle(&w, from);
    for (int round = 0; round < 6; round++) {
        int to = 3 - from;
        double took;

        node_kill(&w, from, SIGKILL);
        world_watch(&w, from);
        node_activate(&w, to);
        took = until_answers(&w, to);
        cr_assert(took >= 0, "round %d: node %d never answers", round, to);
        sum += took;
        worst = took > worst ? took : worst;
        for (int i = 0; i < 100; i++)
            world_turn(&w);
        nothing_of(&w, "after the kill");
        node_start(&w, from, true);
        for (int i = 0; i < 20; i++)
            world_turn(&w);
        nothing_of(&w, "back as a standby");
        from = to;
    }
    printf("move: 6 kills, first answers on both sides after %.1f ms on average, %.1f at worst; "
           "nothing from the dead node\n",
           sum / 6, worst);
    cr_assert(worst < 3000);
    world_deinit(&w);
}

/* Neighbours that keep the dead node's address: everything goes to its kernel, which has neither
 * daemon nor TUN. */
static void tempt(struct world *w)
{
    settle(w, 1);
    ns_run(w->client_ns,
           "ip neigh replace 10.77.1.100 lladdr 02:00:00:00:01:01 nud permanent dev out0");
    ns_run(w->server_ns,
           "ip neigh replace 10.77.2.100 lladdr 02:00:00:00:01:02 nud permanent dev in0");
    node_kill(w, 1, SIGKILL);
    world_watch(w, 1);
    for (int i = 0; i < 300; i++)
        world_turn(w);
    /* And strangers who ask anew. */
    ns_run(w->client_ns, "ip neigh flush all nud permanent");
    ns_run(w->server_ns, "ip neigh flush all nud permanent");
    for (int i = 0; i < 100; i++)
        world_turn(w);
}

Test(move, a_dead_nodes_kernel_says_nothing_whatever_comes, .timeout = 60)
{
    struct world w;

    world_init(&w, true);
    tempt(&w);
    nothing_of(&w, "tempted");
    world_deinit(&w);
}

Test(move, without_the_guard_it_speaks, .timeout = 60)
{
    struct world w;

    world_init(&w, false);
    tempt(&w);
    printf(
        "move: without the guard a dead node sent %d IPv4 packets, %d ICMP, %d plaintext outside\n",
        (int)w.ipv4, (int)w.icmp, (int)w.plaintext_outside);
    cr_assert(w.icmp > 0 && w.ipv4 > 0, "the capture sees nothing: these tests could not fail");
    world_deinit(&w);
}

/* Frozen, replaced, thawed: with its lease gone it starts nothing, though it still believes in
 * itself and frames wait in its queues. */
Test(move, a_thawed_node_starts_nothing, .timeout = 60)
{
    struct world w;
    uint64_t client, server;

    world_init(&w, true);
    settle(&w, 1);
    node_kill(&w, 1, SIGSTOP);
    for (int i = 0; i < 2 * NODE_LEASE_MS / 2; i++)
        world_turn(&w); /* the lease runs out while packets gather */
    node_activate(&w, 2);
    cr_assert(until_answers(&w, 2) >= 0);
    ns_run(w.client_ns, "ip neigh flush all");
    ns_run(w.server_ns, "ip neigh flush all");
    for (int i = 0; i < 20; i++)
        world_turn(&w);
    world_watch(&w, 1);
    client = w.to_client[1];
    server = w.to_server[1];
    node_kill(&w, 1, SIGCONT);
    for (int i = 0; i < 200; i++)
        world_turn(&w);
    nothing_of(&w, "thawed");
    cr_assert(w.to_client[1] == client && w.to_server[1] == server, "the thawed node answered");
    world_deinit(&w);
}

/* A daemon must not serve without its guard: it is what the daemon checks first. */
Test(move, a_node_whose_guard_has_a_hole_does_not_start, .timeout = 60)
{
    struct world w;
    int id = 1;

    world_init(&w, true);
    node_kill(&w, id, SIGKILL);
    ns_run(w.node[id].holder, "nft flush chain inet holdfast_guard guard_forward");
    cr_assert(node_try(&w, id) == false, "it started without a part of its guard");
    world_deinit(&w);
}
