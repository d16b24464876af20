/* What the admin interface asks of the daemon. The conductor implements it; tests have a fake.
 *
 *   HTTP thread: request ──> who, which role, limits ──> cross.c ┐
 *   control loop:    handler (handlers/…) ──> struct api_backend ─┴─> conductor
 *        answer <── api_request_answer / api_request_refuse <── now, or later from the same loop
 *
 * Every function runs on the caller's libuv loop; none may block. JSON shapes are in
 * api/README.md.
 */
#ifndef HF_API_BACKEND_H
#define HF_API_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { API_DETAIL_BYTES = 512, API_POINT_BYTES = 96, API_POINTER_BYTES = 80 };

/* Why something was refused: becomes RFC 9457 problem+json {type, title, status, detail, docs}. */
struct api_problem {
    unsigned status;               /* an HTTP status of 400 or above */
    const char *name;              /* static; the last part of `type`: "no-leader", "unknown-sa",
                                      "drills-disabled", ... */
    char detail[API_DETAIL_BYTES]; /* one sentence: what was wrong, and what to do about it */
    char
        pointer[API_POINTER_BYTES]; /* "#/node", what of the body was wrong; empty: nothing of it */
};

/* Fills *p; `format` makes the detail (cut to fit). Shared by handlers and backends. */
void api_problem_set(struct api_problem *p, unsigned status, const char *name, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

/* Who may do what. An admin may do what an operator may, who may do what a viewer may; a drill may
 * arm drills and read. Root, on the unix socket, may do all. There is no default: who has no role
 * is refused. */
enum api_role {
    API_ROLE_NONE,
    API_ROLE_VIEWER,
    API_ROLE_OPERATOR,
    API_ROLE_ADMIN,
    API_ROLE_DRILL,
    API_ROLES
};

enum {
    API_BEARER_ID_BYTES = 13,                    /* 12 hexadecimal digits and a zero */
    API_BEARER_HASH_BYTES = 32,                  /* SHA-256 */
    API_BEARER_TEXT_BYTES = 3 + 12 + 1 + 64 + 1, /* "hf_<id>_<secret>" and a zero */
    API_BEARER_NAME_BYTES = 49,                  /* as its holder is called, and a zero */
    API_BEARER_MOST_S = 365 * 86400,             /* so long a token may be good */
    API_NAME_BYTES = 128,                        /* of a principal */
    API_OPERATION_BYTES = 65                     /* of an entry of the audit */
};

/* A bearer token as it is stored. The secret has 256 random bits, so its hash needs neither salt
 * nor stretching: no list of guesses is shorter than the secret. */
struct api_bearer {
    uint8_t hash[API_BEARER_HASH_BYTES]; /* of the secret */
    char name[API_NAME_BYTES];           /* of its holder, for the audit */
    enum api_role role;
    int64_t expires_s; /* wall clock */
    bool revoked;
};

enum api_bearer_found {
    API_BEARER_UNKNOWN, /* there is no token of that id that is good */
    API_BEARER_FOUND,
    API_BEARER_UNSURE /* this node is cut off: it may have been removed, unheard of here */
};

/* Where tokens are kept. Called on the control loop; may not block. */
struct api_bearer_store {
    /* Fills *token when it is found. */
    enum api_bearer_found (*find)(void *self, const char *id, struct api_bearer *token);
};

/* A token that is to be made. */
struct api_new_bearer {
    char name[API_BEARER_NAME_BYTES]; /* 1 to 48 letters, digits or . _ @ - */
    enum api_role role;
    uint32_t valid_s; /* 1 to API_BEARER_MOST_S */
};

/* Who asked, as the audit has it. */
struct api_asker {
    char role[16];                  /* "root" on the unix socket, which may do all; "": none */
    char principal[API_NAME_BYTES]; /* "email:alice@example.org", "token:NAME/ID", "root" */
    char address[64];               /* "192.0.2.7"; "local" on the unix socket */
    char request_id[40];
};

/* Which entries of the audit. */
struct api_audit_query {
    uint64_t
        after; /* those that come behind that sequence, in this order; 0 = from the first one */
    uint32_t limit; /* so many at most; 0 = all */
    bool oldest_first;
    const char *principal, *operation; /* of these alone; "" = of all */
};

/* Which failed attempts, the newest first. */
struct api_attempts_query {
    uint64_t below; /* ids below this; 0 = from the newest */
    uint32_t limit; /* so many at most; 0 = all */
    const char *peer,
        *identity; /* of that IP address, of that identity as it is shown; "" = of all */
};

/* A part of a table, in the order of its ids. */
struct api_page {
    uint64_t after; /* ids above this */
    uint32_t limit; /* so many at most; 0 = all */
};

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

/* A client's configuration; texts borrowed. */
struct api_profile {
    const char *kind, *identity;
    const char *server; /* NULL: not given */
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

struct api_feed; /* feed.h */

/* All functions must be there, but the store of tokens (`find`). Reads return a new reference, or NULL with *problem filled. */
struct api_backend {
    void *self;
    json_t *(*cluster)(void *self, struct api_problem *problem);
    /* OpenMetrics text (openmetrics.h), the caller's to free; *bytes without its zero. */
    char *(*metrics)(void *self, size_t *bytes);
    /* {"sas": [...]}, with "next": "ID" when there are more behind that id. */
    json_t *(*sas)(void *self, const struct api_page *page, struct api_problem *problem);
    /* This node can serve clients now. False with *problem filled. */
    bool (*ready)(void *self, struct api_problem *problem);
    /* This node leads a majority, as far as it knows. False with *problem filled. */
    bool (*leads)(void *self, struct api_problem *problem);
    /* The last index of the log that this node's state includes. */
    uint64_t (*index)(void *self);
    /* Writes: `args` and `who` are valid during the call only. Each has its entry in the audit, which says who, committed before
     * anything follows from it. */
    void (*transfer_leader)(void *self, struct api_request *request, uint32_t node,
                            const struct api_asker *who);
    void (*rekey)(void *self, struct api_request *request, const struct api_rekey *args,
                  const struct api_asker *who);
    /* Answered when the owner has followed it. */
    void (*move_shard)(void *self, struct api_request *request, const struct api_move *args,
                       const struct api_asker *who);
    void (*drain_node)(void *self, struct api_request *request, const struct api_drain *args,
                       const struct api_asker *who);
    /* Answered with the token; when this node is a member; when that node is out. */
    void (*make_token)(void *self, struct api_request *request, const struct api_token *args,
                       const struct api_asker *who);
    void (*join)(void *self, struct api_request *request, const char *token,
                 const struct api_asker *who);
    void (*remove_node)(void *self, struct api_request *request, uint32_t node,
                        const struct api_asker *who);
    /* This node alone is to be the cluster. Answered when that is ordered; the node then starts anew. */
    void (*recover)(void *self, struct api_request *request, const struct api_recover *args,
                    const struct api_asker *who);
    /* Answered with the state without its sessions, sealed, in hex. */
    void (*back_up)(void *self, struct api_request *request, const struct api_asker *who);
    /* Answered when sessions are sealed with another key and the former one is erased. */
    void (*rotate_keys)(void *self, struct api_request *request, const struct api_asker *who);
    void (*arm)(void *self, struct api_request *request, const struct api_arm *args,
                const struct api_asker *who);
    /* Shared keys, certificates, CAs anew from the node's own file; answered when they are in force
     * or refused. */
    void (*reload)(void *self, struct api_request *request, const struct api_asker *who);
    /* {"tokens": [...]}, with "next": "ID" when there are more behind that id. Neither secrets nor their hashes. */
    json_t *(*tokens)(void *self, const struct api_page *page, struct api_problem *problem);
    /* One of them, and the version of its document. */
    json_t *(*token)(void *self, const char *id, uint64_t *version, struct api_problem *problem);
    /* Answered, with its text, when it is in the log together with its entry in the audit. */
    void (*add_token)(void *self, struct api_request *request, const struct api_new_bearer *args,
                      const struct api_asker *who);
    /* The one of that version alone: else 412. */
    void (*remove_token)(void *self, struct api_request *request, const char *id, uint64_t version,
                         const struct api_asker *who);
    json_t *(*audit)(void *self, const struct api_audit_query *query, struct api_problem *problem);
    json_t *(*audit_entry)(void *self, uint64_t sequence, struct api_problem *problem);
    /* What IKE attempts failed at this node: {"node", "unkept", "attempts": [...]}, with "next": "ID" when there are more below
     * that id; and one of them with what it means: {"attempt", "explain"}. */
    json_t *(*attempts)(void *self, const struct api_attempts_query *query,
                        struct api_problem *problem);
    json_t *(*attempt)(void *self, uint64_t id, struct api_problem *problem);
    /* What is wrong, what that means and what to do: {"node", "checked", "window_s", "findings": [...]}. */
    json_t *(*doctor)(void *self, struct api_problem *problem);
    /* Answered with {"kind", "file", "media_type", "text"}. Changes nothing. */
    void (*profile)(void *self, struct api_request *request, const struct api_profile *args,
                    const struct api_asker *who);
    /* What was refused to `who` before it came to the backend, for the audit: "POST /v1/reload", at that path, as the problem
     * of that name. */
    void (*note_refusal)(void *self, const struct api_asker *who, const char *operation,
                         const char *path, const char *name);
    /* What watchers are shown. NULL: nothing (yet). */
    struct api_feed *events;
    /* NULL: no bearer token is accepted. */
    const struct api_bearer_store *bearers;
    void *bearers_self;
};

#endif
