/* All payloads of a message (or of an SK payload's inside) at once: each decoded by its own file,
 * held in bounded arrays. Spans live as long as the bytes. About 12 KiB: on the stack of one step,
 * not in anything kept.
 */
#ifndef HF_WIRE_BODY_H
#define HF_WIRE_BODY_H

#include "wire/auth.h"
#include "wire/cert.h"
#include "wire/cp.h"
#include "wire/delete.h"
#include "wire/eap.h"
#include "wire/id.h"
#include "wire/ke.h"
#include "wire/nonce.h"
#include "wire/notify.h"
#include "wire/payload.h"
#include "wire/sa.h"
#include "wire/ts.h"
#include "wire/vendor.h"

enum { WIRE_MAX_DELETES = 8, WIRE_MAX_CERTS = 8, WIRE_MAX_CERTREQS = 8 };

struct wire_body {
    bool has_sa, has_ke, has_idi, has_idr, has_auth, has_nonce, has_tsi, has_tsr, has_cp, has_eap;
    struct wire_sa sa;
    struct wire_ke ke;
    struct wire_id idi, idr;
    struct wire_auth auth;
    struct span nonce;
    struct wire_ts_list tsi, tsr;
    struct wire_cp cp;
    struct wire_eap eap;
    struct wire_notify notifies[WIRE_MAX_PAYLOADS];
    size_t n_notifies;
    struct wire_delete deletes[WIRE_MAX_DELETES];
    size_t n_deletes;
    struct wire_cert certs[WIRE_MAX_CERTS]; /* in order: the first one is the signer's (3.6) */
    size_t n_certs;
    struct wire_certreq certreqs[WIRE_MAX_CERTREQS];
    size_t n_certreqs;
    struct span vendor_ids[WIRE_MAX_VENDOR_IDS];
    size_t n_vendor_ids;
    uint8_t unsupported; /* WIRE_CRITICAL: the payload type */
};

/* Decodes the chain that begins with a payload of type `first`. A second payload of a kind that may
 * come once, and SK or SKF inside, are WIRE_MALFORMED. On failure
 * *out is all zero, but `unsupported` on WIRE_CRITICAL. */
enum wire_result wire_body_decode(uint8_t first, struct span payloads,
                                  struct wire_body *out) HF_MUST_USE;

/* The first Notify of this type, or NULL. */
const struct wire_notify *wire_body_notify(const struct wire_body *body, uint16_t type);
/* The first Notify with an error type (below 16384), or NULL. */
const struct wire_notify *wire_body_error(const struct wire_body *body);

#endif
