/* The HTTP thread's own things: server.c, peer.c, arrive.c, exchange.c, respond.c, watch.c, tls.c, rate.c, keep.c. */
#ifndef HF_API_HTTP_H
#define HF_API_HTTP_H

#include <gnutls/gnutls.h>
#include <netinet/in.h>

#include "api/internal.h"

enum {
    API_SHARED_MS = 100, /* age of an answer that serves several */
    API_SHARED_CALLS = 4,
    API_KEPT_ANSWERS = 256,
    API_KEPT_MS = 3600000,
    API_KEPT_BYTES = 64 << 10, /* a longer answer is not kept */
    API_MAX_KEY = 65,
    API_MOST_AWAY = 1024, /* calls on the control loop, those nobody waits for included */
    API_RATE_ENTRIES = 1024,
    API_ADDRESS_BYTES = 16
};

/* Who asks. */
struct api_principal {
    char name[API_NAME_BYTES];
    enum api_role role;
    bool root; /* of this machine: every role at once */
};

/* --- tls.c --- */

/* One set of certificates, CAs and clients; counted, by the HTTP thread alone once it has it. */
struct api_tls;
struct api_tls *api_tls_create(const struct api_tls_files *files, char *error, size_t error_bytes);
struct api_tls *api_tls_hold(struct api_tls *tls);
void api_tls_release(struct api_tls *tls);
bool api_tls_required(const struct api_tls *tls);
/* A session that begins, or one that shall be judged anew, by these. */
void api_tls_arm(const struct api_tls *tls, gnutls_session_t session);
/* What the peer's certificate says of it: API_CERT_NONE when it has shown none. */
enum api_cert { API_CERT_NONE, API_CERT_BAD, API_CERT_STRANGER, API_CERT_KNOWN };
enum api_cert api_tls_judge(const struct api_tls *tls, gnutls_session_t session,
                            struct api_principal *who);

/* --- bearers.c --- */

/* "Bearer hf_<id>_<secret>": id and the secret's hash. False: it is not of that form. */
bool api_bearer_parse(const char *header, char id[API_BEARER_ID_BYTES],
                      uint8_t hash[API_BEARER_HASH_BYTES]);
/* Is it that token, and good now? */
bool api_bearer_good(const struct api_bearer *kept, const uint8_t hash[API_BEARER_HASH_BYTES],
                     int64_t now_s);

/* --- rate.c: tokens that fill up, for each address --- */

struct api_rate {
    unsigned rate, burst;
    struct {
        uint8_t address[API_ADDRESS_BYTES];
        uint64_t at_ms, milli; /* thousandths of a request that are left, as of at_ms */
        bool used;
    } entries[API_RATE_ENTRIES];
};
/* False: too many; *wait_ms is when one more is allowed. */
bool api_rate_take(struct api_rate *rate, const uint8_t address[API_ADDRESS_BYTES], uint64_t now_ms,
                   uint64_t *wait_ms);

/* --- keep.c: answers by Idempotency-Key --- */

struct api_kept {
    char name[API_NAME_BYTES], key[API_MAX_KEY];
    uint8_t print[32];     /* of method, path and body */
    struct api_call *call; /* held; NULL: free */
    uint64_t since_ms;
};
struct api_keep {
    struct api_kept entries[API_KEPT_ANSWERS];
};
enum api_keep_verdict {
    API_KEEP_NEW,
    API_KEEP_AGAIN,
    API_KEEP_UNDER_WAY,
    API_KEEP_OTHER,
    API_KEEP_FULL
};
/* NEW: `call` is held from now on. AGAIN: *again is what was answered. */
enum api_keep_verdict api_keep_ask(struct api_keep *keep, const char *name, const char *key,
                                   const uint8_t print[32], struct api_call *call, uint64_t now_ms,
                                   struct api_call **again);
/* The call was answered: it stays, or not. */
void api_keep_settle(struct api_keep *keep, struct api_call *call);
void api_keep_clear(struct api_keep *keep);

/* --- peer.c --- */

/* One accepted connection; MHD holds the descriptor. */
struct api_peer {
    struct api_server *server;
    int fd;
    uint8_t address[API_ADDRESS_BYTES]; /* IPv6: of its /64 */
    char from[INET6_ADDRSTRLEN];        /* all of it */
    uint64_t since_ms;                  /* accepted, or its last request answered */
    bool busy; /* it has been asked something whole: it waits for the backend or its answer is on
                  the way */
    gnutls_session_t session; /* NULL: a unix socket */
    struct api_tls *tls;      /* it was judged by; held */
    uint64_t judged_ms;       /* when; 0 = not yet */
    enum api_cert cert;
    struct api_principal who;
    struct api_peer *next, **link;
};

