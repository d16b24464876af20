/* What every kind of profile is made of. */
#include "daemon/client_profile.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ike/connection.h"
#include "wire/id.h"
#include "wire/sa.h"

static const struct kind {
    const char *name, *suffix, *media_type;
    client_write_fn *write;
} kinds[CLIENT_KINDS] = {
    [CLIENT_SWANCTL] = {"swanctl", ".conf", "text/plain", client_write_swanctl},
    [CLIENT_APPLE] = {"apple", ".mobileconfig", "application/x-apple-aspen-config",
                      client_write_apple},
    [CLIENT_WINDOWS] = {"windows", ".ps1", "text/plain", client_write_windows},
    [CLIENT_ANDROID] = {"android", ".sswan", "application/vnd.strongswan.profile",
                        client_write_android},
    [CLIENT_NETWORKMANAGER] = {"networkmanager", ".nmconnection", "text/plain",
                               client_write_networkmanager},
};

const char *client_kind_name(enum client_kind kind)
{
    return (unsigned)kind < CLIENT_KINDS ? kinds[kind].name : NULL;
}

enum client_kind client_kind_of(const char *name)
{
    unsigned kind = 0;

    while (kind < CLIENT_KINDS && strcmp(kinds[kind].name, name) != 0)
        kind++;
    return (enum client_kind)kind;
}

/* ---- who and where ---- */

static bool plain(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n < CLIENT_NAME_BYTES && text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:-") == n;
}

static const char *ip_text(const struct ip_addr *ip, char out[INET6_ADDRSTRLEN])
{
    return inet_ntop(ip->family == ADDR_V4 ? AF_INET : AF_INET6, ip->bytes, out, INET6_ADDRSTRLEN);
}

/* A name or an e-mail address: what profiles can say of a client. */
static void identity_of(const char *text, struct ike_identity *id)
{
    *id = (struct ike_identity){.type = strchr(text, '@') != NULL ? WIRE_ID_RFC822 : WIRE_ID_FQDN,
                                .len = (uint8_t)strlen(text)};
    memcpy(id->bytes, text, id->len);
}

/* The gateway's identity as a text. False: it is none of the kinds that a profile can name. */
static bool gateway_of(const struct ike_identity *id, char out[CLIENT_NAME_BYTES])
{
    struct ip_addr ip = {.family = id->type == WIRE_ID_IPV4 ? ADDR_V4 : ADDR_V6};
    char text[INET6_ADDRSTRLEN];

    if (id->type == WIRE_ID_IPV4 || id->type == WIRE_ID_IPV6) {
        memcpy(ip.bytes, id->bytes, id->len);
        (void)snprintf(out, CLIENT_NAME_BYTES, "%s", ip_text(&ip, text));
        return true;
    }
    if ((id->type != WIRE_ID_FQDN && id->type != WIRE_ID_RFC822) || id->len >= CLIENT_NAME_BYTES)
        return false;
    memcpy(out, id->bytes, id->len);
    out[id->len] = '\0';
    return plain(out);
}

static bool has_key(const struct config *c, const struct ike_identity *id)
{
    for (size_t i = 0; i < c->n_psks; i++)
        if (c->psks[i].identity.type == id->type && c->psks[i].identity.len == id->len &&
            memcmp(c->psks[i].identity.bytes, id->bytes, id->len) == 0)
            return true;
    return false;
}

static uint64_t soft_s(const struct ike_lifetime *life)
{
    return life->hard_ms / 1000 * life->rekey_at_percent / 100;
}

