/* The memory between a TLS session and its caller: a BIO that reads from the span lent for the call
 * in progress, and gathers what is to be sent until the caller takes it. OpenSSL's own memory BIO
 * overwrites all of its buffer, as large as it ever was, each time it is emptied; and keeps a copy of
 * what comes in.
 *
 *   receive(in) ─> lend(in) ─> SSL_read ... nothing of it is left
 *   SSL_write   ─> gathered ─> written to the wire
 *
 * What passes here is what passes on the wire: nothing of it is secret.
 */
#ifndef HF_REPL_TLS_BIO_H
#define HF_REPL_TLS_BIO_H

#include <openssl/bio.h>

#include "base/span.h"

enum { TLS_BIO_KEPT_BYTES = 32 << 10 }; /* room that is kept between two calls */

struct tls_memory {
    struct span in; /* not read yet; valid during the caller's call */
    uint8_t *out;   /* own heap */
    size_t out_len, out_cap;
};

/* Over m, which outlives it. For both directions. NULL: out of memory. */
BIO *tls_bio_create(struct tls_memory *m);
/* What is to be sent, until the next write. */
struct span tls_memory_out(const struct tls_memory *m);
void tls_memory_sent(struct tls_memory *m);
void tls_memory_deinit(struct tls_memory *m);

#endif
