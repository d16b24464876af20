#include "conductor/attempts.h"

#include <stdlib.h>

#include "conductor/internal.h"

enum { SECOND_MS = 1000 };

/* What is looked through at each note, apart from the attempts themselves, which are large. */
struct slot {
    uint64_t id; /* 0 = free */
    uint64_t first_ms;
    uint64_t key; /* of all that makes it the same */
    struct ip_addr source;
    bool proven;
};

struct shown {
    uint64_t sa_id; /* 0 = none */
    struct ike_evidence evidence;
};

struct attempts {
    uint64_t prefix, number; /* ids are prefix | number */
    uint64_t second_ms;      /* of the unproven ones that are new */
    uint32_t in_second;
    uint64_t unkept;
    struct slot slots[ATTEMPTS_MAX];
    struct shown shown[ATTEMPTS_SHOWN];
    uint64_t n_shown; /* so far; the next one takes the place of the oldest */
    struct attempt items[ATTEMPTS_MAX];
};

struct attempts *attempts_create(uint32_t node, uint64_t boot)
{
    struct attempts *a = calloc(1, sizeof *a);

    HF_ASSERT(a != NULL);
    a->prefix = (uint64_t)(node & 0xffff) << 48 | (boot & 0xffff) << 32;
    return a;
}

void attempts_destroy(struct attempts *a)
{
    free(a);
}

/* FNV-1a, a word at a time. Who finds two that fall together gains nothing: they are compared. */
static uint64_t mix(uint64_t h, uint64_t word)
{
    return (h ^ word) * 1099511628211u;
}

static uint64_t key_of(const struct attempt *w)
{
    uint64_t h = mix(14695981039346656037u, (uint64_t)w->exchange << 32 | (uint64_t)w->begun);

    h = mix(h, (uint64_t)w->reason << 32 | (uint64_t)w->limit);
    h = mix(h, (uint64_t)w->verdict << 32 | w->peer_error);
    h = mix(h, (uint64_t)w->shard << 32 | w->identity.len);
    for (size_t i = 0; i < sizeof w->remote.ip.bytes; i++)
        h = mix(h, w->remote.ip.bytes[i]);
    for (size_t i = 0; i < w->identity.len; i++)
        h = mix(h, w->identity.bytes[i]);
    return h;
}

/* Padding is zero, as in states: each begins as zeros (ike/evidence.c). Where it were not, two were kept apart. */
static bool same_evidence(const struct ike_evidence *x, const struct ike_evidence *y)
{
    return memcmp((const uint8_t *)x, (const uint8_t *)y, sizeof *x) == 0;
}

/* What the peer offered may differ: then it is another attempt. */
static bool same(const struct attempt *x, const struct attempt *y)
{
    return x->exchange == y->exchange && x->begun == y->begun && x->reason == y->reason &&
           x->limit == y->limit && x->judged == y->judged && x->verdict == y->verdict &&
           x->peer_error == y->peer_error && x->proven == y->proven && x->shard == y->shard &&
           addr_equal(&x->remote.ip, &y->remote.ip) && x->identity.type == y->identity.type &&
           x->identity.len == y->identity.len &&
           memcmp(x->identity.bytes, y->identity.bytes, x->identity.len) == 0 &&
           same_evidence(&x->evidence, &y->evidence);
}

static bool is_old(const struct slot *s, uint64_t now_ms)
{
    return now_ms > s->first_ms && now_ms - s->first_ms > ATTEMPTS_AGE_MS;
}

/* What is too old is gone, its bytes too. */
static void forget_old(struct attempts *a, uint64_t now_ms)
{
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        if (a->slots[i].id != 0 && is_old(&a->slots[i], now_ms)) {
            memset(&a->slots[i], 0, sizeof a->slots[i]);
            memset(&a->items[i], 0, sizeof a->items[i]);
        }
}

static struct attempt *find_same(struct attempts *a, uint64_t key, const struct attempt *what)
{
    for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
        const struct slot *s = &a->slots[i];

        if (s->id != 0 && s->key == key && what->last_ms - s->first_ms < ATTEMPTS_SAME_MS &&
            same(&a->items[i], what))
            return &a->items[i];
    }
    return NULL;
}

/* May so many new ones be kept of senders that proved nothing? Each takes another one's place. */
static bool may_keep(struct attempts *a, const struct attempt *what)
{
    if (what->proven)
        return true;
    if (a->second_ms == 0 || what->last_ms - a->second_ms >= SECOND_MS) {
        a->second_ms = what->last_ms;
        a->in_second = 0;
    }
    return a->in_second++ < ATTEMPTS_UNPROVEN_A_SECOND;
}

/* Whom a new one may replace: how many there are of them, and which goes first. */
struct share {
    size_t n, first;
};

/* Unproven ones go before proven ones, the older one before the newer. */
static void count_in(struct share *share, const struct slot *slots, size_t i)
{
    const struct slot *s = &slots[i], *first = &slots[share->first];

    if (share->n++ == 0 || (s->proven == first->proven ? s->id < first->id : first->proven))
        share->first = i;
}

