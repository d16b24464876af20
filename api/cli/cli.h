/* The command line `holdfast`: one table of commands; it talks HTTP over the admin socket and knows
 * nothing else of the daemon.
 *
 * Exit status: 0 done, 1 refused by the node or the answer is unusable, 2 wrong use, 3 no node
 * answers. `drill` but `arm` is holdfast-drill's, with its own (0 pass, 1 fail, 2 inconclusive, 3
 * aborted).
 */
#ifndef HF_API_CLI_CLI_H
#define HF_API_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CLI_SOCKET "/run/holdfast/admin.sock"

enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_NO_NODE = 3 };
enum { CLI_MOST_OPTIONS = 7, CLI_MOST_ARGUMENTS = 4 };

struct cli_option {
    const char *name;  /* "--kind" */
    const char *value; /* what follows it, for the help; NULL = a switch */
    const char *help;
};

struct cli;

struct cli_command {
    const char *group, *verb; /* "cluster", "status"; "reload", "" */
    const char *arguments;    /* "NODE", for the help; as many words as arguments */
    const char *help;
    struct cli_option options[CLI_MOST_OPTIONS];
    unsigned n_arguments;
    bool secret; /* it has keys or tokens in its memory */
    int (*run)(struct cli *cli);
};

struct cli {
    const char *socket;
    bool json;
    const struct cli_command *command;
    const char *arguments[CLI_MOST_ARGUMENTS];
    const char *options[CLI_MOST_OPTIONS]; /* of the command's table: the value, "" for a switch,
                                              NULL = not given */
    FILE *out, *err;
};

extern const struct cli_command cli_commands[]; /* ended by group == NULL */

/* Fills *cli from the words; prints help or what is wrong. True: go on with cli->command->run;
 * false: end with *status. */
bool cli_parse(struct cli *cli, int argc, char **argv, int *status);
void cli_help(FILE *out, const char *group);

/* http.c: one request; a DELETE is of whatever is there (If-Match: *). True: *status and *body (a new reference, NULL when there is none) are the
 * node's answer. False: `error` says what is wrong and what to do. Bounded: 64 MiB of answer, 15 s
 * without a byte. */
bool cli_http(const char *socket, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes);

/* Asks the node. Returns the body of a good answer (new reference), else prints why and sets *exit.
 */
json_t *cli_ask(struct cli *cli, const char *method, const char *path, json_t *request, int *exit);
/* Prints it as JSON, one object over several lines. Takes the reference over. Returns CLI_DONE. */
int cli_print_json(struct cli *cli, json_t *body);

/* Members of an answer, whatever it holds: "-" and 0 where they are missing or of another type. The
 * text lives as long as the answer, or in `buf`. */
const char *cli_text(const json_t *object, const char *name);
int64_t cli_number(const json_t *object, const char *name);
/* The members of both families, as far as they are there: "10.99.0.5 fd00:99::5". Returns buf. */
const char *cli_families(const json_t *object, const char *v4, const char *v6, char buf[128]);
bool cli_true(const json_t *object, const char *name);

/* table.c: rows are kept, printed with columns as wide as their widest cell. Control characters
 * become '?'. */
struct cli_table {
    size_t columns, rows, room;
    char **cells; /* owned */
};
void cli_table_row(struct cli_table *table, size_t columns,
                   ...); /* const char * each; the first call sets the columns */
void cli_table_print(struct cli_table *table, FILE *out); /* and frees */
/* "3h 12m", "59s", "-" for less than nothing. Returns buf. */
const char *cli_span(int64_t ms, char buf[32]);

int cli_cluster_init(struct cli *cli); /* needs no node */
int cli_cluster_status(struct cli *cli);
int cli_cluster_transfer(struct cli *cli);
int cli_cluster_token(struct cli *cli);
int cli_cluster_join(struct cli *cli);
int cli_cluster_remove(struct cli *cli);
int cli_cluster_replace(struct cli *cli);
int cli_cluster_recover(struct cli *cli);
void cli_print_beginnings(struct cli *cli, const json_t *beginnings); /* of GET /v1/cluster */
int cli_snapshot_save(struct cli *cli);
int cli_shard_list(struct cli *cli);
int cli_shard_move(struct cli *cli);
int cli_cluster_rotate_keys(struct cli *cli);
void cli_print_keys(struct cli *cli, const json_t *keys);      /* two lines of the status */
void cli_print_key_alarm(struct cli *cli, const json_t *keys); /* when their end is overdue */
int cli_node_drain(struct cli *cli);
int cli_node_undrain(struct cli *cli);
int cli_sa_list(struct cli *cli);
int cli_sa_rekey(struct cli *cli);
int cli_drill_arm(struct cli *cli);
int cli_reload(struct cli *cli);
int cli_token_add(struct cli *cli);
int cli_token_list(struct cli *cli);
int cli_token_remove(struct cli *cli);
int cli_audit_list(struct cli *cli);
int cli_audit_verify(struct cli *cli);
/* These need no node. */
int cli_pki_ca(struct cli *cli);
int cli_pki_server(struct cli *cli);
int cli_pki_client(struct cli *cli);
int cli_pki_cluster_ca(struct cli *cli);
int cli_pki_node(struct cli *cli);
int cli_pki_revoke(struct cli *cli);
/* Becomes holdfast-drill, beside this program. Returns only on failure. */
int cli_drill_exec(int argc, char **argv, bool json);

/* file.c. Each false: errno says why, and nothing of it is left. */
enum { CLI_PATH_BYTES = 4096 };
/* The whole of it, with this mode, on the disk before it returns. Not `replace`: an error when there
 * is something already; else what was there stays until this is whole. */
bool cli_file_write(const char *path, const void *bytes, size_t len, mode_t mode, bool replace);
/* The names in the folder that holds `path`. */
bool cli_folder_sync(const char *path);
/* A descriptor that holds the folder for this program alone, until it is closed or the program ends; waits for who holds
 * it. It binds only those that ask for it, too. -1: errno. */
int cli_folder_lock(const char *folder);

#endif
