/* This node's certificate among the other nodes: in force, near its end, replaced. The wall clock
 * decides about words in the log only. */
#include <stdlib.h>
#include <time.h>

#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/tls_identity.h"

enum { DAY_S = 86400, LOOK_MS = 60000 };

/* "2027-01-31T12:00:00Z"; empty when there is no such time. */
static const char *utc(int64_t at_s, char out[32])
{
    time_t at = (time_t)at_s;
    struct tm tm;

    out[0] = '\0';
    if (gmtime_r(&at, &tm) != NULL)
        (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

void certs_start(struct daemon *d, struct tls_identity *tls)
{
    char until[32];

    tls_identity_release(d->tls);
    d->tls = tls_identity_hold(tls);
    d->certs_told_s = 0;
    if (tls != NULL)
        log_line(d->log, LOG_INFO, "auth", "node %u of cluster '%s' by certificate until %s",
                 tls_identity_node(tls), tls_identity_cluster(tls),
                 utc(tls_identity_expires(tls), until));
}

void certs_replace(struct daemon *d, struct tls_identity *tls)
{
    if (tls == NULL || d->tls == NULL) /* with or without: that is for the next start */
        return;
    repl_set_tls(d->repl, tls);
    certs_start(d, tls);
}

/* Once a day from TLS_SOON_S before its end, and after it. */
void certs_tick(struct daemon *d)
{
    uint64_t now_ms = io_boottime_ms();
    int64_t now_s = (int64_t)time(NULL);
    char why[TLS_WHY_BYTES];
    bool fatal;

    if (d->tls == NULL || now_ms < d->certs_look_ms)
        return;
    d->certs_look_ms = now_ms + LOOK_MS;
    if (d->certs_told_s != 0 && now_s >= d->certs_told_s && now_s - d->certs_told_s < DAY_S)
        return;
    if (tls_identity_complaint(d->tls, now_s, &fatal, why) == NULL)
        return;
    d->certs_told_s = now_s;
    log_line(d->log, fatal ? LOG_ERROR : LOG_WARN, "auth", "this node's certificate %s", why);
}

/* For GET /v1/cluster: null without one. */
json_t *certs_json(const struct daemon *d)
{
    int64_t now_s = (int64_t)time(NULL);
    char until[32], why[TLS_WHY_BYTES];
    const char *problem;
    bool fatal;

    if (d->tls == NULL)
        return json_null();
    problem = tls_identity_complaint(d->tls, now_s, &fatal, why);
    return json_pack("{s:s,s:s,s:I,s:s?}", "cluster", tls_identity_cluster(d->tls), "until",
                     utc(tls_identity_expires(d->tls), until), "days_left",
                     (json_int_t)((tls_identity_expires(d->tls) - now_s) / DAY_S), "problem",
                     problem);
}

void certs_stop(struct daemon *d)
{
    tls_identity_release(d->tls);
    d->tls = NULL;
}
