/* What one key alone cannot tell: duplicates, overlaps, limits that contradict each other. Runs
 * only on a file whose single values are all good, so that one mistake is not reported twice in
 * other words. */
#include <stdarg.h>
#include <stdlib.h>

#include "config/internal.h"

/* Walks "/shards/1/pool": keys and indices. Stops at the last part that exists. */
const struct yaml_node *node_at(struct walk *walk, const char *format, ...)
{
    const struct yaml_node *node = walk->root;
    char path[128], *rest = path + 1, *part;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof path, format, args);
    va_end(args);
    while ((part = strsep(&rest, "/")) != NULL) {
        const struct yaml_node *next = NULL;

        if (node->kind == YAML_MAP) {
            next = yaml_get(node, part);
        } else if (node->kind == YAML_LIST) {
            unsigned long i = strtoul(part, NULL, 10);

            for (next = node->child; next != NULL && i > 0; i--) {
                next = next->next;
            }
        }
        if (next == NULL) {
            break;
        }
        node = next;
    }
    return node;
}

const struct yaml_node *family_at(struct walk *walk, size_t i, const char *key, uint8_t family)
{
    const struct yaml_node *node = node_at(walk, "/shards/%zu/%s", i, key);

    if (node->kind != YAML_LIST) {
        return node;
    }
    for (const struct yaml_node *c = node->child; c != NULL; c = c->next) {
        if (c->kind == YAML_SCALAR && (strchr(c->text, ':') != NULL) == (family == ADDR_V6)) {
            return c;
        }
    }
    return node;
}

static unsigned line_of(struct walk *walk, const char *list, size_t i, const char *key)
{
    return node_at(walk, "/%s/%zu/%s", list, i, key)->line;
}

/* Whom it was founded with. A node that is none of them joins, and asks one of the others. */
static void check_founders(struct walk *walk)
{
    const struct config *c = walk->config;
    size_t n = c->n_founders > 0 ? c->n_founders : c->n_nodes;

    for (size_t i = 0; i < c->n_founders; i++)
        for (size_t k = 0; k < i; k++)
            if (c->founders[i] == c->founders[k])
                report_at(walk, node_at(walk, "/cluster/founders/%zu", i),
                          "node %u is listed twice", c->founders[i]);
    if (n == 2 || n == 4) {
        report_at(walk, node_at(walk, "/cluster/%s", c->n_founders > 0 ? "founders" : "nodes"),
                  "%zu nodes survive no more failures than %zu: a cluster has 1, 3 or 5 nodes", n,
                  n - 1);
    }
    if (c->n_founders > 0 && c->n_nodes == 1 && c->founders[0] != c->node_id)
        report_at(walk, node_at(walk, "/cluster/nodes"),
                  "node %u is to join: list a member to ask, too", c->node_id);
}

static void check_cluster(struct walk *walk)
{
    struct config *c = walk->config;
    bool found = false;
    char ip[64];

    for (size_t i = 0; i < c->n_nodes; i++) {
        found = found || c->nodes[i].id == c->node_id;
        for (size_t k = 0; k < i; k++) {
            if (c->nodes[i].id == c->nodes[k].id) {
                report_at(walk, node_at(walk, "/cluster/nodes/%zu/id", i),
                          "node %u is listed twice (first at line %u)", c->nodes[i].id,
                          node_at(walk, "/cluster/nodes/%zu/id", k)->line);
            }
            if (addr_equal(&c->nodes[i].address.ip, &c->nodes[k].address.ip)) {
                report_at(walk, node_at(walk, "/cluster/nodes/%zu/address", i),
                          "%s is the address of node %u as well",
                          addr_text(&c->nodes[i].address.ip, ip), c->nodes[k].id);
            }
        }
    }
    if (!found) {
        report_at(walk, node_at(walk, "/node/id"),
                  "node %u is not in cluster.nodes: add { id: %u, address: ... } there", c->node_id,
                  c->node_id);
    }
    check_founders(walk);
}

