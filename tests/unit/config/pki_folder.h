/* Certificates, keys and texts as files in a folder of the test's own, beside the configuration that names them. */
#ifndef HF_TESTS_CONFIG_PKI_FOLDER_H
#define HF_TESTS_CONFIG_PKI_FOLDER_H

#include <stddef.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum { FOLDER_BYTES = 64 };

/* Made and named by the test (mkdtemp), and removed by it. */
extern char folder[FOLDER_BYTES];

void put(const char *name, const char *text, size_t len, mode_t mode);
void put_cert(const char *name, X509 *cert);
void put_key(const char *name, EVP_PKEY *key, mode_t mode);

#endif
