/* Profiles, connections and what their CHILD SAs have of their own: where each begins, what must
 * not contradict, and the engine's view.
 *
 *   profile ─> the file's `ike`, `child` ─┐
 *   profile of a connection, else those ──┴─> its `ike`, `child` ─> its children's own
 */
#include <stdlib.h>

#include "config/internal.h"
#include "ike/connection.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

const char *const profile_words[] = {"standard", "high-security", "site-to-site", NULL};

/* What a profile sets, and the most that it allows (0 = what the schema allows). */
static const struct profile {
    uint64_t ike_ms, child_ms;
    uint64_t ike_most_ms, child_most_ms;
    bool pfs; /* no rekey of ours without */
} profiles[] = {
    [CONFIG_STANDARD] = {24ull * HOUR_MS, 4ull * HOUR_MS, 0, 0, false},
    [CONFIG_HIGH_SECURITY] = {8ull * HOUR_MS, HOUR_MS, 8ull * HOUR_MS, HOUR_MS, true},
    [CONFIG_SITE_TO_SITE] = {24ull * HOUR_MS, 8ull * HOUR_MS, 0, 12ull * HOUR_MS, true},
};

enum { N_PROFILES = sizeof profiles / sizeof profiles[0] };

void profile_apply(enum config_profile profile, struct ike_lifetime *ike_life,
                   struct ike_child_terms *child)
{
    const struct profile *p = &profiles[profile];
    const struct ike_lifetime life = {
        .rekey_at_percent = 70, .rekey_at_responder_percent = 80, .jitter_percent = 5};

    *ike_life = life;
    ike_life->hard_ms = p->ike_ms;
    memset(child, 0, sizeof *child);
    child->life = life;
    child->life.hard_ms = p->child_ms;
    child->pfs = IKE_PFS_ALWAYS;
    child->spread = true;
}

/* The profile that this map names; false: none, or no such one (the walk says so). */
static bool named(const struct yaml_node *map, enum config_profile *profile)
{
    const struct yaml_node *node = yaml_get(map, "profile");

    for (int i = 0; node != NULL && node->kind == YAML_SCALAR && i < N_PROFILES; i++) {
        if (strcmp(node->text, profile_words[i]) == 0) {
            *profile = (enum config_profile)i;
            return true;
        }
    }
    return false;
}

void profile_of_file(struct walk *walk)
{
    struct config *c = walk->config;

    if (named(walk->root, &c->profile)) {
        profile_apply(c->profile, &c->ike_life, &c->child);
    }
}

void connection_prepare(struct walk *walk, const struct yaml_node *entry, const void *into,
                        void *item)
{
    const struct config *c = into;
    struct config_connection *k = item;

    (void)walk;
    k->profile = c->profile;
    k->ike_life = c->ike_life;
    k->child = c->child;
    if (named(entry, &k->profile)) {
        profile_apply(k->profile, &k->ike_life, &k->child);
    }
}

void override_prepare(struct walk *walk, const struct yaml_node *entry, const void *into,
                      void *item)
{
    (void)walk;
    (void)entry;
    ((struct config_override *)item)->terms = ((const struct config_connection *)into)->child;
}

/* --- what must not contradict --- */

static void check_most(struct walk *walk, const char *path, uint64_t hard_ms, uint64_t most_ms,
                       enum config_profile profile)
{
    if (most_ms != 0 && hard_ms > most_ms) {
        report_at(walk, node_at(walk, "%s/lifetime/hard", path),
                  "the profile %s allows at most %lluh here", profile_words[profile],
                  (unsigned long long)(most_ms / HOUR_MS));
    }
}

static void check_child(struct walk *walk, const char *path, const struct ike_child_terms *terms,
                        enum config_profile profile)
{
    const struct profile *p = &profiles[profile];

    check_lifetime(walk, path, &terms->life);
    check_most(walk, path, terms->life.hard_ms, p->child_most_ms, profile);
    if (p->pfs && terms->pfs != IKE_PFS_ALWAYS) {
        report_at(walk, node_at(walk, "%s/pfs", path), "the profile %s is with PFS: pfs: always",
                  profile_words[profile]);
    }
    if (terms->overlap_ms > terms->life.hard_ms) {
        report_at(walk, node_at(walk, "%s/overlap", path),
                  "the overlap is longer than the lifetime");
    }
}

