/* The node's configuration: one strict YAML file turned into plain values. The loader fills,
 * config_free() releases and wipes.
 *
 *   node.yaml ──> config_load ──> struct config ──> config_policy ──> struct ike_policy
 *                     └──> struct config_report: every mistake at once, each with file:line:column
 * and what to write instead
 *
 * May read files; knows neither clock nor network. Durations are milliseconds, shares are percent,
 * addresses as base/addr.h has them. Every value in a struct config that config_load() returned has
 * been checked against the ranges of schema.c and against the other values (checks.c), so that a
 * reader need not check again.
 */
#ifndef HF_CONFIG_CONFIG_H
#define HF_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/addr.h"
#include "base/assert.h"
#include "config/credentials.h"
#include "ike/policy.h"

enum {
    CONFIG_MAX_NODES = 5,
    CONFIG_MAX_SHARDS = 64,
    CONFIG_MAX_PATH = 256,     /* bytes of a path, the terminating zero included */
    CONFIG_MAX_INTERFACE = 16, /* IFNAMSIZ */
    CONFIG_MAX_SOCKET = 108,   /* sun_path */
    CONFIG_MAX_FILE = 4 << 20, /* bytes of the YAML file */
    CONFIG_MAX_NAME = 32,      /* bytes of a name, the terminating zero included */
    CONFIG_MAX_PATTERN = 256,  /* bytes of a pattern of auth.clients.allow */
    CONFIG_MAX_CLIENT = 128,   /* bytes of a client's name in the API, with its kind */
    CONFIG_MAX_CLIENTS = 256,
    CONFIG_MAX_NOTES = 16,
    CONFIG_MAX_PROPOSALS = 8,
    CONFIG_MAX_OF_KIND = 8, /* transforms of one kind in a proposal */
    CONFIG_MAX_LEGACY = 2,
    CONFIG_MAX_REPORTED = 100 /* mistakes kept; the rest are counted */
};

/* One transform of a kind, RFC 7296 3.3.2. */
struct config_transform {
    uint16_t id, key_bits;
};

struct config_transforms {
    struct config_transform items[CONFIG_MAX_OF_KIND];
    uint8_t n;
};

/* A proposal as configured: every combination of what it names, the first of each kind preferred. No
 * PRF for ESP; integ empty with combined modes; ke empty only for ESP: the IKE SA's own group, or any
 * that the IKE proposals name. */
struct config_proposal {
    struct config_transforms encr, prf, integ, ke;
    bool esn;
};

/* A network: the host bits of `ip` are zero. */
struct ip_prefix {
    struct ip_addr ip;
    uint8_t bits;
};

struct config_node {
    uint32_t id;             /* 1..65535, never reused */
    struct endpoint address; /* replication: address and port; family ADDR_NONE when this is a
                                single node without `cluster` */
};

enum config_rebalance { CONFIG_REBALANCE_AUTO, CONFIG_REBALANCE_MANUAL };

struct config_timing {
    uint32_t election_ms, heartbeat_ms;    /* Raft */
    uint32_t lease_ms, lease_heartbeat_ms; /* ownership */
};

struct config_shard {
    uint32_t id;
    /* By family (base/addr.h); of each there is at least one, family ADDR_NONE where there is not. */
    struct ip_addr outside[ADDR_SLOTS]; /* service addresses (VIP) */
    struct ip_addr inside[ADDR_SLOTS];  /* the ones inside */
    struct ip_prefix pool[ADDR_SLOTS];
    uint32_t prefer; /* node id that should own it; 0 = any */
};

struct config_psk {
    struct ike_identity identity;
    char secret_file[CONFIG_MAX_PATH]; /* as used: already joined to the YAML file's folder */
};

/* A set of terms by name: lifetimes, PFS. */
enum config_profile { CONFIG_STANDARD, CONFIG_HIGH_SECURITY, CONFIG_SITE_TO_SITE };

/* Terms for some peers, and for some of their CHILD SAs. What an entry leaves out is the profile's,
 * without one the file's own (`ike`, `child`). */
struct config_connection {
    char name[CONFIG_MAX_NAME];
    struct ike_pattern match[IKE_MAX_PATTERNS];
    size_t n_match;
    enum config_profile profile;
    struct ike_lifetime ike_life;
    struct ike_child_terms child;
    struct config_override {
        struct ike_child_terms terms;
        char name[CONFIG_MAX_NAME];
        struct ip_prefix networks[IKE_MAX_TS]; /* it is for CHILD SAs inside these */
        size_t n_networks;
    } children[IKE_MAX_OVERRIDES];
    size_t n_children;
};

