/* Another key of sessions, by an operator's wish: it is written down in the log (which is its audit,
 * too); the answer comes when another key is in use and the former one is erased. */
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/key_bound.h"
#include "replication/record.h"

enum { KEYS_WAIT_MS = 8000 }; /* below the server's own limit for a POST */

static json_t *hex(uint64_t id)
{
    return id == 0 ? json_null() : json_sprintf("%016llx", (unsigned long long)id);
}

json_t *admin_keys_json(const struct repl_status *st)
{
    const struct repl_key_status *k = &st->key;
    struct repl_key_bound b;

    repl_key_bound(st, &b);
    return json_pack(
        "{s:o,s:o,s:I,s:I,s:b,s:o,s:o,s:b}", "session", hex(k->session), "former", hex(k->former),
        "since_ms", (json_int_t)b.present_ms, "age_ms", (json_int_t)k->age_ms, "wished", k->wished,
        "former_since_ms", k->former != 0 ? json_integer((json_int_t)b.former_ms) : json_null(),
        "erased_within_ms", b.within_ms != 0 ? json_integer((json_int_t)b.within_ms) : json_null(),
        "overdue", b.overdue);
}

static void rotate_keys(void *self, struct api_request *request, const struct api_asker *who)
{
    struct daemon *d = self;
    struct api_asker asker = admin_asker(who);
    struct repl_admin by = admin_by(&asker);
    struct repl_status st;

    repl_status(d->repl, &st);
    if (d->keys.request != NULL) {
        admin_refuse(request, 503, "busy", "a rotation is under way: try again");
    } else if (st.key.session == 0) {
        admin_refuse(request, 409, "no-key", "there is no key of sessions yet");
    } else if (st.speaks < RECORD_SPEAKS_ROTATION) {
        admin_refuse(
            request, 409, "old-member",
            "a member runs a program that does not know how to: upgrade all of them first");
    } else if (!conductor_wish_rotation(d->conductor, &by)) {
        admin_refuse(request, 503, "busy", "too much is under way: try again");
    } else {
        d->keys.request = request;
        d->keys.former = st.key.session;
        d->keys.until_ms = io_boottime_ms() + KEYS_WAIT_MS;
    }
}

void admin_keys_tick(struct daemon *d)
{
    struct api_request *request = d->keys.request;
    struct repl_status st;

    if (request == NULL)
        return;
    repl_status(d->repl, &st);
    if (st.key.session != d->keys.former && st.key.former == 0) {
        d->keys.request = NULL;
        api_request_answer(request, json_pack("{s:o,s:o}", "session", hex(st.key.session), "erased",
                                              hex(d->keys.former)));
    } else if (io_boottime_ms() >= d->keys.until_ms) {
        d->keys.request = NULL;
        admin_refuse(request, 504, "timeout",
                     "written down, but the former key is not erased yet: see `keys` of GET "
                     "/v1/cluster");
    }
}

void admin_keys_stop(struct daemon *d)
{
    if (d->keys.request != NULL)
        admin_refuse(d->keys.request, 503, "stopping", "this node is stopping: ask another one");
    d->keys.request = NULL;
}

void admin_keys_fill(struct api_backend *b)
{
    b->rotate_keys = rotate_keys;
}
