/* The command line `holdfast`: one table of commands; it talks HTTP over the admin socket, or over TLS,
 * and knows nothing else of the daemon.
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

#include "api/cli/where.h"

#define CLI_SOCKET "/run/holdfast/admin.sock"
#define CLI_EXITS                                                                                  \
    "0 done; 1 refused by the node, or its answer cannot be used; 2 wrong use; 3 no node answers"
#define CLI_ABOUT                                                                                  \
    "Talks to the holdfastd of this machine by its admin socket, as root, or with --server to "    \
    "the "                                                                                         \
    "REST API of any node over TLS 1.3. What holdfast pki, "                                       \
    "cluster init and drill run do needs no daemon.\n\nWith -o json or -o yaml the answer is a "   \
    "document on standard output, a refusal too: a problem with type, detail and docs. Wrong use " \
    "is told on standard error alone."

#define CLI_ENVIRONMENT                                                                            \
    "HOLDFAST_SOCKET, HOLDFAST_SERVER, HOLDFAST_CA, HOLDFAST_CERT, HOLDFAST_KEY, "                 \
    "HOLDFAST_TOKEN_FILE, HOLDFAST_PROFILE: the options of these names.\n\nOptions come first, "   \
    "then the environment, then the profile; the first of them that names a place (a socket, "     \
    "servers, a profile) decides, and nothing that stands only in a later one is shown to that "   \
    "place. Where none does, it is root's socket."
#define CLI_FILES                                                                                  \
    "~/.config/holdfast/cli.yaml (below $XDG_CONFIG_HOME where that is set): profiles. A key "     \
    "that "                                                                                        \
    "is not known is refused with its line. The file must be its user's or root's, and nobody "    \
    "else may write it; keys and tokens nobody else may read. Names of files that do not begin "   \
    "with a slash are beside it."
#define CLI_FILE_EXAMPLE                                                                           \
    "default: office\n"                                                                            \
    "profiles:\n"                                                                                  \
    "  office:\n"                                                                                  \
    "    servers: [gw1.example.org:8443, gw2.example.org:8443]\n"                                  \
    "    ca: ca.pem\n"                                                                             \
    "    token_file: office.token   # or cert and key\n"                                           \
    "  here: { socket: /run/holdfast/admin.sock }\n"
enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_NO_NODE = 3 };
enum { CLI_MOST_OPTIONS = 12, CLI_MOST_ARGUMENTS = 4 };

/* What a value must be. The parser refuses others, completion offers these. */
enum cli_kind {
    CLI_TEXT,    /* anything */
    CLI_NUMBER,  /* digits */
    CLI_NODE,    /* 1 to 65535 */
    CLI_SHARD,   /* likewise */
    CLI_SA,      /* 16 hexadecimal digits */
    CLI_ATTEMPT, /* likewise */
    CLI_TOKEN,   /* a token's id: 12 hexadecimal digits, small ones */
    CLI_FILE,    /* a path; whether it must be there is the command's business */
    CLI_DIR,
    CLI_CHOICE, /* one of `choices` */
    CLI_WORDS   /* words of a command */
};

struct cli_option {
    const char *name; /* "--kind" */
    const char
        *value; /* what follows it, for the help; "[...]": it may be left out; NULL = a switch */
    const char *help;
    enum cli_kind kind;
    const char *choices; /* of CLI_CHOICE: "child|ike" */
};

struct cli;

/* One row of the table: all that is known of a command. Help, the manual, completion, suggestions and
 * the parser have no other source. Rows stand beside what runs them (cmd_*.c). */
