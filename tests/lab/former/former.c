/* holdfastd as it was before the newest encoding of SAs: the program as it is, linked so that its replica is told
 * to know no newer ones, and its engine reads no newer states of SAs (-Wl,--wrap=replica_create,
 * ike_sa_decode). No line of the product is different for it.
 *
 * So it shows how programs of different knowledge meet in one cluster, by today's rules; not what an older release does by its
 * own code: there is none yet. Its files, snapshots, frames and mistakes are today's. Bytes of an older form that no encoder of
 * today wrote are the SAs of codec version 1 alone (tests/fuzz/corpus/ike_codec, by hand; tests/unit/ike_core). */
#include "ike/step.h"
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

    former.speaks = RECORD_SPEAKS_CODEC_2 - 1;
    return __real_replica_create(&former, storage, transport, callbacks, leases, health, clock);
}

bool __real_ike_sa_decode(struct span in, struct ike_sa *sa);
bool __wrap_ike_sa_decode(struct span in, struct ike_sa *sa);

bool __wrap_ike_sa_decode(struct span in, struct ike_sa *sa)
{
    if (in.len > 0 && in.data[0] < IKE_CODEC_NEWEST)
        return __real_ike_sa_decode(in, sa);
    secret_wipe_bytes(sa, sizeof *sa);
    return false;
}
