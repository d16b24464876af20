/* Which node is asked, and how: a unix socket of this machine, or servers over TLS 1.3.
 *
 *   options ──> HOLDFAST_* of the environment ──> profile in cli.yaml ──> root's socket
 *
 * The first of them that names a place decides. The rest of what is needed comes from there or from
 * before, never from behind: a token that stands beside one server's name is not shown to another. */
#ifndef HF_API_CLI_WHERE_H
#define HF_API_CLI_WHERE_H

#include <stdbool.h>
#include <stddef.h>

enum cli_place {
    CLI_AT_SOCKET,
    CLI_AT_SERVERS, /* "HOST:PORT,HOST:PORT" */
    CLI_AT_CA,
    CLI_AT_CERT,
    CLI_AT_KEY,
    CLI_AT_TOKEN_FILE,
    CLI_PLACES
};
enum { CLI_MOST_SERVERS = 8, CLI_HOST_BYTES = 256, CLI_WHY_BYTES = 1024 };

struct cli_server {
    char host[CLI_HOST_BYTES], port[6]; /* an IPv6 address without its brackets */
};

struct cli_where {
    char *at[CLI_PLACES]; /* malloc'd; NULL: not given. No socket: servers. */
    struct cli_server servers[CLI_MOST_SERVERS];
    size_t n_servers;
};

struct cli;
/* By the options of the command, the environment and the profile. False: `why` says what is wrong. */
bool cli_where_find(struct cli_where *where, const struct cli *cli, char why[CLI_WHY_BYTES]);
void cli_where_free(struct cli_where *where);

/* One "HOST:PORT" of n bytes. */
bool cli_server_parse(const char *text, size_t n, struct cli_server *out);

/* profile.c: the file `path`, of which the profile `name` (NULL: its `default`) goes to `at`. *found:
 * there is such a file and it names one. False: it is not as it must be. */
bool cli_profile_read(const char *path, const char *name, char *at[CLI_PLACES], bool *found,
                      char why[CLI_WHY_BYTES]);
/* The same of a text that stands for that file. */
bool cli_profile_parse(const char *path, const char *text, size_t n, const char *name,
                       char *at[CLI_PLACES], bool *found, char why[CLI_WHY_BYTES]);
/* What only its owner may read (`secret`), or change. malloc'd, zero-terminated, *n bytes; NULL:
 * `why`. errno is ENOENT where there is no such file. */
char *cli_guarded_read(const char *path, bool secret, size_t most, size_t *n,
                       char why[CLI_WHY_BYTES]);

#endif
