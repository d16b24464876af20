/* The texts, and which of them is of an attempt. */
#include "conductor/explain.h"

/* clang-format off */
static const struct explanation reasons[IKE_REASON_COUNT] = {
    [IKE_REASON_MALFORMED] = {
        "a message breaks a rule of the protocol: it could not be read, or lacks what it must have",
        "look whether other traffic than IKE comes to ports 500 and 4500 from there; else the client's software is at fault: update it"},
    [IKE_REASON_TRUNCATED] = {
        "a message is shorter than it says, or than any message of IKE can be",
        "look for a device on the way that cuts packets (a broken MTU, a filter of UDP); scanners of ports send such packets, too: then nothing is to be done"},
    [IKE_REASON_OVERSIZED] = {
        "a message is longer than 4096 bytes, or our answer to it would be",
        "shorten what is sent: fewer proposals, or a shorter chain of certificates (ECDSA instead of RSA, at most one intermediate)"},
    [IKE_REASON_WRONG_VERSION] = {
        "the client speaks another version of IKE than 2",
        "set the client to IKEv2: IKEv1 is not spoken here"},
    [IKE_REASON_WRONG_SPI] = {
        "the message belongs to an IKE SA that there is not, or not any more, at this service address",
        "nothing, if it ends by itself: the client has not noticed yet that its tunnel is gone, and connects anew when it does; if it lasts, restart the connection at the client, and look whether its traffic goes to the address that it connected to"},
    [IKE_REASON_BAD_ICV] = {
        "the message's integrity check failed: it was made with other keys, or changed on its way",
        "if it happens at each connecting, look for a device on the way that changes IKE (an application gateway for VPN: switch it off); single ones are noise, or somebody who tries"},
    [IKE_REASON_OLD_MESSAGE_ID] = {
        "a request came that was answered and followed by another one long ago",
        "nothing: it is a copy that was late, or a replay; it has no effect"},
    [IKE_REASON_FUTURE_MESSAGE_ID] = {
        "a request came ahead of its turn: the client sends several at once, and one was agreed on",
        "nothing, if it ends by itself; else set the client's window of IKE requests to 1"},
    [IKE_REASON_REPLAY_DIFFERS] = {
        "a request came again under the number of the last one, with other bytes",
        "look whether two clients share an address and a port (a NAT that mixes them up); else the client's software is at fault: update it"},
    [IKE_REASON_UNEXPECTED_RESPONSE] = {
        "an answer came to a request that is not outstanding",
        "nothing: it is a copy of an answer that was late; it has no effect"},
    [IKE_REASON_UNEXPECTED_EXCHANGE] = {
        "a message of a kind that cannot come in this state of the IKE SA",
        "nothing, if it ends by itself: one of the two ends forgot the other; if it lasts, restart the connection at the client"},
    [IKE_REASON_COOKIE_SENT] = {
        "many handshakes are half done, so the client was asked to show first that it receives at its address",
        "nothing, if it connected after that; if it did not, its IKE_SA_INIT answers do not reach it: look at the firewall and the NAT before it"},
    [IKE_REASON_COOKIE_WRONG] = {
        "the client came with a cookie that is not ours, or is too old",
        "nothing: it was sent a new one; if it lasts, the client's address changes between two messages: look at the NAT before it"},
    [IKE_REASON_INVALID_KE] = {
        "the client's key exchange is of another group than the one that was chosen of its proposals, or its value is none",
        "nothing, if it connected after that: it was told the right group; if it did not, put the group that is wanted first in the client's proposal"},
    [IKE_REASON_NO_PROPOSAL] = {
        "no proposal of the one end has a combination of algorithms that the other one takes",
        "give the client one of the algorithms allowed for each kind (`holdfast explain` lists both), or name its own in gateway: proposals"},
    [IKE_REASON_WEAK_GROUP] = {
        "all would fit but the group: the client offers none but weak ones (RFC 8247); stock Windows offers modp1024 alone",
        "on Windows set NegotiateDH2048_AES256 or give it modp2048 by Set-VpnConnectionIPsecConfiguration; elsewhere name modp2048, an ecp group or x25519 in the client's proposal; as a last resort gateway: proposals: legacy: [modp1024]"},
    [IKE_REASON_WEAK_ALGORITHM] = {
        "the client offers only algorithms that are not to be used any more (RFC 8247, RFC 8221), such as 3DES, MD5 or SHA-1",
        "give the client AES with SHA-2; for SHA-1 alone, as a last resort, gateway: proposals: legacy: [sha1]; 3DES is not spoken"},
    [IKE_REASON_NO_UDP_ENCAPSULATION] = {
        "the client's ESP would not come inside UDP, though there is a NAT between, or the gateway wants it so; so it got no CHILD SA",
        "let the client use port 4500 (UDP encapsulation, NAT traversal, `encap = yes` in strongSwan); where there is no NAT, gateway: force_encapsulation: false"},
    [IKE_REASON_UNSUPPORTED_CRITICAL] = {
        "the message holds a payload that is not known here and must not be passed over",
        "switch off the extension at the client that the payload belongs to"},
    [IKE_REASON_AUTH_FAILED] = {
        "the client did not prove who it says it is",
        "look at the identity, and at the key or certificate of both ends"},
    [IKE_REASON_NO_COMMON_SIGNATURE] = {
        "the gateway has nothing by which it could prove itself to this client: no certificate, or none whose signature the client can verify",
        "configure auth: certificates with a key that the client verifies (ECDSA P-256 fits all), or give both ends a shared key; RSA without RFC 7427 needs legacy_rsa_sha1"},
    [IKE_REASON_REFUSED_BY_PEER] = {
        "the client did not believe that this gateway is who it wanted, and ended the tunnel (AUTHENTICATION_FAILED)",
        "compare the client's remote ID with gateway: identity, and the CA that it trusts with the one of our certificate; the client's log says which check it was"},
    [IKE_REASON_TS_UNACCEPTABLE] = {
        "the networks that one end asks for have nothing in common with those that the other one allows",
        "make the client's remote networks overlap with gateway: networks, and let it ask for a virtual address (strongSwan: vips = 0.0.0.0) instead of its own network"},
    [IKE_REASON_POOL_EXHAUSTED] = {
        "the client asked for a virtual address and there was none to give",
        "enlarge the shard's pool, or end tunnels that nobody uses (`holdfast sa list`); a client that asks for a family without a pool needs a pool of it"},
    [IKE_REASON_TOO_MANY_CHILDREN] = {
        "there are as many CHILD SAs in this IKE SA as one may have, 8 with those that are being rekeyed",
        "let the client put several networks into one CHILD SA"},
    [IKE_REASON_TEMPORARY_FAILURE] = {
        "one end was busy with an exchange that excludes this one, and asked to try again",
        "nothing: it is tried again by itself; if it lasts for minutes, restart the connection at the client"},
    [IKE_REASON_CHILD_NOT_FOUND] = {
        "one end spoke of a CHILD SA that the other one does not have any more",
        "nothing, if it ends by itself: it is made anew; if it is seen often, compare the lifetimes of both ends"},
    [IKE_REASON_PEER_DEAD] = {
        "the client answered none of a request's repetitions, so its tunnel was ended",
        "nothing, if the client went away (asleep, without network); else look at the firewall and the NAT between: ports 500 and 4500 must stay open, ike: keepalive must be shorter than the NAT's memory"},
    [IKE_REASON_HARD_LIFETIME] = {
        "an SA reached its hard limit before it was rekeyed, and was ended",
        "see why rekeys fail: the attempts before this one say it; compare lifetimes, proposals and PFS of both ends"},
    [IKE_REASON_HALF_OPEN_EXPIRED] = {
        "the client began a handshake and did not go on with IKE_AUTH",
        "look whether UDP port 4500 is open on the way, and whether large packets pass: certificates make IKE_AUTH longer than an MTU, and fragments of IP are often dropped; where an attempt of the same client stands before this one, that is the cause; the client's log says whether it got our answer"},
};

