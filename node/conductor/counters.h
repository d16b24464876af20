/* Everything the node counts, by name. One place, so that the admin interface and the tests see the
 * same names. */
#ifndef HF_CONDUCTOR_COUNTERS_H
#define HF_CONDUCTOR_COUNTERS_H

#include <stdint.h>

#include "ike/step.h"

/* X(identifier, "name") */
#define COUNTER_LIST(X)                                                                            \
    X(ike_in, "ike_messages_in")                                                                   \
    X(ike_out, "ike_messages_out")                                                                 \
    X(retransmissions_out, "ike_retransmissions_out")                                              \
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

struct counters {
    uint64_t value[COUNTER_COUNT];
    uint64_t
        reason[IKE_REASON_COUNT]; /* datagrams dropped or exchanges ended, by ike_reason_name() */
    uint64_t verdict[SUITE_VERDICTS]; /* peers' certificates judged, by suite_verdict_name() */
};

const char *counter_name(enum counter_id id);

static inline void count(struct counters *c, enum counter_id id)
{
    c->value[id]++;
}

#endif
