/* Answers by Idempotency-Key: who asks the same again gets the same answer, and nothing happens
 * twice. Each node keeps its own, for an hour, in memory: asked of another node, or after a restart,
 * it is a new request. */
#include <string.h>

#include "api/http.h"

static void drop(struct api_kept *e)
{
    struct api_call *call = e->call;

    memset(e, 0, sizeof *e);
    api_call_release(call);
}

/* A free place, else the oldest whose answer is out; NULL: all are under way. */
static struct api_kept *place(struct api_keep *k)
{
    struct api_kept *oldest = NULL;

    for (size_t i = 0; i < API_KEPT_ANSWERS; i++) {
        struct api_kept *e = &k->entries[i];

        if (e->call == NULL) {
            return e;
        }
        if (!e->call->away && (oldest == NULL || e->since_ms < oldest->since_ms)) {
            oldest = e;
        }
    }
    if (oldest != NULL) {
        drop(oldest);
    }
    return oldest;
}

enum api_keep_verdict api_keep_ask(struct api_keep *k, const char *name, const char *key,
                                   const uint8_t print[32], struct api_call *call, uint64_t now_ms,
                                   struct api_call **again)
{
    struct api_kept *e;

    for (size_t i = 0; i < API_KEPT_ANSWERS; i++) {
        e = &k->entries[i];
        if (e->call == NULL || strcmp(e->key, key) != 0 || strcmp(e->name, name) != 0) {
            continue;
        }
        if (!e->call->away && now_ms - e->since_ms >= API_KEPT_MS) {
            drop(e);
            break;
        }
        if (memcmp(e->print, print, sizeof e->print) != 0) {
            return API_KEEP_OTHER;
        }
        *again = e->call;
        return e->call->away ? API_KEEP_UNDER_WAY : API_KEEP_AGAIN;
    }
    e = place(k);
    if (e == NULL) {
        return API_KEEP_FULL;
    }
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    (void)snprintf(e->key, sizeof e->key, "%s", key);
    memcpy(e->print, print, sizeof e->print);
    e->call = call;
    e->since_ms = now_ms;
    api_call_hold(call);
    return API_KEEP_NEW;
}

/* What was refused for the moment may be asked again by the same key, and a long answer is made
 * again. */
void api_keep_settle(struct api_keep *k, struct api_call *call)
{
    for (size_t i = 0; i < API_KEPT_ANSWERS; i++) {
        if (k->entries[i].call == call &&
            (call->status == 429 || call->status == 503 || !api_call_print(call) ||
             call->text_bytes > API_KEPT_BYTES)) {
            drop(&k->entries[i]);
        }
    }
}

void api_keep_clear(struct api_keep *k)
{
    for (size_t i = 0; i < API_KEPT_ANSWERS; i++) {
        if (k->entries[i].call != NULL) {
            drop(&k->entries[i]);
        }
    }
}
