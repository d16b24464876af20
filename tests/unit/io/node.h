/* A gateway's node reduced to what moving an address needs: sockets, TUN, ARP, and a lease that the
 * test grants. Two of them, a client outside and a server inside hang on two bridges; a capture
 * sees every frame that a node sends.
 */
#ifndef TESTS_IO_NODE_H
#define TESTS_IO_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { NODE_LEASE_MS = 150 };

struct node {
    int id;
    pid_t holder, daemon;
    int control; /* to the daemon */
    bool acting; /* the test renews its lease */
};

struct world {
    struct node node[3]; /* [id] */
    pid_t client_ns, server_ns;
    int client, server, capture;
    uint64_t sent;
    /* answers that came, by node */
    uint64_t to_client[3], to_server[3];
    /* since world_watch(): what a node sent that it should not have */
    int watched;
    uint64_t arp_for_vip, icmp, plaintext_outside, ipv4;
};

/* Builds the namespaces and both nodes' daemons; `guarded`: the permanent guard stands on the
 * nodes. */
void world_init(struct world *w, bool guarded);
void world_deinit(struct world *w);
void node_start(struct world *w, int id, bool guarded);
/* The same, but it may refuse: false. */
bool node_try(struct world *w, int id);
void node_activate(struct world *w, int id);
void node_kill(struct world *w, int id, int signal_number);
/* One round: a packet from the client, one from the server, lease renewals, 2 ms for the answers.
 */
void world_turn(struct world *w);
/* Counts from now on what `id` sends. */
void world_watch(struct world *w, int id);

#endif
