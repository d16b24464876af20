/* What the admin interface asks of the daemon. The conductor implements it; tests have a fake.
 *
 *   HTTP request ──> route (routes.c) ──> handler (handlers/…) ──> struct api_backend ──> conductor
 *        answer <── api_request_answer / api_request_refuse <── now, or later from the same loop
 *
 * Everything runs on the caller's libuv loop; nothing here may block. JSON shapes are in
 * api/README.md.
 */
#ifndef HF_API_BACKEND_H
#define HF_API_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { API_DETAIL_BYTES = 512, API_POINT_BYTES = 96 };

/* Why something was refused: becomes RFC 9457 problem+json {type, title, status, detail}. */
struct api_problem {
    unsigned status;               /* an HTTP status of 400 or above */
    const char *name;              /* static; the last part of `type`: "no-leader", "unknown-sa",
                                      "drills-disabled", ... */
    char detail[API_DETAIL_BYTES]; /* one sentence: what was wrong, and what to do about it */
};

/* Fills *p; `format` makes the detail (cut to fit). Shared by handlers and backends. */
void api_problem_set(struct api_problem *p, unsigned status, const char *name, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

enum api_kind { API_REKEY_CHILD, API_REKEY_IKE };
enum api_pfs { API_PFS_POLICY, API_PFS_YES, API_PFS_NO };

struct api_rekey {
    uint64_t sa_id;
    enum api_kind kind;
    uint32_t child_spi_in; /* 0 = not given: the SA's only outbound child */
    enum api_pfs pfs;
};

struct api_move {
    uint32_t shard, to;
};

struct api_drain {
    uint32_t node;
    bool drained; /* false: it takes shards again */
};

struct api_recover {
    const char *lost;      /* the other members, which are dead: "2,3" */
    const char *who, *why; /* as the operator says; NULL: nothing */
    uint32_t highest_id;   /* of any node there ever was; 0: not said */
};

struct api_token {
    uint32_t node;
    uint32_t valid_s;
    char address[64]; /* where the members find it */
};

enum api_arm_mode { API_ARM_PROCESS, API_ARM_MACHINE };

struct api_arm {
    char point[API_POINT_BYTES]; /* "child-rekey-pfs:gateway:submitted"; only its characters are
                                    checked here */
    enum api_arm_mode mode;
};

/* A POST that waits for its outcome. Made by the server, ended by exactly one of the two calls
 * below, from within the backend's function or later on the same loop. It stays valid until then
 * even when the client has gone, the time limit (10 s, answered with 504 and "outcome unknown") has
 * passed or the server was closed; the call is then without effect but still due. */
struct api_request;

/* Answers 200 with `body` (the reference is taken over; NULL = {}). */
void api_request_answer(struct api_request *request, json_t *body);
void api_request_refuse(struct api_request *request, const struct api_problem *problem);

/* All functions must be there. Reads return a new reference, or NULL with *problem filled. */
struct api_backend {
    void *self;
    json_t *(*cluster)(void *self, struct api_problem *problem);
    json_t *(*sas)(void *self, struct api_problem *problem);
    /* Writes: `args` are valid during the call only. */
    void (*transfer_leader)(void *self, struct api_request *request, uint32_t node);
    void (*rekey)(void *self, struct api_request *request, const struct api_rekey *args);
    /* Answered when the owner has followed it. */
    void (*move_shard)(void *self, struct api_request *request, const struct api_move *args);
    void (*drain_node)(void *self, struct api_request *request, const struct api_drain *args);
    /* Answered with the token; when this node is a member; when that node is out. */
    void (*make_token)(void *self, struct api_request *request, const struct api_token *args);
    void (*join)(void *self, struct api_request *request, const char *token);
    void (*remove_node)(void *self, struct api_request *request, uint32_t node);
    /* This node alone is to be the cluster. Answered when that is ordered; the node then starts anew. */
    void (*recover)(void *self, struct api_request *request, const struct api_recover *args);
    /* Answered with the state without its sessions, sealed, in hex. */
    void (*back_up)(void *self, struct api_request *request);
    /* Answered when sessions are sealed with another key and the former one is erased. */
    void (*rotate_keys)(void *self, struct api_request *request);
    void (*arm)(void *self, struct api_request *request, const struct api_arm *args);
    /* Shared keys, certificates, CAs anew from the node's own file; answered when they are in force
     * or refused. */
    void (*reload)(void *self, struct api_request *request);
};

#endif
