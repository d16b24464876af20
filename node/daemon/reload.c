/* Shared keys, certificates, CAs, patterns and revocation lists anew, those among the nodes too, from
 * the same configuration file, without a word to any peer that has an SA.
 *
 *   SIGHUP, POST /v1/reload ─> pool: config_load ─┬─ a mistake: logged, the old stays in force
 *                                                 └─ good: conductor_set_policy; the old one is
 *                                                    freed when its last job has come back
 *
 * Everything else in the file takes effect at the next start: an interface or a pool cannot change
 * under tunnels, and a shard leaves the file when its tunnels have ended, not before
 * (deploy/install.md). Certificates that are out of date are not taken.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/tables.h"
#include "daemon/internal.h"
#include "base/registers.h"

struct reload {
    uv_work_t work;
    struct daemon *daemon;
    struct api_request *request; /* NULL: SIGHUP */
    struct config *config;       /* what was read; NULL: the report says why not */
    struct config_report report;
};

static void log_auth(struct daemon *d, const struct config *config, const char *what)
{
    log_line(d->log, LOG_INFO, "auth", "%s: %zu shared keys, %zu certificates, %zu client CA files",
             what, config->n_psks, config->n_certificates, config->n_client_cas);
    for (size_t i = 0; i < config->n_notes; i++)
        log_line(d->log, config->out_of_date ? LOG_ERROR : LOG_WARN, "auth", "%s",
                 config->notes[i]);
}

bool policy_first(struct daemon *d)
{
    const char *missing;

    d->policy = calloc(1, sizeof *d->policy);
    HF_ASSERT(d->policy != NULL);
    if (!config_policy(d->config, &suite_default, &d->policy->policy, &missing))
        return daemon_fail(d, "%s: proposal '%s' is not spoken by this build", d->config->path,
                           missing);
    log_auth(d, d->config, "loaded");
    return true;
}

void policy_release(struct daemon_policy *p)
{
    if (!p->retired || p->jobs > 0)
        return;
    config_free(p->config);
    free(p);
}

static void work(uv_work_t *w)
{
    struct reload *r = w->data;

    r->config = config_load(r->daemon->config->path, &r->report);
    registers_clear();
}

static void refuse(struct reload *r, unsigned status, const char *name, const char *why)
{
    struct api_problem p;

    log_line(r->daemon->log, LOG_ERROR, "auth", "not reloaded: %s", why);
    if (r->request == NULL)
        return;
    api_problem_set(&p, status, name, "what was in force stays: %s", why);
    api_request_refuse(r->request, &p);
}

static void refuse_mistakes(struct reload *r)
{
    for (size_t i = 1; i < r->report.n_mistakes; i++)
        log_line(r->daemon->log, LOG_ERROR, "auth", "%s", r->report.mistakes[i].text);
    refuse(r, 422, "bad-configuration", r->report.mistakes[0].text);
}

/* The new policy differs from the old one in whom it trusts, nothing else. */
static void put_in_force(struct reload *r, const struct ike_policy *fresh)
{
    struct daemon *d = r->daemon;
    struct daemon_policy *next = calloc(1, sizeof *next);

    HF_ASSERT(next != NULL);
    next->policy = d->policy->policy;
    next->policy.local_id = fresh->local_id;
    next->policy.psks = fresh->psks;
    next->policy.n_psks = fresh->n_psks;
    next->policy.credentials = fresh->credentials;
    next->config = r->config;
    log_auth(d, r->config, "reloaded");
    if (r->request != NULL)
        api_request_answer(r->request,
                           json_pack("{s:I,s:I,s:I}", "psks", (json_int_t)r->config->n_psks,
                                     "certificates", (json_int_t)r->config->n_certificates,
                                     "client_ca_files", (json_int_t)r->config->n_client_cas));
    certs_replace(d, r->config->tls);
    r->config = NULL; /* the policy's now */
    conductor_set_policy(d->conductor, &next->policy);
    d->policy->retired = true;
    policy_release(d->policy);
    d->policy = next;
}

static void after(uv_work_t *w, int status)
{
    struct reload *r = w->data;
    struct ike_policy fresh;
    const char *missing;
    char why[API_DETAIL_BYTES];

    (void)status;
    r->daemon->reloading = false;
    if (r->daemon->stopping)
        refuse(r, 503, "stopping", "this node is stopping");
    else if (r->config == NULL)
        refuse_mistakes(r);
    else if (r->config->out_of_date)
        refuse(r, 422, "out-of-date", r->config->notes[0]);
    else if (!config_policy(r->config, &suite_default, &fresh, &missing))
        refuse(r, 422, "bad-configuration", "a proposal is not spoken by this build");
    else if (!rest_replace(r->daemon, r->config, why, sizeof why))
        refuse(r, 422, "bad-configuration", why);
    else
        put_in_force(r, &fresh);
    config_free(r->config);
    config_report_deinit(&r->report);
    free(r);
}

void reload_begin(struct daemon *d, struct api_request *request)
{
    struct reload *r = calloc(1, sizeof *r);

    HF_ASSERT(r != NULL);
    r->daemon = d;
    r->request = request;
    r->work.data = r;
    config_report_init(&r->report);
    if (d->reloading) {
        refuse(r, 409, "busy", "a reload is under way: ask again");
        free(r);
        return;
    }
    d->reloading = true;
    HF_ASSERT(uv_queue_work(&d->loop, &r->work, work, after) == 0);
}
