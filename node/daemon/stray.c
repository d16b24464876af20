#include "daemon/stray.h"

#include <stdlib.h>

enum { BURST_MS = 16 };

struct kept {
    struct kept *next;
    struct stray_frame packet;
    uint64_t until_ms;
    uint8_t bytes[];
};

struct strays {
    struct stray_ops ops;
    struct kept *first, **last; /* in the order in which they came */
    size_t n;
    uint64_t budget_ms; /* the rate: a bucket that fills by time */
    uint64_t budget;
    uint64_t counters[STRAY_COUNTERS];
};

const char *stray_counter_name(enum stray_counter counter)
{
    static const char *const names[STRAY_COUNTERS] = {
        [STRAY_COUNT_DELIVERED] = "delivered",
        [STRAY_COUNT_FORWARDED] = "forwarded",
        [STRAY_COUNT_KEPT] = "kept",
        [STRAY_COUNT_NO_ROOM] = "dropped_no_room",
        [STRAY_COUNT_TOO_OLD] = "dropped_old",
        [STRAY_COUNT_TOO_FAR] = "dropped_hops",
        [STRAY_COUNT_TOO_MANY] = "dropped_rate",
        [STRAY_COUNT_NO_OWNER] = "dropped_no_owner",
        [STRAY_COUNT_UNREACHABLE] = "dropped_unreachable",
        [STRAY_COUNT_MALFORMED] = "dropped_malformed",
    };

    return (size_t)counter < STRAY_COUNTERS ? names[counter] : "?";
}

struct strays *strays_create(const struct stray_ops *ops)
{
    struct strays *s = calloc(1, sizeof *s);

    HF_ASSERT(s != NULL);
    s->ops = *ops;
    s->last = &s->first;
    return s;
}

void strays_destroy(struct strays *s)
{
    while (s->first != NULL) {
        struct kept *k = s->first;

        s->first = k->next;
        free(k);
    }
    free(s);
}

uint64_t strays_counter(const struct strays *s, enum stray_counter counter)
{
    return s->counters[counter];
}

enum outcome { DONE, KEEP };

static enum outcome drop(struct strays *s, enum stray_counter why)
{
    s->counters[why]++;
    return DONE;
}

static bool within_rate(struct strays *s)
{
    uint64_t now = s->ops.now_ms(s->ops.self), passed = now - s->budget_ms;

    if (passed > 0) {
        s->budget += passed < BURST_MS ? passed * STRAY_RATE_PER_MS : BURST_MS * STRAY_RATE_PER_MS;
        if (s->budget > BURST_MS * STRAY_RATE_PER_MS)
            s->budget = BURST_MS * STRAY_RATE_PER_MS;
        s->budget_ms = now;
    }
    if (s->budget == 0)
        return false;
    s->budget--;
    return true;
}

static enum outcome forward(struct strays *s, const struct stray_frame *packet, uint32_t node,
                            uint64_t epoch)
{
    struct stray_frame f = *packet;
    uint8_t head[STRAY_HEAD_BYTES];

    if (node == 0 || !s->ops.sure(s->ops.self))
        return drop(s, STRAY_COUNT_NO_OWNER);
    if (packet->hops >= STRAY_HOPS)
        return drop(s, STRAY_COUNT_TOO_FAR);
    if (!within_rate(s))
        return drop(s, STRAY_COUNT_TOO_MANY);
    f.hops++;
    f.epoch = epoch;
    stray_frame_encode(&f, head);
    switch (s->ops.forward(s->ops.self, node, span_of(head, sizeof head), f.packet)) {
    case STRAY_SENT:
        s->counters[STRAY_COUNT_FORWARDED]++;
        return DONE;
    case STRAY_BUSY:
        return KEEP;
    case STRAY_UNREACHABLE:
    default:
        return drop(s, STRAY_COUNT_UNREACHABLE);
    }
}

static enum outcome route(struct strays *s, const struct stray_frame *packet)
{
    uint64_t epoch = 0;
    uint32_t node = 0;
    bool mine = false;

    if (!s->ops.owner(s->ops.self, packet->shard, &node, &epoch, &mine))
        return drop(s, STRAY_COUNT_NO_OWNER);
    if (packet->epoch > epoch)
        return KEEP;
    if (!mine)
        return forward(s, packet, node, epoch);
    if (!s->ops.acting(s->ops.self, packet->shard) || !s->ops.deliver(s->ops.self, packet))
        return KEEP;
    s->counters[STRAY_COUNT_DELIVERED]++;
    return DONE;
}

static bool waits_before(const struct strays *s, uint32_t shard)
{
    for (const struct kept *k = s->first; k != NULL; k = k->next)
        if (k->packet.shard == shard)
            return true;
    return false;
}

static void keep(struct strays *s, const struct stray_frame *packet)
{
    struct kept *k;

    if (s->n == STRAY_KEPT || packet->packet.len > STRAY_PACKET_BYTES) {
        s->counters[STRAY_COUNT_NO_ROOM]++;
        return;
    }
    k = malloc(sizeof *k + packet->packet.len);
    HF_ASSERT(k != NULL);
    k->next = NULL;
    k->packet = *packet;
    k->until_ms = s->ops.now_ms(s->ops.self) + STRAY_KEEP_MS;
    memcpy(k->bytes, packet->packet.data, packet->packet.len);
    k->packet.packet = span_of(k->bytes, packet->packet.len);
    *s->last = k;
    s->last = &k->next;
    s->n++;
    s->counters[STRAY_COUNT_KEPT]++;
}

void strays_take(struct strays *s, const struct stray_frame *packet)
{
    if (waits_before(s, packet->shard) || route(s, packet) == KEEP)
        keep(s, packet);
}

void strays_receive(struct strays *s, struct span bytes)
{
    struct stray_frame f;

    if (stray_frame_decode(bytes, &f))
        strays_take(s, &f);
    else
        s->counters[STRAY_COUNT_MALFORMED]++;
}

/* In order: of a shard whose packet has to wait on, those behind it wait, too. */
bool strays_run(struct strays *s)
{
    uint32_t waiting[64];
    size_t n_waiting = 0;
    struct kept **at = &s->first;
    uint64_t now;

    if (s->n == 0)
        return false;
    now = s->ops.now_ms(s->ops.self);
    while (*at != NULL) {
        struct kept *k = *at;
        enum outcome o = KEEP;
        size_t i = 0;

        while (i < n_waiting && waiting[i] != k->packet.shard)
            i++;
        if (i == n_waiting)
            o = route(s, &k->packet);
        if (o == KEEP && now >= k->until_ms)
            o = drop(s, STRAY_COUNT_TOO_OLD);
        else if (o == KEEP && i == n_waiting && n_waiting < sizeof waiting / sizeof waiting[0])
            waiting[n_waiting++] = k->packet.shard;
        if (o == KEEP) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        s->n--;
        free(k);
    }
    s->last = at;
    return s->n > 0;
}
