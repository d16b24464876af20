/* The configuration's language as tables: which keys there are, what each holds, where it goes.
 * Order as in the documented examples (deploy/config/). What one key alone cannot tell is in
 * checks.c; the defaults are in load.c. */
#include "config/internal.h"

#define AT(member)                                                                                 \
    .offset = offsetof(struct config, member), .bytes = sizeof(((struct config *)0)->member)
#define IN(type_, member)                                                                          \
    .offset = offsetof(struct type_, member), .bytes = sizeof(((struct type_ *)0)->member)
#define LIST(member, count, most_)                                                                 \
    .offset = offsetof(struct config, member), .count_offset = offsetof(struct config, count),     \
    .item_bytes = sizeof(((struct config *)0)->member[0]),                                         \
    .bytes = sizeof(((struct config *)0)->member[0]), .most = (most_), .least = 1
#define FAMILIES(type_, member)                                                                    \
    .required = true, .shape = SCHEMA_FAMILIES, .type = &(type_), IN(config_shard, member),        \
    .item_bytes = sizeof(((struct config_shard *)0)->member[0])
#define SECTION(fields_) .shape = SCHEMA_MAP, .fields = (fields_)

enum { MS = 1, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct schema_field node_fields[] = {
    {"id", .required = true, .type = &value_number, AT(node_id), .min = 1, .max = 65535},
    {"data", .required = true, .type = &value_absolute, AT(data_dir)},
    {0},
};

static const struct schema_field cluster_node_fields[] = {
    {"id", .required = true, .type = &value_number, IN(config_node, id), .min = 1, .max = 65535},
    {"address", .required = true, .type = &value_endpoint, IN(config_node, address)},
    {0},
};

static const struct schema_field timing_fields[] = {
    {"election", .type = &value_duration, AT(timing.election_ms), .min = 50 * MS, .max = MINUTE},
    {"heartbeat", .type = &value_duration, AT(timing.heartbeat_ms), .min = 5 * MS,
     .max = 10 * SECOND},
    {"lease", .type = &value_duration, AT(timing.lease_ms), .min = 50 * MS, .max = MINUTE},
    {"lease_heartbeat", .type = &value_duration, AT(timing.lease_heartbeat_ms), .min = 5 * MS,
     .max = 10 * SECOND},
    {0},
};

static const struct schema_field cluster_fields[] = {
    {"insecure_lab", .type = &value_bool, AT(insecure_lab)},
    {"nodes", .required = true, .shape = SCHEMA_MAPS, .fields = cluster_node_fields,
     LIST(nodes, n_nodes, CONFIG_MAX_NODES)},
    {"timing", SECTION(timing_fields)},
    {0},
};

static const struct schema_field interface_fields[] = {
    {"outside", .required = true, .type = &value_interface, AT(outside_interface)},
    {"inside", .required = true, .type = &value_interface, AT(inside_interface)},
    {"tun", .type = &value_interface, AT(tun_interface)},
    {0},
};

static const struct schema_field shard_fields[] = {
    {"id", .required = true, .type = &value_number, IN(config_shard, id), .min = 1, .max = 65535},
    {"outside", FAMILIES(value_address, outside)},
    {"inside", FAMILIES(value_address, inside)},
    {"pool", FAMILIES(value_prefix, pool)},
    {"prefer", .type = &value_number, IN(config_shard, prefer), .min = 1, .max = 65535},
    {0},
};

static const struct schema_field proposal_fields[] = {
    {"ike", .shape = SCHEMA_VALUES, .type = &value_ike_proposal,
     LIST(ike_proposals, n_ike_proposals, IKE_MAX_PROPOSALS)},
    {"esp", .shape = SCHEMA_VALUES, .type = &value_esp_proposal,
     LIST(esp_proposals, n_esp_proposals, IKE_MAX_PROPOSALS / 2)},
    {0},
};

static const struct schema_field gateway_fields[] = {
    {"identity", .required = true, .type = &value_identity, AT(identity)},
    {"networks", .required = true, .shape = SCHEMA_VALUES, .type = &value_prefix,
     LIST(networks, n_networks, IKE_MAX_TS)},
    {"dns", .shape = SCHEMA_VALUES, .type = &value_address, LIST(dns, n_dns, IKE_MAX_DNS)},
    {"proposals", SECTION(proposal_fields)},
    {"force_encapsulation", .type = &value_bool, AT(force_encapsulation)},
    {0},
};

static const struct schema_field ike_lifetime_fields[] = {
    {"hard", .type = &value_duration, AT(ike_life.hard_ms), .min = SECOND, .max = 30ull * DAY},
    {"rekey_at", .type = &value_percent, AT(ike_life.rekey_at_percent), .min = 10, .max = 95},
    {"rekey_at_responder", .type = &value_percent, AT(ike_life.rekey_at_responder_percent),
     .min = 10, .max = 98},
    {"jitter", .type = &value_percent, AT(ike_life.jitter_percent), .min = 0, .max = 50},
    {0},
};

static const struct schema_field retransmit_fields[] = {
    {"first", .type = &value_duration, AT(retransmit_first_ms), .min = 100 * MS,
     .max = 10 * SECOND},
    {"factor", .type = &value_factor, AT(retransmit_factor_milli), .min = 1000, .max = 5000},
    {"tries", .type = &value_number, AT(retransmit_tries), .min = 1, .max = 20},
    {0},
};

static const struct schema_field ike_fields[] = {
    {"lifetime", SECTION(ike_lifetime_fields)},
    {"retransmit", SECTION(retransmit_fields)},
    {"dpd", .type = &value_duration, AT(dpd_ms), .min = 0, .max = HOUR},
    {"keepalive", .type = &value_duration, AT(keepalive_ms), .min = 0, .max = HOUR},
    {"half_open", .type = &value_duration, AT(half_open_ms), .min = SECOND, .max = 5 * MINUTE},
    {"linger", .type = &value_duration, AT(linger_ms), .min = SECOND, .max = HOUR},
    {0},
};

/* Without extended sequence numbers 2^32 - 2^20 packets are the end (node/ike/policy.h). */
static const struct schema_field packet_fields[] = {
    {"soft", .type = &value_number, AT(child_life.soft_packets), .min = 0,
     .max = UINT32_MAX - (1u << 20) + 1ull},
    {"hard", .type = &value_number, AT(child_life.hard_packets), .min = 0,
     .max = UINT32_MAX - (1u << 20) + 1ull},
    {0},
};

static const struct schema_field child_lifetime_fields[] = {
    {"hard", .type = &value_duration, AT(child_life.hard_ms), .min = SECOND, .max = 30ull * DAY},
    {"rekey_at", .type = &value_percent, AT(child_life.rekey_at_percent), .min = 10, .max = 95},
    {"rekey_at_responder", .type = &value_percent, AT(child_life.rekey_at_responder_percent),
     .min = 10, .max = 98},
    {"jitter", .type = &value_percent, AT(child_life.jitter_percent), .min = 0, .max = 50},
    {"packets", SECTION(packet_fields)},
    {0},
};

static const struct schema_field child_fields[] = {
    {"lifetime", SECTION(child_lifetime_fields)},
    {"pfs", .shape = SCHEMA_PFS},
    {0},
};

static const struct schema_field psk_fields[] = {
    {"identity", .required = true, .type = &value_identity, IN(config_psk, identity)},
    {"secret_file", .required = true, .type = &value_path, IN(config_psk, secret_file)},
    {0},
};

static const struct schema_field auth_fields[] = {
    {"psk", .required = true, .shape = SCHEMA_MAPS, .fields = psk_fields, .heap = true,
     LIST(psks, n_psks, IKE_MAX_PEERS_PER_POLICY)},
    {0},
};

static const struct schema_field admin_fields[] = {
    {"socket", .type = &value_absolute, AT(admin_socket)},
    {0},
};

static const char *const switch_words[] = {"disabled", "enabled", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};

static const struct schema_field log_fields[] = {
    {"level", .type = &value_choice, AT(log_level), .choices = level_words},
    {0},
};

const struct schema_field config_schema[] = {
    {"node", .required = true, SECTION(node_fields)},
    {"cluster", SECTION(cluster_fields)},
    {"interfaces", .required = true, SECTION(interface_fields)},
    {"shards", .required = true, .shape = SCHEMA_MAPS, .fields = shard_fields,
     LIST(shards, n_shards, CONFIG_MAX_SHARDS)},
    {"gateway", .required = true, SECTION(gateway_fields)},
    {"ike", SECTION(ike_fields)},
    {"child", SECTION(child_fields)},
    {"auth", .required = true, SECTION(auth_fields)},
    {"admin", SECTION(admin_fields)},
    {"drills", .type = &value_choice, AT(drills), .choices = switch_words},
    {"log", SECTION(log_fields)},
    {0},
};