static void check_ike(struct walk *walk, const char *path, const struct ike_lifetime *life,
                      enum config_profile profile)
{
    check_lifetime(walk, path, life);
    check_most(walk, path, life->hard_ms, profiles[profile].ike_most_ms, profile);
}

static void check_names(struct walk *walk, size_t i)
{
    struct config_connection *all = walk->config->connections, *k = &all[i];

    for (size_t j = 0; j < i; j++) {
        if (strcmp(all[j].name, k->name) == 0) {
            report_at(walk, node_at(walk, "/connections/%zu/name", i),
                      "the name '%s' is used twice (first at line %u)", k->name,
                      node_at(walk, "/connections/%zu/name", j)->line);
        } else if (ike_connection_id(span_of(all[j].name, strlen(all[j].name))) ==
                   ike_connection_id(span_of(k->name, strlen(k->name)))) {
            report_at(walk, node_at(walk, "/connections/%zu/name", i),
                      "the names '%s' and '%s' cannot be told apart in records: change one",
                      all[j].name, k->name);
        }
    }
}

/* An override must lie inside of what the gateway serves, or it is for nothing. */
static void check_override(struct walk *walk, size_t i, size_t n)
{
    const struct config *c = walk->config;
    const struct config_override *o = &c->connections[i].children[n];
    char path[64], text[72];

    (void)snprintf(path, sizeof path, "/connections/%zu/children/%zu", i, n);
    check_child(walk, path, &o->terms, c->connections[i].profile);
    for (size_t k = 0; k < o->n_networks; k++) {
        bool served = false;

        for (size_t m = 0; m < c->n_networks; m++) {
            served = served || prefix_overlaps(&o->networks[k], &c->networks[m]);
        }
        if (!served) {
            report_at(walk, node_at(walk, "%s/networks/%zu", path, k),
                      "%s is in none of gateway.networks, so no CHILD SA is inside of it",
                      prefix_text(&o->networks[k], text));
        }
    }
}

static void make_selector(const struct ip_prefix *prefix, struct ike_ts *ts)
{
    memset(ts, 0, sizeof *ts);
    ts->port_high = 65535;
    ts->low = prefix_first(prefix);
    ts->high = prefix_last(prefix);
}

static void make(const struct config_connection *from, struct ike_connection *to)
{
    to->id = ike_connection_id(span_of(from->name, strlen(from->name)));
    memcpy(to->peers, from->match, sizeof to->peers);
    to->n_peers = (uint8_t)from->n_match;
    to->ike_life = from->ike_life;
    to->child = from->child;
    to->n_overrides = (uint8_t)from->n_children;
    for (size_t i = 0; i < from->n_children; i++) {
        to->overrides[i].terms = from->children[i].terms;
        to->overrides[i].n_local_ts = (uint8_t)from->children[i].n_networks;
        for (size_t k = 0; k < from->children[i].n_networks; k++) {
            make_selector(&from->children[i].networks[k], &to->overrides[i].local_ts[k]);
        }
    }
}

void connections_check(struct walk *walk)
{
    struct config *c = walk->config;
    char path[64];

    check_ike(walk, "/ike", &c->ike_life, c->profile);
    check_child(walk, "/child", &c->child, c->profile);
    c->engine_connections = calloc(c->n_connections + 1, sizeof *c->engine_connections);
    HF_ASSERT(c->engine_connections != NULL);
    for (size_t i = 0; i < c->n_connections; i++) {
        struct config_connection *k = &c->connections[i];

        check_names(walk, i);
        (void)snprintf(path, sizeof path, "/connections/%zu/ike", i);
        check_ike(walk, path, &k->ike_life, k->profile);
        (void)snprintf(path, sizeof path, "/connections/%zu/child", i);
        check_child(walk, path, &k->child, k->profile);
        for (size_t n = 0; n < k->n_children; n++) {
            check_override(walk, i, n);
        }
        make(k, &c->engine_connections[i]);
    }
}
