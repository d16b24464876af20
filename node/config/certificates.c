/* Certificates from files: ours with their keys, the clients' CAs, revocation lists, patterns. A key
 * is guarded like a shared key; what is public must not be changed by others. What is wrong with the
 * time alone (expired, not yet valid) is a note, not a mistake: a gateway that also serves shared
 * keys starts, says so, and refuses to take such a file in a reload. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config/internal.h"

enum { MOST_CHAIN_BYTES = 2800 }; /* with AUTH and all else in IKE_MAX_MESSAGE_BYTES */

char *config_read_pem(struct walk *walk, const struct yaml_node *node, const char *key,
                      const char *path, bool secret, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *why = NULL;
    char text[WHY_BYTES], *bytes = NULL;
    struct stat st = {0};
    ssize_t n = 0;

    *len = 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "is not a regular file";
    else if (st.st_size > CERT_MAX_FILE)
        why = "is larger than 1 MiB";
    else
        why = config_check_access(&st, secret, text);
    if (why == NULL) {
        bytes = malloc((size_t)st.st_size + 1);
        HF_ASSERT(bytes != NULL);
        while (*len < (size_t)st.st_size &&
               (n = read(fd, bytes + *len, (size_t)st.st_size - *len)) > 0)
            *len += (size_t)n;
        why = n < 0 ? "cannot be read" : NULL;
    }
    if (fd >= 0)
        (void)close(fd);
    if (why == NULL)
        return bytes;
    report_at(walk, node, "'%s': %s %s", key, path, why);
    if (bytes != NULL)
        secret_wipe_bytes(bytes, (size_t)st.st_size);
    free(bytes);
    return NULL;
}

void config_note(struct walk *walk, const struct yaml_node *node, const char *path,
                 const char *what, bool out_of_date)
{
    struct config *c = walk->config;

    c->out_of_date = c->out_of_date || out_of_date;
    if (c->n_notes < CONFIG_MAX_NOTES &&
        asprintf(&c->notes[c->n_notes], "%s:%u:%u: %s %s", walk->name, node->line, node->column,
                 path, what) >= 0)
        c->n_notes++;
}

/* A certificate that loaded: may it be shown, under which name? */
static void check_own(struct walk *walk, size_t i, const struct yaml_node *item,
                      struct crypto_own *own)
{
    struct config *c = walk->config;
    const struct config_certificate *file = &c->certificates[i];
    const struct yaml_node *chain = yaml_get(item, "chain");
    const struct ike_identity *id = file->identity.type != 0 ? &file->identity : &c->identity;
    char why[CERT_WHY_BYTES], name[IKE_MAX_ID_BYTES + 1];
    uint64_t now = (uint64_t)time(NULL);
    bool fatal = false;

    if (!credentials_has_name(own, id))
        report_at(walk, chain,
                  "'chain': %s does not have the name '%s' in its subjectAltName, so clients would "
                  "refuse it: make it with `holdfast pki server %s`, or give the name that it has "
                  "as 'identity' beside it",
                  file->chain, identity_text(id, name), identity_text(id, name));
    if (crypto_own_complaint(own, now, &fatal, why) == NULL)
        return;
    if (fatal && strstr(why, "is not for a gateway") != NULL)
        report_at(walk, chain, "'chain': %s %s", file->chain, why);
    else
        config_note(walk, chain, file->chain, why, fatal);
}

static void read_own(struct walk *walk, size_t i, const struct yaml_node *item)
{
    struct config *c = walk->config;
    struct config_certificate *file = &c->certificates[i];
    const struct yaml_node *chain_at = yaml_get(item, "chain"), *key_at = yaml_get(item, "key");
    char why[CERT_WHY_BYTES], *chain = NULL, *key = NULL;
    size_t chain_len = 0, key_len = 0;
    struct crypto_own *own = NULL;

    if (!config_join_path(walk, chain_at, "chain", file->chain) ||
        !config_join_path(walk, key_at, "key", file->key) || !walk->read_secrets)
        return;
    chain = config_read_pem(walk, chain_at, "chain", file->chain, false, &chain_len);
    key = config_read_pem(walk, key_at, "key", file->key, true, &key_len);
    if (chain != NULL && key != NULL) {
        own = crypto_own_load(span_of(chain, chain_len), span_of(key, key_len), why);
        if (own == NULL)
            report_at(walk, strstr(why, "key") != NULL ? key_at : chain_at, "'%s': %s %s",
                      strstr(why, "key") != NULL ? "key" : "chain",
                      strstr(why, "key") != NULL ? file->key : file->chain, why);
    }
    if (own != NULL) {
        check_own(walk, i, item, own);
        credentials_add_own(c->credentials, own,
                            file->identity.type != 0 ? &file->identity : &c->identity,
                            file->rsa == CONFIG_RSA_PSS);
        if (credentials_largest_chain(c->credentials) > MOST_CHAIN_BYTES)
            report_at(
                walk, chain_at,
                "'chain': %s is too long for one message (%zu bytes, %d are left for it): use "
                "ECDSA keys, or leave intermediates out that clients have",
                file->chain, credentials_largest_chain(c->credentials), MOST_CHAIN_BYTES);
    }
    if (key != NULL)
        secret_wipe_bytes(key, key_len);
    free(key);
    free(chain);
}

typedef bool add_fn(struct crypto_trust *trust, struct span pem, char why[CERT_WHY_BYTES]);

static void read_list(struct walk *walk, const char *key, char (*paths)[CONFIG_MAX_PATH], size_t n,
                      struct crypto_trust *trust, add_fn *add)
{
    const struct yaml_node *item = node_at(walk, "/auth/clients/%s/0", key);

    for (size_t i = 0; i < n; i++, item = item->next) {
        char why[CERT_WHY_BYTES], *pem;
        size_t len;

        if (!config_join_path(walk, item, key, paths[i]) || !walk->read_secrets)
            continue;
        pem = config_read_pem(walk, item, key, paths[i], false, &len);
        if (pem != NULL && !add(trust, span_of(pem, len), why))
            report_at(walk, item, "'%s': %s %s", key, paths[i], why);
        free(pem);
    }
}

static void read_clients(struct walk *walk)
{
    struct config *c = walk->config;
    struct crypto_trust *trust = crypto_trust_new();
    const struct yaml_node *item = node_at(walk, "/auth/clients/allow/0");
    char why[CERT_WHY_BYTES];

    read_list(walk, "ca", c->client_cas, c->n_client_cas, trust, crypto_trust_add_cas);
    read_list(walk, "crl", c->crls, c->n_crls, trust, crypto_trust_add_crls);
    for (size_t i = 0; i < c->n_allow; i++, item = item->next)
        if (!crypto_trust_allow(trust, c->allow[i], why))
            report_at(walk, item, "'allow': %s", why);
    if (crypto_trust_complaint(trust, (uint64_t)time(NULL), why) != NULL)
        config_note(walk, node_at(walk, "/auth/clients"), "clients:", why, true);
    credentials_set_trust(c->credentials, trust);
}

void config_read_certificates(struct walk *walk)
{
    struct config *c = walk->config;
    const struct yaml_node *item = node_at(walk, "/auth/certificates/0");

    if (c->n_certificates == 0 && c->n_client_cas == 0)
        return;
    c->credentials = credentials_new();
    for (size_t i = 0; i < c->n_certificates; i++, item = item->next)
        read_own(walk, i, item);
    if (c->n_client_cas > 0)
        read_clients(walk);
}
