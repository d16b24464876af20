/* Algorithms as const structs of functions. A suite more is a row more in crypto/tables.c.
 *
 * Pure callers (ike/, esp/) see only this header: they get `const struct suite_*` pointers and
 * never name a library. Implementations (OpenSSL behind them) live in crypto/.
 *
 * A cipher row is a cipher with its integrity, in one of two forms behind the same functions:
 *
 *   combined mode    AES-GCM (RFC 4106, 5282), ChaCha20-Poly1305 (RFC 7634): integ_id 0
 *   encrypt-then-MAC AES-CBC (RFC 3602), AES-CTR (RFC 3686, 5930) with HMAC (RFC 4868): the ICV is
 *                    the MAC of before | IV | ciphertext | behind
 *
 * so that esp/ and ike/ have one path, and IV, ICV and block lengths come from the row.
 *
 * All functions return true on success. Failure of open = the ICV did not hold, and the output is
 * unspecified (release nothing).
 */
#ifndef HF_CRYPTO_SUITE_H
#define HF_CRYPTO_SUITE_H

#include "base/assert.h"
#include "base/secret.h"
#include "base/span.h"

enum {
    SUITE_IV_MAX_BYTES = 16,
    SUITE_ICV_MAX_BYTES = 32,
    SUITE_BLOCK_MAX_BYTES = 16,
    SUITE_KE_MAX_BYTES = 512,        /* largest public value of any group in the table */
    SUITE_KE_ENTROPY_MAX_BYTES = 80, /* most that generate needs */
    SUITE_PRF_MAX_BYTES = 64,        /* largest output of any PRF in the table */
    SUITE_AEAD_CONTEXT_BYTES = 64    /* opaque room for a keyed context handle */
};

/* A keyed cipher context: made off the hot path, one user at a time (a worker or the engine's
 * caller), destroyed by its maker. */
struct suite_aead_context {
    _Alignas(16) uint8_t opaque[SUITE_AEAD_CONTEXT_BYTES];
};

/* What the ICV covers beside IV and text. `behind` is for encrypt-then-MAC only (the high half of
 * an extended sequence number, RFC 4303 2.2.1); in combined mode it must be empty (asserted). */
struct suite_covered {
    struct span before, behind;
};

/* A cipher with integrity: transform type 1, with integ_id of type 3 where it is no combined mode.
 */
struct suite_aead {
    uint16_t transform_id; /* e.g. 20 = ENCR_AES_GCM_16 (RFC 4106, RFC 5282) */
    uint16_t key_bits;     /* value of the Key Length attribute; 0 = it has none (RFC 7634 3) */
    uint16_t integ_id;     /* e.g. 12 = AUTH_HMAC_SHA2_256_128; 0 = combined mode */
    uint8_t key_bytes;     /* of the cipher alone */
    uint8_t salt_bytes;    /* behind the cipher key in the key material: 4, CBC 0 */
    uint8_t integ_bytes;   /* of the integrity key; 0 in combined mode */
    uint8_t iv_bytes;      /* explicit IV on the wire */
    uint8_t icv_bytes;
    uint8_t block_bytes; /* the text's length must be a multiple: 1, CBC 16 */
    const char *name;    /* "AES_GCM_16_256" */
    /* Keyed context for both directions. key: key_bytes + salt_bytes, as the KDF gives them;
     * integ_key: integ_bytes. Allocates; seal and open do not. */
    bool (*context_init)(struct suite_aead_context *c, const struct suite_aead *row,
                         const uint8_t *key, const uint8_t *integ_key) HF_MUST_USE;
    void (*context_deinit)(struct suite_aead_context *c);
    /* Seals under `number`, which the caller never uses twice with a key (I1, I1b): the IV follows
     * from it, is unique as it is, and where the mode asks for it nobody else can foretell it.
     * Writes iv_bytes at iv, in.len at out (in place allowed) and icv_bytes at icv. */
    bool (*context_seal)(struct suite_aead_context *c, uint64_t number,
                         const struct suite_covered *covered, struct span in, uint8_t *iv,
                         uint8_t *out, uint8_t *icv) HF_MUST_USE;
    bool (*context_open)(struct suite_aead_context *c, const uint8_t *iv,
                         const struct suite_covered *covered, struct span in, const uint8_t *icv,
                         uint8_t *out) HF_MUST_USE;
};

/* A pseudo-random function (transform type 2), RFC 7296 2.13. out is out_bytes. */
struct suite_prf {
    uint16_t transform_id; /* 5 = PRF_HMAC_SHA2_256 */
    uint8_t out_bytes;
    uint8_t key_bytes; /* preferred key size */
    const char *name;
    /* prf(key, parts[0] | parts[1] | ...) */
    bool (*compute)(struct span key, const struct span *parts, size_t n_parts,
                    uint8_t *out) HF_MUST_USE;
};

/* A key-exchange method (transform type 4). generate is deterministic in `entropy`, so a step
 * replays. */
