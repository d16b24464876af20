#include "ends.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

void bytes_add(struct bytes *b, const void *data, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = 2 * (b->len + n);
        b->data = realloc(b->data, b->cap);
        cr_assert(b->data != NULL);
    }
    if (n > 0)
        memcpy(b->data + b->len, data, n);
    b->len += n;
}

void bytes_drop(struct bytes *b, size_t n)
{
    cr_assert(n <= b->len);
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

static void take(void *self, struct span in)
{
    bytes_add(self, in.data, in.len);
}

static struct tcp_sink sink(struct bytes *b)
{
    return (struct tcp_sink){.self = b, .write = take};
}

void end_init(struct end *e, struct tls_identity *identity)
{
    *e = (struct end){.layer = tls_layer_create(identity, 0)};
    e->i = tls_layer_interface(e->layer);
    tls_identity_release(identity);
}

void end_close(struct end *e)
{
    if (e->session != NULL)
        e->i->close(e->session);
    e->session = NULL;
    e->wire.len = e->plain.len = 0;
    e->dead = false;
}

void end_deinit(struct end *e)
{
    end_close(e);
    tls_layer_destroy(e->layer);
    free(e->wire.data);
    free(e->plain.data);
}

void end_open(struct end *e, bool dialled, uint32_t expected)
{
    end_close(e);
    e->session = e->i->open(e->i->self, dialled, expected, sink(&e->wire));
    cr_assert(e->session != NULL);
}

void end_receive(struct end *e, const void *data, size_t n, size_t piece)
{
    for (size_t at = 0; at < n && !e->dead;) {
        size_t some = piece == 0 || n - at < piece ? n - at : piece;

        e->dead = !e->i->receive(e->session, span_of((const uint8_t *)data + at, some),
                                 sink(&e->plain), sink(&e->wire));
        at += some;
    }
}

bool end_send(struct end *e, const void *data, size_t n)
{
    return e->i->send(e->session, span_of(data, n), sink(&e->wire));
}

bool end_ready(struct end *e)
{
    return !e->dead && e->i->ready(e->session);
}

static size_t carry(struct end *from, struct end *to, size_t piece)
{
    struct bytes moving = from->wire;
    size_t n = moving.len;

    from->wire = (struct bytes){0};
    end_receive(to, moving.data, n, piece);
    free(moving.data);
    return n;
}

size_t ends_pump(struct end *a, struct end *b, size_t piece)
{
    size_t all = 0, n;

    do {
        n = carry(a, b, piece) + carry(b, a, piece);
        all += n;
    } while (n > 0);
    return all;
}

static int believes(X509_STORE_CTX *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 1;
}

void stranger_init(struct stranger *s, const struct pki_pair *pair, int version, bool dials)
{
    s->ctx = SSL_CTX_new(TLS_method());
    cr_assert(s->ctx != NULL && SSL_CTX_set_min_proto_version(s->ctx, version) == 1 &&
              SSL_CTX_set_max_proto_version(s->ctx, version) == 1);
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(s->ctx, believes, NULL); /* anybody */
    SSL_CTX_set_security_level(s->ctx, 0);
    if (pair != NULL)
        cr_assert(SSL_CTX_use_certificate(s->ctx, pair->cert) == 1 &&
                  SSL_CTX_use_PrivateKey(s->ctx, pair->key) == 1);
    s->ssl = SSL_new(s->ctx);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    (void)BIO_set_mem_eof_return(s->in, -1);
    SSL_set_bio(s->ssl, s->in, s->out);
    if (dials)
        SSL_set_connect_state(s->ssl);
    else
        SSL_set_accept_state(s->ssl);
}

void stranger_deinit(struct stranger *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
    ERR_clear_error();
}

void stranger_meet(struct stranger *s, struct end *e, const char *says)
{
    bool said = false;
    size_t moved;

    do {
        char *data;
        long n;
        uint8_t in[4096];

        if (SSL_is_init_finished(s->ssl) == 0)
            (void)SSL_do_handshake(s->ssl);
        if (SSL_is_init_finished(s->ssl) == 1 && !said) {
            (void)SSL_write(s->ssl, says, (int)strlen(says));
            said = true;
        }
        while (said && SSL_read(s->ssl, in, sizeof in) > 0)
            ;
        ERR_clear_error();
        n = BIO_get_mem_data(s->out, &data);
        moved = (size_t)n + e->wire.len;
        end_receive(e, data, (size_t)n, 0);
        (void)BIO_reset(s->out);
        if (e->wire.len > 0)
            cr_assert(BIO_write(s->in, e->wire.data, (int)e->wire.len) == (int)e->wire.len);
        e->wire.len = 0;
    } while (moved > 0);
}
