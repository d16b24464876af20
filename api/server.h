/* The HTTP server: libmicrohttpd on a thread and a libuv loop of its own; the backend's functions
 * run on the caller's loop (cross.c), which no request, handshake or answer's printing slows.
 *
 * One server has one listener:
 *   - a unix socket for root, who may do all. It has mode 0600, in a folder that is made with 0700
 *     when missing; who connects is checked by SO_PEERCRED as well. A stale socket is replaced; a
 *     path where someone answers, or that is no socket, is an error;
 *   - or TCP with TLS 1.3, where each request shows who asks: by a client's certificate, or by a
 *     bearer token where the backend keeps such.
 *
 * Bounded: connections in all and per address, requests per address, 64 KiB of body, 16 KiB of
 * header, 10 s without a byte, 30 s from one whole request to the next, 10 s for the backend. Those who watch
 * events are bounded in number and by the ring (feed.h); what they do not take is not kept for them.
 */
#ifndef HF_API_SERVER_H
#define HF_API_SERVER_H

#include <stddef.h>
#include <uv.h>

#include "api/backend.h"
#include "base/addr.h"

struct api_server;

/* Whom a client's certificate stands for: "cn:NAME" of its subject, or "dns:NAME", "email:NAME",
 * "uri:NAME" of its subjectAltName; compared byte for byte. */
struct api_client {
    char name[API_NAME_BYTES];
    enum api_role role;
};

/* PEM, borrowed for the call. An empty client_ca: no client's certificate is asked for. */
struct api_tls_files {
    struct span certificate, key; /* ours, with its chain */
    struct span client_ca, revoked;
    bool required; /* nothing is answered, not even what is for everybody, without a good one */
    const struct api_client *clients;
    size_t n_clients;
};

struct api_server_options {
    const char *socket_path; /* shorter than sun_path; or NULL, and: */
    struct endpoint listen;
    const struct api_tls_files *tls;
    unsigned idle_s;      /* without a byte; 0 = 10 */
    unsigned request_ms;  /* from one whole request to the next; 0 = 30000 */
    unsigned answer_ms;   /* how long a request waits for its backend; 0 = 10000 */
    unsigned silence_ms;  /* of a stream of events, then it says that it is there; 0 = 15000 */
    unsigned connections; /* 0 = 32 */
    unsigned per_address; /* connections; 0 = as many as in all */
    unsigned rate, burst; /* requests and new connections of an address: a second, and at once; 0 =
                             no bound */
    uid_t owner;          /* may connect besides root */
};

/* NULL on failure; `error` then has one line that names the path or address. `backend` is borrowed
 * until the server is closed. */
struct api_server *api_server_create(uv_loop_t *loop, const struct api_server_options *options,
                                     const struct api_backend *backend, char *error,
                                     size_t error_bytes);

/* Where it listens, over TLS: what `listen` said, or when that had no port, the one it was given. */
uint16_t api_server_port(const struct api_server *server);

/* Other certificates, CAs, clients from now on, on the connections that there are, too: none is cut,
 * but each shows again at its next request that it is still let in. From any thread. False, with one line in `error`:
 * what was in force stays. Only for a server over TLS. */
bool api_server_set_tls(struct api_server *server, const struct api_tls_files *files, char *error,
                        size_t error_bytes);

/* Closes every connection, removes the socket, ends the thread and frees the server; `closed` (may
 * be NULL) is called from the loop when all of its handles are gone. Not to be called from a backend
 * function. Requests still with the backend stay valid (see api_request). */
void api_server_close(struct api_server *server, void (*closed)(void *arg), void *arg);

#endif
