/* Two ends of the layer in memory, what passes between them in a test's hands; and a stranger: plain
 * OpenSSL, which may do what no node would. */
#ifndef TESTS_TLS_ENDS_H
#define TESTS_TLS_ENDS_H

#include <openssl/ssl.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/tls_layer.h"

struct bytes {
    uint8_t *data;
    size_t len, cap;
};

struct end {
    struct tls_layer *layer;
    const struct tcp_layer *i;
    void *session;
    struct bytes wire, plain; /* what it wants sent; what it was sent and decrypted */
    bool dead;                /* receive() said so */
};

struct stranger {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

void bytes_add(struct bytes *b, const void *data, size_t n);
void bytes_drop(struct bytes *b, size_t n); /* from the front */

/* Takes over the identity. */
void end_init(struct end *e, struct tls_identity *identity);
void end_deinit(struct end *e);
void end_open(struct end *e, bool dialled, uint32_t expected);
void end_close(struct end *e);
/* Gives it the bytes, in pieces of `piece` (0: all at once). */
void end_receive(struct end *e, const void *data, size_t n, size_t piece);
bool end_send(struct end *e, const void *data, size_t n);
bool end_ready(struct end *e);

/* Moves bytes both ways until there are none, in pieces (0: all). Returns how many moved. */
size_t ends_pump(struct end *a, struct end *b, size_t piece);

/* pair NULL: without a certificate. version: TLS1_3_VERSION, or another alone. */
void stranger_init(struct stranger *s, const struct pki_pair *pair, int version, bool dials);
void stranger_deinit(struct stranger *s);
/* Both do what they can, until nothing moves; the stranger says `says` as soon as it may. */
void stranger_meet(struct stranger *s, struct end *e, const char *says);

#endif