static void check_timing(struct walk *walk)
{
    const struct config_timing *t = &walk->config->timing;

    if (t->heartbeat_ms * 3 > t->election_ms) {
        report_at(walk, node_at(walk, "/cluster/timing/heartbeat"),
                  "heartbeat (%ums) must be at most a third of election (%ums), or one lost packet "
                  "starts an election",
                  t->heartbeat_ms, t->election_ms);
    }
    if (t->lease_heartbeat_ms * 3 > t->lease_ms) {
        report_at(walk, node_at(walk, "/cluster/timing/lease_heartbeat"),
                  "lease_heartbeat (%ums) must be at most a third of lease (%ums), or one lost "
                  "packet silences the owner",
                  t->lease_heartbeat_ms, t->lease_ms);
    }
}

static void check_interfaces(struct walk *walk)
{
    struct config *c = walk->config;

    if (strcmp(c->outside_interface, c->inside_interface) == 0) {
        report_at(walk, node_at(walk, "/interfaces/inside"),
                  "inside and outside must be different interfaces, both are '%s'",
                  c->inside_interface);
    }
    if (strcmp(c->tun_interface, c->inside_interface) == 0 ||
        strcmp(c->tun_interface, c->outside_interface) == 0) {
        report_at(walk, node_at(walk, "/interfaces/tun"),
                  "'%s' is an interface of the machine: tun names one that the daemon makes",
                  c->tun_interface);
    }
}

/* Service addresses belong to nobody else: not to a node, not to another shard, not to a pool. */
static void check_service_address(struct walk *walk, size_t i, const char *key,
                                  const struct ip_addr *ip)
{
    const struct yaml_node *at = family_at(walk, i, key, ip->family);
    struct config *c = walk->config;
    unsigned slot = addr_slot(ip->family);
    char text[64], net[72];

    if (!addr_is_set(ip)) {
        return;
    }
    for (size_t n = 0; n < c->n_nodes; n++) {
        if (addr_equal(&c->nodes[n].address.ip, ip)) {
            report_at(walk, at, "%s is the address of node %u: a service address is free to move",
                      addr_text(ip, text), c->nodes[n].id);
        }
    }
    for (size_t k = 0; k < c->n_shards; k++) {
        const struct config_shard *other = &c->shards[k];
        bool same_inside = addr_equal(&other->inside[slot], ip),
             same_outside = addr_equal(&other->outside[slot], ip);

        if ((k < i && (same_inside || same_outside)) ||
            (k == i && strcmp(key, "inside") == 0 && same_outside)) {
            report_at(walk, at, "%s is used by shard %u already (line %u)", addr_text(ip, text),
                      other->id, line_of(walk, "shards", k, same_outside ? "outside" : "inside"));
        }
        if (prefix_contains(&other->pool[slot], ip)) {
            report_at(walk, at, "%s lies in the pool %s of shard %u", addr_text(ip, text),
                      prefix_text(&other->pool[slot], net), other->id);
        }
    }
}

/* What clients with an address of the pool need besides: a way in for the answers, and somewhere to
 * go. */
static void check_family(struct walk *walk, size_t i, unsigned slot)
{
    const struct config *c = walk->config;
    const struct ip_prefix *pool = &c->shards[i].pool[slot];
    const char *name = slot == SLOT_V6 ? "IPv6" : "IPv4";
    bool reach = false;
    char a[72];

    for (size_t n = 0; n < c->n_networks; n++) {
        reach = reach || c->networks[n].ip.family == pool->ip.family;
    }
    if (!addr_is_set(&c->shards[i].inside[slot])) {
        report_at(walk, family_at(walk, i, "pool", pool->ip.family),
                  "the pool %s needs an %s address under 'inside', to which routers send it",
                  prefix_text(pool, a), name);
    }
    if (!reach) {
        report_at(walk, family_at(walk, i, "pool", pool->ip.family),
                  "the pool %s leads nowhere: there is no %s network under 'gateway.networks'",
                  prefix_text(pool, a), name);
    }
}