struct cli_command {
    const char *group, *verb; /* "cluster", "status"; "reload", "" */
    const char *arguments;    /* "NODE", for the help; "[...]" may be left out */
    const char *help;         /* a line */
    const char *text;         /* paragraphs, with an empty line between */
    const char *role;         /* that it needs over TLS; NULL: it asks no node */
    const char *asks;     /* operations of the REST API, "GET /v1/cluster, ..."; NULL likewise */
    const char *exits;    /* what a status means here, where it differs; else NULL */
    const char *examples; /* lines, "holdfast ...  # what it does" */
    const char *doing;    /* shown while its answer is waited for; NULL: it takes a moment */
    struct cli_option options[CLI_MOST_OPTIONS];
    unsigned n_arguments, n_more; /* so many words, and so many that may follow */
    enum cli_kind kinds[CLI_MOST_ARGUMENTS];
    const char *choices; /* of arguments that are CLI_CHOICE */
    bool secret;         /* it has keys or tokens in its memory */
    bool watch;          /* --watch makes sense */
    bool passes;         /* its words are another program's */
    int (*run)(struct cli *cli);
};

struct cli_group {
    const char *name, *help;
};

/* Options of every command, of those that ask a node, of those that are watched. */
enum cli_common {
    CLI_OUTPUT,
    CLI_HELP,
    CLI_VERSION,
    CLI_WATCH,
    CLI_SOCKET_PATH,
    CLI_SERVER,
    CLI_CA,
    CLI_CERT,
    CLI_KEY,
    CLI_TOKEN_FILE,
    CLI_PROFILE,
    CLI_COMMONS
};

/* What is taken from whoever answers. */
struct cli_limits {
    unsigned silence_ms, total_ms, connect_ms;
    size_t most_bytes;
};

struct cli {
    struct cli_where where;
    struct cli_limits limits;
    bool json; /* a document is wanted: JSON, or YAML where yaml is set */
    bool yaml;
    bool line;        /* a document is one line, or begins with --- */
    unsigned watch_s; /* again and again, so many seconds apart; 0: once */
    const struct cli_command *command;
    const char *arguments[CLI_MOST_ARGUMENTS + 1];
    const char *options[CLI_MOST_OPTIONS]; /* of the command's row: the value, "" for a switch or a
                                              value that was left out, NULL = not given */
    const char *common[CLI_COMMONS];       /* likewise of cli_commons */
    char **rest;                           /* of a command that passes its words: these, */
    int n_rest;
    FILE *out, *err;
};

/* commands.c */
extern const struct cli_command *const cli_commands[]; /* ended by NULL */
extern const struct cli_group cli_groups[]; /* ended by name == NULL; in the order of the help */
extern const struct cli_option cli_commons[CLI_COMMONS];
/* NULL: there is none. A group's only command has the verb "". */
const struct cli_command *cli_find(const char *group, const char *verb);
const struct cli_group *cli_find_group(const char *name);
/* Does that option belong to it? `command` NULL: to any. */
bool cli_common_fits(const struct cli_command *command, enum cli_common which);
bool cli_is_group(const struct cli_group *group); /* it has several commands */
/* "cluster status". Returns buf. */
const char *cli_name(const struct cli_command *command, char buf[64]);
/* The value of the command's own option, or NULL; asserts nothing of the name. */
const char *cli_option_value(const struct cli *cli, const char *name);
/* 1 to 65535: of a value whose kind the parser has checked. */
long cli_id(const char *text);

/* parse.c: fills *cli from the words; prints help or what is wrong. True: go on with
 * cli->command->run; false: end with *status. */
bool cli_parse(struct cli *cli, int argc, char **argv, int *status);

/* suggest.c: the word that a mistyped one was meant to be. */
struct cli_nearest {
    const char *word, *best;
    unsigned distance;
    char said[80]; /* best, with what stands before it */
};
/* Letters changed, left out, added or swapped with their neighbour; both at most 40 bytes, else
 * UINT_MAX. */
unsigned cli_distance(const char *a, const char *b);
/* Keeps the candidate when it is the nearest so far and near enough. */
void cli_nearest_try(struct cli_nearest *nearest, const char *candidate, const char *before);

/* help.c. `group` and `verb` may be NULL. */
void cli_help_all(FILE *out);
void cli_help_group(FILE *out, const struct cli_group *group);
void cli_help_command(FILE *out, const struct cli_command *command);
void cli_usage(FILE *out, const struct cli_command *command); /* a line without its end */
/* Words of `text` in lines of at most `width` columns, each after `indent` spaces, the first where
 * the cursor stands at column `at`. */
