/* Shared by the files of api/ only. */
#ifndef HF_API_INTERNAL_H
#define HF_API_INTERNAL_H

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

#include "api/backend.h"
#include "api/feed.h"
#include "api/problems.h"
#include "api/server.h"
#include "base/assert.h"

enum {
    API_MAX_BODY = 64 << 10,
    API_MAX_DISCARD = 1 << 20, /* of a body that is too large; then the connection ends */
    API_MAX_PARAMETER = 64,
    API_CONNECTION_MEMORY = 16 << 10, /* of headers */
    API_MAX_TAG = 80,
    API_MAX_ALLOW = 40,  /* "GET, HEAD, POST, DELETE" */
    API_MOST_PAGE = 200, /* rows of a table over TLS */
    API_PEER_BYTES = 46  /* an IP address, and a zero */
};

/* What stands behind '?'. */
struct api_query {
    bool leader; /* consistency=leader */
    bool given;  /* any */
    bool has_consistency, has_limit, has_cursor, has_order;
    struct api_page page;
    bool oldest_first;                        /* order=oldest */
    char principal[API_NAME_BYTES];           /* of the audit; empty: all */
    char operation[API_OPERATION_BYTES];      /* likewise */
    char peer[API_PEER_BYTES];                /* of attempts; empty: all */
    char identity[API_NAME_BYTES];            /* likewise */
    bool has_after, oldest, has_follow, ends; /* of events: after=ID or oldest; follow=false */
    struct api_event_id after;
};

/* One operation, from its request to its answer. It belongs to the HTTP thread, but for the time
 * between api_cross_send() and its return, when it is the control loop's. */
struct api_call {
    const struct api_route *route;
    char parameter[API_MAX_PARAMETER]; /* what stood for {id} in the path */
    struct api_query query;
    struct api_problem early;  /* status != 0: answered with this once the body has been read */
    char allow[API_MAX_ALLOW]; /* methods for a 405; empty: it is none */
    char *body;
    size_t body_bytes; /* kept */
    json_t *json;      /* the body, parsed; owned */
    char if_match[API_MAX_TAG];
    char bearer_id[API_BEARER_ID_BYTES]; /* a lookup: whose token, */
    struct api_bearer bearer;            /* and what is kept of it */
    enum api_bearer_found found;
    struct api_asker who; /* of a change, or of what was refused: */
    const struct api_route
        *refused;           /* a note for the audit: what was asked for (its path is the body), */
    const char *refused_as; /* static: and the problem's name */

    unsigned status;        /* 0 = not answered yet */
    json_t *answer;         /* owned; for a problem as well */
    char etag[API_MAX_TAG]; /* quoted; empty: none */
    const char *plain;      /* static: the answer is this text, not JSON */
    const char *ready_json; /* static: the answer is this JSON text */
    const char *media;      /* static: what `text` is, where the handler made it; NULL: JSON */
    uint64_t index;
    bool watches; /* the answer is a stream of events, from `cursor` on */
    bool gap;     /* ... where what came behind query.after is missing */
    struct api_cursor cursor;

    struct api_request *request;   /* the backend's end; NULL when it has none */
    struct api_cross *cross;       /* NULL: it never crosses (fuzzing) */
    bool waits;                    /* on the control loop, for the backend */
    struct api_call *next, **link; /* there; or in the queue that it is in */

    /* of the HTTP thread */
    bool away;    /* on the control loop */
    bool carried; /* it has been there */
    unsigned refs;
    char *text; /* the answer as bytes, once it is asked for */
    size_t text_bytes;
    struct api_exchange *waiters;
    struct api_watch *watch; /* a lookup for it; NULL: it has ended, or it is none for one */
};

struct api_request {
    struct api_call *call; /* NULL: nobody waits any more */
};