/* A certificate of ours. Paths as used: already joined to the YAML file's folder. */
struct config_certificate {
    char chain[CONFIG_MAX_PATH], key[CONFIG_MAX_PATH];
    struct ike_identity identity; /* type 0: the gateway's */
    enum config_rsa { CONFIG_RSA_PKCS1, CONFIG_RSA_PSS } rsa;
};

enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARN, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

/* The REST API over TLS. */
enum config_api_file {
    CONFIG_API_CERTIFICATE,
    CONFIG_API_KEY,
    CONFIG_API_CLIENT_CA,
    CONFIG_API_REVOKED,
    CONFIG_API_FILES
};

/* Whom a certificate's name stands for: "email:alice@example.org", "dns:...", "uri:...", "cn:...". */
struct config_api_client {
    char name[CONFIG_MAX_CLIENT];
    enum config_api_role {
        CONFIG_API_VIEWER,
        CONFIG_API_OPERATOR,
        CONFIG_API_ADMIN,
        CONFIG_API_DRILL
    } role;
};

struct config_api {
    struct endpoint listen; /* family ADDR_NONE: there is none */
    /* Paths as used; empty: not given. What they hold (PEM, zero-terminated) is owned. */
    char certificate[CONFIG_MAX_PATH], key[CONFIG_MAX_PATH], client_ca[CONFIG_MAX_PATH],
        revoked[CONFIG_MAX_PATH];
    char *pem[CONFIG_API_FILES];
    size_t pem_bytes[CONFIG_API_FILES];
    enum config_api_certificates { CONFIG_API_REQUIRED, CONFIG_API_OPTIONAL } client_certificates;
    struct config_api_client *clients; /* n_clients, owned */
    size_t n_clients;
    uint32_t connections, per_address; /* at a time */
    uint32_t rate, burst;              /* requests of an address: a second, and at once */
};

struct tls_identity; /* replication/tls_identity.h */

struct config {
    char path[CONFIG_MAX_PATH]; /* the YAML file */
    uint32_t node_id;
    char data_dir[CONFIG_MAX_PATH];

    /* Who this node is to the others; all empty: a single node may be without. Paths as used. */
    char node_ca[CONFIG_MAX_PATH], node_certificate[CONFIG_MAX_PATH], node_key[CONFIG_MAX_PATH],
        node_revoked[CONFIG_MAX_PATH];
    struct tls_identity *tls;                   /* what those files hold, owned; NULL: none */
    struct config_node nodes[CONFIG_MAX_NODES]; /* at least one: this node is among them */
    size_t n_nodes;
    uint32_t founders[CONFIG_MAX_NODES]; /* with whom the cluster began; none: all of `nodes` */
    size_t n_founders;
    struct config_timing timing;
    uint32_t key_age_ms;             /* a new key for what is stored of sessions so often */
    enum config_rebalance rebalance; /* do shards go home, and spread, by themselves? */
    uint32_t rebalance_delay_ms;     /* ... to nodes that have been well for so long */
    uint32_t disk_handover_percent;  /* of the data folder's disk: then shards are given away */
    bool
        distrust_after_boot; /* a new boot of this machine may have lost what its disk had synced */
    bool distrust;           /* not of the file: holdfastd --distrust */
    uint64_t snapshot_entries, snapshot_bytes; /* of log, then a snapshot */

    char outside_interface[CONFIG_MAX_INTERFACE];
    char inside_interface[CONFIG_MAX_INTERFACE];
    char tun_interface[CONFIG_MAX_INTERFACE];

    struct config_shard shards[CONFIG_MAX_SHARDS]; /* at least one */
    size_t n_shards;

    struct ike_identity identity;          /* the gateway's */
    struct ip_prefix networks[IKE_MAX_TS]; /* behind the gateway; at least one */
    size_t n_networks;
    struct ip_addr dns[IKE_MAX_DNS];
    size_t n_dns;
    struct config_proposal ike_proposals[CONFIG_MAX_PROPOSALS]; /* at least one */
    size_t n_ike_proposals;
    struct config_proposal esp_proposals[CONFIG_MAX_PROPOSALS]; /* at least one */
    size_t n_esp_proposals;
    int legacy[CONFIG_MAX_LEGACY]; /* indices of config_legacy_words */
    size_t n_legacy;
    bool force_encapsulation;

    enum config_profile profile; /* what the next two began as */
    struct ike_lifetime ike_life;
    struct ike_child_terms child;
    enum config_recovery {
        CONFIG_RECOVER_REKEY,
        CONFIG_RECOVER_WAIT,
        CONFIG_RECOVER_BOUNDED
    } recovery;
    uint32_t recoveries_per_second; /* BOUNDED */
    uint32_t retransmit_first_ms, retransmit_factor_milli, retransmit_tries, retransmit_cap_ms;
    uint32_t dpd_ms, keepalive_ms, half_open_ms, linger_ms;