static void gather_terms(struct client_facts *f, const struct ike_policy *policy,
                         const struct ike_identity *id)
{
    struct ike_sa *sa = calloc(1, sizeof *sa);
    struct ike_child_terms terms;
    const struct ike_lifetime *life;

    HF_ASSERT(sa != NULL);
    sa->remote_id = *id;
    ike_connection_choose(policy, sa);
    life = ike_connection_life(policy, sa);
    terms = ike_connection_terms(policy, sa, policy->local_ts, policy->n_local_ts);
    f->ike_hard_s = life->hard_ms / 1000;
    f->ike_soft_s = soft_s(life);
    f->child_hard_s = terms.life.hard_ms / 1000;
    f->child_soft_s = soft_s(&terms.life);
    f->pfs = terms.pfs != IKE_PFS_NEVER;
    free(sa);
}

static void gather_place(struct client_facts *f, const struct config *c, const char *server)
{
    char text[INET6_ADDRSTRLEN];

    for (size_t i = 0; i < c->n_shards; i++) {
        f->v4 = f->v4 || addr_is_set(&c->shards[i].pool[SLOT_V4].ip);
        f->v6 = f->v6 || addr_is_set(&c->shards[i].pool[SLOT_V6].ip);
    }
    if (server == NULL) {
        const struct ip_addr *outside = c->shards[0].outside;

        server = ip_text(&outside[addr_is_set(&outside[SLOT_V4]) ? SLOT_V4 : SLOT_V6], text);
    }
    (void)snprintf(f->server, sizeof f->server, "%s", server);
}

static enum client_refusal gather(struct client_facts *f, const struct ike_policy *policy,
                                  const char *identity, const char *server,
                                  char why[CLIENT_WHY_BYTES])
{
    const struct config *c = f->config;
    struct ike_identity id;

    if (!plain(identity) || (server != NULL && !plain(server))) {
        (void)snprintf(why, CLIENT_WHY_BYTES,
                       "'%.60s' is no name that a profile can hold: letters, digits and . _ @ : -",
                       plain(identity) ? server : identity);
        return CLIENT_MALFORMED;
    }
    if (!gateway_of(&c->identity, f->gateway)) {
        (void)snprintf(why, CLIENT_WHY_BYTES,
                       "gateway.identity is no name, e-mail or IP address of plain letters: no "
                       "profile can name it");
        return CLIENT_UNFIT;
    }
    identity_of(identity, &id);
    f->shared_key = has_key(c, &id);
    if (!f->shared_key && (c->n_certificates == 0 || c->n_client_cas == 0)) {
        (void)snprintf(
            why, CLIENT_WHY_BYTES,
            "%s has no shared key in auth.psk, and clients with certificates are not set "
            "up (auth.certificates, auth.clients)",
            identity);
        return CLIENT_UNKNOWN;
    }
    (void)snprintf(f->identity, sizeof f->identity, "%s", identity);
    gather_place(f, c, server);
    gather_terms(f, policy, &id);
    return CLIENT_MADE;
}

enum client_refusal client_profile(const struct config *config, const struct ike_policy *policy,
                                   enum client_kind kind, const char *identity, const char *server,
                                   struct client_profile *out, char why[CLIENT_WHY_BYTES])
{
    struct client_facts f = {.config = config};
    enum client_refusal refusal = gather(&f, policy, identity, server, why);
    const struct kind *k = &kinds[kind];
    size_t bytes = 0;
    FILE *stream;
    bool made;

    HF_ASSERT((unsigned)kind < CLIENT_KINDS);
    if (refusal != CLIENT_MADE)
        return refusal;
    out->text = NULL;
    stream = open_memstream(&out->text, &bytes);
    HF_ASSERT(stream != NULL);
    made = k->write(&f, stream, why);
    (void)fclose(stream);
    HF_ASSERT(out->text != NULL);
    if (!made) {
        free(out->text);
        out->text = NULL;
        return CLIENT_UNFIT;
    }
    (void)snprintf(out->file, sizeof out->file, "%.100s%s", f.gateway, k->suffix);
    out->media_type = k->media_type;
    return CLIENT_MADE;
}