static void check_pool(struct walk *walk, size_t i, unsigned slot)
{
    static const uint8_t least[ADDR_SLOTS] = {8, 48}, most[ADDR_SLOTS] = {30, 126};
    struct config *c = walk->config;
    const struct ip_prefix *pool = &c->shards[i].pool[slot];
    const struct yaml_node *at = family_at(walk, i, "pool", pool->ip.family);
    char a[72], b[72];

    if (!addr_is_set(&pool->ip)) {
        return;
    }
    check_family(walk, i, slot);
    if (pool->bits < least[slot] || pool->bits > most[slot]) {
        report_at(walk, at, "the pool %s must be between /%u and /%u", prefix_text(pool, a),
                  least[slot], most[slot]);
    }
    for (size_t k = 0; k < i; k++) {
        if (prefix_overlaps(pool, &c->shards[k].pool[slot])) {
            report_at(walk, at, "the pool %s overlaps %s of shard %u (line %u)",
                      prefix_text(pool, a), prefix_text(&c->shards[k].pool[slot], b),
                      c->shards[k].id, line_of(walk, "shards", k, "pool"));
        }
    }
    for (size_t n = 0; n < c->n_networks; n++) {
        /* A network of everything is a default route, which every pool is part of. */
        if (c->networks[n].bits > 0 && prefix_overlaps(pool, &c->networks[n])) {
            report_at(walk, at, "the pool %s overlaps the network %s behind the gateway (line %u)",
                      prefix_text(pool, a), prefix_text(&c->networks[n], b),
                      node_at(walk, "/gateway/networks/%zu", n)->line);
        }
    }
    for (size_t n = 0; n < c->n_nodes; n++) {
        if (prefix_contains(pool, &c->nodes[n].address.ip)) {
            report_at(walk, at, "the pool %s holds the address of node %u", prefix_text(pool, a),
                      c->nodes[n].id);
        }
    }
}

static void check_shards(struct walk *walk)
{
    struct config *c = walk->config;

    for (size_t i = 0; i < c->n_shards; i++) {
        const struct config_shard *s = &c->shards[i];

        for (size_t k = 0; k < i; k++) {
            if (s->id == c->shards[k].id) {
                report_at(walk, node_at(walk, "/shards/%zu/id", i),
                          "shard %u is listed twice (first at line %u)", s->id,
                          line_of(walk, "shards", k, "id"));
            }
        }
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            check_service_address(walk, i, "outside", &s->outside[slot]);
            check_service_address(walk, i, "inside", &s->inside[slot]);
            check_pool(walk, i, slot);
        }
        if (s->prefer != 0 && config_find_node(c, s->prefer) == NULL) {
            report_at(walk, node_at(walk, "/shards/%zu/prefer", i),
                      "there is no node %u in this cluster", s->prefer);
        }
    }
}

static void check_networks(struct walk *walk)
{
    struct config *c = walk->config;
    char a[72], b[72];

    for (size_t i = 0; i < c->n_networks; i++) {
        unsigned slot = addr_slot(c->networks[i].ip.family);

        for (size_t k = 0; k < i; k++) {
            if (prefix_overlaps(&c->networks[i], &c->networks[k])) {
                report_at(walk, node_at(walk, "/gateway/networks/%zu", i), "%s overlaps %s",
                          prefix_text(&c->networks[i], a), prefix_text(&c->networks[k], b));
            }
        }
        for (size_t k = 0; k < c->n_shards; k++) {
            if (prefix_contains(&c->networks[i], &c->shards[k].outside[slot])) {
                report_at(walk, node_at(walk, "/gateway/networks/%zu", i),
                          "the network %s holds the outside address of shard %u: a tunnel cannot "
                          "lead to its own end",
                          prefix_text(&c->networks[i], a), c->shards[k].id);
            }
        }
    }
}

