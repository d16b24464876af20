/* holdfast pki, without a daemon: what it writes, what it refuses, and that openssl agrees. */
#include <sys/stat.h>

#include "unit/api/pki_rig.h"

TestSuite(pki, .init = start, .fini = end);

static mode_t mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_mode & 07777;
}

Test(pki, a_ca_a_server_and_a_client)
{
    static const char *const kinds[] = {"p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072"};
    char words[256];
    size_t n = 0;

    (void)umask(0);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        (void)snprintf(words, sizeof words, "ca --dir %s --key %s", kinds[i], kinds[i]);
        good(words);
        (void)snprintf(words, sizeof words, "server gw.example.org --dir %s --key %s", kinds[i],
                       kinds[i]);
        good(words);
        (void)snprintf(words, sizeof words,
                       "client alice@example.org --dir %s --key %s --names host7.example.org,"
                       "192.0.2.7,2001:db8::7",
                       kinds[i], kinds[i]);
        good(words);
        cr_assert_not_null(strstr(output, "the bundle's password"), "%s", output);
        (void)snprintf(words, sizeof words,
                       "cd %s && openssl verify -CAfile ca.pem -purpose sslserver "
                       "gw.example.org.pem && openssl verify -CAfile ca.pem -purpose sslclient "
                       "alice@example.org.pem 2>&1",
                       kinds[i]);
        cr_assert_eq(shell(words), 0, "%s", output);
        n += 2;
    }
    cr_assert_eq(mode_of("p256"), 0700);
    cr_assert_eq(mode_of("p256/ca.key"), 0600);
    cr_assert_eq(mode_of("p256/gw.example.org.key"), 0600);
    cr_assert_eq(mode_of("p256/alice@example.org.p12"), 0600);
    cr_assert_eq(mode_of("p256/gw.example.org.pem"), 0644);
    cr_assert_eq(shell("openssl x509 -in p256/alice@example.org.pem -noout -text"), 0);
    cr_assert(strstr(output, "email:alice@example.org, DNS:host7.example.org, IP "
                             "Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7") != NULL,
              "%s", output);
    cr_assert_not_null(strstr(output, "TLS Web Client Authentication"));
    cr_assert_eq(shell("openssl verify -CAfile p256/ca.pem -purpose sslclient "
                       "p256/gw.example.org.pem 2>&1"),
                 2, "a gateway's certificate is no client's");
    printf("compared %zu\n", n + 7);
}

Test(pki, the_bundle_opens_with_its_password)
{
    char command[256], password[64] = "";
    const char *at;

    good("ca");
    good("client alice@example.org");
    at = strstr(output, "shown this once: ");
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(at, "shown this once: %63s", password), 1);
    cr_assert_eq(strlen(password), 24);
    (void)snprintf(command, sizeof command,
                   "openssl pkcs12 -in alice@example.org.p12 -passin pass:%s -nodes 2>&1",
                   password);
    cr_assert_eq(shell(command), 0, "%s", output);
    cr_assert_not_null(strstr(output, "BEGIN PRIVATE KEY"));
    cr_assert_not_null(strstr(output, "CN = holdfast CA"), "%s", output);
    (void)snprintf(command, sizeof command,
                   "openssl pkcs12 -in alice@example.org.p12 -passin pass:x%s -nodes 2>&1",
                   password);
    cr_assert_neq(shell(command), 0, "another password opens it");
}

Test(pki, an_intermediate_goes_along)
{
    good("ca --dir root");
    good("ca --dir middle --ca root");
    good("server gw.example.org --dir middle");
    cr_assert_eq(shell("grep -c BEGIN middle/gw.example.org.pem"), 0);
    cr_assert_str_eq(output, "2\n", "the certificate and the intermediate one");
    cr_assert_eq(shell("openssl verify -CAfile root/ca.pem -untrusted middle/gw.example.org.pem "
                       "middle/gw.example.org.pem 2>&1"),
                 0, "%s", output);
    good("ca --dir low --ca middle --subject 'CN=low'");
    good("server gw.example.org --dir low");
    cr_assert_neq(shell("openssl verify -CAfile root/ca.pem -untrusted low/gw.example.org.pem "
                        "low/gw.example.org.pem 2>&1"),
                  0, "path length");
}

Test(pki, revocation)
{
    good("ca");
    good("client alice@example.org");
    good("client bob@example.org");
    good("revoke alice@example.org.pem");
    good("revoke bob@example.org.pem");
    cr_assert_not_null(strstr(output, "2 revoked"), "%s", output);
    good("revoke bob@example.org.pem");
    cr_assert_not_null(strstr(output, "2 revoked"), "twice is once: %s", output);
    cr_assert_neq(shell("openssl verify -CAfile ca.pem -CRLfile ca.crl -crl_check "
                        "alice@example.org.pem 2>&1"),
                  0);
    cr_assert_not_null(strstr(output, "certificate revoked"), "%s", output);
    good("ca --dir other");
    refused("revoke alice@example.org.pem --dir other", 1, "was not issued by this CA");
    refused("revoke nothing.pem", 1, "holds no certificate");
}

