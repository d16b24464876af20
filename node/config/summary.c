/* What `holdfastd --check` says about a good file. */
#include <time.h>

#include "config/internal.h"
#include "replication/tls_identity.h"

static void print_identity(const struct config *c, FILE *out)
{
    char date[32] = "";
    time_t until;
    struct tm tm;

    if (c->tls == NULL)
        return;
    until = (time_t)tls_identity_expires(c->tls);
    if (gmtime_r(&until, &tm) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
    (void)fprintf(out, "  identity  node %u of cluster '%s' by %s, good until %s%s\n", c->node_id,
                  tls_identity_cluster(c->tls), c->node_certificate, date,
                  c->node_revoked[0] != '\0' ? "" : "; no list of revoked ones");
}

static void print_nodes(const struct config *c, FILE *out)
{
    char ip[64];

    if (c->n_nodes == 1 && c->nodes[0].address.ip.family == ADDR_NONE) {
        (void)fprintf(out, "  cluster   a single node: nothing takes over when it dies\n");
        return;
    }
    (void)fprintf(out, "  cluster   %zu node%s, %zu may fail:", c->n_nodes,
                  c->n_nodes == 1 ? "" : "s", (c->n_nodes - 1) / 2);
    for (size_t i = 0; i < c->n_nodes; i++) {
        (void)fprintf(out, " %u=%s:%u", c->nodes[i].id, addr_text(&c->nodes[i].address.ip, ip),
                      c->nodes[i].address.port);
    }
    (void)fprintf(out,
                  "\n  timing    election %ums, heartbeat %ums, lease %ums, lease heartbeat %ums\n",
                  c->timing.election_ms, c->timing.heartbeat_ms, c->timing.lease_ms,
                  c->timing.lease_heartbeat_ms);
    print_identity(c, out);
    if (c->rebalance == CONFIG_REBALANCE_AUTO)
        (void)fprintf(out, "  rebalance auto: to nodes that have been well for %us, by handover\n",
                      c->rebalance_delay_ms / 1000);
    else
        (void)fprintf(out, "  rebalance manual: shards stay until they are moved\n");
}

static void print_proposals(const char *what, const struct config_proposal *list, size_t n,
                            FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out, "  %-9s", i == 0 ? what : "");
        proposal_print(&list[i], out);
        (void)fputc('\n', out);
    }
}

static void print_legacy(const struct config *c, FILE *out)
{
    if (c->n_legacy == 0) {
        return;
    }
    (void)fprintf(out, "  UNSAFE    legacy:");
    for (size_t i = 0; i < c->n_legacy; i++) {
        (void)fprintf(out, "%s %s", i > 0 ? "," : "", config_legacy_words[c->legacy[i]]);
    }
    (void)fprintf(out, ": not to be used any more (RFC 8247, RFC 8221); whoever records such a "
                       "tunnel may read it one day\n");
}

/* What two settings do that are easily taken for more: the peer's own rekeys are not ours to judge,
 * and a client behind a NAT gets its ESP in UDP whatever is said here. */
static void print_children(const struct config *c, FILE *out)
{
    static const char theirs[] = "a client's is served as it asks";

    if (c->child.pfs == IKE_PFS_EVERY)
        (void)fprintf(out, "  pfs       in one of %u rekeys, if we begin it; %s\n",
                      c->child.pfs_every, theirs);
    else
        (void)fprintf(out, "  pfs       in %s rekey that we begin; %s\n",
                      c->child.pfs == IKE_PFS_ALWAYS ? "every" : "no", theirs);
    (void)fprintf(out, "  in UDP    %s\n",
                  c->force_encapsulation
                      ? "always"
                      : "behind a NAT; with none between, ESP goes as it is (protocol 50)");
}

static void print_addresses(const struct ip_addr ips[ADDR_SLOTS], FILE *out)
{
    char text[64];

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        if (addr_is_set(&ips[slot])) {
            (void)fprintf(out, " %s", addr_text(&ips[slot], text));
        }
    }
}

static void duration(uint64_t ms, char buf[32])
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    size_t i = 3;

    while (i > 0 && ms % units[i].ms != 0) {
        i--;
    }
    (void)snprintf(buf, 32, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
}

/* Who gets which lifetimes: the connections in their order, then everybody else. */
static void print_connections(const struct config *c, FILE *out)
{
    char ike[32], child[32];

    for (size_t i = 0; i <= c->n_connections; i++) {
        const struct config_connection *k = i < c->n_connections ? &c->connections[i] : NULL;

        duration(k != NULL ? k->ike_life.hard_ms : c->ike_life.hard_ms, ike);
        duration(k != NULL ? k->child.life.hard_ms : c->child.life.hard_ms, child);
        (void)fprintf(out, "  lifetime  %s: IKE SA %s, CHILD SA %s",
                      k != NULL ? k->name : "default", ike, child);
        for (size_t n = 0; k != NULL && n < k->n_children; n++) {
            duration(k->children[n].terms.life.hard_ms, child);
            (void)fprintf(out, ", %s %s", k->children[n].name, child);
        }
        (void)fputc('\n', out);
    }
}

