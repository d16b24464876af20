/* replication/lease.h is tried in variants: as it is (`product`), and with one store, look or order taken away or
 * exchanged (CMakeLists.txt). order.c is compiled once for each, beside that variant's header. */
#ifndef HF_TESTS_LEASE_VARIANT_H
#define HF_TESTS_LEASE_VARIANT_H

#include <stddef.h>

struct lease_trial {
    size_t looks; /* how often lease_epoch() was asked */
    size_t acts;  /* ... and let act */
    size_t
        breaches; /* ... under an epoch whose lease was over, or before what its publisher wrote */
};

#define LEASE_PASTE_(what, name) what##name
#define LEASE_PASTE(what, name) LEASE_PASTE_(what, name)

/* VARIANTS: X(name) for each. */
#define X(name) struct lease_trial lease_order_##name(void);
VARIANTS
#undef X

/* The product's alone, by threads.c. */
struct lease_trial lease_threads(void);

#endif