/* Two at once, each for another certificate: the last list has all of them, and so has the file it was made of. */
Test(pki, two_that_revoke_at_once_lose_nothing, .timeout = 300)
{
    enum { PAIRS = 25 };
    char command[512], words[64];
    size_t compared = 0;

    good("ca");
    for (int i = 0; i < 2 * PAIRS; i++) {
        (void)snprintf(words, sizeof words, "client c%d@example.org --key ed25519", i);
        good(words);
    }
    for (int i = 0; i < 2 * PAIRS; i += 2) {
        (void)snprintf(command, sizeof command,
                       "{ %s pki revoke c%d@example.org.pem & a=$!; %s pki revoke "
                       "c%d@example.org.pem & wait $! && wait $a; } 2>&1",
                       CLI_PROGRAM, i, CLI_PROGRAM, i + 1);
        cr_assert_eq(shell(command), 0, "%s", output);
        (void)snprintf(words, sizeof words, "%d revoked", i + 2);
        cr_assert_not_null(strstr(output, words), "the pair %d: %s", i / 2, output);
        compared++;
    }
    cr_assert_eq(shell("openssl crl -in ca.crl -noout -text | grep -c 'Serial Number:'"), 0);
    cr_assert_eq(atoi(output), 2 * PAIRS, "%s", output);
    cr_assert_eq(shell("grep -c BEGIN revoked.pem"), 0);
    cr_assert_eq(atoi(output), 2 * PAIRS, "%s", output);
    printf("compared %zu pairs\n", compared);
}

/* A list that has less than the one before makes what was revoked good again. */
Test(pki, nothing_is_revoked_no_more)
{
    static const char *const harms[] = {
        "rm revoked.pem",
        ": >revoked.pem",
        "head -n 5 revoked.pem >r; mv r revoked.pem",              /* in the first */
        "sed -i '2s/....$/!!!!/' revoked.pem",                     /* damage in the first */
        "sed -i '$d' revoked.pem",                                 /* in the last */
        "sed '/END/q' revoked.pem >r; mv r revoked.pem",           /* the second is lost whole */
        "sed '/END/q' revoked.pem >r; cat r r >revoked.pem; rm r", /* ... and the first is there twice */
        "sed -i '3s/^./!/' ca.crl",                                /* the list is damaged */
        "openssl crl -in ca.crl -outform DER -out d && printf 'X' | "
        "dd of=d bs=1 seek=$(($(stat -c %s d) - 3)) conv=notrunc 2>/dev/null && "
        "openssl crl -inform DER -in d -out ca.crl", /* ... but reads as one */
        "head -c 100 /dev/urandom >ca.crl",
        "chmod 0 ca.crl; rm revoked.pem; mkdir revoked.pem"};
    size_t harm = 0;

    good("ca");
    good("client alice@example.org");
    good("client bob@example.org");
    good("client carol@example.org");
    good("revoke alice@example.org.pem");
    good("revoke bob@example.org.pem");
    cr_assert_eq(shell("cp revoked.pem revoked.kept; cp ca.crl crl.kept"), 0);
    for (; harm < sizeof harms / sizeof *harms; harm++) {
        cr_assert_eq(shell(harms[harm]), 0);
        cr_expect_eq(pki("revoke carol@example.org.pem"), 1, "%s: %s", harms[harm], output);
        cr_assert_eq(shell("rm -rf revoked.pem; cp revoked.kept revoked.pem; rm -f ca.crl; "
                           "cp crl.kept ca.crl"),
                     0);
    }
    /* The power went between the two files: the next list has them all. */
    cr_assert_eq(shell("cat carol@example.org.pem >>revoked.pem"), 0);
    good("revoke alice@example.org.pem");
    cr_assert_not_null(strstr(output, "3 revoked"), "%s", output);
    (void)printf("compared %zu harms\n", harm);
}

Test(pki, nothing_is_overwritten)
{
    good("ca");
    cr_assert_eq(shell("sha256sum ca.key ca.pem > before"), 0);
    refused("ca", 1, "exists already; --force replaces it");
    cr_assert_eq(shell("sha256sum -c --quiet before 2>&1"), 0, "%s", output);
    good("server gw.example.org");
    cr_assert_eq(shell("rm gw.example.org.pem; sha256sum gw.example.org.key > before"), 0);
    refused("server gw.example.org", 1, "gw.example.org.key: exists already");
    cr_assert_neq(access("gw.example.org.pem", F_OK), 0, "half of it was written");
    cr_assert_eq(shell("sha256sum -c --quiet before 2>&1"), 0);
    good("server gw.example.org --force");
    cr_assert_neq(shell("sha256sum -c --quiet before 2>&1"), 0, "--force did nothing");
    cr_assert_eq(mode_of("gw.example.org.key"), 0600);
}

Test(pki, bad_input)
{
    static const struct {
        const char *words;
        int status;
        const char *part;
    } cases[] = {
        {"ca --key rsa1024", 2, "it must be one of p256|p384"},
        {"ca --days 0", 2, "--days is a number"},
        {"ca --days 12x", 2, "'12x' is no number"},
        {"ca --subject 'CN'", 0, "ca.pem"}, /* a common name */
        {"server gw.example.org", 0, "gw.example.org.pem"},
        {"server", 2, "this command needs 'NAME'"},
        {"server gw.example.org --dir none", 1, "no CA's certificate"},
        {"client 'a b'", 1, "has a character that no such name has"},
        {"client 'a,DNS:evil.test'", 1, "has a character that no such name has"},
        {"client ''", 1, "has an attribute without a value"},
        {"client ../up@example.org", 1, "is neither a domain name"},
        {"client a@b@c", 1, "is neither a domain name"},
        {"client .example.org", 1, "is neither a domain name"},
        {"client x@example.org --subject 'NOSUCH=1, CN=x'", 1, "is no subject"},
        {"client x@example.org --subject 'CN='", 1, "has an attribute without a value"},
        {"client x@example.org --names a,,b", 1, "is neither a domain name"},
        {"clean", 2, "unknown command"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(cases[i].words, cases[i].status, cases[i].part);
    cr_assert_eq(shell("cp ca.pem kept.pem; cp gw.example.org.pem ca.pem"), 0);
    refused("client x@example.org", 1, "is not the key of the CA");
    printf("compared %zu\n", sizeof cases / sizeof cases[0] + 1);
}