/* Which place it takes: that of its source's first to go where that has its share, else of the oldest
 * unproven one where those have theirs, else a free one, else the first to go of all. */
static size_t place_for(const struct attempts *a, const struct ip_addr *source, bool proven)
{
    struct share of_source = {0}, unproven = {0}, all = {0};
    size_t empty = ATTEMPTS_MAX;

    for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
        const struct slot *s = &a->slots[i];

        if (s->id == 0) {
            empty = i;
            continue;
        }
        count_in(&all, a->slots, i);
        if (addr_equal(&s->source, source))
            count_in(&of_source, a->slots, i);
        if (!s->proven)
            count_in(&unproven, a->slots, i);
    }
    if (of_source.n >= ATTEMPTS_OF_SOURCE)
        return of_source.first;
    if (!proven && unproven.n >= ATTEMPTS_UNPROVEN)
        return unproven.first;
    return empty < ATTEMPTS_MAX ? empty : all.first;
}

uint64_t attempts_note(struct attempts *a, const struct attempt *what)
{
    struct ip_addr source =
        source_of(addr_is_set(&what->source) ? &what->source : &what->remote.ip);
    uint64_t key = key_of(what);
    struct attempt *known = find_same(a, key, what);
    size_t at;

    if (known != NULL) {
        known->times += known->times < UINT32_MAX;
        known->last_ms = what->last_ms;
        known->last_wall_s = what->last_wall_s;
        known->remote = what->remote;
        return known->id;
    }
    if (!may_keep(a, what)) {
        a->unkept++;
        return 0;
    }
    forget_old(a, what->last_ms);
    at = place_for(a, &source, what->proven);
    a->items[at] = *what;
    known = &a->items[at];
    known->id = a->prefix | (++a->number & UINT32_MAX);
    known->times = 1;
    known->first_ms = what->last_ms;
    known->first_wall_s = what->last_wall_s;
    a->slots[at] = (struct slot){.id = known->id,
                                 .first_ms = known->first_ms,
                                 .key = key,
                                 .source = source,
                                 .proven = what->proven};
    return known->id;
}

const struct attempt *attempts_find(struct attempts *a, uint64_t id, uint64_t now_ms)
{
    forget_old(a, now_ms);
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        if (id != 0 && a->slots[i].id == id)
            return &a->items[i];
    return NULL;
}

const struct attempt *attempts_below(struct attempts *a, uint64_t id, uint64_t now_ms)
{
    size_t best = ATTEMPTS_MAX;

    forget_old(a, now_ms);
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        if (a->slots[i].id != 0 && a->slots[i].id < id &&
            (best == ATTEMPTS_MAX || a->slots[i].id > a->slots[best].id))
            best = i;
    return best < ATTEMPTS_MAX ? &a->items[best] : NULL;
}

void attempts_showed(struct attempts *a, uint64_t sa_id, const struct ike_evidence *shown)
{
    struct shown *s = &a->shown[a->n_shown++ % ATTEMPTS_SHOWN];

    s->sa_id = sa_id;
    s->evidence = *shown;
}

bool attempts_shown(const struct attempts *a, uint64_t sa_id, struct ike_evidence *shown)
{
    for (size_t i = 0; i < ATTEMPTS_SHOWN; i++)
        if (sa_id != 0 && a->shown[i].sa_id == sa_id) {
            *shown = a->shown[i].evidence;
            return true;
        }
    return false;
}

uint64_t attempts_unkept(const struct attempts *a)
{
    return a->unkept;
}

bool attempt_asks_again(const struct attempt *attempt)
{
    return attempt->limit == ATTEMPT_LIMIT_NONE &&
           (attempt->reason == IKE_REASON_COOKIE_SENT ||
            (attempt->reason == IKE_REASON_INVALID_KE &&
             attempt->evidence.about == IKE_EVIDENCE_GROUP));
}

const char *attempt_limit_name(enum attempt_limit limit)
{
    static const char *const names[ATTEMPT_LIMITS] = {
        [ATTEMPT_LIMIT_NONE] = "none",
        [ATTEMPT_LIMIT_HALF_OPEN_SOURCE] = "too-many-half-open-from-this-source",
        [ATTEMPT_LIMIT_HALF_OPEN_ALL] = "too-many-half-open-in-all",
        [ATTEMPT_LIMIT_KEY_EXCHANGES] = "too-many-key-exchanges-at-once",
        [ATTEMPT_LIMIT_AUTHENTICATIONS] = "too-many-failed-authentications",
    };

    return (unsigned)limit < ATTEMPT_LIMITS ? names[limit] : "unknown";
}

const char *attempt_cause(const struct attempt *attempt)
{
    return attempt->limit != ATTEMPT_LIMIT_NONE ? attempt_limit_name(attempt->limit)
                                                : ike_reason_name(attempt->reason);
}
