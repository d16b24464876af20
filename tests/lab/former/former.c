/* holdfastd as it was one version of records ago: the program as it is, linked so that its replica is told
 * to know no newer ones (-Wl,--wrap=replica_create). No line of the product is different for it. */
#include "replication/record.h"
#include "replication/replica_core.h"

struct replica *__real_replica_create(const struct replica_options *options,
                                      const struct repl_storage *storage,
                                      const struct repl_transport *transport,
                                      const struct replica_callbacks *callbacks,
                                      struct repl_lease *leases, struct repl_health *health,
                                      struct replica_clock *clock);
struct replica *__wrap_replica_create(const struct replica_options *options,
                                      const struct repl_storage *storage,
                                      const struct repl_transport *transport,
                                      const struct replica_callbacks *callbacks,
                                      struct repl_lease *leases, struct repl_health *health,
                                      struct replica_clock *clock);

struct replica *__wrap_replica_create(const struct replica_options *options,
                                      const struct repl_storage *storage,
                                      const struct repl_transport *transport,
                                      const struct replica_callbacks *callbacks,
                                      struct repl_lease *leases, struct repl_health *health,
                                      struct replica_clock *clock)
{
    struct replica_options former = *options;

    former.speaks = RECORD_SPEAKS - 1;
    return __real_replica_create(&former, storage, transport, callbacks, leases, health, clock);
}
