#include "cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The client may still wait for the answer to its Delete. */
enum { AGREE_TRIES = 50, AGREE_PAUSE_MS = 100, AGREE_MS = 5000 };

void cell_take_spis(struct node *n, struct cell_spis *spis)
{
    static struct node_sas sas;

    *spis = (struct cell_spis){0};
    node_look_sas(n, &sas);
    spis->known = sas.answered;
    for (unsigned i = 0; i < sas.n_sas; i++) {
        const struct node_sa *sa = &sas.sas[i];

        if (strcmp(sa->state, "established") != 0 && strcmp(sa->state, "rekeyed") != 0)
            continue;
        if (spis->n < CELL_MAX_SPIS)
            (void)snprintf(spis->text[spis->n++], CELL_SPI_TEXT, "ike:%.16s", sa->id);
        for (unsigned k = 0; k < sa->n_children && spis->n < CELL_MAX_SPIS; k++)
            (void)snprintf(spis->text[spis->n++], CELL_SPI_TEXT, "esp:%08x/%08x",
                           sa->children[k].spi_in, sa->children[k].spi_out);
        if (sa->pending_spi_in)
            spis->pending_spi_in = sa->pending_spi_in;
        if (strtoull(sa->pending_ike_spi, NULL, 16))
            (void)snprintf(spis->pending_ike_spi, sizeof spis->pending_ike_spi, "%s",
                           sa->pending_ike_spi);
    }
}

bool cell_trigger_gateway(struct cell *c, struct node *n)
{
    bool ike = c->spec->exchange == DRILL_IKE_REKEY;
    static struct node_sas sas;
    const struct node_sa *sa;
    int status;

    node_look_sas(n, &sas);
    sa = node_find_client(&sas);
    if (!sa || (!ike && sa->n_children == 0))
        return cell_inconclusive(c, "node %u shows no established SA to rekey", n->id);
    status = node_rekey(n, sa->id, ike, ike ? 0 : sa->children[0].spi_in,
                        c->spec->exchange == DRILL_CHILD_REKEY_PFS);
    if (status >= 300)
        return cell_inconclusive(c, "node %u refuses to rekey: status %d", n->id, status);
    return true; /* no answer: it may be dead already, as armed */
}

bool cell_trigger(struct cell *c, unsigned at_node)
{
    c->at_trigger = c->client.log;
    if (cell_by_lifetime(c))
        return true;
    if (c->spec->role == DRILL_GATEWAY)
        return cell_trigger_gateway(c, &c->nodes[at_node]);
    return c->spec->exchange == DRILL_IKE_REKEY
               ? swan_ctl(&c->client, 5000, "--rekey", "--ike", "home", NULL)
               : swan_ctl(&c->client, 5000, "--rekey", "--child", "net", NULL);
}

static bool begun(void *arg)
{
    return ((struct cell *)arg)->have_about;
}

/* The gateway began it, and nobody knows whether the record survived: if it did, the new owner
 * sends the request by itself. If not, the operator's request was never answered, and he asks
 * again. */
static bool resume_gateway(struct cell *c)
{
    if (!lab_until(&c->lab, begun, c, CELL_RESUME_MS)) {
        if (cell_by_lifetime(c) || c->record_survived) {
            oracle_violation(&c->report, "exchange: node %u did not begin it within %u ms%s",
                             c->owner, CELL_RESUME_MS,
                             c->record_survived ? ", although its record is in the log" : "");
            return false;
        }
        c->begun_again = true;
        cell_phase(c, "begun again at node %u", c->owner);
        if (!cell_trigger_gateway(c, cell_owner(c)))
            return false;
        if (!lab_until(&c->lab, begun, c, c->drill->settle_ms)) {
            oracle_violation(&c->report, "exchange: node %u never began it", c->owner);
            return false;
        }
    }
    return cell_provoke_copy(c) && cell_hold(c, false, 0, CELL_IKE_FLOWS);
}

static bool client_done(void *arg)
{
    struct cell *c = arg;
    const struct swan_log *now = &c->client.log, *then = &c->at_trigger;

    if (c->spec->exchange == DRILL_IKE_REKEY)
        return now->ike_rekeyed > then->ike_rekeyed && now->ike_deleted > then->ike_deleted;
    return now->child_rekeyed > then->child_rekeyed && now->child_closed > then->child_closed;
}

struct quiet {
    struct cell *c;
    unsigned children;
    struct node_sas last;
};

/* Alive on the gateway: one IKE SA a client, its CHILD SAs installed, none half way, no request
 * unanswered. */
static bool gateway_quiet(void *arg)
{
    struct quiet *q = arg;
    unsigned live = 0, installed = 0;

    if (cell_is_reference(q->c))
        return true;
    node_look_sas(cell_owner(q->c), &q->last);
    if (!q->last.answered)
        return false;
    for (unsigned i = 0; i < q->last.n_sas; i++) {
        const struct node_sa *sa = &q->last.sas[i];

        if (strcmp(sa->state, "ended") == 0)
            continue; /* only answers retransmissions */
        live++;
        if (strcmp(sa->state, "established") != 0 || sa->pending[0])
            return false;
        for (unsigned k = 0; k < sa->n_children; k++) {
            if (strcmp(sa->children[k].state, "installed") != 0)
                return false;
            installed++;
        }
    }
    return live == q->c->drill->clients && installed == q->children + live - 1;
}

