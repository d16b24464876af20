/* Names of the engine's enums, for logs, metrics, step points and the admin interface. Those of
 * exchanges are fixed by state.h: drills name step points with them. */
#include "ike/step.h"

static const char *const exchange_names[] = {
    [IKE_EX_NONE] = "none",
    [IKE_EX_INIT] = "ike-init",
    [IKE_EX_AUTH] = "ike-auth",
    [IKE_EX_CHILD_CREATE] = "child-create",
    [IKE_EX_CHILD_REKEY] = "child-rekey",
    [IKE_EX_CHILD_REKEY_PFS] = "child-rekey-pfs",
    [IKE_EX_IKE_REKEY] = "ike-rekey",
    [IKE_EX_CHILD_DELETE] = "child-delete",
    [IKE_EX_IKE_DELETE] = "ike-delete",
    [IKE_EX_DPD] = "dpd",
    [IKE_EX_INFORMATIONAL] = "informational",
};

static const char *const reason_names[] = {
    [IKE_REASON_NONE] = "none",
    [IKE_REASON_MALFORMED] = "malformed",
    [IKE_REASON_TRUNCATED] = "truncated",
    [IKE_REASON_OVERSIZED] = "oversized",
    [IKE_REASON_WRONG_VERSION] = "wrong-version",
    [IKE_REASON_WRONG_SPI] = "wrong-spi",
    [IKE_REASON_BAD_ICV] = "bad-icv",
    [IKE_REASON_OLD_MESSAGE_ID] = "old-message-id",
    [IKE_REASON_FUTURE_MESSAGE_ID] = "future-message-id",
    [IKE_REASON_REPLAY_DIFFERS] = "replay-differs",
    [IKE_REASON_UNEXPECTED_RESPONSE] = "unexpected-response",
    [IKE_REASON_UNEXPECTED_EXCHANGE] = "unexpected-exchange",
    [IKE_REASON_COOKIE_SENT] = "cookie-sent",
    [IKE_REASON_COOKIE_WRONG] = "cookie-wrong",
    [IKE_REASON_INVALID_KE] = "invalid-ke",
    [IKE_REASON_NO_PROPOSAL] = "no-proposal-chosen",
    [IKE_REASON_WEAK_GROUP] = "only-weak-groups-offered-modp2048-or-better-needed",
    [IKE_REASON_WEAK_ALGORITHM] = "only-weak-algorithms-offered-aes-and-sha2-needed",
    [IKE_REASON_NO_UDP_ENCAPSULATION] = "no-udp-encapsulation-see-force_encapsulation",
    [IKE_REASON_UNSUPPORTED_CRITICAL] = "unsupported-critical-payload",
    [IKE_REASON_AUTH_FAILED] = "authentication-failed",
    [IKE_REASON_NO_COMMON_SIGNATURE] = "no-common-signature-see-auth-certificates",
    [IKE_REASON_REFUSED_BY_PEER] = "our-authentication-refused-by-peer",
    [IKE_REASON_TS_UNACCEPTABLE] = "ts-unacceptable",
    [IKE_REASON_POOL_EXHAUSTED] = "pool-exhausted",
    [IKE_REASON_TOO_MANY_CHILDREN] = "too-many-children",
    [IKE_REASON_TEMPORARY_FAILURE] = "temporary-failure",
    [IKE_REASON_CHILD_NOT_FOUND] = "child-sa-not-found",
    [IKE_REASON_PEER_DEAD] = "peer-dead",
    [IKE_REASON_HARD_LIFETIME] = "hard-lifetime",
    [IKE_REASON_DELETED_BY_PEER] = "deleted-by-peer",
    [IKE_REASON_DELETED_BY_US] = "deleted-by-us",
    [IKE_REASON_HALF_OPEN_EXPIRED] = "half-open-expired",
    [IKE_REASON_NOTHING_TO_DO] = "nothing-to-do",
};

static const char *const sa_state_names[] = {
    [IKE_SA_NONE] = "none",
    [IKE_SA_HALF_OPEN] = "half-open",
    [IKE_SA_ESTABLISHED] = "established",
    [IKE_SA_REKEYED] = "rekeyed",
    [IKE_SA_DELETING] = "deleting",
    [IKE_SA_ENDED] = "ended",
};

static const char *const child_state_names[] = {
    [IKE_CHILD_NONE] = "none",         [IKE_CHILD_INSTALLED] = "installed",
    [IKE_CHILD_REKEYING] = "rekeying", [IKE_CHILD_REKEYED] = "rekeyed",
    [IKE_CHILD_DELETING] = "deleting",
};

HF_STATIC_ASSERT(sizeof reason_names / sizeof reason_names[0] == IKE_REASON_COUNT);

static const char *name_of(const char *const *names, size_t n, size_t i)
{
    return i < n && names[i] != NULL ? names[i] : "unknown";
}

#define NAME_OF(table, i) name_of(table, sizeof(table) / sizeof(table)[0], (size_t)(i))

const char *ike_exchange_name(enum ike_exchange e)
{
    return NAME_OF(exchange_names, e);
}

const char *ike_reason_name(enum ike_reason r)
{
    return NAME_OF(reason_names, r);
}

const char *ike_sa_state_name(enum ike_sa_state s)
{
    return NAME_OF(sa_state_names, s);
}

const char *ike_child_state_name(enum ike_child_state s)
{
    return NAME_OF(child_state_names, s);
}