static const struct explanation limits[ATTEMPT_LIMITS] = {
    [ATTEMPT_LIMIT_HALF_OPEN_SOURCE] = {
        "as many handshakes of this address (of IPv6: this /64) are half done as one address may have, 32",
        "nothing, if they end by themselves; many clients behind one NAT that connect at once come in by and by; else it floods: drop it at the firewall"},
    [ATTEMPT_LIMIT_HALF_OPEN_ALL] = {
        "as many handshakes are half done as this node takes, 4096",
        "nothing, if it ends by itself after an outage; else it is a flood: spread clients over several shards, and filter it before the gateway"},
    [ATTEMPT_LIMIT_KEY_EXCHANGES] = {
        "as many key exchanges for new clients wait for a core as this node takes",
        "nothing, if it ends by itself: clients ask again; else more cores, cheaper groups (x25519, ecp256), or more active nodes"},
    [ATTEMPT_LIMIT_AUTHENTICATIONS] = {
        "this address, or all together, failed to authenticate so often that no further failure is taken now",
        "find the client that fails by its other attempts and mend its key or certificate; auth: failures sets how many are taken; who succeeds is not held back"},
};

static const struct explanation checks[IKE_CHECK_COUNT] = {
    [IKE_CHECK_NO_AUTH] = {
        "the client sent no proof of its own: it wants EAP (a name and a password), which is not spoken here",
        "set the client to a shared key or a certificate"},
    [IKE_CHECK_UNKNOWN_IDENTITY] = {
        "there is no shared key for the identity that the client says it has",
        "add it to auth: psk and run `holdfast reload`, or set the client's identity (its local ID) to one that is there: type and letters must be equal"},
    [IKE_CHECK_WRONG_KEY] = {
        "the client has another shared key than the gateway for this identity",
        "give both ends the same key: the file's first line without a space or a line end too many; then `holdfast reload`"},
    [IKE_CHECK_NO_TRUST] = {
        "the client came with a certificate, and the gateway trusts no CA for clients",
        "name the clients' CA in auth: clients: ca and run `holdfast reload`, or set the client to its shared key"},
    [IKE_CHECK_NO_CERTIFICATE] = {
        "the client signed and sent no certificate",
        "let the client send it always (strongSwan: send_cert = always)"},
    [IKE_CHECK_METHOD] = {
        "the client signed in a way that is not taken: SHA-1, or a kind of key that is not spoken here",
        "let the client sign by RFC 7427 with SHA-2 (ECDSA, RSA, Ed25519); as a last resort auth: legacy_rsa_sha1: true"},
    [IKE_CHECK_CERTIFICATE] = {
        "the client's certificate, or the signature by it, did not pass",
        "the verdict says which check it was"},
};

