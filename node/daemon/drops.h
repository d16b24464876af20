/* Packets passed, and dropped by reason, over all CHILD SAs that there are and were: each SA counts its own, and so
 * many of them are summed up a turn of the loop, so that 100,000 SAs hold nothing up.
 */
#ifndef HF_DAEMON_DROPS_H
#define HF_DAEMON_DROPS_H

#include "esp/sa.h"

enum { DROPS_AT_ONCE = 512 /* SAs summed up in one call */ };

struct datapath_drops {
    uint64_t in[ESP_DROP_COUNT], out[ESP_DROP_COUNT];
    uint64_t packets_in, packets_out; /* that were not dropped */
    uint64_t bytes_in, bytes_out;     /* ... of inner packets */
};

/* One SA's place in the account. */
struct drops_node {
    struct drops_node *prev, *next;
    struct esp_sa *sa;
    uint64_t walk; /* in which it was summed up last */
};

struct drops_account {
    struct drops_node *all, *next; /* next: where the walk goes on; NULL: at the first */
    size_t n;
    uint64_t walk;
    struct datapath_drops gone;  /* of SAs that were removed */
    struct datapath_drops later; /* likewise, but this walk has their sums already */
    struct datapath_drops sum;   /* of this walk so far */
    struct datapath_drops told;  /* of the last whole walk: never goes back */
};

void drops_add(struct drops_account *a, struct drops_node *node, struct esp_sa *sa);
/* Before the SA goes. */
void drops_remove(struct drops_account *a, struct drops_node *node);
/* Goes on by at most DROPS_AT_ONCE SAs. */
void drops_walk(struct drops_account *a);
/* As of the last whole walk; of now where one call is a whole walk. */
void drops_read(struct drops_account *a, struct datapath_drops *out);

#endif
