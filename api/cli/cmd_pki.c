/* holdfast pki ca | server | client | cluster-ca | node | revoke: a private CA in a folder, without a
 * daemon.
 *
 *   ca      DIR/ca.pem, DIR/ca.key                       with --ca OTHER: an intermediate below OTHER's,
 *                                                        ca.pem then holds the chain up to it
 *   server  DIR/NAME.pem (and the chain), DIR/NAME.key   serverAuth, NAME in subjectAltName
 *   client  the same, clientAuth, and DIR/NAME.p12       for a device, under a password made here
 *   cluster-ca  DIR/ca.pem, DIR/ca.key                   for one cluster's nodes; names the cluster
 *   node    DIR/node-ID.pem, DIR/node-ID.key             both uses, the node's id in subjectAltName
 *   revoke  DIR/ca.crl                                   all that was ever revoked: DIR/revoked.pem
 *
 * Keys and bundles are 0600. Nothing that exists is overwritten without --force, and everything is
 * looked at before anything is written. One revocation at a time: the folder is locked (flock) while the former ones are
 * read and the new list is written, or what another adds meanwhile would be lost, and good again.
 */
#include "api/cli/cmd_pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/cli/pki.h"

enum { DAY = 86400, MOST_CHAIN = 4, PATH_BYTES = 512, MOST_DAYS = 36500, MOST_FILES = 3 };

/* What is about to be written. */
struct output {
    char path[PATH_BYTES];
    char *text; /* OPENSSL_malloc(); wiped and freed */
    size_t len;
    mode_t mode;
};

struct pki_job {
    struct cli *cli;
    const char *dir;
    struct pki_pair issuer;
    X509 *chain[MOST_CHAIN]; /* the issuer's, upwards, without a self-signed root */
    size_t n_chain;
    struct output outputs[MOST_FILES];
    size_t n_outputs;
    int lock_fd; /* the folder, while its revocations are read and written; 0 = it is not locked */
    char why[PKI_WHY_BYTES];
};

static int refuse(struct pki_job *j, const char *what)
{
    return cli_refuse(j->cli, "local", what);
}

static int refuse_path(struct pki_job *j, const char *path, const char *what)
{
    char text[PATH_BYTES + 128];

    (void)snprintf(text, sizeof text, "%s: %s", path, what);
    return refuse(j, text);
}

static void job_end(struct pki_job *j)
{
    pki_pair_free(&j->issuer);
    for (size_t i = 0; i < j->n_chain; i++)
        X509_free(j->chain[i]);
    for (size_t i = 0; i < j->n_outputs; i++)
        OPENSSL_clear_free(j->outputs[i].text, j->outputs[i].len);
    if (j->lock_fd > 0)
        (void)close(j->lock_fd);
}

/* NULL text: it could not be made. The name must not lead out of the folder. */
static bool add_output(struct pki_job *j, const char *name, const char *ending, char *text,
                       size_t len, mode_t mode)
{
    struct output *o = &j->outputs[j->n_outputs];
    int n = snprintf(o->path, sizeof o->path, "%s/%s%s", j->dir, name, ending);

    if (text == NULL || n < 0 || n >= PATH_BYTES || strchr(name, '/') != NULL) {
        OPENSSL_clear_free(text, text != NULL ? len : 0);
        (void)snprintf(j->why, sizeof j->why,
                       text == NULL ? "out of memory" : "'%.100s' makes no file's name", name);
        return false;
    }
    o->text = text;
    o->len = len;
    o->mode = mode;
    j->n_outputs++;
    return true;
}

static int write_all(struct pki_job *j, bool force)
{
    struct stat st;

    for (size_t i = 0; i < j->n_outputs && !force; i++)
        if (lstat(j->outputs[i].path, &st) == 0)
            return refuse_path(j, j->outputs[i].path, "exists already; --force replaces it");
    if (mkdir(j->dir, 0700) != 0 && errno != EEXIST)
        return refuse_path(j, j->dir, strerror(errno));
    for (size_t i = 0; i < j->n_outputs; i++)
        if (!cli_file_write(j->outputs[i].path, j->outputs[i].text, j->outputs[i].len,
                            j->outputs[i].mode, force))
            return refuse_path(j, j->outputs[i].path, strerror(errno));
    return CLI_DONE;
}

/* ---- what stands in files ---- */

static BIO *open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        errno = EINVAL;
        return NULL;
    }
    return BIO_new_fd(fd, BIO_CLOSE);
}

