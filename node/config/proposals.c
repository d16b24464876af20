/* Proposals (RFC 7296 3.3.2) as operators write them: "aes256gcm16-prfsha384-ecp384",
 * "aes256-aes128-sha256-modp2048-x25519". Several words of a kind: each combination, the first ones
 * preferred. A cipher that is no combined mode needs an integrity algorithm, and where no PRF is
 * named that gives the PRF too. */
#include "config/internal.h"

enum { ENCR = 1, PRF = 2, INTEG = 3, KE = 4, COMBINED_GCM = 20, COMBINED_CHACHA = 28 };

const struct transform_name transform_names[] = {
    {"aes256gcm16", ENCR, 20, 256, NULL}, /* RFC 4106, RFC 5282 */
    {"aes128gcm16", ENCR, 20, 128, NULL},
    {"chacha20poly1305", ENCR, 28, 0, NULL}, /* RFC 7634 */
    {"aes256", ENCR, 12, 256, NULL},         /* CBC, RFC 3602 */
    {"aes128", ENCR, 12, 128, NULL},
    {"aes256ctr", ENCR, 13, 256, NULL}, /* RFC 3686, RFC 5930 */
    {"aes128ctr", ENCR, 13, 128, NULL},
    {"sha256", INTEG, 12, 0, NULL}, /* RFC 4868 */
    {"sha384", INTEG, 13, 0, NULL},
    {"sha512", INTEG, 14, 0, NULL},
    {"prfsha256", PRF, 5, 0, NULL},
    {"prfsha384", PRF, 6, 0, NULL},
    {"prfsha512", PRF, 7, 0, NULL},
    {"x25519", KE, 31, 0, NULL}, /* RFC 8031 */
    {"ecp256", KE, 19, 0, NULL}, /* RFC 5903 */
    {"ecp384", KE, 20, 0, NULL},
    {"ecp521", KE, 21, 0, NULL},
    {"modp2048", KE, 14, 0, NULL}, /* RFC 3526 */
    {"modp3072", KE, 15, 0, NULL},
    {"modp4096", KE, 16, 0, NULL},
    /* RFC 8247, RFC 8221: not to be used any more; for peers that have nothing else */
    {"modp1024", KE, 2, 0, "modp1024"},
    {"sha1", INTEG, 2, 0, "sha1"},
    {"prfsha1", PRF, 2, 0, "sha1"},
    {0},
};

const char *const config_legacy_words[] = {"modp1024", "sha1", NULL};

const struct transform_name *transform_of(uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (const struct transform_name *t = transform_names; t->word != NULL; t++) {
        if (t->type == type && t->id == id && t->key_bits == key_bits) {
            return t;
        }
    }
    return NULL;
}

const char *transform_word(uint8_t type, uint16_t id, uint16_t key_bits)
{
    const struct transform_name *t = transform_of(type, id, key_bits);

    return t != NULL ? t->word : "unknown";
}

static const struct transform_name *find_transform(const char *word)
{
    for (const struct transform_name *t = transform_names; t->word != NULL; t++) {
        if (strcmp(t->word, word) == 0) {
            return t;
        }
    }
    return NULL;
}

static void unknown_transform(const char *word, char why[WHY_BYTES])
{
    const char *words[sizeof transform_names / sizeof transform_names[0] + 1];
    size_t n = 0, used;
    const char *meant;

    for (const struct transform_name *t = transform_names; t->word != NULL; t++) {
        if (t->legacy == NULL) {
            words[n++] = t->word;
        }
    }
    words[n++] = "esn";
    words[n] = NULL;
    meant = nearest_word(word, words);
    used = (size_t)snprintf(why, WHY_BYTES, "'%.40s' is not known here%s%s%s; known:", word,
                            meant != NULL ? " (did you mean " : "", meant != NULL ? meant : "",
                            meant != NULL ? "?)" : "");
    for (size_t i = 0; i < n && used < WHY_BYTES; i++) {
        used += (size_t)snprintf(why + used, WHY_BYTES - used, " %s", words[i]);
    }
}

static bool is_combined(const struct config_transform *t)
{
    return t->id == COMBINED_GCM || t->id == COMBINED_CHACHA;
}

static struct config_transforms *list_of(struct config_proposal *p, uint8_t type)
{
    return type == ENCR ? &p->encr : type == PRF ? &p->prf : type == INTEG ? &p->integ : &p->ke;
}