struct api_route {
    const char *method, *path; /* one part of the path may be {id} */
    enum api_role role;        /* API_ROLE_NONE: for everybody */
    uint32_t body_bytes;       /* most of the body; 0: it takes none, what comes is not looked at */
    enum {
        API_SHARED = 1,     /* one answer serves all who ask within API_SHARED_MS */
        API_PAGED = 2,      /* ?limit and ?cursor */
        API_LOCAL = 4,      /* answered by the HTTP thread itself */
        API_REPEATABLE = 8, /* changes nothing: an Idempotency-Key has nothing to keep */
        API_AUDITED = 16,   /* ?order, ?principal and ?operation */
        API_OF_PEERS = 32,  /* ?peer and ?identity */
        API_WATCHED = 64    /* ?after, ?follow and Last-Event-ID */
    } flags;
    void (*handle)(struct api_call *call, const struct api_backend *backend);
};

/* All of them; `n` says how many. */
const struct api_route *api_routes(size_t *n);
/* The route, or NULL with call->early (404, 405) and call->allow set. Fills call->parameter. */
const struct api_route *api_route_find(struct api_call *call, const char *method, const char *path);
/* May a principal of this role use a route for `needed`? Never true for API_ROLE_NONE as `has`,
 * unless the route is for everybody. */
bool api_role_may(enum api_role has, enum api_role needed);
const char *api_role_name(enum api_role role);
/* API_ROLE_NONE: there is none of that name. */
enum api_role api_role_of(const char *name);

/* call.c */
struct api_call *api_call_create(void);
void api_call_hold(struct api_call *call);
void api_call_release(struct api_call *call);
/* Answers at once. api_call_answer takes the reference over. */
void api_call_answer(struct api_call *call, unsigned status, json_t *body);
/* With what a read gave; NULL: with the problem. */
void api_call_give(struct api_call *call, json_t *body, const struct api_problem *problem);
void api_call_problem(struct api_call *call, const struct api_problem *problem);
/* Hands the backend its end; the call then waits unless it is answered before the backend's
 * function returns. */
struct api_request *api_call_request(struct api_call *call);
/* Nobody waits any more: the backend's answer will be dropped. */
void api_call_detach(struct api_call *call);
/* The answer's bytes: call->text. False: no memory. */
bool api_call_print(struct api_call *call);
/* If-Match against the version that is there ("" = nothing is there). False: answered with 412, or
 * with 428 when none was given. */
bool api_call_matches(struct api_call *call, const char *etag);

/* cross.c: calls go to the control loop and come back. */
struct api_cross;
typedef void api_back_fn(void *arg, struct api_call *call);
/* On the control loop. `back` is called on the HTTP loop. */
struct api_cross *api_cross_create(uv_loop_t *control, uv_loop_t *http,
                                   const struct api_backend *backend, api_back_fn *back, void *arg);
/* From the HTTP thread. False: it is closed. */
bool api_cross_send(struct api_cross *cross, struct api_call *call);
/* From the control loop: the call has its answer. */
void api_cross_return(struct api_call *call);
/* On the control loop: nothing more is carried out; what is under way comes back as a 503. */
void api_cross_shut(struct api_cross *cross);
/* On the HTTP loop, before it ends: takes what came back. */
void api_cross_drain(struct api_cross *cross);
void api_cross_close_http(struct api_cross *cross);
/* On the control loop, once the HTTP thread is gone. */
void api_cross_close(struct api_cross *cross, void (*closed)(void *arg), void *arg);

/* json.c: reads the body as one JSON object. False: call was answered with 400. *object is then
 * NULL, else a new reference. */
bool api_body_object(struct api_call *call, json_t **object);
/* Parses it into call->json; false with *p filled. */
bool api_body_parse(struct api_call *call, struct api_problem *p);
/* Members of an object, each taken at most once; a wrong type or a missing member sets *problem
 * (the first one stays). */
