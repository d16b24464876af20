#include "oracle.h"

#include <stdlib.h>

static bool is_request(const struct capture_frame *f, bool from_client, uint8_t exchange)
{
    return f->kind == CAPTURE_IKE && f->left && f->exchange == exchange &&
           !(f->flags & IKE_HDR_FLAG_RESPONSE) && (f->port == CAPTURE_CLIENT_PORT) == from_client;
}

struct oracle_message oracle_message_of(const struct capture_frame *f)
{
    return (struct oracle_message){.spi_i = f->spi_i,
                                   .spi_r = f->spi_r,
                                   .message_id = f->message_id,
                                   .response = (f->flags & IKE_HDR_FLAG_RESPONSE) != 0,
                                   .from_client = f->port == CAPTURE_CLIENT_PORT};
}

bool oracle_is_message(const struct capture_frame *f, const struct oracle_message *m)
{
    return f->kind == CAPTURE_IKE && f->left && f->spi_i == m->spi_i && f->spi_r == m->spi_r &&
           f->message_id == m->message_id &&
           ((f->flags & IKE_HDR_FLAG_RESPONSE) != 0) == m->response &&
           (f->port == CAPTURE_CLIENT_PORT) == m->from_client;
}

static int by_message(const void *a, const void *b)
{
    const struct capture_frame *x = *(const struct capture_frame *const *)a,
                               *y = *(const struct capture_frame *const *)b;
    struct oracle_message p = oracle_message_of(x), q = oracle_message_of(y);

    if (p.spi_i != q.spi_i)
        return p.spi_i < q.spi_i ? -1 : 1;
    if (p.spi_r != q.spi_r)
        return p.spi_r < q.spi_r ? -1 : 1;
    if (p.from_client != q.from_client)
        return p.from_client ? -1 : 1;
    if (p.response != q.response)
        return p.response ? 1 : -1;
    if (p.message_id != q.message_id)
        return p.message_id < q.message_id ? -1 : 1;
    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    return x->bytes_at < y->bytes_at ? -1 : 1;
}

static double ms_after(uint64_t ns, uint64_t zero_ns)
{
    return ((double)ns - (double)zero_ns) / 1e6;
}

static size_t differs_at(struct span a, struct span b)
{
    size_t i = 0;

    while (i < a.len && i < b.len && a.data[i] == b.data[i])
        i++;
    return i;
}

static void compare(const struct capture *c, const struct capture_frame *a,
                    const struct capture_frame *b, uint64_t zero_ns, struct oracle_report *r)
{
    struct span x = capture_message(c, a), y = capture_message(c, b);

    if (span_equal(x, y))
        return;
    oracle_violation(r,
                     "identical-copies: IKE SA %016llx/%016llx %s %u of the %s: port %u at %.3f ms "
                     "(%zu bytes) and port %u at %.3f ms "
                     "(%zu bytes) differ from byte %zu on",
                     (unsigned long long)a->spi_i, (unsigned long long)a->spi_r,
                     a->flags & IKE_HDR_FLAG_RESPONSE ? "response" : "request", a->message_id,
                     a->port == CAPTURE_CLIENT_PORT ? "client" : "gateway", a->port,
                     ms_after(a->ns, zero_ns), x.len, b->port, ms_after(b->ns, zero_ns), y.len,
                     differs_at(x, y));
}

void oracle_identical_copies(const struct capture *c, uint64_t zero_ns,
                             const struct oracle_message *about, struct oracle_copies *copies,
                             struct oracle_report *r)
{
    const struct capture_frame **ike = capture_list(c);
    size_t n = 0;

    *copies = (struct oracle_copies){0};
    if (!ike) {
        oracle_violation(r, "identical-copies: out of memory, nothing judged");
        return;
    }
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->kind != CAPTURE_IKE || !f->left || f->exchange == IKE_HDR_INIT)
            continue;
        ike[n++] = f;
        if (about && oracle_is_message(f, about))
            copies->sent_of_message++;
    }
    qsort(ike, n, sizeof(void *), by_message);
    for (size_t i = 1; i < n; i++) {
        struct oracle_message m = oracle_message_of(ike[i - 1]);

        if (!oracle_is_message(ike[i], &m))
            continue;
        compare(c, ike[i - 1], ike[i], zero_ns, r);
        copies->compared++;
        copies->of_gateway += !m.from_client;
        if (about && oracle_is_message(ike[i], about)) {
            copies->of_message++;
            copies->across += ike[i]->port != ike[i - 1]->port;
        }
    }
    free(ike);
}

unsigned oracle_sent_by(const struct capture *c, const struct oracle_message *m, uint8_t port,
                        uint64_t from_ns, uint64_t before_ns, uint64_t *first_ns)
{
    unsigned n = 0;

    *first_ns = 0;
    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];

        if (f->port != port || f->ns < from_ns || f->ns >= before_ns || !oracle_is_message(f, m))
            continue;
        if (n++ == 0 || f->ns < *first_ns)
            *first_ns = f->ns;
    }
    return n;
}

unsigned oracle_of_record(const struct capture *c, uint64_t zero_ns, const struct oracle_message *m,
                          uint64_t hash, struct oracle_report *r)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];
        uint64_t is;

        if (!oracle_is_message(f, m))
            continue;
        n++;
        is = span_fnv1a64(capture_message(c, f));
        if (is != hash)
            oracle_violation(r,
                             "same-bytes: %s %u left node %u at %.3f ms with other bytes than its "
                             "record holds (%016llx, not %016llx)",
                             m->response ? "response" : "request", m->message_id, f->port,
                             ms_after(f->ns, zero_ns), (unsigned long long)is,
                             (unsigned long long)hash);
    }
    return n;
}

unsigned oracle_count_requests(const struct capture *c, uint64_t from_ns, uint64_t to_ns,
                               bool from_client, uint8_t exchange)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->n_frames; i++) {
        const struct capture_frame *f = &c->frames[i];
        struct oracle_message m = oracle_message_of(f);
        bool earlier = false;

        if (f->ns < from_ns || f->ns > to_ns || !is_request(f, from_client, exchange))
            continue;
        for (size_t k = 0; k < i && !earlier; k++)
            earlier = oracle_is_message(&c->frames[k], &m);
        n += !earlier;
    }
    return n;
}
