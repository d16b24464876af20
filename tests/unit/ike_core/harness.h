/* Two engines' handshakes without network, clock or randomness: a client that asks for an address,
 * and a gateway. The entry points of exchange.h are called as step.c would; KE jobs run at once,
 * the address comes from `pool`.
 */
#ifndef TEST_IKE_CORE_HARNESS_H
#define TEST_IKE_CORE_HARNESS_H

#include "ike/exchange.h"

enum { OTHER_GROUP = 19 }; /* a second row for tests: X25519 under another number */

struct lab {
    struct suite_table suites; /* suite_default, a second group, and a PRF that counts */
    struct ike_policy client, gateway;
    struct ike_psk_entry client_psks[2], gateway_psks[3];
    struct endpoint client_at, gateway_at;
    struct ip_addr pool;  /* family 0 = exhausted */
    struct ip_addr pool6; /* family 0 = there is none */
    bool no_pool4;
    uint64_t now_ms;
    uint8_t seed; /* of the next event's entropy */
    unsigned addresses_asked;
    bool cookie_required;
    uint8_t cookie_secret[32], cookie_previous[32];
    uint8_t cookie_id;
    struct ike_sa c, g; /* the client's and the gateway's SA as they stand */
    struct ike_transition out;
};

/* On the heap: it is big. */
struct lab *lab_new(void);

/* How often the counting PRF was called in this process. */
extern unsigned prf_calls;

/* An event at the client's or the gateway's end, with fresh entropy. datagram may be empty. */
struct ike_event lab_event(struct lab *l, enum ike_event_kind kind, bool at_client,
                           struct span datagram);

/* One step; IKE_NEED_* is served and the step called again. before NULL: no SA. Result in l->out.
 */
enum ike_outcome lab_step(struct lab *l, const struct ike_policy *p, const struct ike_sa *before,
                          struct ike_event *ev);

/* A datagram to the client or the gateway; before is l->c or l->g unless its state is NONE. */
enum ike_outcome lab_to_client(struct lab *l, struct span datagram);
enum ike_outcome lab_to_gateway(struct lab *l, struct span datagram);

/* Runs the exchange so far: the client's IKE_SA_INIT request; both half-open; the client's IKE_AUTH
 * request is out. */
void lab_begin(struct lab *l);       /* l->c.pending.request is the IKE_SA_INIT request */
void lab_half_open(struct lab *l);   /* and answered: l->g half-open */
void lab_auth_sent(struct lab *l);   /* l->c.pending.request is the IKE_AUTH request */
void lab_established(struct lab *l); /* both ends */

struct span message_span(const struct ike_message *m);
struct ike_identity identity(uint8_t type, const char *name);
struct ike_ts subnet(uint32_t address, unsigned bits);

/* Does the message, protected for `reader`, hold a Notify of this type? */
bool holds_notify(struct lab *l, const struct ike_policy *p, const struct ike_sa *reader,
                  struct span message, uint16_t type);
/* The only Notify of an unprotected message (asserted). */
struct wire_notify plain_notify(struct span message);

#endif
