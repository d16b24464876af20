#include "relay.h"

#include <string.h>

#include "base/assert.h"

enum { MS = 1000000 };

void relay_core_init(struct relay_core *core, const struct relay_settings *settings, uint64_t seed)
{
    *core = (struct relay_core){.settings = *settings, .seed = seed};
}

static enum relay_class class_of(uint8_t exchange)
{
    switch (exchange) {
    case IKE_HDR_INIT:
        return RELAY_INIT;
    case IKE_HDR_AUTH:
        return RELAY_AUTH;
    case IKE_HDR_CREATE_CHILD:
        return RELAY_CREATE_CHILD;
    case IKE_HDR_INFORMATIONAL:
        return RELAY_INFORMATIONAL;
    default:
        return RELAY_OTHER;
    }
}

void relay_classify(enum relay_way way, struct span frame, struct relay_packet *packet)
{
    struct capture_frame f;

    *packet = (struct relay_packet){.way = way, .class = RELAY_OTHER};
    if (!capture_decode(frame, &f))
        return;
    if (f.kind == CAPTURE_ESP)
        packet->class = RELAY_ESP;
    if (f.kind != CAPTURE_IKE)
        return;
    packet->class = class_of(f.exchange);
    packet->spi_i = f.spi_i;
    packet->spi_r = f.spi_r;
    packet->message_id = f.message_id;
    packet->response = (f.flags & IKE_HDR_FLAG_RESPONSE) != 0;
}

static uint64_t mixed(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A number below `below` for the n-th packet of its class and way; `what` keeps the decisions about
 * one packet apart. */
static unsigned draw(const struct relay_core *core, const struct relay_packet *p, uint64_t n,
                     unsigned what, unsigned below)
{
    uint64_t place = ((uint64_t)p->way * RELAY_CLASSES + p->class) * 8 + what;

    return (unsigned)(mixed(mixed(core->seed ^ place << 48) + n) >> 16) % below;
}

static bool same_message(const struct relay_packet *a, const struct relay_packet *b)
{
    return a->spi_i == b->spi_i && a->spi_r == b->spi_r && a->message_id == b->message_id &&
           a->response == b->response;
}

/* Which of the different messages that the catch saw it is, from 1; a new one is noted. */
static unsigned number_of(struct relay_catch *c, const struct relay_packet *p)
{
    for (unsigned i = 0; i < c->n_seen; i++) {
        if (same_message(&c->seen[i], p))
            return i + 1;
    }
    if (c->n_seen == RELAY_MESSAGES)
        return 0;
    c->seen[c->n_seen++] = *p;
    return c->n_seen;
}

static int caught_by(struct relay_core *core, const struct relay_packet *p)
{
    for (int i = 0; i < RELAY_MAX_CATCHES; i++) {
        struct relay_catch *c = &core->catches[i];

        if (c->active && c->way == p->way && c->class == p->class && c->response == p->response &&
            number_of(c, p) == c->nth) {
            c->caught++;
            return i;
        }
    }
    return RELAY_NO_CATCH;
}

static const struct relay_rule *rule_for(const struct relay_core *core,
                                         const struct relay_packet *p)
{
    for (unsigned i = 0; core->impairs && i < core->settings.n_rules; i++) {
        const struct relay_rule *r = &core->settings.rules[i];

        if (r->ways >> p->way & 1 && r->classes >> p->class & 1)
            return r;
    }
    return NULL;
}

static uint64_t delay_of(const struct relay_core *core, const struct relay_rule *r,
                         const struct relay_packet *p, uint64_t n, unsigned what)
{
    uint64_t ns = (uint64_t)r->delay_ms * MS;

    if (r->jitter_ms)
        ns += (uint64_t)draw(core, p, n, what, r->jitter_ms * 1000) * 1000;
    return ns;
}

enum { DRAW_LOSS, DRAW_DUPLICATE, DRAW_REORDER, DRAW_JITTER, DRAW_JITTER_OF_COPY };

void relay_decide(struct relay_core *core, const struct relay_packet *p, struct relay_fate *fate)
{
    struct relay_count *count = &core->counts[p->way][p->class];
    const struct relay_rule *r = rule_for(core, p);
    uint64_t n = count->seen++;
    int held = p->class == RELAY_OTHER ? RELAY_NO_CATCH : caught_by(core, p);

    *fate = (struct relay_fate){.copies = 1, .held_by = RELAY_NO_CATCH};
    if (held != RELAY_NO_CATCH) {
        count->caught++;
        fate->copies = 0;
        if (core->catches[held].deed == RELAY_HOLD)
            fate->held_by = held;
        return;
    }
    if (!r)
        return;
    if (draw(core, p, n, DRAW_LOSS, 100) < r->loss) {
        count->dropped++;
        fate->copies = 0;
        return;
    }
    fate->after_ns[0] = delay_of(core, r, p, n, DRAW_JITTER);
    if (draw(core, p, n, DRAW_REORDER, 100) < r->reorder) {
        count->reordered++;
        fate->after_ns[0] += (uint64_t)RELAY_REORDER_MS * MS;
    }
    if (draw(core, p, n, DRAW_DUPLICATE, 100) < r->duplicate) {
        count->duplicated++;
        fate->copies = 2;
        fate->after_ns[1] = delay_of(core, r, p, n, DRAW_JITTER_OF_COPY);
    }
}

int relay_catch_set(struct relay_core *core, enum relay_deed deed, enum relay_way way,
                    enum relay_class class, bool response, unsigned nth)
{
    int i = 0;

    while (i < RELAY_MAX_CATCHES && core->catches[i].active)
        i++;
    HF_ASSERT(i < RELAY_MAX_CATCHES);
    core->catches[i] = (struct relay_catch){
        .active = true, .deed = deed, .way = way, .class = class, .response = response, .nth = nth};
    return i;
}

void relay_catch_clear(struct relay_core *core, int index)
{
    HF_ASSERT(index >= 0 && index < RELAY_MAX_CATCHES);
    core->catches[index].active = false;
}
