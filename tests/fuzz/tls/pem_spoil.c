#include "fuzz/tls/pem_spoil.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/assert.h"

/* The first block's bytes under the text's base64. */
static void edit_der(struct pem_file *f, size_t place, uint8_t value)
{
    BIO *in = BIO_new_mem_buf(f->bytes, (int)f->n), *out = BIO_new(BIO_s_mem());
    char *name = NULL, *header = NULL, *text;
    unsigned char *der = NULL;
    long n = 0, len;

    HF_ASSERT(in != NULL && out != NULL);
    if (PEM_read_bio(in, &name, &header, &der, &n) == 1 && n > 0) {
        der[place % (size_t)n] ^= value;
        HF_ASSERT(PEM_write_bio(out, name, "", der, n) > 0);
        len = BIO_get_mem_data(out, &text);
        HF_ASSERT(len > 0 && len <= PEM_ROOM);
        memcpy(f->bytes, text, (size_t)len);
        f->n = (size_t)len;
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(in);
    BIO_free(out);
}

void pem_spoil(struct pem_file *files, size_t count, uint8_t what, size_t place, uint8_t value)
{
    struct pem_file *f = &files[what % count];
    const struct pem_file *from = &files[value % count];

    if (f->n == 0)
        return;
    switch (what / count % 8) {
    case 0:
        f->bytes[place % f->n] ^= value;
        break;
    case 1:
        f->n = place % (f->n + 1);
        break;
    case 2: /* another file behind it, or once more itself */
        if (f->n + from->n <= PEM_ROOM) {
            memmove(f->bytes + f->n, from->bytes, from->n);
            f->n += from->n;
        }
        break;
    case 3:
        if (f != from)
            *f = *from;
        break;
    default:
        edit_der(f, place, value);
        break;
    }
}
