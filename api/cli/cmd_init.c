/* holdfast cluster init: the founding of a cluster of one, on its first machine, without a daemon.
 *
 *   FILE (all but `cluster`) ─> DIR/ca.pem, ca.key, node-ID.pem, node-ID.key      cmd_pki.c
 *                            ─> FILE.new = FILE + its `cluster` section
 *                            ─> holdfastd --config FILE.new --check, then --init   beside this program
 *                            ─> FILE.new becomes FILE
 *
 * Whatever is refused on the way leaves nothing behind. Others join: `holdfast cluster token`, `join`.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

#define INIT_CONFIG "/etc/holdfast/node.yaml"

enum { TEXT_BYTES = 2048, PATH_BYTES = 512, MADE_FILES = 4 };

struct founding {
    struct cli *cli;
    const char *name, *node, *address, *config;
    bool keep_data;
    char dir[PATH_BYTES], fresh[PATH_BYTES]; /* FILE.new */
    char made[MADE_FILES][PATH_BYTES + 32];  /* in DIR */
    bool made_dir;
};

static int refuse(const struct founding *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(const struct founding *f, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cli_refuse(f->cli, "local", text);
}

/* --- files --- */

/* The whole file, malloc'd and ended by NUL; NULL: *why. */
static char *read_file(const char *path, size_t *n, mode_t *mode)
{
    FILE *file = fopen(path, "re");
    struct stat st;
    char *text = NULL;

    if (file != NULL && fstat(fileno(file), &st) == 0 && st.st_size < 1 << 20) {
        text = malloc((size_t)st.st_size + 1);
        *n = text == NULL ? 0 : fread(text, 1, (size_t)st.st_size, file);
        *mode = st.st_mode & 07777;
    }
    if (text != NULL) {
        text[*n] = '\0';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

/* A line that begins with this word: a section of a block mapping stands at column 1. */
static bool has_section(const char *text, const char *word)
{
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, strlen(word)) == 0) {
            return true;
        }
    }
    return false;
}

static void undo(const struct founding *f)
{
    (void)unlink(f->fresh);
    for (size_t i = 0; i < MADE_FILES; i++) {
        (void)unlink(f->made[i]);
    }
    if (f->made_dir) {
        (void)rmdir(f->dir);
    }
}

static bool write_fresh(const struct founding *f, const char *text, size_t n, mode_t mode)
{
    FILE *file = fopen(f->fresh, "we");
    bool ok = file != NULL && fchmod(fileno(file), mode) == 0 && fwrite(text, 1, n, file) == n;

    ok = ok && (n == 0 || text[n - 1] == '\n' || fputc('\n', file) != EOF);
    ok = ok &&
         fprintf(file,
                 "\n# Made by `holdfast cluster init`. Others join by `holdfast cluster token`: "
                 "nothing is added here for them.\n"
                 "cluster:\n"
                 "  tls: { ca: %s, certificate: %s, key: %s }\n"
                 "  nodes:\n"
                 "    - { id: %s, address: %s }\n",
                 f->made[0], f->made[2], f->made[3], f->node, f->address) > 0;
    ok = ok && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file != NULL) {
        ok = fclose(file) == 0 && ok;
    }
    return ok;
}

/* --- programs --- */

/* One row of `holdfast pki` with DIR; what it says of success is not wanted. */
static int run_pki(const struct founding *f, const char *verb, const char *argument)
{
    struct cli sub = {.err = f->cli->err, .out = fopen("/dev/null", "we")};
    int status = CLI_REFUSED;

    sub.command = cli_find("pki", verb);
    sub.arguments[0] = argument;
    for (size_t i = 0; i < CLI_MOST_OPTIONS && sub.command->options[i].name != NULL; i++) {
        if (strcmp(sub.command->options[i].name, "--dir") == 0) {
            sub.options[i] = f->dir;
        }
    }
    if (sub.out != NULL) {
        status = sub.command->run(&sub);
        (void)fclose(sub.out);
    }
    return status;
}

/* holdfastd beside this program, or in sbin when this is in bin (as packages put them): "" when neither is there. */
static void find_daemon(char *path, size_t size)
{
    static const char *const places[] = {"/holdfastd", "/../sbin/holdfastd"};
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);

    path[0] = '\0';
    if (n < 0) {
        return;
    }
    here[n] = '\0';
    *strrchr(here, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (snprintf(path, size, "%s%s", here, places[i]) < (int)size && access(path, X_OK) == 0) {
            return;
        }
    }
    path[0] = '\0';
}

