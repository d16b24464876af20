/* Bounds of everything in the engine. Nothing in ike/ is larger or more numerous than this page
 * says. */
#ifndef HF_IKE_LIMITS_H
#define HF_IKE_LIMITS_H

enum {
    IKE_MAX_CHILDREN = 8,         /* CHILD SA slots per IKE SA; a rekey needs one to spare */
    IKE_MAX_MESSAGE_BYTES = 4096, /* a message sent or kept; larger ones are refused */
    IKE_MAX_ID_BYTES = 255,
    IKE_MAX_EARLY_DELETES = 4, /* SPIs that the peer gave up before we knew them */
    IKE_MAX_TS = 4,            /* traffic selectors per side of a CHILD SA */
    IKE_MAX_DNS = 2,
    IKE_MAX_COOKIE_BYTES = 64,
    IKE_NONCE_BYTES = 32,      /* ours */
    IKE_NONCE_MAX_BYTES = 256, /* the peer's (RFC 7296 2.10: 16..256) */
    IKE_ENTROPY_BYTES = 192,   /* fresh random bytes that come with every event */
    IKE_MAX_EFFECTS = 16,
    IKE_REFUSED_MS = 300000,     /* "several minutes" of TEMPORARY_FAILURE (RFC 7296 2.25) */
    IKE_UNANSWERED_MS = 300000,  /* "several minutes" of a request without an answer (2.4) */
    IKE_REFUSED_GAP_MS = 120000, /* refusals further apart have nothing to do with one another */
    IKE_OVERDUE_MS = 40000,      /* at least so long our answer to an IKE rekey is repeated */
    IKE_MAX_PROPOSALS = 512,     /* acceptable combinations, of all configured proposals together */
    IKE_MAX_CONNECTIONS = 64,    /* named ones, beside the default */
    IKE_MAX_PATTERNS = 8,        /* identities that a connection is for */
    IKE_MAX_OVERRIDES = 8,       /* CHILD SAs of a connection with terms of their own */
    IKE_MAX_PEERS_PER_POLICY = 65536,
    IKE_MAX_CHAIN = 4,      /* certificates of a chain that we send */
    IKE_MAX_OWN = 8,        /* certificates of ours to choose from */
    IKE_MAX_CAS = 16,       /* CAs named in a CERTREQ */
    IKE_CA_HASH_BYTES = 20, /* SHA-1 of a SubjectPublicKeyInfo (RFC 7296 3.7) */
    IKE_MAX_NAMES = 16,     /* identities in a certificate of ours */
    IKE_MAX_SIGNATURE_BYTES = 512,
    IKE_SIGNED_MAX_BYTES = IKE_MAX_MESSAGE_BYTES + IKE_NONCE_MAX_BYTES + 64 /* RFC 7296 2.15 */
};

#endif
