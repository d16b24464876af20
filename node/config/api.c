/* The REST API's section: who may come, and its files, held against each other. What is wrong with
 * the time alone is a note, as with the gateway's own certificates. */
#include <stdlib.h>
#include <time.h>

#include "config/internal.h"

static const char *const keys[CONFIG_API_FILES] = {
    [CONFIG_API_CERTIFICATE] = "certificate",
    [CONFIG_API_KEY] = "key",
    [CONFIG_API_CLIENT_CA] = "client_ca",
    [CONFIG_API_REVOKED] = "revoked",
};

static const char *const kinds[] = {"cn:", "dns:", "email:", "uri:", NULL};

static bool parse_client(const struct schema_field *field, const char *text, void *at,
                         char why[WHY_BYTES])
{
    bool known = false;

    for (size_t i = 0; kinds[i] != NULL; i++) {
        known = known ||
                (strncmp(text, kinds[i], strlen(kinds[i])) == 0 && text[strlen(kinds[i])] != '\0');
    }
    if (!known || strlen(text) >= field->bytes) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is no name of a certificate: say where it stands, as in "
                       "email:alice@example.org (known: cn:, dns:, email:, uri:)",
                       text);
        return false;
    }
    memset(at, 0, field->bytes);
    memcpy(at, text, strlen(text));
    return true;
}

const struct value_type value_client = {"a name in a certificate", false, "email:alice@example.org",
                                        parse_client};

static void check_clients(struct walk *walk)
{
    const struct config_api *api = &walk->config->api;
    const struct yaml_node *item = api->n_clients > 0 ? node_at(walk, "/api/clients/0") : NULL;

    for (size_t i = 0; i < api->n_clients; i++, item = item->next) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(api->clients[i].name, api->clients[k].name) == 0) {
                report_at(walk, yaml_get(item, "name"), "'%s' has a role already",
                          api->clients[i].name);
            }
        }
    }
}

static void check_limits(struct walk *walk)
{
    const struct config_api *api = &walk->config->api;

    if (api->per_address > api->connections) {
        report_at(walk, node_at(walk, "/api/limits/per_address"),
                  "one address may not have more connections (%u) than there are in all (%u): "
                  "lower 'per_address', or raise 'connections'",
                  api->per_address, api->connections);
    }
}

static struct span pem_of(const struct config_api *api, enum config_api_file which)
{
    return span_of(api->pem[which], api->pem_bytes[which]);
}

static void check_own(struct walk *walk)
{
    struct config_api *api = &walk->config->api;
    const struct yaml_node *at = node_at(walk, "/api/certificate");
    char why[CERT_WHY_BYTES];
    struct crypto_own *own =
        crypto_own_load(pem_of(api, CONFIG_API_CERTIFICATE), pem_of(api, CONFIG_API_KEY), why);
    bool fatal = false;

    if (own == NULL) {
        bool key = strstr(why, "key") != NULL;

        report_at(walk, key ? node_at(walk, "/api/key") : at, "'%s': %s %s",
                  key ? "key" : "certificate", key ? api->key : api->certificate, why);
        return;
    }
    if (crypto_own_complaint(own, (uint64_t)time(NULL), &fatal, why) != NULL) {
        config_note(walk, at, api->certificate, why, fatal);
    }
    crypto_own_free(own);
}

static void check_trust(struct walk *walk)
{
    struct config_api *api = &walk->config->api;
    struct crypto_trust *trust = crypto_trust_new();
    char why[CERT_WHY_BYTES];

    if (!crypto_trust_add_cas(trust, pem_of(api, CONFIG_API_CLIENT_CA), why)) {
        report_at(walk, node_at(walk, "/api/client_ca"), "'client_ca': %s %s", api->client_ca, why);
    } else if (api->pem[CONFIG_API_REVOKED] != NULL &&
               !crypto_trust_add_crls(trust, pem_of(api, CONFIG_API_REVOKED), why)) {
        report_at(walk, node_at(walk, "/api/revoked"), "'revoked': %s %s", api->revoked, why);
    } else if (crypto_trust_complaint(trust, (uint64_t)time(NULL), why) != NULL) {
        config_note(walk, node_at(walk, "/api/client_ca"), api->client_ca, why, true);
    }
    crypto_trust_free(trust);
}

/* Who may come: by certificate, whose CA and names are then said; or, where that is said, by token alone. What is left out by
 * mistake must not let anybody in, nor keep all out unseen. */
static bool check_who(struct walk *walk)
{
    const struct config_api *api = &walk->config->api;
    const struct yaml_node *at = node_at(walk, "/api");

    if (api->client_ca[0] != '\0') {
        if (api->n_clients == 0) {
            report_at(walk, at,
                      "'clients' is missing: nobody whose certificate counts would have a "
                      "role");
        }
        return api->n_clients > 0;
    }
    if (api->client_certificates == CONFIG_API_REQUIRED) {
        report_at(walk, at,
                  "'client_ca' is missing: it says whose certificates count. Where tokens alone "
                  "shall do (`holdfast token add`), say 'client_certificates: optional'");
    } else if (api->n_clients > 0) {
        report_at(walk, node_at(walk, "/api/clients"),
                  "'clients' are names in certificates, and without 'client_ca' none counts");
    } else if (api->revoked[0] != '\0') {
        report_at(walk, node_at(walk, "/api/revoked"),
                  "'revoked' is of certificates, and without 'client_ca' none counts");
    } else {
        return true;
    }
    return false;
}

void config_read_api(struct walk *walk)
{
    struct config_api *api = &walk->config->api;
    char *paths[CONFIG_API_FILES] = {api->certificate, api->key, api->client_ca, api->revoked};
    bool good = true;

    if (!addr_is_set(&api->listen.ip)) {
        return;
    }
    good = check_who(walk);
    check_clients(walk);
    check_limits(walk);
    for (int i = 0; i < CONFIG_API_FILES; i++) {
        const struct yaml_node *at = node_at(walk, "/api/%s", keys[i]);

        if (paths[i][0] == '\0') {
            continue;
        }
        good = config_join_path(walk, at, keys[i], paths[i]) && good;
        if (good && walk->read_secrets) {
            api->pem[i] = config_read_pem(walk, at, keys[i], paths[i], i == CONFIG_API_KEY,
                                          &api->pem_bytes[i]);
            good = api->pem[i] != NULL;
        }
    }
    if (good && walk->read_secrets) {
        check_own(walk);
        if (api->client_ca[0] != '\0') {
            check_trust(walk);
        }
    }
}
