/* Whether this machine goes on from a copy of an earlier state of it, memory and all: the hypervisor gives such a
 * machine another generation id, and Linux says so to whoever listens to its devices' events.
 *
 *   vmgenid driver ── uevent "change", NEW_VMGENID=1 ──> netlink, group 1 ──> a thread of its own ──> changed()
 *
 * Its own thread, because what is to end at once must not wait for a turn of a loop. Only the kernel's own datagrams
 * count; any other, too long or malformed, is dropped. Linux hands the id itself to no program, so a datagram is all
 * there is: kernels before 6.8 send none, and some after it had the event taken out again; where the hypervisor has
 * no such device nothing is ever said. Those machines this module cannot see, and it does not say it could.
 */
#ifndef HF_IO_GENERATION_H
#define HF_IO_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "io/error.h"

enum {
    GENERATION_GROUP = 1,             /* of NETLINK_KOBJECT_UEVENT: the kernel's; 2 is udev's */
    GENERATION_DATAGRAM_BYTES = 8192, /* the kernel's are at most 2 KiB of variables and a path */
    GENERATION_BUFFER_BYTES = 4 << 20 /* of the socket: events of a storm of devices wait there */
};

struct generation_watch;

/* What was told. Runs on the watch's thread; may end the process. */
struct generation_listener {
    void (*changed)(void *self);
    void (*missed)(void *self); /* the kernel dropped events: one of them may have been that */
    void (*ended)(void *self,
                  int code); /* an errno: nothing is heard from now on; called once, and last */
    void *self;
};

/* A socket for the kernel's events about devices; it is the caller's. -1: *error says why. */
int generation_open(struct io_error *error) HF_MUST_USE;

/* Listens on `fd` (its own from now on, also on failure) until it is closed. `from_kernel` judges who sent a datagram:
 * generation_from_kernel, and in a test what fits a socket pair. NULL: *error says why. */
struct generation_watch *generation_watch_start(int fd, bool (*from_kernel)(const struct msghdr *),
                                                const struct generation_listener *listener,
                                                struct io_error *error) HF_MUST_USE;
/* Waits for the thread; so not from it. */
void generation_watch_stop(struct generation_watch *w);

/* The kernel's own multicast: port 0, group 1, credentials of process 0 and user 0. */
bool generation_from_kernel(const struct msghdr *message);
/* "change@PATH", then variables, each with a zero at its end; one of them NEW_VMGENID=1. */
bool generation_is_new(const uint8_t *datagram, size_t len);

#endif
