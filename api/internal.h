/* Shared by the files of api/ only. */
#ifndef HF_API_INTERNAL_H
#define HF_API_INTERNAL_H

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

#include "api/backend.h"
#include "api/server.h"
#include "base/assert.h"

enum {
    API_MAX_CONNECTIONS = 32,
    API_MAX_BODY = 64 << 10,
    API_MAX_DISCARD = 1 << 20, /* of a body that is too large; then the connection ends */
    API_MAX_PARAMETER = 64,
    API_CONNECTION_MEMORY = 16 << 10
};

/* One HTTP request from its first header to the end of its answer. */
struct api_call {
    struct api_server *server;
    struct MHD_Connection *connection;
    const struct api_route *route;
    char parameter[API_MAX_PARAMETER]; /* what stood for {id} in the path */
    struct api_problem early; /* status != 0: answered with this once the body has been read */
    const char *allow;        /* methods for a 405 */
    char *body;
    size_t body_bytes; /* kept */
    size_t discarded;  /* beyond what is kept */
    unsigned status;   /* 0 = not answered yet */
    json_t *answer;    /* owned; for a problem as well */
    bool waiting;      /* suspended until the backend answers */
    bool queued;
    uint64_t deadline_ms;          /* of the wait, on the loop's clock */
    struct api_request *request;   /* the backend's end; NULL when it has none */
    struct api_call *next, **link; /* the server's list of waiting calls */
};

struct api_request {
    struct api_call *call; /* NULL: nobody waits any more */
};

struct api_route {
    const char *method, *path; /* one part of the path may be {id} */
    void (*handle)(struct api_call *call, const struct api_backend *backend);
};

/* The route, or NULL with call->early (404, 405) and call->allow set. Fills call->parameter. */
const struct api_route *api_route_find(struct api_call *call, const char *method, const char *path);

/* call.c */
struct api_call *api_call_create(struct api_server *server, struct MHD_Connection *connection);
void api_call_destroy(struct api_call *call);
/* Answers at once. api_call_answer takes the reference over. */
void api_call_answer(struct api_call *call, unsigned status, json_t *body);
void api_call_problem(struct api_call *call, const struct api_problem *problem);
/* Hands the backend its end; the call then waits unless it is answered before the backend's
 * function returns. */
struct api_request *api_call_request(struct api_call *call);
/* Builds and queues the HTTP response of an answered call. */
enum MHD_Result api_call_queue(struct api_call *call);
/* Nobody waits any more: the backend's answer will be dropped. */
void api_call_detach(struct api_call *call);

/* server.c: the call was answered while its connection was suspended. */
void api_server_wake(struct api_server *server, struct api_call *call);

/* json.c: reads the body as one JSON object. False: call was answered with 400. *object is then
 * NULL, else a new reference. */
bool api_body_object(struct api_call *call, json_t **object);
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
/* Refuses members that nobody read. False with r->problem set. */
bool api_read_end(struct api_reader *r);
/* For routes that take nothing: the body is {}. False: call was answered with 400. */
bool api_body_empty(struct api_call *call);
/* Exactly `digits` hexadecimal digits, not all zero. */
bool api_parse_hex(const char *text, size_t digits, uint64_t *value);

/* socket.c: a listening unix socket, or -1 with one line in `error`. */
int api_socket_listen(const char *path, char *error, size_t error_bytes);
/* True when the peer of a connected unix socket runs as root or as `owner`. */
bool api_socket_allowed(int fd, uid_t owner);

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

#endif
