#include "replication/tls_layer.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/tls_bio.h"
#include "replication/tls_internal.h"

enum {
    RECORD = 16384,
    CHUNK = 16 * RECORD /* encrypted at once, so that what it takes is bounded */
};

struct tls_layer {
    struct tcp_layer interface;
    struct tls_identity *identity; /* in force; held */
    uint32_t records_per_key;
    struct tls_counters counters;
};

struct tls_session {
    struct tls_layer *layer;
    struct tls_identity *identity; /* it began under; held */
    SSL *ssl;
    struct tls_memory memory; /* the SSL's BIO is over it */
    uint32_t expected, peer;
    bool dialled, ready, broken;
    size_t early; /* bytes that came before it was ready */
    uint32_t records;
    char why[TLS_WHY_BYTES];
};

static bool fail(struct tls_session *s, const char *why)
{
    if (!s->broken) {
        s->broken = true;
        s->layer->counters.refused += !s->ready;
        if (why != s->why)
            (void)snprintf(s->why, sizeof s->why, "%s", why);
    }
    ERR_clear_error();
    return false;
}

/* ---- whom the peer proves to be ---- */

/* Called by OpenSSL with the peer's certificate; who holds its key is OpenSSL's to prove. */
static int verify_peer(X509_STORE_CTX *ctx, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *s = SSL_get_app_data(ssl);
    uint32_t node = 0;
    int error = X509_V_ERR_UNSPECIFIED;

    (void)arg;
    if (tls_judge(s->identity, X509_STORE_CTX_get0_cert(ctx), X509_STORE_CTX_get0_untrusted(ctx),
                  !s->dialled, true, &node, &error, s->why)) {
        if (node == s->identity->node)
            (void)snprintf(s->why, sizeof s->why,
                           "the certificate is of node %u, which we are ourselves", node);
        else if (s->expected != 0 && node != s->expected)
            (void)snprintf(s->why, sizeof s->why,
                           "the certificate is of node %u, where node %u was dialled", node,
                           s->expected);
        else
            s->peer = node;
        error = s->peer != 0 ? X509_V_OK : X509_V_ERR_SUBJECT_ISSUER_MISMATCH;
    }
    X509_STORE_CTX_set_error(ctx, error);
    return s->peer != 0;
}

/* The peer's alert says why it refuses us. */
static void on_info(const SSL *ssl, int where, int what)
{
    struct tls_session *s = SSL_get_app_data(ssl);

    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && s->why[0] == '\0')
        (void)snprintf(s->why, sizeof s->why, "the peer ended it: %s",
                       SSL_alert_desc_string_long(what));
}

static void adopt(struct tls_layer *l, struct tls_identity *identity)
{
    l->identity = tls_identity_hold(identity);
    SSL_CTX_set_cert_verify_callback(identity->ctx, verify_peer, NULL);
    SSL_CTX_set_info_callback(identity->ctx, on_info);
}

/* ---- bytes ---- */

static void flush(struct tls_session *s, struct tcp_sink wire)
{
    struct span out = tls_memory_out(&s->memory);

    if (out.len > 0)
        wire.write(wire.self, out);
    tls_memory_sent(&s->memory);
}

/* What SSL_get_error() says of a call that did not succeed: more bytes are needed, or it is over. */
static bool goes_on(struct tls_session *s, int result)
{
    const char *reason;
    char text[160];

    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        ERR_clear_error();
        return true;
    case SSL_ERROR_ZERO_RETURN:
        return fail(s, "closed by the peer");
    default:
        if (s->why[0] != '\0') /* said already, in better words */
            return fail(s, s->why);
        reason = ERR_reason_error_string(ERR_peek_last_error());
        (void)snprintf(text, sizeof text, "TLS: %s", reason != NULL ? reason : "broken off");
        return fail(s, text);
    }
}

static bool shake(struct tls_session *s, struct tcp_sink wire)
{
    int r;

    ERR_clear_error();
    r = SSL_do_handshake(s->ssl);
    flush(s, wire); /* an alert, too */
    if (r != 1)
        return goes_on(s, r);
    if (s->peer == 0)
        return fail(s, "the peer proved nothing");
    s->ready = true;
    s->layer->counters.handshakes++;
    return true;
}

static bool read_all(struct tls_session *s, struct tcp_sink plain, struct tcp_sink wire)
{
    uint8_t bytes[RECORD];
    size_t most = 0;
    bool ok;
    int n;

    ERR_clear_error();
    while ((n = SSL_read(s->ssl, bytes, sizeof bytes)) > 0) {
        most = (size_t)n > most ? (size_t)n : most;
        plain.write(plain.self, span_of(bytes, (size_t)n));
        ERR_clear_error();
    }
    ok = goes_on(s, n);
    OPENSSL_cleanse(bytes, most);
    flush(s, wire);
    return ok;
}

static bool take(struct tls_session *s, struct tcp_sink plain, struct tcp_sink wire)
{
    if (!s->ready && !shake(s, wire))
        return false;
    return !s->ready || read_all(s, plain, wire);
}