/* Certificates of a file, at most `most`. */
static size_t read_certs(const char *path, X509 **certs, size_t most)
{
    BIO *in = open_file(path);
    size_t n = 0;

    while (in != NULL && n < most && (certs[n] = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
        n++;
    BIO_free(in);
    return n;
}

/* The CA of a folder: its key, its certificate, and what is above it. */
static int read_issuer(struct pki_job *j, const char *dir)
{
    char path[PATH_BYTES];
    X509 *certs[MOST_CHAIN] = {0};
    size_t n;
    BIO *in;

    (void)snprintf(path, sizeof path, "%s/ca.pem", dir);
    n = read_certs(path, certs, MOST_CHAIN);
    if (n == 0)
        return refuse_path(j, path, "no CA's certificate: `holdfast pki ca --dir DIR` makes one");
    j->issuer.cert = certs[0];
    for (size_t i = 0; i < n; i++) {
        if (X509_self_signed(certs[i], 0) != 1 && X509_up_ref(certs[i]) == 1)
            j->chain[j->n_chain++] = certs[i];
        if (i > 0)
            X509_free(certs[i]);
    }
    (void)snprintf(path, sizeof path, "%s/ca.key", dir);
    in = open_file(path);
    j->issuer.key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, NULL, (void *)"") : NULL;
    BIO_free(in);
    if (j->issuer.key == NULL)
        return refuse_path(j, path, "no private key that can be read");
    if (X509_check_private_key(j->issuer.cert, j->issuer.key) != 1 ||
        X509_check_ca(j->issuer.cert) != 1)
        return refuse_path(j, path, "is not the key of the CA in ca.pem");
    return CLI_DONE;
}

/* ---- options ---- */

static int take_days(struct pki_job *j, const char *text, int usual, struct pki_request *r)
{
    char *end = NULL;
    long days = text != NULL ? strtol(text, &end, 10) : usual;

    if ((text != NULL && (end == text || *end != '\0')) || days < 1 || days > MOST_DAYS) {
        (void)refuse(j, "--days is a number from 1 to 36500");
        return CLI_USAGE;
    }
    r->from_s += (int64_t)time(NULL) - 3600; /* clocks differ */
    r->until_s = (int64_t)time(NULL) + (int64_t)days * DAY;
    return CLI_DONE;
}

/* "a,b": splits in place. */
static int take_names(struct pki_job *j, char *text, struct pki_request *r)
{
    char *name;

    while (text != NULL && (name = strsep(&text, ",")) != NULL) {
        if (r->n_names == PKI_MAX_NAMES) {
            (void)refuse(j, "too many names: at most 16");
            return CLI_USAGE;
        }
        r->names[r->n_names++] = name;
    }
    return CLI_DONE;
}

static EVP_PKEY *make_key(struct pki_job *j)
{
    const char *kind = cli_option_value(j->cli, "--key");
    char text[192];
    size_t used;

    for (size_t i = 0; pki_key_kinds[i] != NULL; i++)
        if (kind == NULL || strcmp(kind, pki_key_kinds[i]) == 0)
            return pki_key_new(pki_key_kinds[i]);
    used = (size_t)snprintf(text, sizeof text, "'%.40s' is no kind of key; there are:", kind);
    for (size_t i = 0; pki_key_kinds[i] != NULL; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, " %s", pki_key_kinds[i]);
    (void)refuse(j, text);
    return NULL;
}

/* ---- making ---- */

/* Certificate and chain as the gateway and strongSwan read them, and the key. */
static bool add_pair(struct pki_job *j, const struct pki_pair *made, const char *file)
{
    X509 *all[MOST_CHAIN + 1] = {made->cert};
    size_t len = 0;
    char *text;

    for (size_t i = 0; i < j->n_chain; i++)
        all[i + 1] = j->chain[i];
    text = pki_cert_pem(all, j->n_chain + 1, &len);
    if (!add_output(j, file, ".pem", text, len, 0644))
        return false;
    text = pki_key_pem(made->key, &len);
    return add_output(j, file, ".key", text, len, 0600);
}

static void tell(struct pki_job *j, const struct pki_pair *made, const char *password)
{
    char until[32] = "";
    struct tm tm;
    json_t *files = json_array();

    if (ASN1_TIME_to_tm(X509_get0_notAfter(made->cert), &tm) == 1)
        (void)strftime(until, sizeof until, "%Y-%m-%d", &tm);
    if (j->cli->json) {
        for (size_t i = 0; i < j->n_outputs; i++)
            json_array_append_new(files, json_string(j->outputs[i].path));
        (void)cli_print_json(j->cli, json_pack("{s:o,s:s,s:s*}", "files", files, "until", until,
                                               "password", password));
        return;
    }
    json_decref(files);
    for (size_t i = 0; i < j->n_outputs; i++)
        (void)fprintf(j->cli->out, "%s\n", j->outputs[i].path);
    (void)fprintf(j->cli->out, "good until %s\n", until);
    if (password != NULL)
        (void)fprintf(j->cli->out, "the bundle's password, shown this once: %s\n", password);
}

static bool add_bundle(struct pki_job *j, const struct pki_pair *made, const char *file,
                       char password[PKI_PASSWORD_BYTES])
{
    X509 *chain[MOST_CHAIN + 1];
    size_t n = 0, len = 0;
    char *text;

    for (; n < j->n_chain; n++)
        chain[n] = j->chain[n];
    if (n == 0) /* a root of its own: the device learns to trust the gateway by it */
        chain[n++] = j->issuer.cert;
    text = pki_password(password) ? pki_bundle(made, chain, n, file, password, &len) : NULL;
    return add_output(j, file, ".p12", text, len, 0600);
}

/* One certificate below `ca_dir` (NULL: a root of its own), into --dir. */
static int make(struct cli *cli, struct pki_request *r, const char *ca_dir, const char *file,
                int days, bool bundle)
{
    struct pki_job j = {
        .cli = cli,
        .dir = cli_option_value(cli, "--dir") != NULL ? cli_option_value(cli, "--dir") : "."};
    char *names =
        cli_option_value(cli, "--names") != NULL ? strdup(cli_option_value(cli, "--names")) : NULL;
    char password[PKI_PASSWORD_BYTES] = "";
    struct pki_pair made = {0};
    int status = take_days(&j, cli_option_value(cli, "--days"), days, r);

    if (status == CLI_DONE)
        status = take_names(&j, names, r);
    if (status == CLI_DONE && ca_dir != NULL)
        status = read_issuer(&j, ca_dir);
    if (status == CLI_DONE && (made.key = make_key(&j)) == NULL)
        status = CLI_USAGE;
    if (status == CLI_DONE) {
        made.cert = pki_certify(r, made.key, ca_dir != NULL ? &j.issuer : NULL, j.why);
        if (made.cert == NULL || !add_pair(&j, &made, file) ||
            (bundle && !add_bundle(&j, &made, file, password)))
            status = refuse(&j, j.why);
    }
    if (status == CLI_DONE)
        status = write_all(&j, cli_option_value(cli, "--force") != NULL);
    if (status == CLI_DONE)
        tell(&j, &made, bundle ? password : NULL);
    OPENSSL_cleanse(password, sizeof password);
    pki_pair_free(&made);
    job_end(&j);
    free(names);
    return status;
}

int cli_pki_ca(struct cli *cli)
{
    const char *above = cli_option_value(cli, "--ca");
    struct pki_request r = {.subject = cli_option_value(cli, "--subject"),
                            .ca = true,
                            .path_length = above != NULL ? 0 : 1};

    if (r.subject == NULL)
        r.subject = above != NULL ? "holdfast intermediate CA" : "holdfast CA";
    return make(cli, &r, above, "ca", above != NULL ? 1825 : 3650, false);
}

static int end_entity(struct cli *cli, unsigned use)
{
    const char *ca = cli_option_value(cli, "--ca") != NULL    ? cli_option_value(cli, "--ca")
                     : cli_option_value(cli, "--dir") != NULL ? cli_option_value(cli, "--dir")
                                                              : ".";
    struct pki_request r = {.subject = cli_option_value(cli, "--subject"),
                            .names = {cli->arguments[0]},
                            .n_names = 1,
                            .use = use};

    return make(cli, &r, ca, cli->arguments[0], use == PKI_USE_SERVER ? 397 : 825,
                use == PKI_USE_CLIENT);
}

int cli_pki_server(struct cli *cli)
{
    return end_entity(cli, PKI_USE_SERVER);
}

int cli_pki_client(struct cli *cli)
{
    return end_entity(cli, PKI_USE_CLIENT);
}

/* ---- a cluster: what its nodes show each other (replication/tls_identity.h) ---- */

enum { MOST_CLUSTER = 63, MOST_NODE = 65535 };

static bool is_cluster_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n > 0 && n <= MOST_CLUSTER && name[n] == '\0';
}

