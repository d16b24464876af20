/* The REST API over TLS: from the configuration to api/server.h, and what the interface asks of this
 * node itself. */
#include <stdlib.h>

#include "daemon/internal.h"
#include "replication/replica.h"

static enum api_role role_of(enum config_api_role role)
{
    switch (role) {
    case CONFIG_API_VIEWER:
        return API_ROLE_VIEWER;
    case CONFIG_API_OPERATOR:
        return API_ROLE_OPERATOR;
    case CONFIG_API_ADMIN:
        return API_ROLE_ADMIN;
    case CONFIG_API_DRILL:
        return API_ROLE_DRILL;
    }
    return API_ROLE_NONE;
}

/* The caller frees `clients`. */
static struct api_tls_files files_of(const struct config_api *api, struct api_client **clients)
{
    struct span pem[CONFIG_API_FILES];

    *clients = calloc(api->n_clients + 1, sizeof **clients); /* none, where tokens alone do */
    HF_ASSERT(*clients != NULL);
    HF_STATIC_ASSERT(sizeof(*clients)->name == sizeof api->clients->name);
    for (size_t i = 0; i < api->n_clients; i++) {
        memcpy((*clients)[i].name, api->clients[i].name, sizeof(*clients)[i].name);
        (*clients)[i].role = role_of(api->clients[i].role);
    }
    for (int i = 0; i < CONFIG_API_FILES; i++)
        pem[i] = span_of(api->pem[i], api->pem_bytes[i]);
    return (struct api_tls_files){.certificate = pem[CONFIG_API_CERTIFICATE],
                                  .key = pem[CONFIG_API_KEY],
                                  .client_ca = pem[CONFIG_API_CLIENT_CA],
                                  .revoked = pem[CONFIG_API_REVOKED],
                                  .required = api->client_certificates == CONFIG_API_REQUIRED,
                                  .clients = *clients,
                                  .n_clients = api->n_clients};
}

bool rest_start(struct daemon *d)
{
    const struct config_api *api = &d->config->api;
    struct api_server_options o = {.listen = api->listen,
                                   .connections = api->connections,
                                   .per_address = api->per_address,
                                   .rate = api->rate,
                                   .burst = api->burst};
    struct api_client *clients;
    struct api_tls_files files;

    if (!addr_is_set(&api->listen.ip))
        return true;
    files = files_of(api, &clients);
    o.tls = &files;
    d->rest = api_server_create(&d->loop, &o, &d->backend, d->error->text, sizeof d->error->text);
    free(clients);
    if (d->rest != NULL)
        log_line(d->log, LOG_INFO, "api", "serving on port %u, %zu names have a role",
                 (unsigned)api->listen.port, api->n_clients);
    return d->rest != NULL;
}

bool rest_replace(struct daemon *d, const struct config *config, char *error, size_t error_bytes)
{
    struct api_client *clients;
    struct api_tls_files files;
    bool good;

    if (d->rest == NULL || !addr_is_set(&config->api.listen.ip))
        return true; /* with or without: that is for the next start */
    files = files_of(&config->api, &clients);
    good = api_server_set_tls(d->rest, &files, error, error_bytes);
    free(clients);
    return good;
}

void rest_stop(struct daemon *d)
{
    if (d->rest != NULL)
        api_server_close(d->rest, NULL, NULL);
    d->rest = NULL;
}

/* What keeps it from serving clients; NULL: nothing. */
static const char *unready(struct daemon *d, const struct repl_status *st)
{
    const struct repl_node_status *self = admin_node(st, st->node);

    return d->leaving || d->stopping ? "this node is stopping"
           : !st->quorum             ? "no majority of the members is reached"
           : st->lacks_key           ? "this node waits for the key of sessions"
           : !d->outside_up          ? "the outside interface is down"
           : !d->inside_up           ? "the inside interface is down"
           : d->disk_full            ? "the disk is too full"
           : self == NULL            ? "this node is no member yet"
           : self->drained           ? "an operator drained this node"
                                     : NULL;
}

bool rest_ready(void *self, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_status st;
    const char *why;

    repl_status(d->repl, &st);
    why = unready(d, &st);
    if (why != NULL)
        api_problem_set(problem, 503, "not-ready", "%s", why);
    return why == NULL;
}

bool rest_leads(void *self, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_status st;

    repl_status(d->repl, &st);
    if (st.quorum && st.leader == st.node)
        return true;
    if (st.leader == 0 || !st.quorum)
        api_problem_set(problem, 503, "no-leader", "no leader is known that leads a majority");
    else
        api_problem_set(problem, 503, "not-leader", "node %u leads: ask there", st.leader);
    return false;
}

uint64_t rest_index(void *self)
{
    return ((struct daemon *)self)->seen_index;
}
