/* Addresses to listen on that no other process can take meanwhile: an IP of loopback that is this
 * process's alone, ports below those that the kernel gives out. (A port that was found free may be
 * gone when it is wanted: tests run side by side, and connecting takes ports, too.) */
#ifndef HF_TEST_REPL_LOOPBACK_H
#define HF_TEST_REPL_LOOPBACK_H

#include <stddef.h>

#include "base/addr.h"

/* n different ones, at most 100; the same ones each time in this process. */
void loopback_endpoints(struct endpoint *to, size_t n);

#endif
