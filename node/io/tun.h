/* A TUN interface of this process alone: not persistent, close-on-exec, so that it and the
 * addresses and routes on it vanish with the process. Opened last, after the sockets (facts: it
 * must vanish first). No vnet_hdr yet.
 */
#ifndef HF_IO_TUN_H
#define HF_IO_TUN_H

#include <stdint.h>

#include "io/error.h"

enum { TUN_NAME_BYTES = 16, TUN_MTU = 1400 };

struct tun {
    int fd;
    int ifindex;
    char name[TUN_NAME_BYTES];
};

/* Makes the interface `name` (must not exist) with its first queue; the text says what is missing
 * (/dev/net/tun, CAP_NET_ADMIN, the name in use by whom). Reads and writes are one IP packet each,
 * without any header; non-blocking. */
HF_MUST_USE bool tun_open(struct tun *tun, const char *name, bool multi_queue,
                          struct io_error *error);

/* One more queue of an interface opened with multi_queue: its descriptor or -1. */
HF_MUST_USE int tun_open_queue(const struct tun *tun, struct io_error *error);

void tun_close(struct tun *tun);

#endif
