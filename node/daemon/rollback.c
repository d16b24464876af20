/* A machine that goes on from an earlier state of its memory (io/generation.h, anew.h): heard, and said when it cannot be. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "daemon/anew.h"
#include "daemon/internal.h"

/* This process is a copy of one that went on: another may send with the same numbers and keys. It ends here, with all
 * its threads, and nothing is written first: not a line of log, which might wait. The other threads go on until
 * execve() has ended them, which takes it milliseconds on a busy machine: in those, too, nothing leaves. */
static void on_changed(void *self)
{
    struct daemon *d = self;

    atomic_store(&d->rollback.silenced, true);
    anew_rolled_back(atomic_load(&d->keys_fd));
}

static void on_missed(void *self)
{
    struct daemon *d = self;

    (void)atomic_fetch_add(&d->rollback.missed, 1);
    log_line(d->log, LOG_WARN, "node",
             "events of the kernel about devices were lost: should this machine have been rolled "
             "back just now, start this daemon with --distrust");
}

static void deaf(struct daemon *d, int code, const char *why)
{
    atomic_store(&d->rollback.deaf, code != 0 ? code : EIO);
    log_line(d->log, LOG_WARN, "node",
             "%s: a machine that is rolled back with its memory is not found out here", why);
}

/* Nobody starts the watch again: it listens with nothing but a socket, and one that fails is no passing thing. */
static void on_ended(void *self, int code)
{
    char why[128];

    (void)snprintf(why, sizeof why, "the kernel's events about devices are heard no more: %s",
                   strerror(code));
    deaf(self, code, why);
}

void rollback_watch(struct daemon *d)
{
    const struct generation_listener l = {
        .changed = on_changed, .missed = on_missed, .ended = on_ended, .self = d};
    struct io_error io;
    int fd = generation_open(&io);

    if (fd >= 0)
        d->rollback.watch = generation_watch_start(fd, generation_from_kernel, &l, &io);
    if (d->rollback.watch == NULL)
        deaf(d, io.code, io.text);
}

json_t *rollback_json(struct daemon *d)
{
    int code = atomic_load(&d->rollback.deaf);

    return json_pack("{s:b,s:s,s:I}", "watched", code == 0, "why", code == 0 ? "" : strerror(code),
                     "missed", (json_int_t)atomic_load(&d->rollback.missed));
}

void rollback_stop(struct daemon *d)
{
    if (d->rollback.watch != NULL)
        generation_watch_stop(d->rollback.watch);
    d->rollback.watch = NULL;
}