static const struct explanation verdicts[SUITE_VERDICTS] = {
    [SUITE_NO_CERTIFICATE] = {
        "no certificate came that could be read",
        "let the client send its certificate as X.509 (strongSwan: send_cert = always)"},
    [SUITE_BAD_CERTIFICATE] = {
        "the certificate cannot be read, or its chain breaks a rule (RFC 5280)",
        "issue it anew, and look at the intermediates that the client sends: each must be a CA"},
    [SUITE_UNTRUSTED] = {
        "no chain leads from the client's certificate to a CA that the gateway trusts",
        "add its CA to auth: clients: ca and run `holdfast reload`, let the client send its intermediates, or give it a certificate of a CA that is there"},
    [SUITE_EXPIRED] = {
        "the certificate, or one above it, has expired",
        "issue the client a new one, for the same key or another; if it has not expired yet by its dates, look at this node's clock"},
    [SUITE_NOT_YET_VALID] = {
        "the certificate, or one above it, is not valid yet",
        "look at the clock of this node and at that of the CA's machine; else issue it anew, valid from now on"},
    [SUITE_REVOKED] = {
        "its CA has revoked the certificate: it stands in the list in auth: clients: crl",
        "issue the client a new one, with a new key if the old key was lost; if it was revoked by mistake, put a list without it where auth: clients: crl says, and run `holdfast reload`"},
    [SUITE_BAD_CRL] = {
        "the revocation list of the certificate's CA is out of date, or not signed by that CA: nobody can say whether it was revoked, so none of its certificates is taken",
        "let the CA publish a new list, put it where auth: clients: crl says, and run `holdfast reload`; if its dates are right, look at this node's clock"},
    [SUITE_NAME_CONSTRAINT] = {
        "a CA above the certificate may not issue for the names that are in it",
        "issue it from another CA, or for names within the CA's constraints"},
    [SUITE_WRONG_USAGE] = {
        "the certificate is not for this: its key usage or extended key usage does not let a client authenticate with it",
        "issue it with digitalSignature, and with clientAuth or no extended key usage (`holdfast pki client` does)"},
    [SUITE_WRONG_NAME] = {
        "the identity that the client says it has is not in its certificate",
        "set the client's identity (its local ID) to a name in the certificate's subjectAltName, or to its whole subject; or issue it with that name"},
    [SUITE_NOT_ALLOWED] = {
        "the certificate is good, but its identity is not among those that are let in",
        "add the identity to auth: clients: allow and run `holdfast reload`"},
    [SUITE_WEAK_KEY] = {
        "a key or a signature in the chain is too weak (RSA below 2048 bits, SHA-1 or MD5)",
        "issue the certificate anew with ECDSA, or RSA of 2048 bits or more, and SHA-2"},
    [SUITE_WRONG_KEY] = {
        "the certificate's key is not of the kind that the client signed with",
        "look whether the client's certificate and its private key belong together"},
    [SUITE_BAD_SIGNATURE] = {
        "the certificate is good, but the client's signature was not made by its key",
        "look whether the client's certificate and its private key belong together"},
};
/* clang-format on */

