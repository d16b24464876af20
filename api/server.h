/* The admin HTTP server on a unix socket, for root only. libmicrohttpd inside the caller's libuv
 * loop; no thread of its own.
 *
 * Bounded: 32 connections (4 slots a connection are never shared between peers, so a slow one only
 * blocks itself), 64 KiB of body, 8 KiB of header, 10 s without progress. The socket is made with
 * mode 0600 in a folder that is created with 0700 when missing; peers are checked by SO_PEERCRED as
 * well. A stale socket is replaced; a path where someone answers, or that is no socket, is an
 * error.
 */
#ifndef HF_API_SERVER_H
#define HF_API_SERVER_H

#include <stddef.h>
#include <uv.h>

#include "api/backend.h"

struct api_server;

struct api_server_options {
    const char *socket_path; /* shorter than sun_path */
    unsigned idle_seconds;   /* 0 = 10 */
    unsigned answer_ms;      /* 0 = 10000: how long a POST waits for its backend */
    uid_t owner;             /* the uid that may connect; 0 = root */
};

/* NULL on failure; `error` then has one line that names the path. `backend` is borrowed until the
 * server is closed. */
struct api_server *api_server_create(uv_loop_t *loop, const struct api_server_options *options,
                                     const struct api_backend *backend, char *error,
                                     size_t error_bytes);

/* Closes every connection, removes the socket and frees the server; `closed` (may be NULL) is
 * called from the loop when all of its handles are gone. Requests still with the backend stay valid
 * (see api_request). */
void api_server_close(struct api_server *server, void (*closed)(void *arg), void *arg);

#endif