int cli_pki_cluster_ca(struct cli *cli)
{
    const char *name = cli->arguments[0];
    char urn[sizeof PKI_CLUSTER_URN + MOST_CLUSTER], subject[MOST_CLUSTER + 16];
    struct pki_job j = {.cli = cli};
    struct pki_request r = {
        .subject = subject, .names = {urn}, .n_names = 1, .ca = true, .from_s = -DAY};

    if (!is_cluster_name(name)) {
        (void)refuse(&j, "a cluster's name is 1 to 63 of a-z, 0-9 and '-'");
        return CLI_USAGE;
    }
    (void)snprintf(urn, sizeof urn, PKI_CLUSTER_URN "%s", name);
    (void)snprintf(subject, sizeof subject, "%s cluster CA", name);
    return make(cli, &r, NULL, "ca", 3650, false);
}

/* The name that the CA of a folder was made for; false: none, or no cluster's. */
static bool cluster_of(const char *dir, char name[MOST_CLUSTER + 1])
{
    enum { URN = sizeof PKI_CLUSTER_URN - 1 };
    GENERAL_NAMES *names = NULL;
    char path[PATH_BYTES];
    X509 *ca = NULL;
    bool found = false;

    (void)snprintf(path, sizeof path, "%s/ca.pem", dir);
    if (read_certs(path, &ca, 1) == 1)
        names = X509_get_ext_d2i(ca, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        int len = g->type == GEN_URI ? ASN1_STRING_length(g->d.uniformResourceIdentifier) : 0;
        const void *text = len > URN ? ASN1_STRING_get0_data(g->d.uniformResourceIdentifier) : NULL;

        if (text == NULL || len > URN + MOST_CLUSTER || memcmp(text, PKI_CLUSTER_URN, URN) != 0)
            continue;
        memcpy(name, (const char *)text + URN, (size_t)(len - URN));
        name[len - URN] = '\0';
        found = is_cluster_name(name);
    }
    GENERAL_NAMES_free(names);
    X509_free(ca);
    return found;
}

