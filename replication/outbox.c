#include "replication/outbox.h"

void outbox_init(struct outbox *o)
{
    memset(o, 0, sizeof *o);
    o->oldest = o->next = o->unsent_from = 1;
}

static struct outbox_item *slot(struct outbox *o, uint64_t request)
{
    return &o->items[request % REPL_MAX_OUTSTANDING];
}

bool outbox_room(const struct outbox *o, size_t len)
{
    return o->next - o->oldest < REPL_MAX_OUTSTANDING &&
           (o->n == 0 || o->bytes + len <= REPL_MAX_OUTSTANDING_BYTES);
}

void outbox_put(struct outbox *o, uint64_t request, uint8_t *bytes, size_t len, void *effects)
{
    HF_ASSERT(request == o->next && o->next - o->oldest < REPL_MAX_OUTSTANDING);
    *slot(o, request) =
        (struct outbox_item){.request = request, .bytes = bytes, .len = len, .effects = effects};
    o->next++;
    o->n++;
    o->bytes += len;
}

struct outbox_item *outbox_unsent(struct outbox *o)
{
    for (; o->unsent_from < o->next; o->unsent_from++) {
        struct outbox_item *item = slot(o, o->unsent_from);

        if (item->request == o->unsent_from && item->sent_ns == 0)
            return item;
    }
    return NULL;
}

void outbox_sent(struct outbox *o, struct outbox_item *item, uint64_t now_ns)
{
    (void)o;
    HF_ASSERT(item->request != 0 && item->sent_ns == 0);
    item->sent_ns = now_ns == 0 ? 1 : now_ns;
}

static void unsend(struct outbox *o, struct outbox_item *item)
{
    item->sent_ns = 0;
    item->sent_before = true;
    if (item->request < o->unsent_from)
        o->unsent_from = item->request;
}

struct outbox_item *outbox_each(struct outbox *o, uint64_t *at)
{
    for (uint64_t r = *at < o->oldest ? o->oldest : *at; r < o->next; r++)
        if (slot(o, r)->request == r) {
            *at = r + 1;
            return slot(o, r);
        }
    return NULL;
}

size_t outbox_unsend_older(struct outbox *o, uint64_t before_ns)
{
    struct outbox_item *item;
    size_t n = 0;

    for (uint64_t at = 0; (item = outbox_each(o, &at)) != NULL;)
        if (item->sent_ns != 0 && item->sent_ns < before_ns) {
            unsend(o, item);
            n++;
        }
    return n;
}

void outbox_unsend_all(struct outbox *o)
{
    (void)outbox_unsend_older(o, UINT64_MAX);
}

void outbox_unsend(struct outbox *o, uint64_t request)
{
    struct outbox_item *item = slot(o, request);

    if (item->request == request && item->sent_ns != 0)
        unsend(o, item);
}

bool outbox_settle(struct outbox *o, uint64_t request, struct outbox_item *out)
{
    struct outbox_item *item = slot(o, request);

    if (request == 0 || item->request != request)
        return false;
    *out = *item;
    *item = (struct outbox_item){0};
    o->n--;
    o->bytes -= out->len;
    while (o->oldest < o->next && slot(o, o->oldest)->request != o->oldest)
        o->oldest++;
    return true;
}
