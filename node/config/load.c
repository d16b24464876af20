/* From a file to a checked struct config. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/internal.h"
#include "replication/tls_identity.h"

enum { SECOND_MS = 1000 };

/* RFC 8247 and RFC 8221 without what they warn of: what stock clients offer at their best, combined
 * modes first. ESP without a group: the IKE SA's own is preferred, any of IKE's is taken. */
static void set_default_proposals(struct config *c)
{
    proposal_default(&c->ike_proposals[0], false,
                     "aes256gcm16-chacha20poly1305-aes128gcm16-prfsha384-prfsha256-prfsha512-"
                     "x25519-ecp256-ecp384-ecp521-modp3072-modp2048-modp4096");
    proposal_default(&c->ike_proposals[1], false,
                     "aes256-aes128-aes256ctr-aes128ctr-sha256-sha384-sha512-"
                     "x25519-ecp256-ecp384-ecp521-modp3072-modp2048-modp4096");
    c->n_ike_proposals = 2;
    proposal_default(&c->esp_proposals[0], true, "aes256gcm16-chacha20poly1305-aes128gcm16");
    proposal_default(&c->esp_proposals[1], true, "aes256-aes128-sha256-sha384-sha512");
    c->n_esp_proposals = 2;
}

static void set_defaults(struct config *c)
{
    c->timing = (struct config_timing){
        .election_ms = 150, .heartbeat_ms = 30, .lease_ms = 150, .lease_heartbeat_ms = 30};
    c->rebalance_delay_ms = 60 * SECOND_MS;
    c->key_age_ms = 3600 * SECOND_MS;
    c->disk_handover_percent = 90;
    c->snapshot_entries = 20000;
    c->snapshot_bytes = 64 << 20;
    memcpy(c->tun_interface, "hf0", 4);
    set_default_proposals(c);
    c->force_encapsulation = true;
    profile_apply(CONFIG_STANDARD, &c->ike_life, &c->child);
    c->retransmit_first_ms = SECOND_MS;
    c->retransmit_factor_milli = 1800;
    c->retransmit_tries = 5;
    c->retransmit_cap_ms = 60 * SECOND_MS;
    c->dpd_ms = 30 * SECOND_MS;
    c->keepalive_ms = 20 * SECOND_MS;
    c->half_open_ms = 30 * SECOND_MS;
    c->linger_ms = 60 * SECOND_MS;
    c->failures_per_source = 32;
    c->failures_in_all = 256;
    c->failures_within_ms = 10 * SECOND_MS;
    memcpy(c->admin_socket, "/run/holdfast/admin.sock", sizeof "/run/holdfast/admin.sock");
    c->api.connections = 256;
    c->api.per_address = 64;
    c->api.rate = 100;
    c->api.burst = 200;
    c->log_level = CONFIG_LOG_INFO;
}

static void free_api(struct config_api *api)
{
    for (int i = 0; i < CONFIG_API_FILES; i++) {
        if (api->pem[i] != NULL) {
            secret_wipe_bytes(api->pem[i], api->pem_bytes[i]);
        }
        free(api->pem[i]);
    }
    free(api->clients);
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    if (config->secrets != NULL) {
        secret_wipe_bytes(config->secrets, config->n_psks * sizeof *config->secrets);
    }
    free(config->secrets);
    free(config->psks);
    free(config->certificates);
    free(config->client_cas);
    free(config->crls);
    free(config->allow);
    credentials_free(config->credentials);
    tls_identity_release(config->tls);
    free_api(&config->api);
    for (size_t i = 0; i < config->n_notes; i++) {
        free(config->notes[i]);
    }
    free(config->connections);
    free(config->engine_connections);
    free(config);
}

static void take_yaml_mistake(void *arg, unsigned line, unsigned column, const char *text)
{
    report_line(arg, line, column, "%s", text);
}

static bool is_clean(const struct walk *walk)
{
    return walk->report->n_mistakes == 0;
}

struct config *config_parse(const char *name, struct span text, bool read_secrets,
                            struct config_report *report)
{
    struct config *config = calloc(1, sizeof *config);
    struct walk walk = {
        .name = name, .report = report, .config = config, .read_secrets = read_secrets};
    struct yaml_node *root = NULL;

    HF_ASSERT(config != NULL);
    config_report_init(report);
    if (strlen(name) >= sizeof config->path) {
        report_at(&walk, NULL, "the path is longer than %zu bytes", sizeof config->path - 1);
        goto out;
    }
    memcpy(config->path, name, strlen(name) + 1);
    set_defaults(config);
    root = yaml_parse(text, take_yaml_mistake, &walk);
    if (root == NULL) {
        goto out;
    }
    walk.root = root;
    if (root->kind != YAML_MAP) {
        report_at(&walk, root,
                  "a configuration is a map of keys: node, interfaces, shards, gateway, auth");
        goto out;
    }
    profile_of_file(&walk);
    schema_walk(&walk, config_schema, root, config);
    if (!is_clean(&walk)) {
        goto out;
    }
    if (config->n_nodes == 0) {
        config->nodes[0].id = config->node_id;
        config->n_nodes = 1;
    }
    config_check(&walk);
    config_read_secrets(&walk);
    config_read_certificates(&walk);
    config_read_node_certificates(&walk);
    config_read_api(&walk);
out:
    yaml_free(root);
    report_sort(report);
    if (!is_clean(&walk)) {
        config_free(config);
        return NULL;
    }
    return config;
}

/* Reads at most CONFIG_MAX_FILE bytes. NULL with a mistake reported. */
static char *read_file(struct walk *walk, const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;
    struct stat st;
    size_t n = 0;
    ssize_t got = 0;

    if (fd < 0 || fstat(fd, &st) != 0) {
        report_at(walk, NULL, "%s%s", strerror(errno),
                  errno == ENOENT
                      ? ": begin with an example of deploy/config (single.yaml, node1.yaml)"
                      : "");
    } else if (!S_ISREG(st.st_mode)) {
        report_at(walk, NULL, "is not a regular file");
    } else if (st.st_size > CONFIG_MAX_FILE) {
        report_at(walk, NULL, "is larger than %d bytes", CONFIG_MAX_FILE);
    } else {
        text = malloc((size_t)st.st_size + 1);
        HF_ASSERT(text != NULL);
        while (n < (size_t)st.st_size && (got = read(fd, text + n, (size_t)st.st_size - n)) > 0) {
            n += (size_t)got;
        }
        if (got < 0) {
            report_at(walk, NULL, "cannot be read: %s", strerror(errno));
            free(text);
            text = NULL;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    *len = n;
    return text;
}

struct config *config_load(const char *path, struct config_report *report)
{
    struct walk walk = {.name = path, .report = report};
    struct config *config;
    size_t len = 0;
    char *text;

    config_report_init(report);
    text = read_file(&walk, path, &len);
    if (text == NULL) {
        return NULL;
    }
    config = config_parse(path, span_of(text, len), true, report);
    free(text);
    return config;
}

const struct config_node *config_find_node(const struct config *config, uint32_t id)
{
    for (size_t i = 0; i < config->n_nodes; i++) {
        if (config->nodes[i].id == id) {
            return &config->nodes[i];
        }
    }
    return NULL;
}

const struct config_node *config_self(const struct config *config)
{
    const struct config_node *self = config_find_node(config, config->node_id);

    HF_ASSERT(self != NULL);
    return self;
}
