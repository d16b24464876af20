/* raft_chaos [--lies] [--seeds N] [--start S] [--seed S] [--unwrap MASK]: the seeded chaos of chaos.c from
 * the command line. --seed runs one seed twice and compares the traces. --unwrap (only in
 * raft_chaos_unwrapped) leaves the defects of the mask unwrapped: it must go red. */
#include "unit/raft/cluster.h"

#include <stdio.h>
#include <stdlib.h>

static int one(uint64_t seed, uint32_t unwrapped, bool lies)
{
    uint64_t (*run)(uint64_t, uint32_t, struct cluster_counters *) =
        lies ? chaos_lies_run : chaos_run;
    struct cluster_counters k = {0};
    uint64_t a = run(seed, unwrapped, &k), b = run(seed, unwrapped, &k);
    (void)printf("seed %llu trace %016llx %016llx\n", (unsigned long long)seed,
                 (unsigned long long)a, (unsigned long long)b);
    return a == b ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t n = 400, first = 1, seed = 0;
    uint32_t unwrapped = 0;
    bool lies = argc > 1 && strcmp(argv[1], "--lies") == 0;
    argc -= lies;
    argv += lies;
    for (int i = 1; i < argc; i += 2) {
        char *end = NULL;
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], &end, 0) : 0;
        bool ok = end != NULL && *end == '\0' && end != argv[i + 1];
        if (ok && strcmp(argv[i], "--seeds") == 0)
            n = value;
        else if (ok && strcmp(argv[i], "--start") == 0)
            first = value;
        else if (ok && strcmp(argv[i], "--seed") == 0)
            seed = value;
        else if (ok && strcmp(argv[i], "--unwrap") == 0)
            unwrapped = (uint32_t)value;
        else {
            (void)fprintf(stderr,
                          "usage: %s [--lies] [--seeds N] [--start S] [--seed S] [--unwrap MASK]\n",
                          argv[0]);
            return 2;
        }
    }
    if (seed != 0)
        return one(seed, unwrapped, lies);
    return (lies ? chaos_lies : chaos_seeds)(first, n, unwrapped) ? 0 : 1;
}
