/* holdfastd: see README.md. The process's own protections, arguments, then daemon_run(). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "daemon/anew.h"
#include "daemon/daemon.h"
#include "daemon/fdstore.h"
#include "replication/replica.h"

enum action { ACTION_RUN, ACTION_CHECK, ACTION_INIT, ACTION_GUARD, ACTION_RECOVER, ACTION_RESTORE };

#ifdef HOLDFAST_PLANTED
/* Only in CMAKE_BUILD_TYPE=Planted: what this program does wrong, to be found in its file and log.
 */
static const char plant[] = "HOLDFAST_PLANT=" HOLDFAST_PLANTED;
#endif

#ifdef HOLDFAST_PLANT_outlives_kill
/* Planted fault: what serves is a child of the process that is known, and killed; who lives passes its
 * words on. */
__attribute__((constructor)) static void planted_child(void)
{
    char text[4096];
    int words[2], status = 0;
    pid_t child = pipe(words) == 0 ? fork() : -1;
    ssize_t n;

    if (child < 0)
        _exit(EXIT_FAILURE);
    if (child == 0) {
        if (dup2(words[1], STDOUT_FILENO) < 0 || dup2(words[1], STDERR_FILENO) < 0)
            _exit(EXIT_FAILURE);
        (void)close(words[0]);
        (void)close(words[1]);
        return;
    }
    (void)close(words[1]);
    while ((n = read(words[0], text, sizeof text)) > 0 && write(STDERR_FILENO, text, (size_t)n) > 0)
        ;
    (void)waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}
#endif

static int usage(FILE *out, int code)
{
    (void)fprintf(
        out,
        "usage: holdfastd --config NODE.yaml [--check | --init | --guard | --distrust]\n"
        "       holdfastd --config NODE.yaml --recover [--lost N,N --force] [--why TEXT] "
        "[--highest-id N]\n"
        "       holdfastd --config NODE.yaml --restore FILE [--why TEXT] [--highest-id N]\n"
        "  --check    validate the configuration and stop\n"
        "  --init     make the data directory, once per node\n"
        "  --guard    install the permanent guard (sysctls, routes, nftables), at boot\n"
        "  --distrust run, but count for nothing until the other nodes have filled the log: after "
        "a "
        "disk\n"
        "             was restored, cloned or repaired\n"
        "  --recover  a majority is lost for good: says what making this node the cluster "
        "costs; does it\n"
        "             with --lost (the dead members) and --force; no daemon may run\n"
        "  --restore  all is lost but a backup (`holdfast snapshot save`), with configuration.key "
        "beside it:\n"
        "             makes the data directory anew\n"
        "  --highest-id N  with both: no node will ever be given an id up to N, beside those that "
        "are known\n"
        "  --version\n");
    return code;
}

static int unprotected(const char *what)
{
    (void)fprintf(stderr, "holdfastd: cannot protect its memory: %s: %s\n", what, strerror(errno));
    return 1;
}

/* Keys live in this process's memory from config_load() on, whatever the action. Who only looks at a file
 * may be anybody, with no right to lock: he is told. */
static bool lock_memory(enum action action)
{
    const char *what;

    if (process_lock(&what))
        return true;
    if (action != ACTION_CHECK)
        return false;
    (void)fprintf(stderr, "holdfastd: keys that are read may reach a swap device: %s\n", what);
    return true;
}

/* The data directory is of the daemon's user. What root makes in it is that user's; run by root the daemon would leave
 * behind what the service cannot read. */
static bool right_user(enum action action, const struct config *config)
{
    const char *what;

    if (action == ACTION_INIT || action == ACTION_RESTORE || action == ACTION_RECOVER) {
        if (process_become_owner(config->data_dir, &what))
            return true;
        (void)fprintf(stderr, "holdfastd: %s: %s\n", what, strerror(errno));
        return false;
    }
    if (action != ACTION_RUN || !process_is_foreign(config->data_dir))
        return true;
    (void)fprintf(stderr,
                  "holdfastd: %s belongs to another user than root: start the daemon as that user "
                  "(`systemctl start holdfast`), or give the directory to root\n",
                  config->data_dir);
    return false;
}

static int act(enum action action, const struct config *config, const struct daemon_words *words,
               bool *again)
{
    static const enum log_level levels[] = {[CONFIG_LOG_ERROR] = LOG_ERROR,
                                            [CONFIG_LOG_WARN] = LOG_WARN,
                                            [CONFIG_LOG_INFO] = LOG_INFO,
                                            [CONFIG_LOG_DEBUG] = LOG_DEBUG};
    struct log log = {levels[config->log_level], STDERR_FILENO};
    struct daemon_error error = {{0}};
    bool ok;

    if (action == ACTION_CHECK) {
        config_print_summary(config, stdout);
        return config->out_of_date ? 1 : 0;
    }
    if (!right_user(action, config))
        return 1;
#ifdef HOLDFAST_PLANTED
    log_line(&log, LOG_WARN, "node", "%s: a planted fault", plant);
#endif
    ok = action == ACTION_RUN       ? daemon_run(config, &log, again, &error)
         : action == ACTION_INIT    ? daemon_init(config, &error)
         : action == ACTION_RESTORE ? daemon_restore(config, words, &error)
         : action == ACTION_RECOVER ? daemon_recover(config, words, &error)
                                    : daemon_install_guard(config, &error);
    if (!ok)
        (void)fprintf(stderr, "holdfastd: %s\n", error.text);
    return ok ? 0 : 1;
}

