/* Every plain counter of the node and the series that it is. */
#include "daemon/metrics.h"

static const struct metrics_counter messages = {{"holdfast_ike_messages",
                                                 "IKE messages read from and given to the network.",
                                                 NULL, OPENMETRICS_COUNTER},
                                                "direction"};
static const struct metrics_counter encapsulated = {
    {"holdfast_ike_messages_port_4500", "Of the IKE messages read, those that came to UDP 4500.",
     NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter retransmissions = {
    {"holdfast_ike_retransmissions", "Requests of this node that were sent again.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter repeated = {
    {"holdfast_ike_answers_repeated", "Answers that were sent again because the peer asked again.",
     NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter keepalives = {
    {"holdfast_nat_keepalives", "NAT keepalives sent (RFC 3948 2.3).", NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter half_opens = {
    {"holdfast_half_open_outcomes",
     "Half-open IKE SAs that were made here, refused, or ended by time.", NULL,
     OPENMETRICS_COUNTER},
    "outcome"};
static const struct metrics_counter not_done = {
    {"holdfast_ike_events_dropped", "IKE messages and events that were not worked on, by cause.",
     NULL, OPENMETRICS_COUNTER},
    "cause"};
static const struct metrics_counter records = {
    {"holdfast_records",
     "Records of this node: given to the log, not taken by it now, and what it said of them.", NULL,
     OPENMETRICS_COUNTER},
    "event"};
static const struct metrics_counter auth_refused = {
    {"holdfast_authentications_refused_by_log",
     "Authentications that the log refused, to be tried with another address.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter created = {
    {"holdfast_sas_created", "IKE SAs that came into the tables, restored ones included.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter deleted = {
    {"holdfast_sas_deleted", "IKE SAs that left the tables.", NULL, OPENMETRICS_COUNTER}, NULL};
static const struct metrics_counter expired = {
    {"holdfast_hard_expirations", "SAs that reached a hard limit before they were replaced.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter forced = {
    {"holdfast_forced_deletions", "SAs that ended without agreement with the peer, by cause.", NULL,
     OPENMETRICS_COUNTER},
    "cause"};
static const struct metrics_counter along = {
    {"holdfast_addresses_taken_along",
     "Addresses that a new SA of the same identity took from the one before.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter rekeys = {
    {"holdfast_rekeys",
     "SAs that were replaced: CHILD SAs by this node as owner, IKE SAs as every node applied it.",
     NULL, OPENMETRICS_COUNTER},
    "kind"};
static const struct metrics_counter takeovers = {
    {"holdfast_takeovers", "Shards that this node was given.", NULL, OPENMETRICS_COUNTER}, NULL};
static const struct metrics_counter handovers = {
    {"holdfast_handovers", "Shards that this node gave on purpose, by what became of it.", NULL,
     OPENMETRICS_COUNTER},
    "outcome"};
static const struct metrics_counter recoveries = {
    {"holdfast_replay_recoveries", "CHILD SAs whose peer stayed below the floor after a takeover.",
     NULL, OPENMETRICS_COUNTER},
    "outcome"};
static const struct metrics_counter numbers = {
    {"holdfast_number_records",
     "Records that raised numbers, and that lowered ceilings: one may do both.", NULL,
     OPENMETRICS_COUNTER},
    "kind"};
static const struct metrics_counter pool = {{"holdfast_pool_exhausted",
                                             "Clients that got no address because none was free.",
                                             NULL, OPENMETRICS_COUNTER},
                                            NULL};
static const struct metrics_counter read = {
    {"holdfast_packets_read", "Packets that workers read: from the outside, and to be sealed.",
     NULL, OPENMETRICS_COUNTER},
    "direction"};
static const struct metrics_counter raw = {
    {"holdfast_raw_packets_read", "Of the packets from the outside, ESP that was not inside UDP.",
     NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter worker_drops = {
    {"holdfast_packets_dropped",
     "Packets that belong to no SA, or not to this node now, and were dropped.", NULL,
     OPENMETRICS_COUNTER},
    "cause"};
static const struct metrics_counter raw_unknown = {
    {"holdfast_raw_packets_unknown_spi",
     "Of those with an unknown SPI, ESP that was not inside UDP.", NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter workers = {{"holdfast_worker_events",
                                                "What workers did beside packets of an SA.", NULL,
                                                OPENMETRICS_COUNTER},
                                               "event"};
static const struct metrics_counter judged = {{"holdfast_records_judged",
                                               "Records that this node applied, by verdict.", NULL,
                                               OPENMETRICS_COUNTER},
                                              "verdict"};
static const struct metrics_counter applied = {
    {"holdfast_records_applied", "Records that this node applied, whatever the verdict.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter replication = {
    {"holdfast_replication_events", "What replication did.", NULL, OPENMETRICS_COUNTER}, "event"};
static const struct metrics_counter promises = {
    {"holdfast_promises_refused", "Lease heartbeats of owners that this node did not acknowledge.",
     NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter leases = {
    {"holdfast_leases_lost", "Leases of this node that ended while it owned the shard.", NULL,
     OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter frames = {{"holdfast_frames_refused",
                                               "Frames of other nodes that were refused.", NULL,
                                               OPENMETRICS_COUNTER},
                                              "cause"};
static const struct metrics_counter digests = {
    {"holdfast_digest_mismatches",
     "Times that a node with the same applied index had another state.", NULL, OPENMETRICS_COUNTER},
    NULL};
static const struct metrics_counter doubted = {
    {"holdfast_nodes_doubted", "Times that a node had less than it once acknowledged.", NULL,
     OPENMETRICS_COUNTER},
    NULL};

static const struct metrics_row rows[] = {
    {&messages, "in", METRICS_CONDUCTOR, COUNTER_ike_in},
    {&messages, "out", METRICS_CONDUCTOR, COUNTER_ike_out},
    {&encapsulated, NULL, METRICS_CONDUCTOR, COUNTER_ike_in_natt},
    {&retransmissions, NULL, METRICS_CONDUCTOR, COUNTER_retransmissions_out},
    {&repeated, NULL, METRICS_CONDUCTOR, COUNTER_answers_repeated},
    {&keepalives, NULL, METRICS_CONDUCTOR, COUNTER_keepalives_out},
    {&half_opens, "made", METRICS_CONDUCTOR, COUNTER_half_open_made},
    {&half_opens, "refused", METRICS_CONDUCTOR, COUNTER_half_open_refused},
    {&half_opens, "expired", METRICS_CONDUCTOR, COUNTER_half_open_expired},
    {&not_done, "queue-full", METRICS_CONDUCTOR, COUNTER_queue_full},
    {&not_done, "rate-limited", METRICS_CONDUCTOR, COUNTER_rate_limited},
    {&not_done, "not-owner", METRICS_CONDUCTOR, COUNTER_not_owner},
    {&not_done, "no-lease", METRICS_CONDUCTOR, COUNTER_no_lease},
    {&records, "submitted", METRICS_CONDUCTOR, COUNTER_submitted},
    {&records, "not-taken", METRICS_CONDUCTOR, COUNTER_submit_refused},
    {&records, "accepted", METRICS_CONDUCTOR, COUNTER_accepted},
    {&records, "refused", METRICS_CONDUCTOR, COUNTER_refused},
    {&auth_refused, NULL, METRICS_CONDUCTOR, COUNTER_auth_refused},
    {&created, NULL, METRICS_CONDUCTOR, COUNTER_sas_created},
    {&deleted, NULL, METRICS_CONDUCTOR, COUNTER_sas_deleted},
    {&expired, NULL, METRICS_CONDUCTOR, COUNTER_hard_expirations},
    {&forced, "initial-contact", METRICS_CONDUCTOR, COUNTER_initial_contact_ended},
    {&forced, "unreadable", METRICS_CONDUCTOR, COUNTER_decode_failed},
    {&forced, "peer-dead", METRICS_REASON, IKE_REASON_PEER_DEAD},
    {&along, NULL, METRICS_CONDUCTOR, COUNTER_reauthentications},
    {&rekeys, "child", METRICS_CONDUCTOR, COUNTER_rekeys_child},
    {&rekeys, "ike", METRICS_CONDUCTOR, COUNTER_rekeys_ike},
    {&takeovers, NULL, METRICS_CONDUCTOR, COUNTER_takeovers},
    {&handovers, "begun", METRICS_CONDUCTOR, COUNTER_handovers_begun},
    {&handovers, "done", METRICS_CONDUCTOR, COUNTER_handovers_done},
    {&handovers, "refused", METRICS_CONDUCTOR, COUNTER_handovers_refused},
    {&handovers, "taken-back", METRICS_CONDUCTOR, COUNTER_handovers_taken_back},
    {&handovers, "called-off", METRICS_CONDUCTOR, COUNTER_handovers_called_off},
    {&recoveries, "rekeyed", METRICS_CONDUCTOR, COUNTER_replay_recoveries},
    {&recoveries, "held", METRICS_CONDUCTOR, COUNTER_replay_recoveries_held},
    {&recoveries, "waited", METRICS_CONDUCTOR, COUNTER_replay_recoveries_waited},
    {&numbers, "extend", METRICS_CONDUCTOR, COUNTER_extends},
    {&numbers, "shrink", METRICS_CONDUCTOR, COUNTER_shrinks},
    {&pool, NULL, METRICS_CONDUCTOR, COUNTER_pool_exhausted},
    {&read, "in", METRICS_WORKER, WORKER_IN_PACKETS},
    {&read, "out", METRICS_WORKER, WORKER_OUT_PACKETS},
    {&raw, NULL, METRICS_WORKER, WORKER_RAW_PACKETS},
    {&worker_drops, "in-no-lease", METRICS_WORKER, WORKER_IN_NO_LEASE},
    {&worker_drops, "out-no-lease", METRICS_WORKER, WORKER_OUT_NO_LEASE},
    {&worker_drops, "in-unknown-spi", METRICS_WORKER, WORKER_IN_UNKNOWN_SPI},
    {&worker_drops, "in-wrong-shard", METRICS_WORKER, WORKER_IN_WRONG_SHARD},
    {&worker_drops, "in-malformed", METRICS_WORKER, WORKER_IN_MALFORMED},
    {&worker_drops, "out-malformed", METRICS_WORKER, WORKER_OUT_MALFORMED},
    {&worker_drops, "out-no-sa", METRICS_WORKER, WORKER_OUT_NO_SA},
    {&worker_drops, "out-selectors", METRICS_WORKER, WORKER_OUT_SELECTORS},
    {&worker_drops, "ike-dropped", METRICS_WORKER, WORKER_IKE_DROPPED},
    {&worker_drops, "aside-dropped", METRICS_WORKER, WORKER_ASIDE_DROPPED},
    {&worker_drops, "hand-over-full", METRICS_WORKER, WORKER_HAND_OVER_FULL},
    {&worker_drops, "tun-errors", METRICS_WORKER, WORKER_TUN_ERRORS},
    {&worker_drops, "udp-errors", METRICS_WORKER, WORKER_UDP_ERRORS},
    {&worker_drops, "raw-errors", METRICS_WORKER, WORKER_RAW_ERRORS},
    {&worker_drops, "waited-in-vain", METRICS_WORKER, WORKER_WAITED_IN_VAIN},
    {&worker_drops, "silenced", METRICS_WORKER, WORKER_SILENCED},
    {&raw_unknown, NULL, METRICS_WORKER, WORKER_RAW_UNKNOWN_SPI},
    {&workers, "keepalives-read", METRICS_WORKER, WORKER_KEEPALIVES},
    {&workers, "ike-datagrams", METRICS_WORKER, WORKER_IKE_DATAGRAMS},
    {&workers, "set-aside", METRICS_WORKER, WORKER_ASIDE_PACKETS},
    {&workers, "events-deferred", METRICS_WORKER, WORKER_EVENTS_DEFERRED},
    {&workers, "handed-to-other-worker", METRICS_WORKER, WORKER_HANDED_OVER},
    {&workers, "waited", METRICS_WORKER, WORKER_WAITED},
    {&workers, "turns", METRICS_WORKER, WORKER_TURNS},
    {&judged, "accepted", METRICS_REPLICATION, REPL_COUNT_ACCEPTED},
    {&judged, "epoch", METRICS_REPLICATION, REPL_COUNT_REFUSED_EPOCH},
    {&judged, "version", METRICS_REPLICATION, REPL_COUNT_REFUSED_VERSION},
    {&judged, "exists", METRICS_REPLICATION, REPL_COUNT_REFUSED_EXISTS},
    {&judged, "unknown", METRICS_REPLICATION, REPL_COUNT_REFUSED_UNKNOWN},
    {&judged, "malformed", METRICS_REPLICATION, REPL_COUNT_REFUSED_MALFORMED},
    {&judged, "duplicate", METRICS_REPLICATION, REPL_COUNT_REFUSED_DUPLICATE},
    {&judged, "full", METRICS_REPLICATION, REPL_COUNT_REFUSED_FULL},
    {&applied, NULL, METRICS_REPLICATION, REPL_COUNT_APPLIED},
    {&replication, "entries-submitted", METRICS_REPLICATION, REPL_COUNT_ENTRIES},
    {&replication, "records-forwarded", METRICS_REPLICATION, REPL_COUNT_FORWARDED},
    {&replication, "records-resubmitted", METRICS_REPLICATION, REPL_COUNT_RESUBMITTED},
    {&replication, "assignments-decided", METRICS_REPLICATION, REPL_COUNT_ASSIGNED},
    {&replication, "snapshots-taken", METRICS_REPLICATION, REPL_COUNT_SNAPSHOTS},
    {&replication, "snapshots-restored", METRICS_REPLICATION, REPL_COUNT_RESTORES},
    {&replication, "keys-erased", METRICS_REPLICATION, REPL_COUNT_KEYS_ERASED},
    {&replication, "states-reinstalled", METRICS_REPLICATION, REPL_COUNT_REINSTALLS},
    {&replication, "lease-heartbeats-sent", METRICS_REPLICATION, REPL_COUNT_HEARTBEATS},
    {&replication, "promises-given", METRICS_REPLICATION, REPL_COUNT_ACKS},
    {&promises, NULL, METRICS_REPLICATION, REPL_COUNT_ACKS_REFUSED},
    {&leases, NULL, METRICS_REPLICATION, REPL_COUNT_LEASES_LOST},
    {&frames, "malformed", METRICS_REPLICATION, REPL_COUNT_FRAMES_MALFORMED},
    {&frames, "foreign", METRICS_REPLICATION, REPL_COUNT_FRAMES_FOREIGN},
    {&digests, NULL, METRICS_REPLICATION, REPL_COUNT_DIGEST_MISMATCH},
    {&doubted, NULL, METRICS_REPLICATION, REPL_COUNT_DOUBTED},
};

const struct metrics_row *metrics_rows(size_t *n)
{
    *n = sizeof rows / sizeof rows[0];
    return rows;
}