static const struct explanation no_pool = {
    "the client asked for a virtual address of a family that the gateway gives out none of",
    "give the shard a pool of that family (shards: pool takes one of each), or let the client ask "
    "for "
    "the other one"};
static const struct explanation peer_refused = {
    "the client refused what the gateway asked for: `said` is its word",
    "compare proposals, groups (PFS) and networks of both ends; the client's log says what it "
    "missed"};

static const struct explanation other_gateway = {
    "the client asked for a gateway of another identity than this one has, and ended the tunnel",
    "set the client's remote ID (remote { id } in strongSwan, 'Remote ID' on Apple devices) to the "
    "gateway's identity as it stands here; or give the gateway the one that is asked for: gateway: "
    "identity, and with certificates one that has this name in subjectAltName, then `holdfast "
    "reload`"};
static const struct explanation certificate_refused = {
    "the client did not accept the gateway's certificate, and ended the tunnel",
    "let the client trust the CA that issued it (strongSwan: x509ca; Windows: the machine's "
    "trusted "
    "roots; Apple: a profile); then look whether the certificate has the name by which the client "
    "asks, serverAuth, and dates that are right by the client's clock (`openssl x509 -text`), and "
    "whether its chain is whole in auth: certificates: chain"};

static const struct explanation nothing_more = {
    "it was stopped for what its name says", "see what the client's log says of the same moment"};

/* NULL where the table has nothing. */
static const struct explanation *row(const struct explanation *table, size_t n, size_t i)
{
    return i < n && table[i].meaning != NULL ? &table[i] : NULL;
}

const struct explanation *explain_reason(enum ike_reason reason)
{
    return row(reasons, IKE_REASON_COUNT, (size_t)reason);
}

const struct explanation *explain_limit(enum attempt_limit limit)
{
    return row(limits, ATTEMPT_LIMITS, (size_t)limit);
}

const struct explanation *explain_check(enum ike_check check)
{
    return row(checks, IKE_CHECK_COUNT, (size_t)check);
}

const struct explanation *explain_verdict(enum suite_verdict verdict)
{
    return row(verdicts, SUITE_VERDICTS, (size_t)verdict);
}

/* Was it asked for a family that there is no pool of, and for no other? */
static bool lacks_pool(const struct ike_evidence *e)
{
    bool any = false;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        any = any || (e->addresses.wanted[slot] && e->addresses.has_pool[slot]);
    return e->about == IKE_EVIDENCE_ADDRESSES && !any;
}

/* Of what the peer refused; NULL: it is not known what was shown. */
static const struct explanation *refused_gateway(const struct ike_evidence *e)
{
    if (e->about != IKE_EVIDENCE_GATEWAY)
        return NULL;
    if (explain_other_gateway(e))
        return &other_gateway;
    return e->gateway.by_certificate ? &certificate_refused : NULL;
}

const struct explanation *explain_attempt(const struct attempt *a)
{
    const struct ike_evidence *e = &a->evidence;
    const struct explanation *found = explain_limit(a->limit);
    bool credentials = a->reason == IKE_REASON_AUTH_FAILED;

    if (found == NULL && credentials && a->judged)
        found = explain_verdict(a->verdict);
    if (found == NULL && credentials && e->about == IKE_EVIDENCE_CREDENTIALS)
        found = explain_check(e->credentials.check);
    if (found == NULL && a->reason == IKE_REASON_POOL_EXHAUSTED && lacks_pool(e))
        found = &no_pool;
    if (found == NULL && a->reason == IKE_REASON_REFUSED_BY_PEER)
        found = refused_gateway(e);
    if (found == NULL && a->peer_error != 0 && a->reason == IKE_REASON_NO_PROPOSAL)
        found = &peer_refused;
    if (found == NULL)
        found = explain_reason(a->reason);
    return found != NULL ? found : &nothing_more;
}
