/* Reading request bodies: one JSON object, known members of known types, nothing else. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

bool api_body_parse(struct api_call *call, struct api_problem *p)
{
    json_error_t error;

    call->json = json_loadb(call->body != NULL ? call->body : "", call->body_bytes,
                            JSON_REJECT_DUPLICATES, &error);
    if (call->json == NULL) {
        api_problem_set(p, 400, "malformed-json",
                        "the body is not JSON: line %d, column %d: %.150s", error.line,
                        error.column, error.text);
    } else if (!json_is_object(call->json)) {
        json_decref(call->json);
        call->json = NULL;
        api_problem_set(p, 400, "malformed-json", "the body must be one JSON object");
    }
    return call->json != NULL;
}

bool api_body_object(struct api_call *call, json_t **object)
{
    struct api_problem p;

    *object = NULL;
    if (call->json == NULL && !api_body_parse(call, &p)) {
        api_call_problem(call, &p);
        return false;
    }
    *object = json_incref(call->json);
    return true;
}

/* "#/name", as RFC 6901 writes it: ~ and / have names of their own. Cut where there is no room. */
static void point_at(struct api_problem *p, const char *name)
{
    size_t n = 2;

    memcpy(p->pointer, "#/", 3);
    for (; *name != '\0' && n + 3 < sizeof p->pointer; name++) {
        if (*name == '~' || *name == '/') {
            p->pointer[n++] = '~';
            p->pointer[n++] = *name == '~' ? '0' : '1';
        } else {
            p->pointer[n++] = *name;
        }
    }
    p->pointer[n] = '\0';
}

void api_read_refuse(struct api_reader *r, const char *member, const char *name, const char *format,
                     ...)
{
    char text[API_DETAIL_BYTES];
    va_list args;

    if (r->problem.status != 0) {
        return; /* the first one stays */
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    api_problem_set(&r->problem, 400, name, "%s", text);
    point_at(&r->problem, member);
}

static json_t *take(struct api_reader *r, const char *name, bool required)
{
    json_t *v = json_object_get(r->object, name);

    HF_ASSERT(r->n_known < sizeof r->known / sizeof r->known[0]);
    r->known[r->n_known++] = name;
    if (v == NULL && required) {
        api_read_refuse(r, name, "missing-member", "the member '%s' is missing", name);
    }
    return v;
}

const char *api_read_text(struct api_reader *r, const char *name, bool required)
{
    json_t *v = take(r, name, required);

    if (v != NULL && !json_is_string(v)) {
        api_read_refuse(r, name, "wrong-type", "'%s' must be a string", name);
    }
    return json_string_value(v);
}

json_int_t api_read_integer(struct api_reader *r, const char *name, json_int_t min, json_int_t max)
{
    json_t *v = take(r, name, true);

    if (v == NULL) {
        return 0;
    }
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        api_read_refuse(r, name, "wrong-type", "'%s' must be a whole number from %lld to %lld",
                        name, (long long)min, (long long)max);
    }
    return json_integer_value(v);
}

int api_read_bool(struct api_reader *r, const char *name)
{
    json_t *v = take(r, name, false);

    if (v == NULL) {
        return -1;
    }
    if (!json_is_boolean(v)) {
        api_read_refuse(r, name, "wrong-type", "'%s' must be true or false", name);
    }
    return json_is_true(v) ? 1 : 0;
}

bool api_read_end(struct api_reader *r)
{
    const char *key;
    json_t *value;

    json_object_foreach(r->object, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < r->n_known; i++) {
            known = known || strcmp(key, r->known[i]) == 0;
        }
        if (!known) {
            api_read_refuse(r, key, "unknown-member", "the member '%.60s' is not known here", key);
        }
    }
    return r->problem.status == 0;
}

bool api_parse_hex(const char *text, size_t digits, uint64_t *value)
{
    uint64_t v = 0;

    if (strlen(text) != digits || strspn(text, "0123456789abcdefABCDEF") != digits) {
        return false;
    }
    v = strtoull(text, NULL, 16);
    *value = v;
    return v != 0;
}

bool api_body_empty(struct api_call *call)
{
    struct api_reader r = {0};
    bool empty;

    if (!api_body_object(call, &r.object))
        return false;
    empty = api_read_end(&r);
    if (!empty)
        api_call_problem(call, &r.problem);
    json_decref(r.object);
    return empty;
}