struct api_reader {
    json_t *object;
    struct api_problem problem; /* status 0 = none yet */
    const char *known[8];
    size_t n_known;
};
const char *api_read_text(struct api_reader *r, const char *name, bool required);
json_int_t api_read_integer(struct api_reader *r, const char *name, json_int_t min, json_int_t max);
int api_read_bool(struct api_reader *r, const char *name); /* 1, 0, or -1 when absent */
/* A value that its type allows and its meaning does not. */
void api_read_refuse(struct api_reader *r, const char *member, const char *name, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* Refuses members that nobody read. False with r->problem set. */
bool api_read_end(struct api_reader *r);
/* For routes that take nothing: the body is {}. False: call was answered with 400. */
bool api_body_empty(struct api_call *call);
/* Exactly `digits` hexadecimal digits, not all zero. */
bool api_parse_hex(const char *text, size_t digits, uint64_t *value);

/* query.c: one name=value, as HTTP hands it over (value NULL: there was no '='). False: *p. */
bool api_query_take(struct api_query *query, const struct api_route *route, const char *name,
                    const char *value, struct api_problem *p);
/* What a watcher saw last, of the header Last-Event-ID: it counts more than ?after, for who connects again says
 * the same path. False: *p. */
bool api_query_last_event(struct api_query *query, const char *value, struct api_problem *p);

/* socket.c: a listening unix socket, or -1 with one line in `error`. */
int api_socket_listen(const char *path, char *error, size_t error_bytes);
/* True when the peer of a connected unix socket runs as root or as `owner`. */
bool api_socket_allowed(int fd, uid_t owner);
/* The same for TCP. */
int api_tcp_listen(const struct endpoint *address, char *error, size_t error_bytes);

/* handlers/ */
void api_get_cluster(struct api_call *call, const struct api_backend *backend);
void api_post_leader(struct api_call *call, const struct api_backend *backend);
void api_get_sas(struct api_call *call, const struct api_backend *backend);
void api_post_rekey(struct api_call *call, const struct api_backend *backend);
void api_post_handover(struct api_call *call, const struct api_backend *backend);
void api_post_keys(struct api_call *call, const struct api_backend *backend);
void api_post_drain(struct api_call *call, const struct api_backend *backend);
void api_post_token(struct api_call *call, const struct api_backend *backend);
void api_post_join(struct api_call *call, const struct api_backend *backend);
void api_post_recover(struct api_call *call, const struct api_backend *backend);
void api_post_backup(struct api_call *call, const struct api_backend *backend);
void api_post_remove(struct api_call *call, const struct api_backend *backend);
/* moves.c: the id in the path, 1..65535. False: the call was answered. */
bool api_id_of(struct api_call *call, const char *what, uint32_t *id);
void api_post_arm(struct api_call *call, const struct api_backend *backend);
void api_post_reload(struct api_call *call, const struct api_backend *backend);
void api_get_livez(struct api_call *call, const struct api_backend *backend);
void api_get_readyz(struct api_call *call, const struct api_backend *backend);
void api_get_metrics(struct api_call *call, const struct api_backend *backend);
void api_get_openapi(struct api_call *call, const struct api_backend *backend);
void api_get_problem(struct api_call *call, const struct api_backend *backend);
void api_get_tokens(struct api_call *call, const struct api_backend *backend);
void api_post_tokens(struct api_call *call, const struct api_backend *backend);
void api_get_token(struct api_call *call, const struct api_backend *backend);
void api_delete_token(struct api_call *call, const struct api_backend *backend);
void api_get_events(struct api_call *call, const struct api_backend *backend);
void api_get_audit(struct api_call *call, const struct api_backend *backend);
void api_get_audit_entry(struct api_call *call, const struct api_backend *backend);
void api_post_profiles(struct api_call *call, const struct api_backend *backend);
void api_get_doctor(struct api_call *call, const struct api_backend *backend);
void api_get_attempts(struct api_call *call, const struct api_backend *backend);
void api_get_attempt(struct api_call *call, const struct api_backend *backend);
/* bearers.c: no route: what is kept of the token call->bearer_id. */
extern const struct api_route api_lookup;
/* handlers/audit.c: no route: call->refused becomes an entry. */
extern const struct api_route api_note;

#endif