    /* Peers that fail to authenticate: so many of one source, and of all, in each such time. */
    uint32_t failures_per_source, failures_in_all, failures_within_ms;

    struct config_psk *psks; /* n_psks >= 1, owned */
    struct ike_psk_entry
        *secrets; /* the same order and number: identity and key; owned, wiped by config_free() */
    size_t n_psks;

    struct config_certificate *certificates; /* owned, as the lists below */
    size_t n_certificates;
    char (*client_cas)[CONFIG_MAX_PATH];
    size_t n_client_cas;
    char (*crls)[CONFIG_MAX_PATH];
    size_t n_crls;
    char (*allow)[CONFIG_MAX_PATTERN];
    size_t n_allow;
    enum config_psk_gets { CONFIG_PSK_GETS_PSK, CONFIG_PSK_GETS_CERTIFICATE } psk_clients_get;
    bool legacy_rsa_sha1;
    struct credentials *credentials; /* what those files hold; NULL: no certificates; owned */
    /* Nothing wrong with the file, but with the time: "file:line:column: ...", each owned. */
    char *notes[CONFIG_MAX_NOTES];
    size_t n_notes;
    bool out_of_date; /* a certificate, CA or list is, so peers are or will be refused */

    struct config_connection *connections; /* n_connections, owned; in the order of the file */
    size_t n_connections;
    struct ike_connection *engine_connections; /* the same for the engine; owned */

    char admin_socket[CONFIG_MAX_SOCKET];
    struct config_api api;
    enum config_drills { CONFIG_DRILLS_DISABLED, CONFIG_DRILLS_ENABLED } drills;
    enum config_log_level log_level;
};

/* Everything that is wrong with a configuration, in the order of the file. */
struct config_report {
    struct config_mistake {
        unsigned line, column; /* from 1; 0 = the file as a whole */
        char *text;            /* "file:line:column: message (suggestion)"; owned by the report */
    } mistakes[CONFIG_MAX_REPORTED];
    size_t n_mistakes; /* kept */
    size_t n_more;     /* beyond CONFIG_MAX_REPORTED */
};

/* Reads and checks the file at `path` and the secrets it names. NULL when anything at all is wrong;
 * the report then has at least one mistake. The caller frees the result with config_free() and the
 * report with config_report_deinit() (in both cases). */
struct config *config_load(const char *path, struct config_report *report) HF_MUST_USE;

/* The same from memory: `name` stands for the file in messages and its folder is where relative
 * secret files are looked up. read_secrets false: secret files are not opened and every key is
 * empty (fuzzing, editors). `text` is not kept. */
struct config *config_parse(const char *name, struct span text, bool read_secrets,
                            struct config_report *report) HF_MUST_USE;

/* Wipes the keys. NULL is allowed. */
void config_free(struct config *config);

void config_report_init(struct config_report *report);
void config_report_deinit(struct config_report *report);
/* One mistake a line, then "N mistakes". */
void config_report_print(const struct config_report *report, FILE *out);

/* The engine's view of it. Borrows config->secrets and `suites`: both must outlive the policy.
 * False when a proposal names a transform that `suites` lacks; *missing then is its configuration
 * word. Nothing is written on failure. */
bool config_policy(const struct config *config, const struct suite_table *suites,
                   struct ike_policy *policy, const char **missing) HF_MUST_USE;

/* What `--check` prints for a good file: who this node is, whom it knows, what it serves, and what
 * is unsafe about it. */
void config_print_summary(const struct config *config, FILE *out);

/* The entry of this node in config->nodes. Never NULL for a loaded configuration. */
const struct config_node *config_self(const struct config *config);
/* NULL when there is no such node. */
const struct config_node *config_find_node(const struct config *config, uint32_t id);

/* The lowest and highest address of a pool that clients are given: not the network's own (IPv6: the
 * routers' anycast, RFC 4291 2.6.1), nor the broadcast one of IPv4. Family ADDR_NONE: no pool. */
void pool_range(const struct ip_prefix *pool, struct ip_addr *first, struct ip_addr *last);

/* A transform (RFC 7296 3.3.2) as proposals spell it, which is as strongSwan does; "unknown" when it has no word. */
const char *transform_word(uint8_t type, uint16_t id, uint16_t key_bits);

/* True when `ip` is of the prefix's family and inside it. */
bool prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *ip);
bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
/* Lowest and highest address of the network. */
struct ip_addr prefix_first(const struct ip_prefix *prefix);
struct ip_addr prefix_last(const struct ip_prefix *prefix);

#endif
