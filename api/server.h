/* The admin HTTP server on a unix socket, for root only: libmicrohttpd inside the caller's libuv
 * loop, no thread of its own.
 *
 * Bounded: 32 connections, 64 KiB of body, 16 KiB of header, 10 s without a byte, 30 s from one
 * whole request to the next, 10 s for the backend. The socket has mode 0600, in a folder that is
 * made with 0700 when missing; who connects is checked by SO_PEERCRED as well. A stale socket is
 * replaced; a path where someone answers, or that is no socket, is an error.
 */
#ifndef HF_API_SERVER_H
#define HF_API_SERVER_H

#include <stddef.h>
#include <uv.h>

#include "api/backend.h"

struct api_server;

struct api_server_options {
    const char *socket_path; /* shorter than sun_path */
    unsigned idle_s;         /* without a byte; 0 = 10 */
    unsigned request_ms;     /* from one whole request to the next; 0 = 30000 */
    unsigned answer_ms;      /* how long a POST waits for its backend; 0 = 10000 */
    uid_t owner;             /* may connect besides root */
};

/* NULL on failure; `error` then has one line that names the path. `backend` is borrowed until the
 * server is closed. */
struct api_server *api_server_create(uv_loop_t *loop, const struct api_server_options *options,
                                     const struct api_backend *backend, char *error,
                                     size_t error_bytes);

/* Closes every connection, removes the socket and frees the server; `closed` (may be NULL) is
 * called from the loop when all of its handles are gone. Not to be called from a backend function.
 * Requests still with the backend stay valid (see api_request). */
void api_server_close(struct api_server *server, void (*closed)(void *arg), void *arg);

#endif
