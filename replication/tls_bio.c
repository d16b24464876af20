#include "replication/tls_bio.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static BIO_METHOD *method; /* one for the process, for ever */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int on_read(BIO *b, char *out, int n)
{
    struct tls_memory *m = BIO_get_data(b);
    size_t some = m->in.len < (size_t)n ? m->in.len : (size_t)n;

    BIO_clear_retry_flags(b);
    if (n <= 0)
        return 0;
    if (some == 0) { /* more will come */
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(out, m->in.data, some);
    m->in = span_of(m->in.data + some, m->in.len - some);
    return (int)some;
}

static int on_write(BIO *b, const char *in, int n)
{
    struct tls_memory *m = BIO_get_data(b);
    size_t want, cap = m->out_cap == 0 ? 1024 : m->out_cap;

    BIO_clear_retry_flags(b);
    if (n <= 0)
        return 0;
    want = m->out_len + (size_t)n;
    while (cap < want)
        cap *= 2;
    if (cap > m->out_cap) {
        m->out = realloc(m->out, cap);
        HF_ASSERT(m->out != NULL);
        m->out_cap = cap;
    }
    memcpy(m->out + m->out_len, in, (size_t)n);
    m->out_len = want;
    return n;
}

/* Nothing waits in it for a flush. */
static long on_ctrl(BIO *b, int what, long n, void *arg)
{
    (void)b;
    (void)n;
    (void)arg;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent memory");
    HF_ASSERT(method != NULL && BIO_meth_set_read(method, on_read) == 1 &&
              BIO_meth_set_write(method, on_write) == 1 && BIO_meth_set_ctrl(method, on_ctrl) == 1);
}

BIO *tls_bio_create(struct tls_memory *m)
{
    BIO *b;

    HF_ASSERT(pthread_once(&once, make_method) == 0);
    b = BIO_new(method);
    if (b == NULL)
        return NULL;
    BIO_set_data(b, m);
    BIO_set_init(b, 1);
    return b;
}

struct span tls_memory_out(const struct tls_memory *m)
{
    return span_of(m->out, m->out_len);
}

void tls_memory_sent(struct tls_memory *m)
{
    m->out_len = 0;
    if (m->out_cap > TLS_BIO_KEPT_BYTES)
        tls_memory_deinit(m);
}

void tls_memory_deinit(struct tls_memory *m)
{
    free(m->out);
    m->out = NULL;
    m->out_len = m->out_cap = 0;
}
