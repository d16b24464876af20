/* One IKE SA as a flat value without pointers: copied, compared, encoded. Everything that another
 * node needs to go on in the middle of an exchange is in the replicated part; the local part is
 * what may be lost with a node.
 *
 * Directions are seen from this end: *_in protects what the peer sends to us. "begun" = who sent
 * the request.
 */
#ifndef HF_IKE_STATE_H
#define HF_IKE_STATE_H

#include "base/addr.h"
#include "base/secret.h"
#include "ike/limits.h"
#include "ike/policy.h"

enum ike_role { IKE_INITIATOR, IKE_RESPONDER };

/* Who began an exchange, as this end sees it. On the gateway IKE_BY_US is a step point's "gateway".
 */
enum ike_begun { IKE_BY_PEER, IKE_BY_US };

/* Exchanges by the names that step points use (ike_exchange_name()). */
enum ike_exchange {
    IKE_EX_NONE,
    IKE_EX_INIT,            /* "ike-init" */
    IKE_EX_AUTH,            /* "ike-auth" */
    IKE_EX_CHILD_CREATE,    /* "child-create" */
    IKE_EX_CHILD_REKEY,     /* "child-rekey" */
    IKE_EX_CHILD_REKEY_PFS, /* "child-rekey-pfs" */
    IKE_EX_IKE_REKEY,       /* "ike-rekey" */
    IKE_EX_CHILD_DELETE,    /* "child-delete" */
    IKE_EX_IKE_DELETE,      /* "ike-delete" */
    IKE_EX_DPD,             /* "dpd": an empty INFORMATIONAL */
    IKE_EX_INFORMATIONAL    /* any other */
};

enum ike_sa_state {
    IKE_SA_NONE,
    IKE_SA_HALF_OPEN, /* IKE_SA_INIT done or under way; never replicated */
    IKE_SA_ESTABLISHED,
    IKE_SA_REKEYED,  /* a successor exists and has the children; only its Delete is left */
    IKE_SA_DELETING, /* our Delete is outstanding */
    IKE_SA_ENDED     /* answers retransmissions until linger_until_ms, then it is removed */
};

enum ike_child_state {
    IKE_CHILD_NONE,
    IKE_CHILD_INSTALLED,
    IKE_CHILD_REKEYING, /* our rekey of it is outstanding */
    IKE_CHILD_REKEYED,  /* has a successor; still receives until its Delete */
    IKE_CHILD_DELETING  /* our Delete of it is outstanding; still receives */
};

struct ike_child {
    enum ike_child_state state;
    enum ike_begun begun;
    uint32_t spi_in, spi_out; /* spi_in: ours, unique in the cluster; spi_out: the peer's */
    uint16_t encr_id, encr_bits, integ_id;
    bool esn;
    bool outbound;  /* our traffic leaves by this one; at most one per pair of selectors */
    uint16_t ke_id; /* group of the KE that made it, 0 = none */
    struct secret key_in, key_out;     /* cipher key then salt, RFC 4106 8.1 */
    struct secret integ_in, integ_out; /* empty with a combined mode */
    struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
    uint8_t n_local_ts, n_remote_ts;
    uint64_t created_ms, soft_ms, hard_ms; /* cluster time */
    uint64_t soft_packets, hard_packets;   /* per direction */
    uint64_t soft_bytes, hard_bytes;       /* of inner packets, per direction */
    uint32_t rekey_count;                  /* rekeys since IKE_AUTH, for pfs every N */
    uint32_t successor_spi_in;             /* 0 = none */
    bool soft_reached;                     /* wants a rekey as soon as the window allows */
    bool unconfirmed;  /* made by our answer; not yet known to have reached the peer */
    uint64_t retry_ms; /* after TEMPORARY_FAILURE: no rekey before this */
};

/* Keys of RFC 7296 2.14. Cipher keys carry their salt behind them; sk_a_* are empty with a combined
 * mode (RFC 5282 7.1). */
struct ike_keys {
    struct secret sk_d, sk_a_in, sk_a_out, sk_e_in, sk_e_out, sk_p_in, sk_p_out;
};

/* A message kept byte for byte, as sent (IKE header first, no non-ESP marker). */
struct ike_message {
    uint16_t len; /* 0 = none */
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES];
};

/* Our outstanding request; the window is 1 each way. */
struct ike_pending {
    enum ike_exchange exchange; /* IKE_EX_NONE = no request outstanding */
    uint32_t message_id;
    uint64_t sent_ms;  /* when it was first due on the wire: retransmissions are computed from it */
    uint64_t asked_ms; /* the same, but a schedule that starts over does not move it */
    struct ike_message request;
    uint32_t child_spi_in; /* the CHILD SA being rekeyed or deleted, or 0 */
    uint32_t new_spi_in;   /* ESP SPI allocated for a new CHILD SA */
    uint64_t new_ike_spi;  /* IKE SPI allocated for a new IKE SA */
    uint8_t nonce[IKE_NONCE_BYTES];
    uint16_t ke_id;
    bool ke_retried; /* already the second group: INVALID_KE_PAYLOAD is followed once a rekey */
    struct secret ke_private;
    /* The peer's simultaneous rekey of the same SA, for RFC 7296 2.8.1. */
    bool collided;
    uint8_t peer_lowest_nonce_len; /* 0 = none; the lower of the peer's exchange's two nonces */
    uint8_t peer_lowest_nonce[255];
    uint32_t peer_new_spi_in;  /* the SA that the peer's exchange made (CHILD), or 0 */
    uint64_t peer_new_ike_spi; /* likewise (IKE) */
    /* SPIs of the peer's that it gave up while its answer may be on the way: one of them may be the
     * CHILD SA that the answer makes. The newest ones. */
    uint32_t early_deletes[IKE_MAX_EARLY_DELETES];
    uint8_t n_early_deletes;
};

