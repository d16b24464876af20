/* The path of an SA through NATs: ports, address updates, keepalives. RFC 7296 2.23, RFC 3948.
 * Addresses change only on the word of a packet whose ICV held. */
#ifndef HF_IKE_NAT_H
#define HF_IKE_NAT_H

#include "ike/step.h"

enum { IKE_PORT = 500, IKE_NATT_PORT = 4500 };

/* Do messages between these ports carry the non-ESP marker? */
bool ike_nat_marked(const struct endpoint *local);

/* May a CHILD SA of this SA carry ESP? In UDP always; as it is (protocol 50) only where no NAT was
 * found, which would lose it, and the policy does not want UDP (RFC 7296 2.23). */
bool ike_nat_carries_esp(const struct ike_policy *policy, const struct ike_sa *sa);

/* Initiator: a NAT was found (or is claimed): both ports become 4500 and ESP goes into UDP (RFC
 * 7296 2.23). */
void ike_nat_float(struct ike_sa *sa);

/* Responder of IKE_AUTH: the path is where the first authenticated message came along (the peer may
 * have floated). */
void ike_nat_adopt(struct ike_sa *sa, const struct ike_event *event);

/* Any later authenticated packet: when the peer is behind a NAT and we are not, its new address and
 * port are taken over (a host behind a NAT must not do so: RFC 7296 2.23). True when the path
 * changed. */
bool ike_nat_follow(struct ike_sa *sa, const struct ike_event *event);

/* When a keepalive is due: we are behind a NAT and nothing left for keepalive_ms (RFC 3948 4).
 * UINT64_MAX = never. */
uint64_t ike_nat_keepalive_ms(const struct ike_policy *policy, const struct ike_sa *sa);

#endif