static bool id_of(const char *text, uint32_t *id)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    *id = (uint32_t)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= 65535;
}

/* NULL: what is wrong with the file was printed. */
static struct config *load(const char *path)
{
    struct config_report report;
    struct config *config;

    config_report_init(&report);
    config = config_load(path, &report);
    if (config == NULL)
        config_report_print(&report, stderr);
    config_report_deinit(&report);
    return config;
}

/* What the words of the command line say. */
struct given {
    enum action action;
    char *path;
    struct daemon_words words;
    bool distrust;
    const char *rolled_back; /* only by anew.c */
};

/* -1: go on; else the program's exit status. */
static int take_words(int argc, char **argv, struct given *g)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"init", no_argument, NULL, 'i'},
        {"guard", no_argument, NULL, 'g'},
        {"distrust", no_argument, NULL, 'd'},
        {"recover", no_argument, NULL, 'r'},
        {"restore", required_argument, NULL, 'b'},
        {"lost", required_argument, NULL, 'l'},
        {"force", no_argument, NULL, 'f'},
        {"version", no_argument, NULL, 'v'},
        {"why", required_argument, NULL, 'w'},
        {"highest-id", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"rolled-back", required_argument, NULL, 'm'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            g->path = optarg;
            break;
        case 'k':
            g->action = ACTION_CHECK;
            break;
        case 'i':
            g->action = ACTION_INIT;
            break;
        case 'g':
            g->action = ACTION_GUARD;
            break;
        case 'r':
            g->action = ACTION_RECOVER;
            break;
        case 'b':
            g->action = ACTION_RESTORE;
            g->words.backup = optarg;
            break;
        case 'l':
            g->words.lost = optarg;
            break;
        case 'f':
            g->words.force = true;
            break;
        case 'w':
            g->words.why = optarg;
            break;
        case 'n':
            if (!id_of(optarg, &g->words.highest_id))
                return usage(stderr, 2);
            break;
        case 'd':
            g->distrust = true;
            break;
        case 'm':
            g->rolled_back = optarg;
            break;
        case 'v':
            (void)printf("holdfastd %s\n", HOLDFAST_VERSION);
            return 0;
        case 'h':
            return usage(stdout, 0);
        default:
            return usage(stderr, 2);
        }
    }
    if (g->path == NULL || optind != argc ||
        ((g->distrust || g->rolled_back != NULL) && g->action != ACTION_RUN) ||
        (g->action != ACTION_RECOVER && (g->words.lost != NULL || g->words.force)))
        return usage(stderr, 2);
    return -1;
}

/* execve() hands on which signals its thread had blocked: here all count, and in what is started from here. */
static void hear_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Before anything that may end this start: the service manager starts it again and again, and keeps the
 * keys of sessions meanwhile. */
static void expire_kept(void)
{
    int fd = fdstore_take(DAEMON_KEYS_NAME);

    if (fd > 0)
        repl_kept_expire(fd, repl_boottime_ns());
}

int main(int argc, char **argv)
{
    struct given g = {.action = ACTION_RUN};
    const char *what;
    bool again = false, closed;
    struct config *config;
    int code, closed_errno;

    if (!process_standard())
        return 1; /* there may be nowhere to say it */
    closed = process_close(&what);
    closed_errno = errno;
    code = take_words(argc, argv, &g);
    if (code >= 0)
        return code;
    if (g.rolled_back != NULL && !anew_begin(g.rolled_back)) /* before anything that may fail */
        return usage(stderr, 2);
    hear_signals();
    expire_kept();
    errno = closed_errno;
    if (!closed)
        return unprotected(what);
    if (!lock_memory(g.action))
        return unprotected("mlockall (raise LimitMEMLOCK or grant CAP_IPC_LOCK)");
    config = load(g.path);
    if (config == NULL)
        return 1;
    config->distrust = g.distrust;
    anew_remember(argv[0], g.path, g.distrust, config->data_dir, config->node_id);
    code = act(g.action, config, &g.words, &again);
    config_free(config);
    if (again &&
        code == 0) { /* the same program, from its beginning: nothing of it stays in memory */
        anew_recovered();
        (void)fprintf(stderr, "holdfastd: cannot start anew: %s\n", strerror(errno));
        code = 1;
    }
    return code;
}