/* A simultaneous IKE rekey makes two new IKE SAs (RFC 7296 2.8.2), a transition carries one
 * successor: the other waits here. Not settled: the peer's exchange was answered, ours is still
 * out, so the winner is unknown. Settled: the winner was born and has the children; this one is the
 * redundant SA, born childless by the next timer step so that its creator can delete it. */
struct ike_candidate {
    uint64_t local_spi, remote_spi; /* 0 = none */
    enum ike_role role; /* IKE_INITIATOR = our exchange made it, so the Delete is ours to send */
    bool settled;
    uint16_t encr_id, encr_bits, integ_id, prf_id, ke_id;
    struct ike_keys keys;
};

/* What may be lost with the node. Never encoded, not part of any digest. Of ESP the engine hears
 * nothing: before IKE_EV_TIMER the caller moves the two times on to what the data path saw. */
struct ike_local {
    uint32_t retransmitted;   /* of the outstanding request, by this node */
    uint64_t last_inbound_ms; /* newest authenticated packet, IKE or ESP (RFC 7296 2.4) */
    uint64_t last_outbound_ms;
    uint64_t init_private_until_ms; /* half-open only */
};

/* What IKE_AUTH still needs from IKE_SA_INIT; wiped once established. Half-open SAs are never
 * replicated; for an initiator's SA it is. */
struct ike_handshake {
    struct ike_message init_request, init_response; /* real bytes, for AUTH (RFC 7296 2.15) */
    uint8_t nonce_i[IKE_NONCE_MAX_BYTES], nonce_r[IKE_NONCE_MAX_BYTES];
    uint16_t nonce_i_len, nonce_r_len;
    uint16_t ke_id;
    struct secret ke_private;
    uint8_t cookie[IKE_MAX_COOKIE_BYTES];
    uint8_t cookie_len;
    uint32_t child_spi_in; /* initiator: the first CHILD SA's SPI */
    uint8_t init_tries;
};

struct ike_sa {
    /* identity */
    uint64_t local_spi, remote_spi; /* local_spi is the SA's id in the cluster */
    enum ike_role role; /* of this SA: order of SPIs and keys, flags; changes by an IKE rekey */
    enum ike_sa_state state;
    uint32_t shard;

    /* path */
    struct endpoint local, remote;
    bool nat_local, nat_remote; /* NAT found before us, before the peer (RFC 7296 2.23) */
    bool encap;                 /* UDP encapsulation of ESP; both ports have floated to 4500 */

    /* suite and keys */
    uint16_t encr_id, encr_bits, integ_id, prf_id, ke_id;
    struct ike_keys keys;
    uint64_t iv_next; /* number of the next message under sk_e_out, from which its IV follows;
                         advanced per sealed message, committed with the step */

    /* windows (RFC 7296 2.2, 2.3) */
    uint32_t next_request_id;        /* ours, the next to use */
    uint32_t expected_request_id;    /* the peer's next */
    uint8_t last_request_digest[32]; /* SHA-256 of the request that last_response answers: a
                                        retransmission is identical */
    struct ike_message last_response;
    bool sync_agreed;    /* both ends speak RFC 6311's IKEV2_MESSAGE_ID_SYNC */
    uint32_t sync_floor; /* the peer's next one must name an ID of at least this */
    struct ike_pending pending;
    struct ike_candidate candidate;

    /* peer */
    struct ike_identity remote_id;
    struct ip_addr virtual_ip[ADDR_SLOTS]; /* leased to the peer (or to us as initiator) */
    struct ip_addr dns[IKE_MAX_DNS];       /* initiator: what the gateway told us */
    uint8_t n_dns;
    bool peer_initial_contact;
    uint32_t connection; /* whose terms are its own (connection.h); 0 = the default's */

    /* lifetime, cluster time */
    uint64_t created_ms, soft_ms, hard_ms;
    uint64_t retry_ms; /* after TEMPORARY_FAILURE */
    /* The peer answers TEMPORARY_FAILURE and nothing else since then; both 0: it does not. */
    uint64_t refused_since_ms, refused_last_ms;
    uint64_t linger_until_ms;
    uint64_t successor_spi; /* local SPI of the IKE SA that replaced this one; 0 = none */
    uint32_t wanted;        /* IKE_WANT_* commands not yet begun because the window is taken */
    uint32_t wanted_child_spi_in;

    struct ike_child children[IKE_MAX_CHILDREN];
    /* Removed at a hard limit, and the peer does not know yet: our SPIs. Each keeps a slot of
     * children from being used anew, so there is always room. */
    uint32_t owed_deletes[IKE_MAX_CHILDREN];
    uint8_t n_owed_deletes;

    struct ike_handshake handshake;
    struct ike_local local_part;
};

enum {
    IKE_WANT_REKEY_IKE = 1u << 0,
    IKE_WANT_REKEY_CHILD = 1u << 1,     /* wanted_child_spi_in, PFS by policy */
    IKE_WANT_REKEY_CHILD_PFS = 1u << 2, /* the same with KE */
    IKE_WANT_REKEY_CHILD_NOPFS = 1u << 3,
    IKE_WANT_DELETE_IKE = 1u << 4,
    IKE_WANT_DPD = 1u << 5,
    IKE_WANT_CHILD = 1u << 6, /* a new CHILD SA with the policy's selectors */
    IKE_WANT_DELETE_CHILD = 1u << 7
};

#endif