struct api_peer *api_peer_of(struct MHD_Connection *connection);
/* For MHD_OPTION_NOTIFY_CONNECTION. */
void api_peer_changed(void *server, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode what);
void api_peers_sweep(struct api_server *server, uint64_t now_ms);
/* Judges its certificate by what is in force now. */
enum api_cert api_peer_judge(struct api_peer *peer, uint64_t now_ms);
/* Takes waiting connections. */
void api_peers_accept(struct api_server *server);

/* --- exchange.c --- */

/* One HTTP request from its first header to the end of its answer. */
struct api_exchange {
    struct api_server *server;
    struct MHD_Connection *connection;
    struct api_peer *peer;  /* NULL: there was no memory for one */
    struct api_call *call;  /* held: what is asked, then what is answered */
    struct api_call *asked; /* held; a lookup that is under way */
    enum { API_ARRIVED, API_LOOKING, API_KNOWN, API_RUNNING } stage;
    struct api_principal who;
    char bearer[API_BEARER_ID_BYTES]; /* the token's that it has shown; empty: none */
    uint8_t hash[API_BEARER_HASH_BYTES];
    char id[40], method[8], path[256];
    char key[API_MAX_KEY]; /* Idempotency-Key */
    bool replayed, not_modified;
    unsigned retry_after_s;
    size_t discarded; /* beyond what is kept */
    bool waiting;     /* suspended */
    bool queued;
    uint64_t deadline_ms;
    struct api_exchange *next, **link; /* the server's list of waiting ones */
    struct api_exchange *next_waiter;  /* for the same call */
};

/* arrive.c: the headers are there. *state becomes the exchange; what is refused is in call->early,
 * to be said once the body was read, or is answered at once. */
enum MHD_Result api_exchange_begin(struct api_server *server, struct MHD_Connection *connection,
                                   const char *path, const char *method, void **state);
const char *api_exchange_header(const struct api_exchange *ex, const char *name); /* or NULL */
bool api_exchange_local(const struct api_exchange *ex); /* on root's socket */
uint32_t api_exchange_most_body(const struct api_call *call);
void api_exchange_too_large(struct api_call *call);

enum MHD_Result api_exchange_take(void *server, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **state);
void api_exchange_ended(void *server, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why);
/* For api_cross_create(). */
void api_exchange_back(void *server, struct api_call *call);
/* The call goes to the control loop, held until it is back. False: it cannot; it is answered. */
bool api_exchange_send_off(struct api_server *server, struct api_call *call);
/* Those that waited too long. */
void api_exchanges_sweep(struct api_server *server, uint64_t now_ms);
/* respond.c: builds and queues the answer. */
enum MHD_Result api_exchange_respond(struct api_exchange *ex);

/* --- watch.c --- */

struct api_watch;
/* False: there is no memory to say so. Where there are too many, ex->call becomes the refusal. */
bool api_watch_allow(struct api_exchange *ex);
/* The answer of ex->call, which watches; NULL: no memory. */
struct MHD_Response *api_watch_response(struct api_exchange *ex);
/* The lookup for call->watch is back; the watcher's reference to it ends. */
void api_watch_judged(struct api_call *call);
void api_watches_sweep(struct api_server *server, uint64_t now_ms);
/* All of them end with the next turn of MHD, which stops with none that is suspended. */
void api_watches_end(struct api_server *server);

/* --- server.c --- */

struct api_server {
    uv_loop_t *control;
    uv_loop_t loop; /* the HTTP thread's */
    uv_thread_t thread;
    const struct api_backend *backend;
    struct api_cross *cross;
    struct MHD_Daemon *daemon;
    int listener;
    char path[108]; /* empty: TCP */
    ino_t inode;
    uid_t owner;
    unsigned request_ms, answer_ms, silence_ms, connections, per_address;
    uv_poll_t listening, epoll;
    uv_timer_t due, sweep; /* due: MHD's own timeout, or at once after a wake */
    uv_async_t told;       /* by the control loop: to stop, to take other certificates */
    _Atomic bool stop;
    _Atomic(struct api_tls *) fresh; /* to be taken */
    struct api_tls *tls;             /* in force; NULL: a unix socket */
    struct api_exchange *waiting;
    struct api_peer *peers;
    struct api_watch *watches;
    struct api_call *shared[API_SHARED_CALLS];     /* held */
    uint64_t shared_ms[API_SHARED_CALLS], written; /* when asked; writes seen so far, */
    uint64_t shared_after[API_SHARED_CALLS];       /* and then */
    unsigned away;
    struct api_keep keep;
    struct api_rate rate;
    uint64_t ids; /* of requests, so far */
    uint32_t salt;
};

/* MHD shall look again, soon. */
void api_server_turn(struct api_server *server);

#endif