void client_uuid(const struct client_facts *f, unsigned part, char out[CLIENT_UUID_BYTES])
{
    uint64_t a = span_fnv1a64(span_of(f->identity, strlen(f->identity))),
             b = span_fnv1a64(span_of(f->gateway, strlen(f->gateway)));

    (void)snprintf(out, CLIENT_UUID_BYTES, "%08x-%04x-8%03x-a%03x-%012" PRIx64, (unsigned)(a >> 32),
                   (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff, part & 0xfff,
                   b & 0xffffffffffff);
}

/* ---- proposals ---- */

static void put_transforms(FILE *out, const char **between, uint8_t type,
                           const struct config_transforms *t)
{
    for (uint8_t i = 0; i < t->n; i++) {
        (void)fprintf(out, "%s%s", *between,
                      transform_word(type, t->items[i].id, t->items[i].key_bits));
        *between = "-";
    }
}

void client_put_ike(const struct client_facts *f, FILE *out, const char *between)
{
    for (size_t i = 0; i < f->config->n_ike_proposals; i++) {
        const struct config_proposal *p = &f->config->ike_proposals[i];
        const char *first = i == 0 ? "" : between;

        put_transforms(out, &first, WIRE_TR_ENCR, &p->encr);
        put_transforms(out, &first, WIRE_TR_INTEG, &p->integ);
        put_transforms(out, &first, WIRE_TR_PRF, &p->prf);
        put_transforms(out, &first, WIRE_TR_KE, &p->ke);
    }
}

void client_put_esp(const struct client_facts *f, FILE *out, const char *between)
{
    for (size_t i = 0; i < f->config->n_esp_proposals; i++) {
        const struct config_proposal *p = &f->config->esp_proposals[i];
        const char *first = i == 0 ? "" : between;

        put_transforms(out, &first, WIRE_TR_ENCR, &p->encr);
        put_transforms(out, &first, WIRE_TR_INTEG, &p->integ);
        if (f->pfs)
            put_transforms(out, &first, WIRE_TR_KE,
                           p->ke.n != 0 ? &p->ke : &f->config->ike_proposals[0].ke);
    }
}

const char *client_network(const struct ip_prefix *p, char out[64])
{
    char text[INET6_ADDRSTRLEN];

    (void)snprintf(out, 64, "%s/%u", ip_text(&p->ip, text), p->bits);
    return out;
}

static const char *choose(const struct config_transforms *t, const struct client_word *words)
{
    for (uint8_t i = 0; i < t->n; i++)
        for (const struct client_word *w = words; w != NULL && w->word != NULL; w++)
            if (w->id == t->items[i].id && w->key_bits == t->items[i].key_bits)
                return w->word;
    return NULL;
}

bool client_choose_ike(const struct client_facts *f, const struct client_words *w,
                       struct client_chosen *out)
{
    for (size_t i = 0; i < f->config->n_ike_proposals; i++) {
        const struct config_proposal *p = &f->config->ike_proposals[i];

        *out = (struct client_chosen){.encr = choose(&p->encr, w->encr),
                                      .prf = choose(&p->prf, w->prf),
                                      .integ = choose(&p->integ, w->integ),
                                      .ke = choose(&p->ke, w->ke)};
        if (out->encr != NULL && out->prf != NULL && out->ke != NULL &&
            (out->integ != NULL || p->integ.n == 0))
            return true;
    }
    return false;
}

bool client_choose_esp(const struct client_facts *f, const struct client_words *w,
                       const char *ike_ke, struct client_chosen *out)
{
    for (size_t i = 0; i < f->config->n_esp_proposals; i++) {
        const struct config_proposal *p = &f->config->esp_proposals[i];

        *out = (struct client_chosen){.encr = choose(&p->encr, w->encr),
                                      .integ = choose(&p->integ, w->integ)};
        if (f->pfs)
            out->ke = p->ke.n != 0 ? choose(&p->ke, w->ke) : ike_ke;
        if (out->encr != NULL && (out->integ != NULL || p->integ.n == 0) &&
            (out->ke != NULL || !f->pfs))
            return true;
    }
    return false;
}