int cli_pki_node(struct cli *cli)
{
    const char *id = cli->arguments[0], *dir = cli_option_value(cli, "--dir"),
               *ca = cli_option_value(cli, "--ca");
    char urn[sizeof PKI_CLUSTER_URN + MOST_CLUSTER + 16], subject[MOST_CLUSTER + 16],
        name[MOST_CLUSTER + 1], file[16], *end = NULL;
    struct pki_job j = {.cli = cli};
    struct pki_request r = {.subject = subject,
                            .names = {urn},
                            .n_names = 1,
                            .use = PKI_USE_SERVER | PKI_USE_CLIENT,
                            .from_s = -DAY};
    long node = strtol(id, &end, 10);
    uint16_t number;

    ca = ca != NULL ? ca : dir != NULL ? dir : ".";
    if (id[0] < '1' || id[0] > '9' || *end != '\0' || node < 1 || node > MOST_NODE) {
        (void)refuse(&j, "a node's id is a number from 1 to 65535");
        return CLI_USAGE;
    }
    number = (uint16_t)node;
    if (!cluster_of(ca, name))
        return refuse_path(&j, ca,
                           "no ca.pem of a cluster: `holdfast pki cluster-ca NAME` makes it");
    (void)snprintf(urn, sizeof urn, PKI_CLUSTER_URN "%s:node:%u", name, number);
    (void)snprintf(subject, sizeof subject, "%s node %u", name, number);
    (void)snprintf(file, sizeof file, "node-%u", number);
    return make(cli, &r, ca, file, 825, false);
}

/* ---- revocation ---- */

enum { MOST_REVOKED = 4096 };

static int add_lists(struct pki_job *j, X509 **revoked, size_t n, const struct pki_request *r)
{
    X509_CRL *crl = pki_revoke(&j->issuer, revoked, n, r->from_s, r->until_s, j->why);
    size_t len = 0;
    char *text;
    bool ok;

    if (crl == NULL)
        return refuse(j, j->why);
    /* In this order: what was ever listed is kept, whenever the power is cut. */
    text = pki_cert_pem(revoked, n, &len);
    ok = add_output(j, "revoked", ".pem", text, len, 0644);
    text = ok ? pki_crl_pem(crl, &len) : NULL;
    ok = ok && add_output(j, "ca", ".crl", text, len, 0644);
    X509_CRL_free(crl);
    return ok ? write_all(j, true) : refuse(j, j->why);
}

static bool listed(X509 *const *all, size_t n, const X509 *cert)
{
    for (size_t i = 0; i < n; i++)
        if (X509_cmp(all[i], cert) == 0)
            return true;
    return false;
}