void check_lifetime(struct walk *walk, const char *path, const struct ike_lifetime *life)
{
    if (life->rekey_at_responder_percent < life->rekey_at_percent) {
        report_at(walk, node_at(walk, "%s/lifetime/rekey_at_responder", path),
                  "rekey_at_responder (%u%%) must not be below rekey_at (%u%%), or both ends begin "
                  "together",
                  life->rekey_at_responder_percent, life->rekey_at_percent);
    }
    if (life->hard_packets != 0 && life->soft_packets >= life->hard_packets) {
        report_at(walk, node_at(walk, "%s/lifetime/packets/soft", path),
                  "soft (%llu) must be below hard (%llu)", (unsigned long long)life->soft_packets,
                  (unsigned long long)life->hard_packets);
    }
    if (life->hard_bytes != 0 && life->soft_bytes >= life->hard_bytes) {
        report_at(walk, node_at(walk, "%s/lifetime/bytes/soft", path),
                  "soft (%llu bytes) must be below hard (%llu bytes)",
                  (unsigned long long)life->soft_bytes, (unsigned long long)life->hard_bytes);
    }
}

static int compare_identities(const void *a, const void *b)
{
    const struct config_psk *const *x = a, *const *y = b;
    const struct ike_identity *p = &(*x)->identity, *q = &(*y)->identity;
    int by_type = (int)p->type - (int)q->type, by_len = (int)p->len - (int)q->len;
    int by_bytes = memcmp(p->bytes, q->bytes, sizeof p->bytes);

    return by_type != 0    ? by_type
           : by_len != 0   ? by_len
           : by_bytes != 0 ? by_bytes
                           : (*x > *y) - (*x < *y);
}

static bool same_identity(const struct ike_identity *a, const struct ike_identity *b)
{
    return a->type == b->type && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void check_identities(struct walk *walk)
{
    struct config *c = walk->config;
    const struct config_psk **sorted = calloc(c->n_psks + 1, sizeof(struct config_psk *));
    char text[IKE_MAX_ID_BYTES + 1];

    HF_ASSERT(sorted != NULL);
    for (size_t i = 0; i < c->n_psks; i++) {
        sorted[i] = &c->psks[i];
        if (same_identity(&c->psks[i].identity, &c->identity)) {
            report_at(walk, node_at(walk, "/auth/psk/%zu/identity", i),
                      "'%s' is the gateway's own identity", identity_text(&c->identity, text));
        }
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
    qsort(sorted, c->n_psks, sizeof *sorted, compare_identities);
    for (size_t i = 1; i < c->n_psks; i++) {
        if (same_identity(&sorted[i]->identity, &sorted[i - 1]->identity)) {
            report_at(
                walk, node_at(walk, "/auth/psk/%zu/identity", (size_t)(sorted[i] - c->psks)),
                "'%s' is listed twice (first at line %u)",
                identity_text(&sorted[i]->identity, text),
                node_at(walk, "/auth/psk/%zu/identity", (size_t)(sorted[i - 1] - c->psks))->line);
        }
    }
    free(sorted);
}

/* Somebody must be able to come in, and what the sections need of each other must be there. */
static void check_auth(struct walk *walk)
{
    const struct config *c = walk->config;

    if (c->n_psks == 0 && c->n_client_cas == 0) {
        report_at(
            walk, node_at(walk, "/auth"),
            "nobody can come in: give 'psk', a list of shared keys, or 'clients', with the CA "
            "of their certificates");
    }
    if (c->n_client_cas > 0 && c->n_certificates == 0) {
        report_at(
            walk, node_at(walk, "/auth/clients"),
            "clients with certificates want one of the gateway: give 'certificates: [{ chain: "
            "gw.pem, key: gw.key }]' (`holdfast pki server` makes them)");
    }
    if (c->psk_clients_get == CONFIG_PSK_GETS_CERTIFICATE && c->n_certificates == 0) {
        report_at(walk, node_at(walk, "/auth/psk_clients_get"),
                  "there is no certificate to show: give 'certificates' under 'auth'");
    }
}

void config_check(struct walk *walk)
{
    if (yaml_get(walk->root, "cluster") != NULL) {
        check_cluster(walk);
        check_timing(walk);
    }
    check_interfaces(walk);
    check_shards(walk);
    check_networks(walk);
    connections_check(walk);
    proposal_check(walk);
    check_identities(walk);
    check_auth(walk);
}