bool cell_wait_quiet(struct cell *c, unsigned children)
{
    static struct quiet q;
    char text[160] = "";

    q = (struct quiet){.c = c, .children = children};

    if (lab_until(&c->lab, gateway_quiet, &q, c->drill->settle_ms))
        return true;
    for (unsigned i = 0; i < q.last.n_sas && i < 8; i++) {
        size_t at = strlen(text);

        (void)snprintf(text + at, sizeof text - at, " %s %s", q.last.sas[i].id,
                       q.last.sas[i].state);
        for (unsigned k = 0; k < q.last.sas[i].n_children; k++) {
            at = strlen(text);
            (void)snprintf(text + at, sizeof text - at, " (%08x %s)",
                           q.last.sas[i].children[k].spi_in, q.last.sas[i].children[k].state);
        }
    }
    oracle_violation(
        &c->report,
        "state: node %u does not settle to %u IKE SAs with %u CHILD SAs within %u ms:%s", c->owner,
        c->drill->clients, children + c->drill->clients - 1, c->drill->settle_ms,
        q.last.answered ? text : " no answer");
    return false;
}

/* What a strongSwan responder holds, in the words of a node. */
static void of_reference(const struct swan_sas *from, struct node_sas *to)
{
    *to = (struct node_sas){.answered = true};
    for (unsigned i = 0; i < from->n_sas && i < NODE_MAX_SAS; i++) {
        const struct swan_sa *s = &from->sas[i];
        struct node_sa *n = &to->sas[to->n_sas++];

        (void)snprintf(n->id, sizeof n->id, "%016llx", (unsigned long long)s->spi_responder);
        (void)snprintf(n->remote_spi, sizeof n->remote_spi, "%016llx",
                       (unsigned long long)s->spi_initiator);
        (void)snprintf(n->state, sizeof n->state, "%s",
                       strcmp(s->state, "ESTABLISHED") == 0 ? "established" : "ended");
        for (unsigned k = 0; k < s->n_children && k < NODE_MAX_CHILDREN; k++) {
            struct node_child *child = &n->children[n->n_children++];

            child->spi_in = s->children[k].spi_in;
            child->spi_out = s->children[k].spi_out;
            (void)snprintf(child->state, sizeof child->state, "%s",
                           strcmp(s->children[k].state, "INSTALLED") == 0 ? "installed" : "old");
        }
    }
}

static bool look_at_gateway(struct cell *c, struct node_sas *sas)
{
    static struct swan_sas reference;

    if (!cell_is_reference(c)) {
        node_look_sas(cell_owner(c), sas);
        return true;
    }
    if (!swan_list(&c->reference, AGREE_MS, &reference))
        return false;
    of_reference(&reference, sas);
    return true;
}

bool cell_ends_agree(struct cell *c)
{
    char why[CELL_TEXT] = "";

    for (unsigned tries = 0; tries < AGREE_TRIES; tries++) {
        static struct node_sas gateway;
        static struct swan_sas client;

        if (!swan_list(&c->client, AGREE_MS, &client))
            return false;
        if (!look_at_gateway(c, &gateway))
            return false;
        if (gateway.answered &&
            spis_client_agrees(&client, &gateway, c->drill->clients, why, sizeof why))
            return true;
        (void)lab_until(&c->lab, NULL, NULL, AGREE_PAUSE_MS);
    }
    oracle_violation(&c->report, "ends: %s", why[0] ? why : "the owner does not answer");
    return false;
}

static void compare_spis(struct cell *c)
{
    const struct swan_log *log = &c->client.log;
    struct spis_case spis = {.before = &c->before,
                             .committed = &c->committed,
                             .after = &c->after,
                             .ike = c->spec->exchange == DRILL_IKE_REKEY,
                             .decided = c->spec->point >= DRILL_COMMITTED || c->record_survived,
                             .newest = log->n_children ? &log->children[log->n_children - 1] : NULL,
                             .node = c->owner,
                             .recoveries = cell_recoveries(c)};

    cell_take_spis(cell_owner(c), &c->after);
    if (!c->before.known || !c->after.known || !c->committed.known)
        (void)cell_inconclusive(c, "the SPIs of the owners are not known");
    else
        spis_judge(&spis, &c->report);
}

/* The CHILD rekey was of the kind that the cell is named after. */
static void judge_key_exchange(struct cell *c)
{
    bool with = c->client.log.ke_requests > c->at_trigger.ke_requests;

    if (c->spec->exchange != DRILL_IKE_REKEY &&
        with != (c->spec->exchange == DRILL_CHILD_REKEY_PFS))
        oracle_violation(&c->report, "exchange: %s ended with%s a key exchange",
                         drill_exchange_name(c->spec->exchange), with ? "" : "out");
}

bool cell_exchange_ends(struct cell *c)
{
    const char *name = drill_exchange_name(c->spec->exchange);

    if (c->spec->role == DRILL_GATEWAY && c->spec->point < DRILL_COMMITTED && !resume_gateway(c))
        return false;
    cell_phase(c, "the exchange ends");
    if (!lab_until(&c->lab, client_done, c, c->drill->settle_ms)) {
        oracle_violation(&c->report, "exchange: the client did not see the end of %s within %u ms",
                         name, c->drill->settle_ms);
        return false;
    }
    if (!cell_wait_quiet(c, 1) || !cell_ends_agree(c))
        return false;
    c->watching = false;
    c->follow_up_ns = pump_wall_ns();
    judge_key_exchange(c);
    c->asked[c->spec->role]++;
    cell_judge_requests(c, c->follow_up_ns, "the exchange ended");
    compare_spis(c);
    return true;
}