/* Each row, not as many as there are: one certificate may stand twice among the revoked. */
static bool has_all(X509_CRL *crl, X509 *const *revoked, size_t n)
{
    STACK_OF(X509_REVOKED) *rows = X509_CRL_get_REVOKED(crl);
    bool all = true;

    for (int row = 0; row < sk_X509_REVOKED_num(rows); row++) {
        const ASN1_INTEGER *serial =
            X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(rows, row));
        bool found = false;

        for (size_t i = 0; i < n && !found; i++)
            found = ASN1_INTEGER_cmp(X509_get0_serialNumber(revoked[i]), serial) == 0;
        all = all && found;
    }
    return all;
}

/* Is the list that stands made of these, and of no others? Else what is missing here would be good
 * again with the next list. */
static int judge_list(struct pki_job *j, X509 *const *revoked, size_t n)
{
    char path[PATH_BYTES];
    X509_CRL *crl;
    bool whole, all;
    BIO *in;

    (void)snprintf(path, sizeof path, "%s/ca.crl", j->dir);
    if ((in = open_file(path)) == NULL)
        return errno == ENOENT ? CLI_DONE : refuse_path(j, path, strerror(errno));
    crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL);
    BIO_free(in);
    whole = crl != NULL && X509_CRL_verify(crl, X509_get0_pubkey(j->issuer.cert)) == 1;
    all = whole && has_all(crl, revoked, n);
    X509_CRL_free(crl);
    ERR_clear_error();
    if (!whole)
        return refuse_path(j, path,
                           "is damaged, or another CA's: put back what it was, or take it away");
    if (all)
        return CLI_DONE;
    return refuse_path(
        j, path,
        "lists certificates that revoked.pem does not hold, and a new list would make "
        "good again: put revoked.pem back as it was");
}

/* All of revoked.pem, to its end. */
static int read_revoked(struct pki_job *j, X509 **revoked, size_t *n)
{
    char path[PATH_BYTES], line[128];
    size_t begun = 0;
    BIO *in;

    (void)snprintf(path, sizeof path, "%s/revoked.pem", j->dir);
    *n = read_certs(path, revoked, MOST_REVOKED);
    if ((in = open_file(path)) == NULL && errno != ENOENT)
        return refuse_path(j, path, strerror(errno));
    while (in != NULL && BIO_gets(in, line, sizeof line) > 0)
        begun += strncmp(line, "-----BEGIN", 10) == 0;
    BIO_free(in);
    if (begun != *n)
        return refuse_path(j, path, "is damaged: a certificate in it cannot be read");
    if (*n == MOST_REVOKED)
        return refuse_path(j, path, "is full: make a new CA");
    return judge_list(j, revoked, *n);
}

/* Waits for whoever revokes there now. */
static int lock(struct pki_job *j)
{
    j->lock_fd = cli_folder_lock(j->dir);
    return j->lock_fd > 0 ? CLI_DONE : refuse_path(j, j->dir, strerror(errno));
}

int cli_pki_revoke(struct cli *cli)
{
    struct pki_job j = {
        .cli = cli,
        .dir = cli_option_value(cli, "--dir") != NULL ? cli_option_value(cli, "--dir") : "."};
    X509 **revoked = calloc(MOST_REVOKED + 1, sizeof(X509 *)), *cert = NULL;
    struct pki_request r = {0};
    size_t n = 0;
    int status =
        revoked == NULL ? CLI_REFUSED : take_days(&j, cli_option_value(cli, "--days"), 30, &r);

    if (status == CLI_DONE)
        status = read_issuer(&j, j.dir);
    if (status == CLI_DONE)
        status = lock(&j);
    if (status == CLI_DONE)
        status = read_revoked(&j, revoked, &n);
    if (status == CLI_DONE && read_certs(cli->arguments[0], &cert, 1) != 1)
        status = refuse_path(&j, cli->arguments[0], "holds no certificate");
    if (status == CLI_DONE && !listed(revoked, n, cert)) {
        revoked[n++] = cert;
        cert = NULL;
    }
    if (status == CLI_DONE)
        status = add_lists(&j, revoked, n, &r);
    if (status == CLI_DONE && !cli->json)
        (void)fprintf(cli->out,
                      "%s/ca.crl\n%zu revoked; make a new list within the days that it is "
                      "good for\n",
                      j.dir, n);
    else if (status == CLI_DONE)
        (void)cli_print_json(cli, json_pack("{s:I}", "revoked", (json_int_t)n));
    for (size_t i = 0; revoked != NULL && i < n; i++)
        X509_free(revoked[i]);
    X509_free(cert);
    free(revoked);
    job_end(&j);
    return status;
}
