#include "daemon/anew.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

static const char program[] = "/proc/self/exe";
static char rolled_back[] = "--rolled-back", distrust[] = "--distrust";

static char **words;      /* without those two */
static size_t n_words;    /* two places more are there, and the end */
static char **as_started; /* for a start after a rollback: an operator's --distrust still holds */
static size_t n_as_started;

static void add(char **to, size_t *n, char *word)
{
    to[*n] = word;
    *n += 1;
    to[*n] = NULL;
}

void anew_remember(char **argv)
{
    size_t n = 0;

    while (argv[n] != NULL)
        n++;
    words = calloc(n + 3, sizeof *words);
    as_started = calloc(n + 3, sizeof *as_started);
    HF_ASSERT(words != NULL && as_started != NULL);
    n_words = n_as_started = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(argv[i], rolled_back) == 0 && argv[i + 1] != NULL) {
            i++;
            continue;
        }
        add(as_started, &n_as_started, argv[i]);
        if (strcmp(argv[i], distrust) != 0)
            add(words, &n_words, argv[i]);
    }
}

void anew_recovered(void)
{
    (void)execv(program, words);
}

_Noreturn void anew_rolled_back(int keys_fd)
{
    static char number[16];
    size_t n = n_as_started, at = sizeof number - 1;
    unsigned left = keys_fd > 0 && fcntl(keys_fd, F_SETFD, 0) == 0 ? (unsigned)keys_fd : 0;

    do { /* no call that takes a lock */
        number[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    add(as_started, &n, rolled_back);
    add(as_started, &n, number + at);
    (void)execv(program, as_started);
    _exit(EXIT_FAILURE);
}
