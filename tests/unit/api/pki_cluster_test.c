/* holdfast pki cluster-ca and node: what they write is what nodes take (replication/tls_identity.h); what
 * they refuse. */
#include <sys/stat.h>
#include <time.h>

#include "replication/tls_identity.h"
#include "unit/api/pki_rig.h"

TestSuite(pki_cluster, .init = start, .fini = end);

static struct span read_file(const char *path, char *buf, size_t cap)
{
    FILE *f = fopen(path, "r");
    size_t n;

    if (f == NULL)
        return (struct span){0};
    n = fread(buf, 1, cap, f);
    (void)fclose(f);
    return span_of(buf, n);
}

/* As node `node` of the files there. NULL: *why. The caller releases it. */
static struct tls_identity *load(uint32_t node, const char *certificate, const char *key,
                                 const char *crl, char why[TLS_WHY_BYTES])
{
    char text[4][16384];
    struct tls_files files = {.ca = read_file("ca.pem", text[0], sizeof text[0]),
                              .certificate = read_file(certificate, text[1], sizeof text[1]),
                              .key = read_file(key, text[2], sizeof text[2]),
                              .revoked = read_file(crl, text[3], sizeof text[3])};
    enum tls_file which;

    why[0] = '\0';
    return tls_identity_load(node, &files, &which, why);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_mode & 07777;
}

Test(pki_cluster, a_ca_and_three_nodes)
{
    char words[64], pem[32], key[32], why[TLS_WHY_BYTES];
    int64_t now = (int64_t)time(NULL);
    bool fatal;

    good("cluster-ca vpn-1");
    cr_assert_eq(mode_of("ca.key"), 0600);
    for (uint32_t node = 1; node <= 3; node++) {
        struct tls_identity *identity;

        (void)snprintf(words, sizeof words, "node %u --key %s", node,
                       node == 3 ? "ed25519" : "p256");
        good(words);
        (void)snprintf(pem, sizeof pem, "node-%u.pem", node);
        (void)snprintf(key, sizeof key, "node-%u.key", node);
        cr_assert_eq(mode_of(key), 0600);
        cr_assert_eq(mode_of(pem), 0644);
        identity = load(node, pem, key, "none", why);
        cr_assert_not_null(identity, "%s", why);
        cr_assert_str_eq(tls_identity_cluster(identity), "vpn-1");
        cr_assert(tls_identity_expires(identity) > now + 800 * 86400ll &&
                  tls_identity_expires(identity) < now + 830 * 86400ll);
        /* Good on a machine whose clock is an hour, or a day, behind. */
        cr_assert_null(tls_identity_complaint(identity, now - 86400, &fatal, why));
        tls_identity_release(identity);
        cr_assert_null(load(node + 1, pem, key, "none", why));
    }
}

Test(pki_cluster, renewal_and_revocation)
{
    struct tls_identity *identity;
    char why[TLS_WHY_BYTES];

    good("cluster-ca lab");
    good("node 1 --days 10");
    refused("node 1", 1, "--force");
    cr_assert_eq(system("cp node-1.pem old.pem && cp node-1.key old.key"), 0);
    good("node 1 --force");
    good("revoke old.pem -o json");
    cr_assert_not_null(strstr(output, "\"revoked\": 1"), "%s", output);
    cr_assert_null(load(1, "old.pem", "old.key", "ca.crl", why));
    cr_assert_not_null(strstr(why, "revoked"), "%s", why);
    identity = load(1, "node-1.pem", "node-1.key", "ca.crl", why);
    cr_assert_not_null(identity, "%s", why);
    tls_identity_release(identity);
}

Test(pki_cluster, what_is_refused)
{
    refused("node 1", 1, "`holdfast pki cluster-ca NAME`");
    refused("cluster-ca", 2, "NAME");
    refused("cluster-ca Lab", 2, "a-z");
    refused("cluster-ca ''", 2, "a-z");
    refused("cluster-ca a,b", 2, "a-z");
    refused("cluster-ca lab --names x", 2, "--names");
    refused("cluster-ca 0123456789012345678901234567890123456789012345678901234567890123", 2, "63");
    good("ca");
    refused("node 1", 1, "`holdfast pki cluster-ca NAME`");
    refused("cluster-ca lab", 1, "exists already");
    good("cluster-ca lab --dir c");
    refused("node 0 --dir c", 2, "1 to 65535");
    refused("node 65536 --dir c", 2, "1 to 65535");
    refused("node 1x --dir c", 2, "1 to 65535");
    refused("node 01 --dir c", 2, "1 to 65535");
    refused("node -1 --dir c", 2, "");
    good("node 65535 --dir n --ca c");
    cr_assert_eq(access("n/node-65535.key", R_OK), 0);
    cr_assert_neq(access("n/ca.key", R_OK), 0, "the CA's key stays where it is");
}