/* It says itself what is wrong. */
static int run_daemon(const struct founding *f, const char *what)
{
    char path[PATH_MAX + 32];
    char *argv[] = {path, (char[]){"--config"}, (char *)(uintptr_t)f->fresh,
                    (char *)(uintptr_t)what, NULL};
    posix_spawn_file_actions_t actions;
    int status = 0, code;
    pid_t pid;

    find_daemon(path, sizeof path);
    if (path[0] == '\0') {
        return refuse(f, "there is no holdfastd beside this program: install the package holdfast");
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    code = posix_spawn(&pid, path, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
        return refuse(f, "%s: %s", path, strerror(code));
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CLI_DONE : CLI_REFUSED;
}

/* --- the steps --- */

static int look(struct founding *f)
{
    const char *dir = cli_option_value(f->cli, "--dir");
    char folder[PATH_MAX];
    char *slash;
    struct stat st;

    if (realpath(f->config, folder) == NULL) {
        return refuse(f, "%s: %s: write the gateway's configuration there first, all but `cluster`",
                      f->config, strerror(errno));
    }
    slash = strrchr(folder, '/');
    *slash = '\0';
    if (snprintf(f->fresh, sizeof f->fresh, "%s.new", f->config) >= (int)sizeof f->fresh ||
        snprintf(f->dir, sizeof f->dir, "%s%s", dir != NULL && dir[0] == '/' ? dir : folder,
                 dir == NULL ? "/cluster" : "") >= (int)sizeof f->dir) {
        return refuse(f, "a file's name is too long");
    }
    if (dir != NULL && dir[0] != '/') {
        return refuse(f, "%s: say where from the root on", dir);
    }
    (void)snprintf(f->made[0], sizeof f->made[0], "%s/ca.pem", f->dir);
    (void)snprintf(f->made[1], sizeof f->made[1], "%s/ca.key", f->dir);
    (void)snprintf(f->made[2], sizeof f->made[2], "%s/node-%s.pem", f->dir, f->node);
    (void)snprintf(f->made[3], sizeof f->made[3], "%s/node-%s.key", f->dir, f->node);
    for (size_t i = 0; i < MADE_FILES; i++) {
        if (stat(f->made[i], &st) == 0) {
            return refuse(f,
                          "%s is there: a cluster was begun here already; other nodes join it: "
                          "`holdfast cluster token`",
                          f->made[i]);
        }
    }
    f->made_dir = stat(f->dir, &st) != 0;
    return CLI_DONE;
}

static int carry_out(struct founding *f)
{
    size_t n = 0;
    mode_t mode = 0600;
    char *text = read_file(f->config, &n, &mode);
    int status = CLI_DONE;

    if (text == NULL) {
        return refuse(f, "%s: cannot be read", f->config);
    }
    if (has_section(text, "cluster:")) {
        status =
            refuse(f,
                   "%s has a `cluster` section: this node is of a cluster already; other nodes "
                   "join it: `holdfast cluster token`",
                   f->config);
    }
    if (status == CLI_DONE) {
        status = run_pki(f, "cluster-ca", f->name);
    }
    if (status == CLI_DONE) {
        status = run_pki(f, "node", f->node);
    }
    if (status == CLI_DONE && !write_fresh(f, text, n, mode)) {
        status = refuse(f, "%s: %s", f->fresh, strerror(errno));
    }
    free(text);
    if (status == CLI_DONE) {
        status = run_daemon(f, "--check");
    }
    if (status == CLI_DONE && !f->keep_data) {
        status = run_daemon(f, "--init");
    }
    if (status == CLI_DONE && (rename(f->fresh, f->config) != 0 || !cli_folder_sync(f->config))) {
        status = refuse(f, "%s: %s", f->config, strerror(errno));
    }
    return status;
}

static int cli_cluster_init(struct cli *cli)
{
    struct founding f = {.cli = cli,
                         .name = cli->arguments[0],
                         .node = cli->arguments[1],
                         .address = cli->arguments[2],
                         .config = cli_option_value(cli, "--config"),
                         .keep_data = cli_option_value(cli, "--keep-data") != NULL};
    int status;

    f.config = f.config != NULL ? f.config : INIT_CONFIG;
    status = look(&f);
    if (status != CLI_DONE) {
        return status;
    }
    status = carry_out(&f);
    if (status != CLI_DONE) {
        undo(&f);
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, json_pack("{s:s,s:i,s:s,s:s,s:s}", "cluster", f.name, "node",
                                             atoi(f.node), "address", f.address, "config", f.config,
                                             "dir", f.dir));
    }
    (void)fprintf(cli->out, "the cluster '%s' of one: node %s at %s, in %s\n", f.name, f.node,
                  f.address, f.config);
    (void)fprintf(cli->err,
                  "next: holdfastd --config %s --guard, then start the daemon\n"
                  "another node: holdfast pki node ID --dir %s; holdfast cluster token ID "
                  "ADDRESS:PORT\n"
                  "%s makes certificates of nodes: keep it on no node\n",
                  f.config, f.dir, f.made[1]);
    return CLI_DONE;
}

const struct cli_command cli_row_cluster_init = {
    .group = "cluster",
    .verb = "init",
    .arguments = "NAME NODE ADDRESS",
    .help =
        "on the first machine, once: founds the cluster NAME of this NODE alone, at ADDRESS:PORT",
    .text = "Makes the cluster's own CA, this node's certificate, the `cluster` section of its "
            "configuration and its data directory. What is refused on the way leaves nothing "
            "behind. It asks no daemon, and begins nothing on other machines: those join by "
            "`holdfast cluster token` and `holdfast cluster join`.",
    .examples = "holdfast cluster init office 1 10.0.0.1:7400\nholdfast cluster init office 1 "
                "10.0.0.1:7400 --keep-data  # a gateway that ran alone so far",
    .options = {{"--config", "FILE",
                 "its configuration, without `cluster` (/etc/holdfast/node.yaml)", CLI_FILE, NULL},
                {"--dir", "DIR", "for its CA and certificate (`cluster` beside FILE)", CLI_DIR,
                 NULL},
                {"--keep-data", NULL, "it ran alone so far: its data directory stays", CLI_TEXT,
                 NULL}},
    .n_arguments = 3,
    .kinds = {CLI_TEXT, CLI_TEXT, CLI_TEXT},
    .secret = true,
    .run = cli_cluster_init};
