/* Everything the node counts, by name. One place, so that the admin interface and the tests see the
 * same names. */
#ifndef HF_CONDUCTOR_COUNTERS_H
#define HF_CONDUCTOR_COUNTERS_H

#include <stdint.h>

#include "ike/step.h"

/* X(identifier, "name") */
#define COUNTER_LIST(X)                                                                            \
    X(ike_in, "ike_messages_in")                                                                   \
    X(ike_in_natt, "ike_messages_in_4500")                                                         \
    X(ike_out, "ike_messages_out")                                                                 \
    X(retransmissions_out, "ike_retransmissions_out")                                              \
    X(answers_repeated, "ike_answers_repeated")                                                    \
    X(keepalives_out, "nat_keepalives_out")                                                        \
    X(half_open_made, "half_open_made")                                                            \
    X(half_open_refused, "half_open_refused")                                                      \
    X(half_open_expired, "half_open_expired")                                                      \
    X(queue_full, "sa_queue_full")                                                                 \
    X(rate_limited, "authentication_rate_limited")                                                 \
    X(not_owner, "packets_not_owner")                                                              \
    X(no_lease, "sends_without_lease_suppressed")                                                  \
    X(submitted, "records_submitted")                                                              \
    X(submit_refused, "records_not_taken")                                                         \
    X(accepted, "records_accepted")                                                                \
    X(refused, "records_refused")                                                                  \
    X(auth_refused, "authentications_refused_by_the_log")                                          \
    X(sas_created, "sas_created")                                                                  \
    X(sas_deleted, "sas_deleted")                                                                  \
    X(initial_contact_ended, "initial_contact_ended")                                              \
    X(reauthentications, "addresses_taken_along")                                                  \
    X(rekeys_child, "rekeys_child")                                                                \
    X(rekeys_ike, "rekeys_ike")                                                                    \
    X(takeovers, "takeovers")                                                                      \
    X(handovers_begun, "handovers_begun")                                                          \
    X(handovers_done, "handovers_done")                                                            \
    X(handovers_refused, "handovers_refused")                                                      \
    X(handovers_taken_back, "handovers_taken_back")                                                \
    X(handovers_called_off, "handovers_called_off")                                                \
    X(replay_recoveries, "replay_recoveries")                                                      \
    X(replay_recoveries_held, "replay_recoveries_held")                                            \
    X(replay_recoveries_waited, "replay_recoveries_waited")                                        \
    X(hard_expirations, "hard_expirations")                                                        \
    X(extends, "extends")                                                                          \
    X(shrinks, "shrinks")                                                                          \
    X(pool_exhausted, "pool_exhausted")                                                            \
    X(decode_failed, "state_decode_failed")

enum counter_id {
#define X(id, name) COUNTER_##id,
    COUNTER_LIST(X)
#undef X
        COUNTER_COUNT
};

/* Upper bounds of durations, in milliseconds; one more bucket is for what is above them all. */
#define COUNTER_TOOK_MS 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000
#define COUNTER_LATE_MS 100, 1000, 5000, 15000, 30000, 60000, 300000, 900000, 3600000
enum {
    COUNTER_EXCHANGES = IKE_EX_INFORMATIONAL + 1,
    COUNTER_SIDES = 2, /* by enum ike_begun: the peer began, we did */
    COUNTER_TOOK_BOUNDS = 12,
    COUNTER_LATE_BOUNDS = 9,
    COUNTER_MOST_BOUNDS = 12
};

struct counter_histogram {
    uint64_t bucket[COUNTER_MOST_BOUNDS + 1]; /* each one's own */
    uint64_t sum_ms;
};

/* By this node as owner; an exchange counts with the record that begins or ends it. */
struct counter_exchange {
    uint64_t started;              /* an answered request of the peer's, or a request of ours */
    uint64_t completed,            /* ... as it was meant */
        failed;                    /* refused by either end, or given up */
    struct counter_histogram took; /* completed ones: ours from the first sending to the answer's
                                      record, the peer's from its arrival to our answer */
};

enum counter_life { COUNTER_LIFE_CHILD, COUNTER_LIFE_IKE, COUNTER_LIVES };

struct counters {
    uint64_t value[COUNTER_COUNT];
    struct counter_exchange exchange[COUNTER_EXCHANGES][COUNTER_SIDES];
    /* Of SAs that were replaced: how long after their soft limit by time. Before it: 0. */
    struct counter_histogram late[COUNTER_LIVES];
    uint64_t
        reason[IKE_REASON_COUNT]; /* datagrams dropped or exchanges ended, by ike_reason_name() */
    uint64_t verdict[SUITE_VERDICTS]; /* peers' certificates judged, by suite_verdict_name() */
};

const char *counter_name(enum counter_id id);
extern const uint64_t counter_took_ms[], counter_late_ms[];

static inline void count(struct counters *c, enum counter_id id)
{
    c->value[id]++;
}

#endif
