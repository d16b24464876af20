/* What the operator allows: immutable during a step, the same on every node of the cluster. All
 * durations are milliseconds of cluster time. Built by the conductor from the configuration; the
 * engine never changes it. */
#ifndef HF_IKE_POLICY_H
#define HF_IKE_POLICY_H

#include "base/addr.h"
#include "crypto/suite.h"
#include "ike/limits.h"

/* One acceptable combination; earlier rows are preferred. For ESP prf is 0 and ke is 0 (without KE,
 * or with the IKE SA's group) or a group. */
struct ike_proposal_row {
    uint16_t encr_id, encr_bits;
    uint16_t prf_id;
    uint16_t ke_id;
    bool esn; /* ESP only: extended sequence numbers are offered (initiator) or accepted (responder)
               */
    uint16_t integ_id; /* 0 = the cipher is a combined mode (RFC 5282 8) */
};

/* RFC 7296 3.5 identification: type and data as on the wire. */
struct ike_identity {
    uint8_t type; /* 1 IPv4, 2 FQDN, 3 RFC822, 5 IPv6, 9 DER_ASN1_DN, 11 KEY_ID */
    uint8_t len;
    uint8_t bytes[IKE_MAX_ID_BYTES];
};

/* An address range with ports and protocol, RFC 7296 3.13.1. */
struct ike_ts {
    uint8_t protocol; /* 0 = any */
    uint16_t port_low, port_high;
    struct ip_addr low, high;
};

struct ike_psk_entry {
    struct ike_identity remote;
    struct secret psk; /* 1..64 bytes */
};

enum ike_pfs { IKE_PFS_NEVER, IKE_PFS_ALWAYS, IKE_PFS_EVERY };

struct ike_lifetime {
    uint64_t hard_ms;
    uint32_t rekey_at_percent;           /* soft limit, when we began the SA */
    uint32_t rekey_at_responder_percent; /* soft limit, when the peer began it */
    uint32_t jitter_percent; /* soft limit is moved earlier by up to this share of hard_ms, from the
                                event's entropy */
    /* Per direction; 0 = the algorithm's own limit (lifetime.h), which none exceeds. Bytes are those
     * of inner packets. Soft ones are where we began the SA; later where the peer did (lifetime.h). */
    uint64_t soft_packets, hard_packets;
    uint64_t soft_bytes, hard_bytes;
};

/* What is agreed for a CHILD SA beside its algorithms and selectors. */
struct ike_child_terms {
    struct ike_lifetime life;
    enum ike_pfs pfs;
    uint32_t pfs_every;
    bool align;  /* rekeyed together with the IKE SA's others whose time is near */
    bool spread; /* made in a crowd: rekeyed anywhere in its life, so that the crowd dissolves */
    uint32_t overlap_ms; /* how long an SA that the peer has rekeyed waits for its Delete; 0 = as
                            long as the peer may take to learn of ours */
};

/* Identities: one, all that end in some bytes, or all. */
struct ike_pattern {
    uint8_t type; /* of ike_identity; 0 = any identity at all */
    bool suffix;  /* bytes are its end, with something before them; else all of it */
    uint8_t len;
    uint8_t bytes[IKE_MAX_ID_BYTES];
};

/* Terms for some peers (connection.h). The policy's own are those of the connection "default". */
struct ike_connection {
    uint32_t id; /* of its name; not 0 */
    struct ike_pattern peers[IKE_MAX_PATTERNS];
    uint8_t n_peers;
    struct ike_lifetime ike_life;
    struct ike_child_terms child;
    struct ike_override { /* for CHILD SAs whose selectors on our side lie inside these */
        struct ike_ts local_ts[IKE_MAX_TS];
        uint8_t n_local_ts;
        struct ike_child_terms terms;
    } overrides[IKE_MAX_OVERRIDES];
    uint8_t n_overrides;
};

/* A certificate of ours; what it points at is borrowed from who made it (config/credentials.h). */
struct ike_own_certificate {
    struct span chain[IKE_MAX_CHAIN]; /* DER: ours, then its issuers, without a root */
    uint8_t n_chain;
    struct ike_identity names[IKE_MAX_NAMES]; /* what it proves */
    uint8_t n_names;
    struct ike_identity
        identity; /* what our ID payload says, unless another of the names is asked */
    uint8_t cas[IKE_MAX_CHAIN + 1]
               [IKE_CA_HASH_BYTES]; /* CAs it leads to, as a CERTREQ names them */
    uint8_t n_cas;
    enum suite_key_kind kind;
    bool pss; /* RSA: RSASSA-PSS instead of PKCS #1 v1.5, for peers with RFC 7427 */
    const void *key;
};

/* Authentication by certificate. */
struct ike_credentials {
    struct ike_own_certificate own[IKE_MAX_OWN]; /* the first of equals is taken */
    uint8_t n_own;
    const void *trust;                           /* NULL: no peer is taken by certificate */
    uint8_t cas[IKE_MAX_CAS][IKE_CA_HASH_BYTES]; /* CERTREQ */
    uint8_t n_cas;
    bool for_psk; /* responder: we prove ourselves by certificate to shared-key peers, too */
    bool legacy_rsa_sha1; /* AUTH method 1, both ways */
};

struct ike_policy {
    const struct suite_table *suites;
    struct ike_proposal_row ike[IKE_MAX_PROPOSALS];
    uint16_t n_ike;
    struct ike_proposal_row esp[IKE_MAX_PROPOSALS];
    uint16_t n_esp;
    struct ike_identity local_id;
    const struct ike_psk_entry *psks; /* borrowed, n_psks of them, sorted by nothing */
    uint32_t n_psks;
    const struct ike_credentials *credentials; /* borrowed; NULL: shared keys only */
    struct ike_identity
        expect; /* initiator: who the gateway must be; type 0: the shared key's peer */
    struct ike_ts local_ts[IKE_MAX_TS]; /* networks behind us, offered or narrowed to */
    uint8_t n_local_ts;
    struct ip_addr dns[IKE_MAX_DNS];
    uint8_t n_dns;
    struct ike_lifetime ike_life, child_life;
    enum ike_pfs pfs;
    uint32_t pfs_every; /* IKE_PFS_EVERY: each Nth rekey of a CHILD SA uses KE */
    bool align, spread;
    uint32_t overlap_ms;                      /* of struct ike_child_terms */
    const struct ike_connection *connections; /* borrowed; the first that is for a peer counts */
    uint32_t n_connections;
    uint32_t retransmit_first_ms, retransmit_factor_milli, retransmit_tries;
    uint32_t retransmit_cap_ms;      /* no interval is longer; 0 = no cap */
    uint32_t unanswered_ms;          /* while the peer's ESP verifies a request of ours is asked on
                                        for so long (RFC 7296 2.4); 0 = one schedule */
    uint32_t dpd_ms;                 /* idle time before a liveness check; 0 = never */
    uint32_t keepalive_ms;           /* NAT keepalive interval when we are behind NAT; 0 = never */
    uint32_t half_open_ms;           /* a half-open SA ends after this */
    uint32_t linger_ms;              /* how long an ended SA still answers retransmissions */
    bool force_encap;                /* claim a NAT so that ESP is always UDP-encapsulated */
    bool request_address;            /* initiator: ask for a virtual IPv4 address */
    bool request_address6;           /* initiator: ask for a virtual IPv6 address */
    struct ip_addr wish[ADDR_SLOTS]; /* ... and which one it would like, family 0 = any */
    bool initial_contact;            /* initiator: say that there is no other SA (RFC 7296 2.4) */
};

#endif
