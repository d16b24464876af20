#include "spis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool spis_have(const struct cell_spis *spis, const char *text)
{
    for (unsigned i = 0; i < spis->n; i++) {
        if (strcmp(text, spis->text[i]) == 0)
            return true;
    }
    return false;
}

bool spis_record_survived(const struct cell_spis *before, const struct cell_spis *committed,
                          bool client_began)
{
    if (!client_began)
        return committed->pending_spi_in || committed->pending_ike_spi[0];
    for (unsigned i = 0; i < committed->n; i++) {
        if (!spis_have(before, committed->text[i]))
            return true;
    }
    return false;
}

static bool of_committed_record(const struct cell_spis *committed, const char *spi)
{
    char allocated[CELL_SPI_TEXT];

    if (spis_have(committed, spi))
        return true;
    (void)snprintf(allocated, sizeof allocated, "esp:%08x/", committed->pending_spi_in);
    if (committed->pending_spi_in && strncmp(spi, allocated, strlen(allocated)) == 0)
        return true;
    (void)snprintf(allocated, sizeof allocated, "ike:%s", committed->pending_ike_spi);
    return committed->pending_ike_spi[0] && strcmp(spi, allocated) == 0;
}

static bool is_child(const char *spi)
{
    return strncmp(spi, "esp:", 4) == 0;
}

void spis_judge_all_die(const struct cell_spis *before, const struct cell_spis *now, bool kept,
                        uint64_t recoveries, struct oracle_report *r)
{
    uint64_t recovered = 0;

    for (unsigned i = 0; i < before->n; i++) {
        const char *spi = before->text[i];
        bool lives = spis_have(now, spi);

        if (lives == kept || (kept && is_child(spi) && recovered++ < recoveries))
            continue;
        oracle_violation(r, "all-die: %s of before is %s", spi,
                         kept ? "gone, though its keys were kept"
                              : "there, though its keys were lost");
    }
}

void spis_judge_replaced(const struct spis_case *c, struct oracle_report *r)
{
    const char *kind = c->ike ? "ike:" : "esp:";
    uint64_t recovered = 0;

    for (unsigned i = 0; i < c->before->n; i++) {
        const char *spi = c->before->text[i];
        bool rekeyed = strncmp(spi, kind, strlen(kind)) == 0, lives = spis_have(c->after, spi);

        if (rekeyed != lives || (!rekeyed && is_child(spi) && recovered++ < c->recoveries))
            continue;
        oracle_violation(r, "same-spis: %s was %s", spi,
                         rekeyed ? "rekeyed and lives on" : "not rekeyed and is gone");
    }
}

void spis_judge(const struct spis_case *c, struct oracle_report *r)
{
    char want[CELL_SPI_TEXT] = "none";
    uint64_t recovered = 0;

    for (unsigned i = 0; i < c->after->n; i++) {
        const char *spi = c->after->text[i];

        if (!c->decided || of_committed_record(c->committed, spi) ||
            (is_child(spi) && recovered++ < c->recoveries))
            continue;
        oracle_violation(
            r, "same-spis: %s lives after the exchange but is not of the committed record", spi);
    }
    spis_judge_replaced(c, r);
    if (c->newest)
        (void)snprintf(want, sizeof want, "esp:%08x/%08x", c->newest->spi_out, c->newest->spi_in);
    if (!spis_have(c->after, want))
        oracle_violation(r,
                         "same-spis: the client's newest CHILD SA is %s, which node %u does not "
                         "have",
                         want, c->node);
}

/* DELETED is not INSTALLED: strongSwan keeps the inbound half of a rekeyed one for a while. */
static unsigned installed_at_client(const struct swan_sa *sa)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sa->n_children; i++)
        n += strcmp(sa->children[i].state, "INSTALLED") == 0;
    return n;
}

static unsigned installed_at_gateway(const struct node_sa *sa)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sa->n_children; i++)
        n += strcmp(sa->children[i].state, "installed") == 0;
    return n;
}

static bool gateway_has(const struct node_sa *sa, uint32_t spi_in, uint32_t spi_out)
{
    for (unsigned i = 0; i < sa->n_children; i++) {
        if (strcmp(sa->children[i].state, "installed") == 0 && sa->children[i].spi_in == spi_in &&
            sa->children[i].spi_out == spi_out)
            return true;
    }
    return false;
}

static bool same_children(const struct swan_sa *client, const struct node_sa *gateway, char *why,
                          size_t size)
{
    if (installed_at_client(client) != installed_at_gateway(gateway)) {
        (void)snprintf(why, size, "%u CHILD SAs at the client, %u at the gateway",
                       installed_at_client(client), installed_at_gateway(gateway));
        return false;
    }
    for (unsigned i = 0; i < client->n_children; i++) {
        uint32_t in = client->children[i].spi_in, out = client->children[i].spi_out;

        if (strcmp(client->children[i].state, "INSTALLED") != 0 || gateway_has(gateway, out, in))
            continue;
        (void)snprintf(why, size, "the client's CHILD SA %08x/%08x is not at the gateway", out, in);
        return false;
    }
    return true;
}

/* The gateway's SA that is the client's, either end having begun it. */
static const struct node_sa *twin_of(const struct swan_sa *client, const struct node_sas *gateway)
{
    for (unsigned i = 0; i < gateway->n_sas; i++) {
        const struct node_sa *g = &gateway->sas[i];
        uint64_t id = strtoull(g->id, NULL, 16), remote = strtoull(g->remote_spi, NULL, 16);

        if (strcmp(g->state, "established") == 0 &&
            ((client->spi_responder == id && client->spi_initiator == remote) ||
             (client->spi_initiator == id && client->spi_responder == remote)))
            return g;
    }
    return NULL;
}

bool spis_client_agrees(const struct swan_sas *client, const struct node_sas *gateway,
                        unsigned clients, char *why, size_t size)
{
    unsigned n_client = 0, n_gateway = 0;

    for (unsigned i = 0; i < client->n_sas; i++)
        n_client += strcmp(client->sas[i].state, "ESTABLISHED") == 0;
    for (unsigned i = 0; i < gateway->n_sas; i++)
        n_gateway += strcmp(gateway->sas[i].state, "established") == 0;
    if (n_client != clients || n_gateway != clients) {
        (void)snprintf(why, size, "%u IKE SAs at the client, %u at the gateway", n_client,
                       n_gateway);
        return false;
    }
    for (unsigned i = 0; i < client->n_sas; i++) {
        const struct swan_sa *c = &client->sas[i];
        const struct node_sa *g = twin_of(c, gateway);

        if (strcmp(c->state, "ESTABLISHED") != 0)
            continue;
        if (!g) {
            (void)snprintf(why, size, "the client's IKE SA %016llx/%016llx is not at the gateway",
                           (unsigned long long)c->spi_initiator,
                           (unsigned long long)c->spi_responder);
            return false;
        }
        if (!same_children(c, g, why, size))
            return false;
        if (c->busy) {
            (void)snprintf(why, size, "the client's exchanges do not end");
            return false;
        }
    }
    return true;
}
