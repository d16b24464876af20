#include "unit/config/pki_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "certs/certs.h"

char folder[FOLDER_BYTES];

void put(const char *name, const char *text, size_t len, mode_t mode)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, mode), 0);
}

void put_cert(const char *name, X509 *cert)
{
    size_t len = 0;
    char *pem = pki_cert_pem(&cert, 1, &len);

    put(name, pem, len, 0644);
    OPENSSL_free(pem);
}

void put_key(const char *name, EVP_PKEY *key, mode_t mode)
{
    size_t len = 0;
    char *pem = pki_key_pem(key, &len);

    put(name, pem, len, mode);
    OPENSSL_free(pem);
}
