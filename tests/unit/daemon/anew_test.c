/* What the daemon becomes: the words, signals and descriptors that go with execv(), which is the test's own here
 * (-Wl,--wrap), as are the pauses and the mark on the disk (repl_rolled_back()). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/anew.h"
#include "daemon/daemon.h"
#include "daemon/fdstore.h"
#include "replication/replica.h"
#include "aside.h"

static char program[] = "/usr/sbin/holdfastd", file[] = "n3.yaml";
static char said[512]; /* all words, each with a blank behind it */
static sigset_t blocked;
static bool inherits;
static int handed;
static jmp_buf became;

int __wrap_execv(const char *path, char *const words[]);

int __wrap_execv(const char *path, char *const words[])
{
    NEED(strcmp(path, "/proc/self/exe") == 0);
    for (size_t i = 0, n = 0; words[i] != NULL; i++)
        n += (size_t)snprintf(said + n, sizeof said - n, "%s ", words[i]);
    NEED(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0);
    inherits = handed > 0 && fcntl(handed, F_GETFD) == 0;
    longjmp(became, 1);
}

/* --- the disk --- */

static unsigned refusals, marks, pauses;
static char marked[64];
static uint32_t marked_node;

bool repl_rolled_back(const char *data_dir, uint32_t node, struct repl_error *error)
{
    *error = (struct repl_error){.text = "the disk refuses"};
    if (refusals > 0) {
        refusals--;
        return false;
    }
    marks++;
    marked_node = node;
    (void)snprintf(marked, sizeof marked, "%s", data_dir);
    return true;
}

int __wrap_nanosleep(const struct timespec *length, struct timespec *left);

int __wrap_nanosleep(const struct timespec *length, struct timespec *left)
{
    (void)left;
    NEED(length->tv_sec == 1 && length->tv_nsec == 0);
    pauses++;
    return 0;
}

static void roll_back(int fd)
{
    handed = fd;
    if (setjmp(became) == 0)
        anew_rolled_back(fd);
}

static void recover(void)
{
    if (setjmp(became) == 0)
        anew_recovered();
}

/* --- */

ASIDE(anew, says_what_was_understood_however_it_was_written)
{
    anew_remember(program, file, false, "/var/lib/hold:fast", 3);
    recover();
    NEED(strcmp(said, "/usr/sbin/holdfastd --config n3.yaml ") == 0);
    roll_back(0);
    NEED(strcmp(said, "/usr/sbin/holdfastd --config n3.yaml --rolled-back "
                      "0:3:/var/lib/hold:fast ") == 0);
}

ASIDE(anew, an_operators_word_holds_after_a_rollback_and_not_after_a_recovery)
{
    anew_remember(program, file, true, "/data", 65535);
    recover();
    NEED(strcmp(said, "/usr/sbin/holdfastd --config n3.yaml ") == 0);
    roll_back(0);
    NEED(strcmp(said,
                "/usr/sbin/holdfastd --config n3.yaml --distrust --rolled-back 0:65535:/data ") ==
         0);
}

/* Nothing may end the new start before the mark is there; and it gets the keys. */
ASIDE(anew, takes_no_signal_and_the_keys_along)
{
    int fd = memfd_create("keys", MFD_CLOEXEC);
    char want[96];

    NEED(fd > 0);
    anew_remember(program, file, false, "/data", 3);
    roll_back(fd);
    (void)snprintf(want, sizeof want,
                   "/usr/sbin/holdfastd --config n3.yaml --rolled-back %d:3:/data ", fd);
    NEED(strcmp(said, want) == 0);
    NEED(inherits);
    NEED(sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1 &&
         sigismember(&blocked, SIGHUP) == 1);
    (void)close(fd);
    roll_back(fd); /* that is no descriptor any more */
    NEED(strstr(said, " 0:3:/data ") != NULL);
}

ASIDE(anew, begins_with_the_mark_and_takes_the_keys)
{
    int fd = memfd_create("keys", 0), aside = fcntl(fd, F_DUPFD, 50);
    char value[64];

    NEED(fd > 0 && aside >= 50);
    (void)close(fd);
    (void)snprintf(value, sizeof value, "%d:3:/var/lib/hold:fast", aside);
    NEED(anew_begin(value));
    NEED(marks == 1 && marked_node == 3);
    NEED(strcmp(marked, "/var/lib/hold:fast") == 0);
    NEED(fdstore_take(DAEMON_KEYS_NAME) > 0);
    NEED(fcntl(aside, F_GETFD) < 0 && errno == EBADF);
    NEED(anew_begin("0:65535:/data"));
    NEED(marks == 2 && marked_node == 65535);
    NEED(fdstore_take(DAEMON_KEYS_NAME) == 0);
}

/* A disk that refuses is asked again, and nothing else is done. */
ASIDE(anew, does_not_go_on_without_the_mark)
{
    refusals = 700;
    NEED(anew_begin("0:3:/data"));
    NEED(refusals == 0 && marks == 1 && pauses == 700);
}

/* Ended by a watchdog before the mark is there, the next start would know of nothing. */
ASIDE(anew, a_watchdog_is_kept_quiet_until_the_mark_is_there)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[64];
    ssize_t n;
    unsigned alive = 0;

    (void)snprintf(at.sun_path, sizeof at.sun_path, "/tmp/hf-anew-%ld", (long)getpid());
    NEED(bind(manager, (const struct sockaddr *)&at, sizeof at) == 0);
    NEED(setenv("NOTIFY_SOCKET", at.sun_path, 1) == 0 &&
         setenv("WATCHDOG_USEC", "1000000", 1) == 0);
    refusals = 3;
    NEED(anew_begin("0:3:/data"));
    (void)unlink(at.sun_path);
    n = recv(manager, text, sizeof text - 1, 0);
    NEED(n > 0 && strncmp(text, "WATCHDOG_USEC=900000000", (size_t)n) == 0);
    while ((n = recv(manager, text, sizeof text - 1, 0)) > 0)
        alive += strncmp(text, "WATCHDOG=1", (size_t)n) == 0;
    NEED(alive == 3 && pauses == 3);
}

ASIDE(anew, what_is_no_value_of_its_own_does_nothing)
{
    static const char *const values[] = {"",        "5",          ":3:/data",       "0:3",
                                         "0:3:",    "0:3:data",   "x:3:/data",      "0::/data",
                                         "-1:3:/d", "0:-3:/data", " 0:3:/data",     "0x1:3:/data",
                                         "0:3 :/d", "65536:3:/d", "0:4294967296:/d"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        NEED(!anew_begin(values[i]));
    NEED(marks == 0);
    (void)printf("compared %zu\n", sizeof values / sizeof *values);
    (void)fflush(stdout);
}