static void print_auth(const struct config *c, FILE *out)
{
    char name[CERT_MAX_NAME + 1];

    if (c->n_psks > 0)
        (void)fprintf(out, "  clients   %zu with a pre-shared key\n", c->n_psks);
    for (size_t i = 0; i < c->n_certificates; i++) {
        const struct crypto_own *own =
            c->credentials != NULL ? credentials_own(c->credentials, i) : NULL;
        const struct ike_identity *id =
            c->certificates[i].identity.type != 0 ? &c->certificates[i].identity : &c->identity;
        time_t until = own != NULL ? (time_t)crypto_own_expires(own) : 0;
        char date[32] = "";
        struct tm tm;

        if (gmtime_r(&until, &tm) != NULL)
            (void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
        (void)fprintf(out, "  we show   %s of %s, good until %s\n", c->certificates[i].chain,
                      cert_name_text(id->type, span_of(id->bytes, id->len), name, sizeof name),
                      date);
    }
    if (c->n_client_cas > 0 && c->credentials != NULL) {
        (void)fprintf(out, "  clients   %s of %zu CA%s%s\n",
                      c->n_allow > 0 ? "those that 'allow' names," : "any certificate",
                      crypto_trust_count(credentials_trust(c->credentials)),
                      crypto_trust_count(credentials_trust(c->credentials)) == 1 ? "" : "s",
                      c->n_crls > 0 ? ", but for what is revoked" : ", revoked or not: no 'crl'");
    }
    if (c->legacy_rsa_sha1)
        (void)fprintf(out,
                      "  UNSAFE    legacy_rsa_sha1: signatures over SHA-1 are made and taken\n");
    for (size_t i = 0; i < c->n_notes; i++)
        (void)fprintf(out, "  NOTE      %s\n", c->notes[i]);
}

void config_print_summary(const struct config *c, FILE *out)
{
    char text[IKE_MAX_ID_BYTES + 1], net[72];

    (void)fprintf(out, "%s: good\n", c->path);
    (void)fprintf(out, "  node      %u, data in %s\n", c->node_id, c->data_dir);
    print_nodes(c, out);
    (void)fprintf(out, "  interface outside %s, inside %s, tunnels on %s\n", c->outside_interface,
                  c->inside_interface, c->tun_interface);
    for (size_t i = 0; i < c->n_shards; i++) {
        const struct config_shard *s = &c->shards[i];

        (void)fprintf(out, "  shard %-3u outside", s->id);
        print_addresses(s->outside, out);
        (void)fprintf(out, ", inside");
        print_addresses(s->inside, out);
        (void)fprintf(out, ", pool");
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            if (addr_is_set(&s->pool[slot].ip)) {
                (void)fprintf(out, " %s", prefix_text(&s->pool[slot], net));
            }
        }
        (void)fprintf(out, s->prefer != 0 ? ", node %u preferred\n" : "\n", s->prefer);
    }
    (void)fprintf(out, "  gateway   %s, networks", identity_text(&c->identity, text));
    for (size_t i = 0; i < c->n_networks; i++) {
        (void)fprintf(out, " %s", prefix_text(&c->networks[i], net));
    }
    (void)fputc('\n', out);
    print_proposals("ike", c->ike_proposals, c->n_ike_proposals, out);
    print_proposals("esp", c->esp_proposals, c->n_esp_proposals, out);
    print_children(c, out);
    print_connections(c, out);
    print_auth(c, out);
    (void)fprintf(out, "  admin     %s\n", c->admin_socket);
    if (addr_is_set(&c->api.listen.ip) && c->api.client_ca[0] == '\0') {
        char ip[64];

        (void)fprintf(out, "  api       %s port %u, by tokens alone\n",
                      addr_text(&c->api.listen.ip, ip), (unsigned)c->api.listen.port);
    } else if (addr_is_set(&c->api.listen.ip)) {
        char ip[64];

        (void)fprintf(out,
                      "  api       %s port %u, client certificates %s, %zu names with a role\n",
                      addr_text(&c->api.listen.ip, ip), (unsigned)c->api.listen.port,
                      c->api.client_certificates == CONFIG_API_REQUIRED ? "required" : "optional",
                      c->api.n_clients);
    }
    print_legacy(c, out);
    if (c->drills == CONFIG_DRILLS_ENABLED) {
        (void)fprintf(out, "  UNSAFE    drills are enabled: whoever may use the admin socket can "
                           "kill this node\n");
    }
}