void cli_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width);
unsigned cli_width(FILE *out, unsigned otherwise); /* of the terminal that `out` is */
void cli_man(FILE *out);                           /* man.c: roff */
enum cli_shell { CLI_BASH, CLI_ZSH, CLI_FISH };
void cli_completion(FILE *out, enum cli_shell shell); /* complete*.c */

/* http.c: one request, to the servers in turn until one can be reached; a DELETE is of whatever is
 * there (If-Match: *). True: *status and *body (a new reference, NULL when there is none) are the
 * node's answer. False: `error` says what is wrong and what to do. Bounded by cli->limits. */
bool cli_http(const struct cli *cli, const char *method, const char *path, json_t *request,
              unsigned *status, json_t **body, char *error, size_t error_bytes);

/* http.c: a GET whose good answer is a stream of events, of one server alone: `take` gets the bytes as they come,
 * and says whether they mean anything. REFUSED: *status and *body (a new reference, or NULL) are the answer. BROKE:
 * `error` says why. */
typedef bool cli_take_fn(void *self, const char *bytes, size_t n);
enum cli_streamed { CLI_STREAM_ENDED, CLI_STREAM_REFUSED, CLI_STREAM_BROKE };
enum cli_streamed cli_http_stream(const struct cli *cli, size_t server, const char *path,
                                  cli_take_fn *take, void *self, unsigned *status, json_t **body,
                                  char *error, size_t error_bytes);

/* Asks the node. Returns the body of a good answer (new reference), else prints why and sets *exit.
 */
json_t *cli_ask(struct cli *cli, const char *method, const char *path, json_t *request, int *exit);
/* As the node said it, to the byte: of a text in it that is printed the caller takes care (cli_clean). */
json_t *cli_ask_exact(struct cli *cli, const char *method, const char *path, json_t *request,
                      int *exit);
/* Appends "&name=value" to a path with a query, what may not stand there as it is as %XX. False: too long. */
enum { CLI_QUERY_BYTES = 1600 };
bool cli_put_query(char path[CLI_QUERY_BYTES], const char *name, const char *value);
/* cli_ask() of GET `path`, and the answer by `print`, or as the document that was wished for. Returns how it ends. */
int cli_show(struct cli *cli, const char *path, void (*print)(struct cli *cli, const json_t *body));
/* As cli_ask() of GET `path`, with all that is in the list `member`: over TLS it comes page by page. */
json_t *cli_ask_all(struct cli *cli, const char *path, const char *member, int *exit);
/* Prints it as the document that was wished for, JSON or YAML. Takes the reference over. Returns
 * CLI_DONE. */
int cli_print_json(struct cli *cli, json_t *body);
void cli_yaml(FILE *out, const json_t *document); /* yaml.c */
/* Refused by a node: says why, and prints the problem where a document is wished for. Takes the reference over. Returns
 * CLI_REFUSED. */
int cli_refused(struct cli *cli, unsigned status, json_t *body);
/* Refused without a node: `detail` on stderr, and as a problem where a document is wished for. Returns
 * CLI_REFUSED. */
int cli_refuse(struct cli *cli, const char *name, const char *detail);

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
void cli_table_print(struct cli_table *table, FILE *out); /* and frees; no wider than a terminal */
/* The same at most so wide, in letters; 0: as wide as it is. */
void cli_table_print_in(struct cli_table *table, FILE *out, size_t most);
/* What would steer a terminal becomes '?', in place. */
void cli_clean(char *text);
/* Milliseconds since 1970 as "2026-11-28 04:00:07", of UTC; "-" for 0. Returns buf. */
const char *cli_date(char buf[32], int64_t ms);
/* "3h 12m", "59s", "-" for less than nothing. Returns buf. */
const char *cli_span(int64_t ms, char buf[32]);

/* Pieces of what is said of GET /v1/cluster. */
void cli_print_beginnings(struct cli *cli, const json_t *beginnings);
void cli_print_keys(struct cli *cli, const json_t *keys);      /* two lines of the status */
void cli_print_key_alarm(struct cli *cli, const json_t *keys); /* when their end is overdue */

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
