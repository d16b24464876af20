/* Collisions as traces that read like the protocol: two engines, each message delivered when the trace
 * says so, then the rest, then a judge that all traces share.
 *
 *   begins(t, CLIENT, IKE_WANT_REKEY_CHILD);     C: CREATE_CHILD_SA ──>
 *   begins(t, GATEWAY, IKE_WANT_REKEY_CHILD);                        <── CREATE_CHILD_SA :G
 *   arrives(t, CLIENT, REQUEST, 0);              G answers the client's first request
 *   arrives(t, GATEWAY, ANSWER, 0);              that answer reaches the client
 *
 * Messages are named by who sent them and by the exchange's number since the trace began: requests of a
 * side by its own number, answers by that of the request. What a trace does not deliver is late: it comes
 * at the end, with all copies.
 *
 * Each trace runs for the given orders of the four nonces, and for each of them again with the node that
 * made a step killed at that step, for every step there is, at three points: its record was not committed
 * (the step is lost), it was but nothing left, everything left. The end must be the same.
 */
#ifndef TEST_TRACE_COLLIDE_H
#define TEST_TRACE_COLLIDE_H

#include "ike_pair/pair.h"

/* Two groups, quick ones: ours under a private number each. */
enum { GROUP_A = 1031, GROUP_B = 1032 };

enum what { REQUEST, ANSWER };

/* Where something at the end comes from. EITHERS: both are tried again, and who is first is chance;
 * ANYONES: the same, and the one that there was may go on. */
enum origin { NOBODY, OLD, CLIENTS, GATEWAYS, WINNERS, EITHERS, ANYONES };

/* The first octets of the four nonces; the lowest one loses (RFC 7296 2.8.1). */
struct order {
    uint8_t c_ask, g_answer, g_ask, c_answer;
};

struct trace {
    struct pair *p;
    struct order order;
    enum pair_who winner;
    uint32_t first_id[2];  /* message IDs that the trace's first requests have */
    uint64_t spi_i, spi_r; /* of the IKE SA that it began with */
    uint32_t child_in[2];  /* the CHILD SA that it began with, inbound at each side */
    bool killed;           /* a node dies in this run */
};

struct collision {
    const char *name;
    void (*script)(struct trace *t);
    bool may_lose;     /* a CHILD SA ends on purpose: then packets may go where nobody receives */
    bool by_nonces;    /* run for all orders, else for one */
    size_t children;   /* at each end, when all is quiet */
    enum origin child; /* who began the exchange that made the one that sends */
    enum origin ike;
    size_t messages;       /* that ever left, when nobody dies */
    size_t if_client_wins; /* the same, where that is another number */
    size_t repeats;        /* copies beside them, because the trace lost some or let time pass */
    void (*prepare)(struct trace *t); /* before the trace, or NULL: policies */
};

/* Runs all of it, asserts, prints what it compared. */
void collision_run(const struct collision *c);

#define COLLISION(name, ...)                                                                       \
    static void trace_##name(struct trace *t);                                                     \
    Test(COLLISION_SUITE, name, .timeout = 600)                                                    \
    {                                                                                              \
        static const struct collision c = {#name, trace_##name, __VA_ARGS__};                      \
        collision_run(&c);                                                                         \
    }                                                                                              \
    static void trace_##name(struct trace *t)

/* A command at a side; the CHILD SA is the one that the trace began with. */
void begins(struct trace *t, enum pair_who who, uint32_t want);
/* The same for another CHILD SA. */
void begins_with(struct trace *t, enum pair_who who, uint32_t want, uint32_t spi_in);
/* An event of the data path (CHILD_SOFT, CHILD_HARD) for the CHILD SA that the trace began with. */
void reaches(struct trace *t, enum pair_who who, enum ike_event_kind limit);
/* The message gets to the other side. */
void arrives(struct trace *t, enum pair_who from, enum what what, uint32_t n);
/* It does not; later copies may. */
void is_lost(struct trace *t, enum pair_who from, enum what what, uint32_t n);
/* `who` has the other side's request n and answers INVALID_KE_PAYLOAD with this group, which it
 * likes best from then on. */
void wants_group(struct trace *t, enum pair_who who, uint32_t n, uint16_t group);
/* In a `prepare`: everything arrives, then the trace begins with what there is (its CHILD SA stays). */
void settles(struct trace *t);
/* As if the side knew that the other has its answers: a peer that does not wait for that. */
void confirm(struct trace *t, enum pair_who who);
/* The side has lost the CHILD SA, without a word. */
void loses(struct trace *t, enum pair_who who);
/* That side's last step on a message had this reason; in runs with a death: some step had. */
void saw(struct trace *t, enum pair_who who, enum ike_reason reason);
/* Time passes; nothing that flies arrives. */
void waits(struct trace *t, uint64_t ms);
/* The new CHILD SA that this side's outstanding rekey is to make, or that it made last; 0: none. */
uint32_t newest_child(struct trace *t, enum pair_who who);

/* Between the files of collide. */
static inline enum pair_who collide_other(enum pair_who who)
{
    return who == CLIENT ? GATEWAY : CLIENT;
}
/* Messages are numbered from here on. */
void collide_count_from_here(struct trace *t);

#endif
