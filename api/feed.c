#include "api/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "api/internal.h"

/* The last one of its index: everything that came of it is behind. */
#define LAST_OF_INDEX UINT32_MAX

struct event {
    struct api_event_id id; /* of this node's own: the newest before it */
    bool own;
    enum api_role needed;
    size_t len;
    char *text; /* owned */
};

struct api_feed {
    /* the control loop's */
    struct event *staged; /* n_staged of `events`; */
    size_t n_staged, staged_bytes;
    bool reset; /* ... and a reset goes before them */
    struct api_event_id at;
    struct api_event_id reset_at;
    size_t events, bytes;
    /* under the lock */
    uv_mutex_t lock;
    struct event *ring; /* `events`; first..end of all that ever were, modulo */
    uint64_t first, end, resets;
    size_t held; /* bytes */
    bool known;  /* something is applied */
    struct api_event_id floor, place;
};

/* --- ids --- */

static bool take_number(const char **text, uint64_t most, uint64_t *out)
{
    const char *p = *text;
    uint64_t v = 0;

    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (v > (most - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *text = p;
    *out = v;
    return true;
}

bool api_event_id_parse(const char *text, struct api_event_id *id)
{
    struct api_event_id out = {0};
    uint64_t n = 0;

    if (!take_number(&text, UINT64_MAX, &out.incarnation) || *text++ != '.' ||
        !take_number(&text, UINT64_MAX, &out.index) || *text++ != '.' ||
        !take_number(&text, UINT32_MAX, &n) || *text != '\0') {
        return false;
    }
    out.n = (uint32_t)n;
    *id = out;
    return true;
}

const char *api_event_id_text(const struct api_event_id *id, char out[API_EVENT_ID_BYTES])
{
    (void)snprintf(out, API_EVENT_ID_BYTES, "%llu.%llu.%u", (unsigned long long)id->incarnation,
                   (unsigned long long)id->index, (unsigned)id->n);
    return out;
}

int api_event_id_compare(const struct api_event_id *a, const struct api_event_id *b)
{
    if (a->incarnation != b->incarnation) {
        return a->incarnation < b->incarnation ? -1 : 1;
    }
    if (a->index != b->index) {
        return a->index < b->index ? -1 : 1;
    }
    return a->n == b->n ? 0 : a->n < b->n ? -1 : 1;
}

/* --- the ring --- */

struct api_feed *api_feed_create(size_t events, size_t bytes)
{
    struct api_feed *f = calloc(1, sizeof *f);

    HF_ASSERT(f != NULL);
    f->events = events != 0 ? events : API_FEED_EVENTS;
    f->bytes = bytes != 0 ? bytes : API_FEED_BYTES;
    HF_ASSERT(f->bytes >= API_EVENT_BYTES);
    f->ring = calloc(f->events, sizeof *f->ring);
    f->staged = calloc(f->events, sizeof *f->staged);
    HF_ASSERT(f->ring != NULL && f->staged != NULL && uv_mutex_init(&f->lock) == 0);
    return f;
}

static struct event *event_at(struct api_feed *f, uint64_t sequence)
{
    return &f->ring[sequence % f->events];
}

static void drop_first(struct api_feed *f)
{
    struct event *e = event_at(f, f->first++);

    f->held -= e->len;
    if (!e->own) {
        f->floor = e->id;
    }
    free(e->text);
    e->text = NULL;
}

static void drop_staged(struct api_feed *f)
{
    for (size_t i = 0; i < f->n_staged; i++) {
        free(f->staged[i].text);
    }
    f->n_staged = f->staged_bytes = 0;
}

void api_feed_destroy(struct api_feed *f)
{
    if (f == NULL) {
        return;
    }
    while (f->first < f->end) {
        drop_first(f);
    }
    drop_staged(f);
    uv_mutex_destroy(&f->lock);
    free(f->ring);
    free(f->staged);
    free(f);
}

static void take_staged(struct api_feed *f)
{
    if (f->reset) {
        while (f->first < f->end) {
            drop_first(f);
        }
        f->floor = f->reset_at;
        f->resets++;
        f->reset = false;
    }
    for (size_t i = 0; i < f->n_staged; i++) {
        while (f->end - f->first >= f->events || f->held + f->staged[i].len > f->bytes) {
            drop_first(f);
        }
        f->held += f->staged[i].len;
        *event_at(f, f->end++) = f->staged[i];
    }
    f->n_staged = f->staged_bytes = 0;
    f->known = f->known || f->at.index != 0;
    f->place = f->at;
}

void api_feed_flush(struct api_feed *f)
{
    /* A reader that the scheduler stopped while it held the lock must not stop this loop: its lease
     * is 150 ms. */
    if (uv_mutex_trylock(&f->lock) != 0) {
        if (f->n_staged < f->events && f->staged_bytes + API_EVENT_BYTES <= f->bytes) {
            return;
        }
        uv_mutex_lock(&f->lock);
    }
    take_staged(f);
    uv_mutex_unlock(&f->lock);
}

/* --- events come --- */

void api_feed_reset(struct api_feed *f, uint64_t incarnation, uint64_t index)
{
    drop_staged(f);
    f->at = f->reset_at = (struct api_event_id){incarnation, index, LAST_OF_INDEX};
    f->reset = true;
}

void api_feed_at(struct api_feed *f, uint64_t incarnation, uint64_t index)
{
    if (incarnation != f->at.incarnation) {
        api_feed_reset(f, incarnation, index - 1);
    }
    if (index > f->at.index) {
        f->at = (struct api_event_id){incarnation, index, 0};
    }
}

static void stage(struct api_feed *f, struct event *e, const char *type, json_t *data)
{
    char id[API_EVENT_ID_BYTES] = "", *json = json_dumps(data, JSON_COMPACT);
    int n;

    json_decref(data);
    HF_ASSERT(json != NULL);
    (void)api_event_id_text(&e->id, id);
    n = asprintf(&e->text, "%s%s%sevent: %s\ndata: %s\n\n", e->own ? "" : "id: ", e->own ? "" : id,
                 e->own ? "" : "\n", type, json);
    if (n >= API_EVENT_BYTES) {
        free(e->text);
        n = asprintf(&e->text, "%s%s%sevent: %s\ndata: {}\n\n",
                     e->own ? "" : "id: ", e->own ? "" : id, e->own ? "" : "\n", type);
    }
    free(json);
    HF_ASSERT(n > 0 && n < API_EVENT_BYTES);
    e->len = (size_t)n;
    if (f->n_staged == f->events || f->staged_bytes + e->len > f->bytes) {
        api_feed_flush(f); /* which is due, so it is done */
    }
    HF_ASSERT(f->n_staged < f->events);
    f->staged[f->n_staged++] = *e;
    f->staged_bytes += e->len;
}

void api_feed_put(struct api_feed *f, enum api_role needed, const char *type, json_t *data)
{
    struct event e = {.needed = needed};

    if (data == NULL || f->at.n == LAST_OF_INDEX) { /* the snapshot has it */
        json_decref(data);
        return;
    }
    f->at.n++;
    e.id = f->at;
    stage(f, &e, type, data);
}

void api_feed_put_own(struct api_feed *f, enum api_role needed, const char *type, json_t *data)
{
    struct event e = {.needed = needed, .own = true, .id = f->at};

    if (data != NULL) {
        stage(f, &e, type, data);
    }
}

/* --- and are read --- */

static void begin_now(struct api_feed *f, struct api_cursor *c)
{
    *c =
        (struct api_cursor){.next = f->end, .live = f->end, .resets = f->resets, .after = f->place};
}

/* The first event behind `after`: ids rise along the ring. */
static uint64_t first_behind(struct api_feed *f, const struct api_event_id *after)
{
    uint64_t low = f->first, high = f->end;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (api_event_id_compare(&event_at(f, middle)->id, after) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum api_feed_start api_feed_behind(struct api_feed *f, const struct api_event_id *after,
                                    struct api_cursor *c)
{
    enum api_feed_start start = API_FEED_STARTS;

    uv_mutex_lock(&f->lock);
    begin_now(f, c);
    if (!f->known) {
        start = API_FEED_NOTHING;
    } else if (after->incarnation != f->place.incarnation ||
               api_event_id_compare(after, &f->floor) < 0) {
        start = API_FEED_GAP;
    } else {
        c->next = first_behind(f, after);
        c->after = *after;
    }
    uv_mutex_unlock(&f->lock);
    return start;
}

enum api_feed_start api_feed_now(struct api_feed *f, struct api_cursor *c)
{
    enum api_feed_start start;

    uv_mutex_lock(&f->lock);
    begin_now(f, c);
    start = f->known ? API_FEED_STARTS : API_FEED_NOTHING;
    uv_mutex_unlock(&f->lock);
    return start;
}

enum api_feed_start api_feed_oldest(struct api_feed *f, struct api_cursor *c)
{
    enum api_feed_start start;

    uv_mutex_lock(&f->lock);
    begin_now(f, c);
    c->next = f->first;
    c->after = f->floor;
    start = f->known ? API_FEED_STARTS : API_FEED_NOTHING;
    uv_mutex_unlock(&f->lock);
    return start;
}

static bool is_for(const struct event *e, uint64_t sequence, const struct api_cursor *c,
                   enum api_role role)
{
    bool new = e->own ? sequence >= c->live : api_event_id_compare(&e->id, &c->after) > 0;

    return new && (role == API_ROLE_NONE || api_role_may(role, e->needed));
}

static enum api_feed_read read_some(struct api_feed *f, struct api_cursor *c, enum api_role role,
                                    char *out, size_t cap, size_t *n)
{
    *n = 0;
    if (c->resets != f->resets) {
        return API_FEED_RESETS;
    }
    if (c->next < f->first) {
        return API_FEED_BEHIND;
    }
    for (; c->next < f->end; c->next++) {
        const struct event *e = event_at(f, c->next);

        if (is_for(e, c->next, c, role)) {
            if (e->len > cap - *n) {
                break;
            }
            memcpy(out + *n, e->text, e->len);
            *n += e->len;
        }
        if (api_event_id_compare(&e->id, &c->after) > 0) {
            c->after = e->id; /* whether it was shown or not */
        }
    }
    return API_FEED_READ;
}

enum api_feed_read api_feed_read(struct api_feed *f, struct api_cursor *c, enum api_role role,
                                 char *out, size_t cap, size_t *n)
{
    enum api_feed_read read;

    HF_ASSERT(cap >= API_EVENT_BYTES);
    uv_mutex_lock(&f->lock);
    read = read_some(f, c, role, out, cap, n);
    uv_mutex_unlock(&f->lock);
    return read;
}

struct api_event_id api_feed_place(struct api_feed *f, const struct api_cursor *c)
{
    struct api_event_id place;

    uv_mutex_lock(&f->lock);
    place = c->next == f->end && c->resets == f->resets ? f->place : c->after;
    uv_mutex_unlock(&f->lock);
    return api_event_id_compare(&place, &c->after) < 0 ? c->after : place;
}

struct api_feed_end api_feed_end(struct api_feed *f)
{
    struct api_feed_end end;

    uv_mutex_lock(&f->lock);
    end = (struct api_feed_end){f->end, f->resets};
    uv_mutex_unlock(&f->lock);
    return end;
}
