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
#define LIST_IN(type_, member, count, most_)                                                       \
    .offset = offsetof(struct type_, member), .count_offset = offsetof(struct type_, count),       \
    .item_bytes = sizeof(((struct type_ *)0)->member[0]),                                          \
    .bytes = sizeof(((struct type_ *)0)->member[0]), .most = (most_), .least = 1
#define SECTION(fields_) .shape = SCHEMA_MAP, .fields = (fields_)

enum { MS = 1, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* A snapshot replaces the log behind it: after so many entries, or so many bytes of them. */
static const struct schema_field snapshot_fields[] = {
    {"entries", .type = &value_number, AT(snapshot_entries), .min = 256, .max = 10000000},
    {"bytes", .type = &value_bytes, AT(snapshot_bytes), .min = 1 << 20, .max = 1ull << 30},
    {0},
};

static const struct schema_field node_fields[] = {
    {"id", .required = true, .type = &value_number, AT(node_id), .min = 1, .max = 65535},
    {"data", .required = true, .type = &value_absolute, AT(data_dir)},
    {"snapshot", SECTION(snapshot_fields)},
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

static const char *const rebalance_words[] = {"auto", "manual", NULL};

static const struct schema_field tls_fields[] = {
    {"ca", .required = true, .type = &value_path, AT(node_ca)},
    {"certificate", .required = true, .type = &value_path, AT(node_certificate)},
    {"key", .required = true, .type = &value_path, AT(node_key)},
    {"revoked", .type = &value_path, AT(node_revoked)},
    {0},
};

static const struct schema_field cluster_fields[] = {
    {"insecure_lab", .gone =
                         "nodes know each other by certificates now: write 'tls: { ca: ca.pem, "
                         "certificate: node-1.pem, key: node-1.key }' (`holdfast pki cluster-ca "
                         "NAME` and `holdfast pki node ID` make them)"},
    {"tls", SECTION(tls_fields)},
    {"nodes", .required = true, .shape = SCHEMA_MAPS, .fields = cluster_node_fields,
     LIST(nodes, n_nodes, CONFIG_MAX_NODES)},
    {"founders", .shape = SCHEMA_VALUES, .type = &value_number,
     LIST(founders, n_founders, CONFIG_MAX_NODES), .min = 1, .max = 65535},
    {"timing", SECTION(timing_fields)},
    {"key_age", .type = &value_duration, AT(key_age_ms), .min = MINUTE, .max = DAY},
    {"rebalance", .type = &value_choice, AT(rebalance), .choices = rebalance_words},
    {"rebalance_delay", .type = &value_duration, AT(rebalance_delay_ms), .min = SECOND, .max = DAY},
    {0},
};

static const struct schema_field disk_fields[] = {
    {"handover_at", .type = &value_percent, AT(disk_handover_percent), .min = 50, .max = 99},
    {0},
};

static const struct schema_field storage_fields[] = {
    {"distrust_after_boot", .type = &value_bool, AT(distrust_after_boot)},
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
     LIST(ike_proposals, n_ike_proposals, CONFIG_MAX_PROPOSALS)},
    {"esp", .shape = SCHEMA_VALUES, .type = &value_esp_proposal,
     LIST(esp_proposals, n_esp_proposals, CONFIG_MAX_PROPOSALS)},
    {"legacy", .shape = SCHEMA_VALUES, .type = &value_choice, .choices = config_legacy_words,
     LIST(legacy, n_legacy, CONFIG_MAX_LEGACY)},
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

/* rekey_at as operators were promised it: not so early that it is waste, not so late that a refusal
 * leaves no time (design/practices.md P4). */
#define TIME_FIELDS                                                                                \
    {"hard", .type = &value_duration, IN(ike_lifetime, hard_ms), .min = SECOND,                    \
     .max = 30ull * DAY},                                                                          \
        {"rekey_at", .type = &value_percent, IN(ike_lifetime, rekey_at_percent), .min = 60,        \
         .max = 75},                                                                               \
        {"rekey_at_responder", .type = &value_percent,                                             \
         IN(ike_lifetime, rekey_at_responder_percent), .min = 60, .max = 90},                      \
    {                                                                                              \
        "jitter", .type = &value_percent, IN(ike_lifetime, jitter_percent), .min = 0, .max = 15    \
    }

static const struct schema_field ike_lifetime_fields[] = {TIME_FIELDS, {0}};

static const struct schema_field retransmit_fields[] = {
    {"first", .type = &value_duration, AT(retransmit_first_ms), .min = 100 * MS,
     .max = 10 * SECOND},
    {"factor", .type = &value_factor, AT(retransmit_factor_milli), .min = 1000, .max = 5000},
    {"tries", .type = &value_number, AT(retransmit_tries), .min = 1, .max = 20},
    {"cap", .type = &value_duration, AT(retransmit_cap_ms), .min = SECOND, .max = 10 * MINUTE},
    {0},
};

static const struct schema_field ike_fields[] = {
    {"lifetime", SECTION(ike_lifetime_fields), AT(ike_life)},
    {"retransmit", SECTION(retransmit_fields)},
    {"dpd", .type = &value_duration, AT(dpd_ms), .min = 0, .max = HOUR},
    {"keepalive", .type = &value_duration, AT(keepalive_ms), .min = 0, .max = HOUR},
    {"half_open", .type = &value_duration, AT(half_open_ms), .min = SECOND, .max = 5 * MINUTE},
    {"linger", .type = &value_duration, AT(linger_ms), .min = SECOND, .max = HOUR},
    {0},
};

/* Without extended sequence numbers 2^32 - 2^20 packets are the end (node/ike/lifetime.h). */
static const struct schema_field packet_fields[] = {
    {"soft", .type = &value_number, IN(ike_lifetime, soft_packets), .min = 0,
     .max = UINT32_MAX - (1u << 20) + 1ull},
    {"hard", .type = &value_number, IN(ike_lifetime, hard_packets), .min = 0,
     .max = UINT32_MAX - (1u << 20) + 1ull},
    {0},
};

static const struct schema_field byte_fields[] = {
    {"soft", .type = &value_bytes, IN(ike_lifetime, soft_bytes), .min = 1 << 10, .max = 1ull << 45},
    {"hard", .type = &value_bytes, IN(ike_lifetime, hard_bytes), .min = 1 << 10, .max = 1ull << 45},
    {0},
};

static const struct schema_field child_lifetime_fields[] = {
    TIME_FIELDS,
    {"packets", SECTION(packet_fields)},
    {"bytes", SECTION(byte_fields)},
    {0},
};

static const char *const pfs_words[] = {"never", "always", "every", NULL};

#define TERM_FIELDS                                                                                \
    {"lifetime", SECTION(child_lifetime_fields), IN(ike_child_terms, life)},                       \
        {"pfs",                                                                                    \
         .shape = SCHEMA_WORD_OR_NUMBER,                                                           \
         .choices = pfs_words,                                                                     \
         IN(ike_child_terms, pfs),                                                                 \
         .count_offset = offsetof(struct ike_child_terms, pfs_every),                              \
         .min = 1,                                                                                 \
         .max = 1000},                                                                             \
        {"align", .type = &value_bool, IN(ike_child_terms, align)},                                \
        {"spread", .type = &value_bool, IN(ike_child_terms, spread)},                              \
    {                                                                                              \
        "overlap", .type = &value_duration, IN(ike_child_terms, overlap_ms), .min = SECOND,        \
                   .max = 10 * MINUTE                                                              \
    }

static const struct schema_field child_fields[] = {TERM_FIELDS, {0}};

static const struct schema_field connection_ike_fields[] = {
    {"lifetime", SECTION(ike_lifetime_fields), IN(config_connection, ike_life)},
    {0},
};

HF_STATIC_ASSERT(offsetof(struct config_override, terms) == 0); /* for TERM_FIELDS */

static const struct schema_field override_fields[] = {
    {"name", .required = true, .type = &value_name, IN(config_override, name)},
    {"networks", .required = true, .shape = SCHEMA_VALUES, .type = &value_prefix,
     LIST_IN(config_override, networks, n_networks, IKE_MAX_TS)},
    TERM_FIELDS,
    {0},
};

static const struct schema_field connection_fields[] = {
    {"name", .required = true, .type = &value_name, IN(config_connection, name)},
    {"match", .required = true, .shape = SCHEMA_VALUES, .type = &value_pattern,
     LIST_IN(config_connection, match, n_match, IKE_MAX_PATTERNS)},
    {"profile", .type = &value_choice, IN(config_connection, profile), .choices = profile_words},
    {"ike", SECTION(connection_ike_fields)},
    {"child", SECTION(child_fields), IN(config_connection, child)},
    {"children", .shape = SCHEMA_MAPS, .fields = override_fields, .prepare = override_prepare,
     LIST_IN(config_connection, children, n_children, IKE_MAX_OVERRIDES)},
    {0},
};

static const struct schema_field psk_fields[] = {
    {"identity", .required = true, .type = &value_identity, IN(config_psk, identity)},
    {"secret_file", .required = true, .type = &value_path, IN(config_psk, secret_file)},
    {0},
};

static const char *const rsa_words[] = {"pkcs1", "pss", NULL};

static const struct schema_field certificate_fields[] = {
    {"chain", .required = true, .type = &value_path, IN(config_certificate, chain)},
    {"key", .required = true, .type = &value_path, IN(config_certificate, key)},
    {"identity", .type = &value_identity, IN(config_certificate, identity)},
    {"rsa", .type = &value_choice, IN(config_certificate, rsa), .choices = rsa_words},
    {0},
};

static const struct schema_field clients_fields[] = {
    {"ca", .required = true, .shape = SCHEMA_VALUES, .type = &value_path, .heap = true,
     LIST(client_cas, n_client_cas, IKE_MAX_CAS)},
    {"crl", .shape = SCHEMA_VALUES, .type = &value_path, .heap = true, LIST(crls, n_crls, 64)},
    {"allow", .shape = SCHEMA_VALUES, .type = &value_text, .heap = true, LIST(allow, n_allow, 256)},
    {0},
};

static const char *const proof_words[] = {"psk", "certificate", NULL};

static const struct schema_field failure_fields[] = {
    {"per_source", .type = &value_number, AT(failures_per_source), .min = 1, .max = 10000},
    {"in_all", .type = &value_number, AT(failures_in_all), .min = 1, .max = 100000},
    {"within", .type = &value_duration, AT(failures_within_ms), .min = SECOND, .max = HOUR},
    {0},
};

static const struct schema_field auth_fields[] = {
    {"psk", .shape = SCHEMA_MAPS, .fields = psk_fields, .heap = true,
     LIST(psks, n_psks, IKE_MAX_PEERS_PER_POLICY)},
    {"certificates", .shape = SCHEMA_MAPS, .fields = certificate_fields, .heap = true,
     LIST(certificates, n_certificates, IKE_MAX_OWN)},
    {"clients", SECTION(clients_fields)},
    {"psk_clients_get", .type = &value_choice, AT(psk_clients_get), .choices = proof_words},
    {"legacy_rsa_sha1", .type = &value_bool, AT(legacy_rsa_sha1)},
    {"failures", SECTION(failure_fields)},
    {0},
};

static const struct schema_field admin_fields[] = {
    {"socket", .type = &value_absolute, AT(admin_socket)},
    {0},
};

static const char *const certificate_words[] = {"required", "optional", NULL};
static const char *const role_words[] = {"viewer", "operator", "admin", "drill", NULL};

static const struct schema_field api_client_fields[] = {
    {"name", .required = true, .type = &value_client, IN(config_api_client, name)},
    {"role", .required = true, .type = &value_choice, IN(config_api_client, role),
     .choices = role_words},
    {0},
};

/* So many connections are open files of the daemon, and 40 KiB each. */
static const struct schema_field api_limit_fields[] = {
    {"connections", .type = &value_number, AT(api.connections), .min = 1, .max = 1024},
    {"per_address", .type = &value_number, AT(api.per_address), .min = 1, .max = 1024},
    {"rate", .type = &value_number, AT(api.rate), .min = 1, .max = 100000},
    {"burst", .type = &value_number, AT(api.burst), .min = 1, .max = 100000},
    {0},
};

static const struct schema_field api_fields[] = {
    {"listen", .required = true, .type = &value_endpoint, AT(api.listen)},
    {"certificate", .required = true, .type = &value_path, AT(api.certificate)},
    {"key", .required = true, .type = &value_path, AT(api.key)},
    {"client_ca", .type = &value_path, AT(api.client_ca)},
    {"revoked", .type = &value_path, AT(api.revoked)},
    {"client_certificates", .type = &value_choice, AT(api.client_certificates),
     .choices = certificate_words},
    {"clients", .shape = SCHEMA_MAPS, .fields = api_client_fields, .heap = true,
     LIST(api.clients, api.n_clients, CONFIG_MAX_CLIENTS)},
    {"limits", SECTION(api_limit_fields)},
    {0},
};

static const char *const recovery_words[] = {"rekey", "wait", "bounded", NULL};
static const char *const switch_words[] = {"disabled", "enabled", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};

static const struct schema_field log_fields[] = {
    {"level", .type = &value_choice, AT(log_level), .choices = level_words},
    {0},
};

const struct schema_field config_schema[] = {
    {"node", .required = true, SECTION(node_fields)},
    {"cluster", SECTION(cluster_fields)},
    {"disk", SECTION(disk_fields)},
    {"storage", SECTION(storage_fields)},
    {"interfaces", .required = true, SECTION(interface_fields)},
    {"shards", .required = true, .shape = SCHEMA_MAPS, .fields = shard_fields,
     LIST(shards, n_shards, CONFIG_MAX_SHARDS)},
    {"gateway", .required = true, SECTION(gateway_fields)},
    {"profile", .type = &value_choice, AT(profile), .choices = profile_words},
    {"ike", SECTION(ike_fields)},
    {"child", SECTION(child_fields), AT(child)},
    {"connections", .shape = SCHEMA_MAPS, .fields = connection_fields, .heap = true,
     .prepare = connection_prepare, LIST(connections, n_connections, IKE_MAX_CONNECTIONS)},
    {"replay_recovery", .shape = SCHEMA_WORD_OR_NUMBER, .choices = recovery_words, AT(recovery),
     .count_offset = offsetof(struct config, recoveries_per_second), .min = 1, .max = 100000},
    {"auth", .required = true, SECTION(auth_fields)},
    {"admin", SECTION(admin_fields)},
    {"api", SECTION(api_fields)},
    {"drills", .type = &value_choice, AT(drills), .choices = switch_words},
    {"log", SECTION(log_fields)},
    {0},
};
