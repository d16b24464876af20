/* What strongSwan says it holds: `swanctl --list-sas --raw`. Pure. */
#ifndef HF_CHAOS_SWAN_SAS_H
#define HF_CHAOS_SWAN_SAS_H

#include <stdbool.h>
#include <stdint.h>

#include "lab.h"

enum { SWAN_MAX_SAS = 2 * LAB_MAX_CLIENTS + 8, SWAN_MAX_CHILDREN = 8, SWAN_STATE = 24 };

struct swan_sa {
    char state[SWAN_STATE];
    uint64_t spi_initiator, spi_responder;
    bool busy; /* an exchange of its own is under way, or waits to be */
    struct {
        char state[SWAN_STATE];
        uint32_t spi_in, spi_out; /* as this end sees them */
    } children[SWAN_MAX_CHILDREN];
    unsigned n_children;
};

/* Large: a static one, not on the stack. */
struct swan_sas {
    struct swan_sa sas[SWAN_MAX_SAS];
    unsigned n_sas;
};

/* False: it is not what swanctl writes, or holds more than fits. An empty list is fine. */
bool swan_sas_parse(const char *text, struct swan_sas *sas);

#endif
