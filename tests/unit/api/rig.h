/* The admin server on a loop of its own in this thread, with a backend that does what the test
 * says, and a client in a second thread that writes and reads raw bytes. */
#ifndef HF_TESTS_API_RIG_H
#define HF_TESTS_API_RIG_H

#include <stdatomic.h>
#include <sys/types.h>

#include "api/feed.h"
#include "api/server.h"

enum { RIG_REPLY_BYTES = 1 << 20 };

struct rig {
    char folder[64], socket[96];
    struct api_server_options options;
    uv_loop_t loop;
    struct api_server *server;
    struct api_backend backend;
    struct api_feed *feed; /* what backend.events is: at index 41, without an event */
    uv_async_t done;
    uv_timer_t later;
    void (*client)(struct rig *rig);

    /* what the backend does with a POST: answer at once, after delay_ms, never (until the end), or
     * refuse */
    enum { RIG_NOW, RIG_LATER, RIG_HOLD, RIG_REFUSE } how;
    unsigned delay_ms;
    bool no_cluster; /* GET /v1/cluster is refused, and this node is not ready */
    bool follows;    /* ... does not lead */
    struct api_page page;
    struct api_request *held[64];
    size_t n_held;

    /* what it was asked */
    _Atomic unsigned transfers, rekeys, arms, moves, drains, reloads, rotations;
    struct api_move move;
    struct api_drain drain;
    unsigned tokens, joins, removes, recoveries;
    char lost[32], who[64], why[64];
    uint32_t highest_id;
    unsigned backups;
    char backup[32]; /* what is answered */
    struct api_token token;
    char joined_by[80];
    uint32_t removed;
    uint32_t node;
    struct api_rekey rekey;
    struct api_arm arm;
    unsigned refuse_status; /* of RIG_REFUSE; 0: 409 no-leader */
    const char *refuse_name;
    struct api_new_bearer bearer;
    struct api_asker asker; /* of the newest change, or refusal that was noted */
    _Atomic unsigned bearers_made, bearers_removed, notes;
    uint64_t bearer_version; /* of every token */
    struct api_audit_query audit;
    char audit_principal[API_NAME_BYTES], audit_operation[API_OPERATION_BYTES];
    struct api_attempts_query attempts;
    char attempts_peer[64], attempts_identity[API_NAME_BYTES];
    char profile[256];      /* that was asked for: KIND|IDENTITY|SERVER */
    unsigned findings;      /* of the doctor: 0 to 2 */
    bool no_attempts;       /* none has failed */
    bool three_attempts;    /* three have, one of them just asked again */
    char noted[320];        /* operation, path, name of the problem */
    _Atomic unsigned reads; /* of the cluster */
    uv_async_t freeze;
    uv_sem_t frozen, thaw;
    bool close_while_held; /* the server is closed before the held requests are answered */
};

void rig_init(struct rig *rig);
/* Runs `client` in its thread until it returns, then closes the server and the loop and checks that
 * nothing is left. */
void rig_run(struct rig *rig, void (*client)(struct rig *rig));
void rig_deinit(struct rig *rig);

/* From the client: the backend's loop stands still from here to there. */
void rig_freeze(struct rig *rig);
void rig_thaw(struct rig *rig);

/* Client side; blocking, at most 10 s. */
int rig_connect(struct rig *rig);
void rig_send(int fd, const void *bytes, size_t n);
/* Reads until the peer closes; returns the bytes (zero-terminated) in `reply`. */
size_t rig_read_all(int fd, char *reply);
/* Reads until `n` complete answers with Content-Length are there. */
size_t rig_read_answers(int fd, char *reply, unsigned n);
/* One request on a connection of its own: the whole answer. */
size_t rig_ask(struct rig *rig, const char *method, const char *path, const char *body,
               char *reply);
unsigned rig_open_files(void);

/* rig_attempts.c: of its backend */
void rig_note(void *self, const struct api_asker *who, const char *operation, const char *path,
              const char *name);
json_t *rig_attempts(void *self, const struct api_attempts_query *query,
                     struct api_problem *problem);
/* rig.c: answers as rig->how says */
void rig_decide(struct rig *rig, struct api_request *request);
void rig_profile(void *self, struct api_request *request, const struct api_profile *args,
                 const struct api_asker *who);
json_t *rig_doctor(void *self, struct api_problem *problem);
json_t *rig_attempt(void *self, uint64_t id, struct api_problem *problem);

#endif