/* False: it is there already, or the list is full. */
static bool add(struct config_transforms *list, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].id == id && list->items[i].key_bits == key_bits) {
            return false;
        }
    }
    if (list->n == CONFIG_MAX_OF_KIND) {
        return false;
    }
    list->items[list->n++] = (struct config_transform){.id = id, .key_bits = key_bits};
    return true;
}

/* Splits the text into the proposal's transforms. */
static bool take_words(const char *text, bool esp, struct config_proposal *p, char why[WHY_BYTES])
{
    char copy[256], *rest = copy, *word;

    memset(p, 0, sizeof *p);
    if (strlen(text) >= sizeof copy) {
        (void)snprintf(why, WHY_BYTES, "the proposal is too long");
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    while ((word = strsep(&rest, "-")) != NULL) {
        const struct transform_name *t = find_transform(word);
        bool esn = esp && strcmp(word, "esn") == 0;

        if (t == NULL && !esn) {
            unknown_transform(word, why);
            return false;
        }
        if (esn ? p->esn : !add(list_of(p, t->type), t->id, t->key_bits)) {
            (void)snprintf(why, WHY_BYTES, "'%.60s' names %s twice", text, word);
            return false;
        }
        p->esn = p->esn || esn;
    }
    return true;
}

/* RFC 5282 8: combined modes and other ciphers do not go into one proposal. */
static bool check_integrity(const char *text, struct config_proposal *p, char why[WHY_BYTES])
{
    size_t combined = 0;

    for (size_t i = 0; i < p->encr.n; i++) {
        combined += is_combined(&p->encr.items[i]);
    }
    if (combined != 0 && combined != p->encr.n) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.80s' mixes ciphers that need an integrity algorithm with some that have "
                       "their own (gcm16, poly1305): write two proposals",
                       text);
        return false;
    }
    if (combined != 0 && p->integ.n != 0) {
        const char *word = transform_word(INTEG, p->integ.items[0].id, 0);

        (void)snprintf(
            why, WHY_BYTES, "%s needs no integrity algorithm: leave %s out (the PRF is prf%s)",
            transform_word(ENCR, p->encr.items[0].id, p->encr.items[0].key_bits), word, word);
        return false;
    }
    if (combined == 0 && p->integ.n == 0) {
        (void)snprintf(why, WHY_BYTES, "%s needs an integrity algorithm, such as sha256",
                       transform_word(ENCR, p->encr.items[0].id, p->encr.items[0].key_bits));
        return false;
    }
    return true;
}

/* The PRF of the same hash, where none is named: sha256 -> prfsha256. */
static void add_prfs(struct config_proposal *p)
{
    for (size_t i = 0; i < p->integ.n && p->integ.n > p->prf.n; i++) {
        char word[32];
        const struct transform_name *t;

        (void)snprintf(word, sizeof word, "prf%s", transform_word(INTEG, p->integ.items[i].id, 0));
        t = find_transform(word);
        HF_ASSERT(t != NULL);
        (void)add(&p->prf, t->id, 0);
    }
}

static bool parse_ike_proposal(const struct schema_field *field, const char *text, void *at,
                               char why[WHY_BYTES])
{
    struct config_proposal p;

    (void)field;
    if (!take_words(text, false, &p, why)) {
        return false;
    }
    if (p.encr.n == 0 || p.ke.n == 0 || (p.prf.n == 0 && p.integ.n == 0)) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' needs a cipher, a PRF and a group, such as "
                       "aes256gcm16-prfsha256-x25519 or aes256-sha256-modp2048",
                       text);
        return false;
    }
    if (!check_integrity(text, &p, why)) {
        return false;
    }
    if (p.prf.n == 0) {
        add_prfs(&p);
    }
    memcpy(at, &p, sizeof p);
    return true;
}

static bool parse_esp_proposal(const struct schema_field *field, const char *text, void *at,
                               char why[WHY_BYTES])
{
    struct config_proposal p;

    (void)field;
    if (!take_words(text, true, &p, why)) {
        return false;
    }
    if (p.encr.n == 0 || p.prf.n != 0) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' needs a cipher and no PRF, such as aes256gcm16, aes256-sha256 or "
                       "aes256gcm16-x25519",
                       text);
        return false;
    }
    if (!check_integrity(text, &p, why)) {
        return false;
    }
    memcpy(at, &p, sizeof p);
    return true;
}

