/* Bytes to and from a node: a unix socket, or TLS 1.3 to a server whose certificate must be by the
 * given CA and for the name that was asked. Nothing waits longer than cli->limits.
 *
 * Every function that fails has said why in `error`, with what to do. */
#ifndef HF_API_CLI_STREAM_H
#define HF_API_CLI_STREAM_H

#include <openssl/ssl.h>
#include <sys/types.h>

#include "api/cli/cli.h"

struct cli_stream {
    const struct cli *cli;
    int fd;
    SSL_CTX *context; /* NULL: a unix socket */
    SSL *tls;
    char name[CLI_HOST_BYTES + 16]; /* whom we speak to */
    int64_t began_ms, heard_ms;
    unsigned told_s; /* of progress */
    char *error;
    size_t error_bytes;
};

/* cli->where.servers[server], or the socket. */
bool cli_stream_open(struct cli_stream *s, const struct cli *cli, size_t server, char *error,
                     size_t error_bytes);
bool cli_stream_write(struct cli_stream *s, const char *bytes, size_t n);
/* At most n bytes. 0: the end. -1: `error`. */
ssize_t cli_stream_read(struct cli_stream *s, char *bytes, size_t n);
void cli_stream_close(struct cli_stream *s);

/* secure.c: TLS over s->fd, which is connected. */
bool cli_secure_begin(struct cli_stream *s, const struct cli_server *server);
/* Waits for what OpenSSL said that it needs. False: it failed, and `error` says why. */
bool cli_secure_wait(struct cli_stream *s, int result, const char *doing);
/* stream.c: until the descriptor is ready for `events` (of poll). */
bool cli_stream_wait(struct cli_stream *s, short events);

#endif
