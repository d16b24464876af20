#include "daemon/anew.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "daemon/daemon.h"
#include "daemon/fdstore.h"
#include "daemon/notify.h"
#include "replication/replica.h"

/* PATIENCE_S: what a service manager gives a start that is not its own, before it takes it for hung. */
enum { FD_DIGITS = 10, MOST_FD = 65535, AGAIN_S = 1, PATIENCE_S = 900 };

static const char itself[] = "/proc/self/exe";
static char config_option[] = "--config", distrust_option[] = "--distrust",
            rolled_back_option[] = "--rolled-back";

static char *recovered[4];   /* program --config FILE */
static char *rolled_back[7]; /* ... [--distrust] --rolled-back VALUE */
static size_t value_at;      /* VALUE's place there */
static char *value;          /* ":NODE:DIRECTORY" behind FD_DIGITS bytes */

void anew_remember(char *program, char *config, bool distrust, const char *data_dir, uint32_t node)
{
    size_t n = 0, room = strlen(data_dir) + 16;

    recovered[0] = rolled_back[n++] = program;
    recovered[1] = rolled_back[n++] = config_option;
    recovered[2] = rolled_back[n++] = config;
    if (distrust)
        rolled_back[n++] = distrust_option;
    rolled_back[n++] = rolled_back_option;
    value_at = n;
    value = malloc(FD_DIGITS + room);
    HF_ASSERT(value != NULL);
    HF_ASSERT((size_t)snprintf(value + FD_DIGITS, room, ":%u:%s", node, data_dir) < room);
}

void anew_recovered(void)
{
    notify_patience(PATIENCE_S);
    (void)execv(itself, recovered);
}

_Noreturn void anew_rolled_back(int keys_fd)
{
    unsigned left = keys_fd != 0 && fcntl(keys_fd, F_SETFD, 0) == 0 ? (unsigned)keys_fd : 0;
    size_t at = FD_DIGITS;
    sigset_t all;

    do { /* no call that takes a lock */
        value[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    rolled_back[value_at] = value + at;
    /* None may end the new start before the mark: the mask goes with execv(). */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    (void)execv(itself, rolled_back);
    _exit(EXIT_FAILURE);
}

/* A number up to `most`, with `behind` behind it. */
static bool take_number(const char **text, unsigned long most, char behind, unsigned long *number)
{
    char *end;

    if ((*text)[0] < '0' || (*text)[0] > '9')
        return false;
    *number = strtoul(*text, &end, 10);
    if (*number > most || *end != behind)
        return false;
    *text = end + 1;
    return true;
}

bool anew_begin(const char *text)
{
    const struct timespec a_second = {.tv_sec = AGAIN_S};
    struct repl_error now, before = {.text = ""};
    unsigned long fd, node;

    if (!take_number(&text, MOST_FD, ':', &fd) || !take_number(&text, UINT32_MAX, ':', &node) ||
        text[0] != '/')
        return false;
    notify_patience(PATIENCE_S);
    while (!repl_rolled_back(text, (uint32_t)node, &now)) {
        if (strcmp(now.text, before.text) != 0)
            (void)fprintf(stderr,
                          "holdfastd: ALARM: this machine was rolled back, and its disk cannot say "
                          "so: %s. Tried until it can; should this process be ended before, start "
                          "the next one with --distrust\n",
                          now.text);
        before = now;
        (void)notify_send("WATCHDOG=1", -1); /* killed now, the next start would not know of it */
        (void)nanosleep(&a_second, NULL);
    }
    fdstore_hand_on(DAEMON_KEYS_NAME, (int)fd);
    return true;
}