struct suite_ke {
    uint16_t transform_id; /* 31 = CURVE25519 (RFC 8031) */
    uint16_t public_bytes;
    uint8_t secret_bytes;  /* private value as kept in the SA's record */
    uint8_t entropy_bytes; /* what generate needs */
    uint16_t shared_bytes;
    const char *name;
    bool (*generate)(const struct suite_ke *row, const uint8_t *entropy, struct secret *private_key,
                     uint8_t *public_value) HF_MUST_USE;
    /* Refuses a peer value of the wrong length, zero, one, p - 1, off the curve, of small order. */
    bool (*derive)(const struct suite_ke *row, const struct secret *private_key,
                   struct span peer_public, struct secret_long *shared) HF_MUST_USE;
};

/* A hash for NAT detection (SHA-1, RFC 7296 2.23) and cookies. */
struct suite_hash {
    uint8_t out_bytes;
    bool (*compute)(const struct span *parts, size_t n_parts, uint8_t *out) HF_MUST_USE;
};

/* A way of signing (RFC 7427 3): scheme and hash are numbered as wire/signature.h has them; the raw
 * one is RFC 4754's r | s, for AUTH methods 9 to 11. */
enum { SUITE_SCHEME_ECDSA_RAW = 5 };

struct suite_signature {
    uint8_t scheme, hash;
    const char *name; /* "RSA_PSS_SHA2_256" */
};

/* What kind of key a certificate has; decides which rows it may sign with. */
enum suite_key_kind {
    SUITE_KEY_NONE,
    SUITE_KEY_RSA,
    SUITE_KEY_P256,
    SUITE_KEY_P384,
    SUITE_KEY_P521,
    SUITE_KEY_ED25519
};

/* What a peer says of itself, judged in one call. All spans are borrowed for the call. */
enum { SUITE_MAX_CERTS = 8 };
struct suite_claim {
    struct span certs[SUITE_MAX_CERTS]; /* DER; the signer's first, then what may help to build its
                                           chain */
    uint8_t n_certs;
    uint8_t id_type; /* RFC 7296 3.5 */
    struct span id;
    bool gateway;    /* it must be a gateway (we began), else a client */
    uint64_t wall_s; /* seconds since 1970, for validity periods only */
    const struct suite_signature *how;
    struct span data, signature; /* what was signed, and the value */
};

enum suite_verdict {
    SUITE_GOOD,
    SUITE_NO_CERTIFICATE,
    SUITE_BAD_CERTIFICATE, /* does not parse, or a chain that breaks a rule */
    SUITE_UNTRUSTED,       /* no chain to a configured CA */
    SUITE_EXPIRED,
    SUITE_NOT_YET_VALID,
    SUITE_REVOKED,
    SUITE_BAD_CRL, /* nobody can say whether it was revoked: the CRL is out of date, or not the CA's */
    SUITE_NAME_CONSTRAINT,
    SUITE_WRONG_USAGE, /* key usage or extended key usage */
    SUITE_WRONG_NAME,  /* the identity is not in it */
    SUITE_NOT_ALLOWED, /* the identity is not let in */
    SUITE_WEAK_KEY,
    SUITE_WRONG_KEY, /* of a kind that this way of signing is not for */
    SUITE_BAD_SIGNATURE,
    SUITE_VERDICTS
};

/* What a certificate says of itself, for people: proven by nothing. */
enum { SUITE_NAME_CHARS = 96 };
struct suite_certificate {
    char subject[SUITE_NAME_CHARS],
        issuer[SUITE_NAME_CHARS]; /* printable ASCII, cut to fit; empty: it cannot be read */
    uint64_t from_s, until_s;     /* since 1970 */
};

/* Signatures and certificates. `key` and `trust` are crypto/cert.h's; any thread may call. */
struct suite_auth {
    const struct suite_signature *rows;
    size_t n_rows;
    /* *len: what was written to out (cap bytes). Not deterministic: the result is an input of the
     * engine's step. */
    bool (*sign)(const void *key, const struct suite_signature *how, struct span data, uint8_t *out,
                 size_t cap, size_t *len) HF_MUST_USE;
    enum suite_verdict (*verify)(const void *trust, const struct suite_claim *claim) HF_MUST_USE;
    /* Writes *out whole; zeros where `der` is none. NULL: nothing is told. */
    void (*describe)(struct span der, struct suite_certificate *out);
};

/* The whole table. A row that is absent is not spoken. */
struct suite_table {
    const struct suite_aead *const *aeads;
    size_t n_aeads;
    const struct suite_prf *const *prfs;
    size_t n_prfs;
    const struct suite_ke *const *kes;
    size_t n_kes;
    const struct suite_hash *sha1;
    const struct suite_hash *sha256;
    const struct suite_auth *auth; /* NULL: shared keys only */
};

/* NULL when the table has no such row. key_bits 0 matches only what has no Key Length. */
const struct suite_aead *suite_find_aead(const struct suite_table *t, uint16_t transform_id,
                                         uint16_t key_bits, uint16_t integ_id);
const struct suite_prf *suite_find_prf(const struct suite_table *t, uint16_t transform_id);
const struct suite_ke *suite_find_ke(const struct suite_table *t, uint16_t transform_id);
const struct suite_signature *suite_find_signature(const struct suite_table *t, uint8_t scheme,
                                                   uint8_t hash);
/* "wrong-name". */
const char *suite_verdict_name(enum suite_verdict v);

#endif