void proposal_default(struct config_proposal *p, bool esp, const char *text)
{
    char why[WHY_BYTES];
    bool good =
        esp ? parse_esp_proposal(NULL, text, p, why) : parse_ike_proposal(NULL, text, p, why);

    HF_ASSERT(good);
}

size_t proposal_combinations(const struct config_proposal *p)
{
    size_t integ = p->integ.n > 0 ? p->integ.n : 1, prf = p->prf.n > 0 ? p->prf.n : 1;

    return (size_t)p->encr.n * integ * prf * (p->ke.n > 0 ? p->ke.n : 1);
}

static void print_kind(FILE *out, uint8_t type, const struct config_transforms *list,
                       const char **before)
{
    for (size_t i = 0; i < list->n; i++) {
        (void)fprintf(out, "%s%s", *before,
                      transform_word(type, list->items[i].id, list->items[i].key_bits));
        *before = "-";
    }
}

void proposal_print(const struct config_proposal *p, FILE *out)
{
    const char *before = " ";

    print_kind(out, ENCR, &p->encr, &before);
    print_kind(out, INTEG, &p->integ, &before);
    print_kind(out, PRF, &p->prf, &before);
    print_kind(out, KE, &p->ke, &before);
    (void)fprintf(out, "%s", p->esn ? "-esn" : "");
}

static bool is_allowed(const struct config *c, const char *legacy)
{
    for (size_t i = 0; i < c->n_legacy; i++) {
        if (strcmp(config_legacy_words[c->legacy[i]], legacy) == 0) {
            return true;
        }
    }
    return false;
}

static bool uses(const struct config_proposal *p, const char *legacy)
{
    const struct config_transforms *lists[] = {&p->prf, &p->integ, &p->ke};
    const uint8_t types[] = {PRF, INTEG, KE};

    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            const struct transform_name *t =
                transform_of(types[k], lists[k]->items[i].id, lists[k]->items[i].key_bits);

            if (t != NULL && t->legacy != NULL && strcmp(t->legacy, legacy) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check_list(struct walk *walk, const char *name, const struct config_proposal *list,
                       size_t n, size_t each)
{
    size_t rows = 0;

    for (size_t i = 0; i < n; i++) {
        for (const char *const *word = config_legacy_words; *word != NULL; word++) {
            if (uses(&list[i], *word) && !is_allowed(walk->config, *word)) {
                report_at(walk, node_at(walk, "/gateway/proposals/%s/%zu", name, i),
                          "%s is not to be used any more (RFC 8247, RFC 8221): name %s instead, or "
                          "allow it under gateway: proposals: legacy: [%s]",
                          *word, strcmp(*word, "sha1") == 0 ? "sha256" : "modp2048", *word);
            }
        }
        rows += proposal_combinations(&list[i]) * (list[i].ke.n > 0 ? 1 : each) + (each > 1);
    }
    if (rows > IKE_MAX_PROPOSALS) {
        report_at(walk, node_at(walk, "/gateway/proposals/%s", name),
                  "%zu combinations are more than %d: name fewer algorithms", rows,
                  IKE_MAX_PROPOSALS);
    }
}

void proposal_check(struct walk *walk)
{
    struct config *c = walk->config;

    check_list(walk, "ike", c->ike_proposals, c->n_ike_proposals, 1);
    check_list(walk, "esp", c->esp_proposals, c->n_esp_proposals, 1 + CONFIG_MAX_OF_KIND);
    for (size_t k = 0; k < c->n_legacy; k++) {
        const char *word = config_legacy_words[c->legacy[k]];
        bool used = false;

        for (size_t i = 0; i < c->n_ike_proposals; i++) {
            used = used || uses(&c->ike_proposals[i], word);
        }
        for (size_t i = 0; i < c->n_esp_proposals; i++) {
            used = used || uses(&c->esp_proposals[i], word);
        }
        if (!used) {
            report_at(
                walk, node_at(walk, "/gateway/proposals/legacy/%zu", k),
                "%s is allowed here, but no proposal names it: add it to one, or leave it out",
                word);
        }
    }
}

const struct value_type value_ike_proposal = {"an IKE proposal", false,
                                              "aes256gcm16-prfsha256-x25519", parse_ike_proposal};
const struct value_type value_esp_proposal = {"an ESP proposal", false, "aes256gcm16",
                                              parse_esp_proposal};