static bool receive(void *session, struct span in, struct tcp_sink plain, struct tcp_sink wire)
{
    struct tls_session *s = session;
    bool ok;

    if (s->broken)
        return false;
    if (!s->ready) {
        s->early += in.len;
        if (s->early > TLS_MAX_HANDSHAKE_BYTES)
            return fail(s, "too much before it was proven who it is");
    }
    s->memory.in = in;
    ok = take(s, plain, wire);
    if (ok && s->memory.in.len > 0) /* it waits for more only when it has taken all there was */
        ok = fail(s, "TLS: what came was not taken");
    s->memory.in = span_of(NULL, 0);
    return ok;
}

static bool send_chunk(struct tls_session *s, struct span plain, struct tcp_sink wire)
{
    int n;

    ERR_clear_error();
    if (s->records >= s->layer->records_per_key) {
        if (SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
            return fail(s, "no new key");
        s->layer->counters.key_updates++;
        s->records = 0;
    }
    n = SSL_write(s->ssl, plain.data, (int)plain.len);
    if (n != (int)plain.len) /* memory takes all at once, or it is over */
        return fail(s, "TLS: what was to be sent was not taken");
    s->records += (uint32_t)((plain.len + RECORD - 1) / RECORD);
    flush(s, wire);
    return true;
}

static bool send_all(void *session, struct span plain, struct tcp_sink wire)
{
    struct tls_session *s = session;

    if (!s->ready || s->broken)
        return false;
    while (plain.len > 0) {
        struct span chunk = span_of(plain.data, plain.len < CHUNK ? plain.len : CHUNK);

        if (!send_chunk(s, chunk, wire))
            return false;
        plain.data += chunk.len;
        plain.len -= chunk.len;
    }
    return true;
}

/* ---- sessions ---- */

static void close_session(void *session)
{
    struct tls_session *s = session;

    SSL_free(s->ssl); /* and its BIO */
    tls_memory_deinit(&s->memory);
    tls_identity_release(s->identity);
    free(s);
}

static void *open_session(void *self, bool dialled, uint32_t expected, struct tcp_sink wire)
{
    struct tls_layer *l = self;
    struct tls_session *s = calloc(1, sizeof *s);
    BIO *bio;

    HF_ASSERT(s != NULL);
    s->layer = l;
    s->identity = tls_identity_hold(l->identity);
    s->dialled = dialled;
    s->expected = expected;
    s->ssl = SSL_new(s->identity->ctx);
    bio = tls_bio_create(&s->memory);
    if (s->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        close_session(s);
        return NULL;
    }
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_app_data(s->ssl, s);
    if (!dialled) {
        SSL_set_accept_state(s->ssl);
        return s;
    }
    SSL_set_connect_state(s->ssl);
    if (!shake(s, wire)) {
        close_session(s);
        return NULL;
    }
    return s;
}

static bool is_ready(void *session)
{
    const struct tls_session *s = session;

    return s->ready && !s->broken;
}

static uint32_t peer_node(void *session)
{
    const struct tls_session *s = session;

    return s->ready ? s->peer : 0;
}

/* One that is still shaking hands began under certificates that are no longer in force. */
static bool recheck(void *session)
{
    struct tls_session *s = session;
    struct tls_identity *now = s->layer->identity;
    STACK_OF(X509) * chain;
    X509 *leaf;
    uint32_t node = 0;
    int error;

    if (s->identity == now)
        return !s->broken;
    if (!s->ready)
        return fail(s, "our certificates were replaced: anew");
    leaf = SSL_get0_peer_certificate(s->ssl);
    chain = SSL_get_peer_cert_chain(s->ssl);
    s->why[0] = '\0';
    if (leaf == NULL || !tls_judge(now, leaf, chain, !s->dialled, false, &node, &error, s->why))
        return fail(s, s->why);
    return node == s->peer;
}

static const char *why(void *session)
{
    return ((const struct tls_session *)session)->why;
}

struct tls_layer *tls_layer_create(struct tls_identity *identity, uint32_t records_per_key)
{
    struct tls_layer *l = calloc(1, sizeof *l);

    HF_ASSERT(l != NULL);
    l->records_per_key = records_per_key != 0 ? records_per_key : TLS_RECORDS_PER_KEY;
    l->interface = (struct tcp_layer){.self = l,
                                      .open = open_session,
                                      .receive = receive,
                                      .send = send_all,
                                      .ready = is_ready,
                                      .peer_node = peer_node,
                                      .recheck = recheck,
                                      .why = why,
                                      .close = close_session};
    adopt(l, identity);
    return l;
}

void tls_layer_destroy(struct tls_layer *l)
{
    if (l == NULL)
        return;
    tls_identity_release(l->identity);
    free(l);
}

void tls_layer_replace(struct tls_layer *l, struct tls_identity *identity)
{
    struct tls_identity *old = l->identity;

    adopt(l, identity);
    tls_identity_release(old);
}

const struct tcp_layer *tls_layer_interface(struct tls_layer *l)
{
    return &l->interface;
}

void tls_layer_get_counters(const struct tls_layer *l, struct tls_counters *out)
{
    *out = l->counters;
}
