/* Keys of sessions change while the cluster runs, and those before them end: nothing that they
 * sealed can be opened by anybody, whoever was away meanwhile; and nobody is the worse for it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "replication/raft_frame.h"
#include "unit/repl/cluster.h"

static const char deleted[] = "keys of an SA that is deleted before the key changes";
static const char lives[] = "keys of an SA that lives on";

/* --- a sealed cluster --- */

static struct rig *sealed(size_t n, uint64_t seed)
{
    struct rig *rig = rig_create(n, 1, seed);

    rig_seal(rig);
    rig->snapshot_entries = 1000000; /* none but those that rotation asks for */
    rig->trailing = 8;
    for (uint32_t i = 1; i <= n; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 8000, rig_has_owner, 1));
    return rig;
}

static const struct fsm *fsm_of(const struct rig *rig, uint32_t node)
{
    return replica_fsm(rig->nodes[node - 1].replica);
}

static bool spoken(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && fsm_spoken(fsm_of(rig, i)) < RECORD_SPEAKS_ROTATION)
            return false;
    return true;
}

static uint32_t owner(struct rig *rig)
{
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1), "nobody owns");
    return rig_owner(rig, 1);
}

/* On the owner, whoever that is; it is settled when this returns. */
static void submit(struct rig *rig, Holdfast__Record *(*make)(struct maker *m, uint64_t id),
                   uint64_t id)
{
    uint32_t on = owner(rig);
    struct maker m = rig_maker(rig, on, 1);

    cr_assert_neq(rig_submit(rig, on, make(&m, id)), 0);
    cr_assert(rig_run(rig, 10000, rig_settled, on));
}

static Holdfast__Record *create(struct maker *m, uint64_t id)
{
    return make_create(m, id, id % 2 == 0 ? deleted : lives, (uint32_t)(4096 + id),
                       (uint32_t)(0x0a630000 + id), "client");
}

static Holdfast__Record *wish(struct maker *m, uint64_t id)
{
    (void)id;
    return make_rotate(m);
}

static uint64_t version_for_delete;

static Holdfast__Record *delete (struct maker *m, uint64_t id)
{
    return make_delete(m, id, version_for_delete);
}

static void end_sa(struct rig *rig, uint64_t id)
{
    const struct fsm *f = fsm_of(rig, owner(rig));

    cr_assert_not_null(fsm_sa(f, id));
    version_for_delete = fsm_sa_version(f, fsm_sa(f, id));
    submit(rig, delete, id);
    cr_assert_null(fsm_sa(fsm_of(rig, owner(rig)), id));
}

/* Another key is in use than `former`, and the one before is erased, on all that are up. */
static bool rotated(const struct rig *rig, uint64_t former)
{
    for (uint32_t i = 1; i <= rig->n; i++) {
        const struct fsm *f;

        if (!rig->nodes[i - 1].up)
            continue;
        f = fsm_of(rig, i);
        if (f->session_key == 0 || f->session_key == former || f->former_key != 0 ||
            f->rotate_wish != 0 ||
            seal_ring_has((struct seal_ring *)(uintptr_t)&rig->nodes[i - 1].ring, former))
            return false;
    }
    return true;
}

static uint64_t key_of(const struct rig *rig)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && fsm_of(rig, i)->session_key != 0)
            return fsm_of(rig, i)->session_key;
    return 0;
}

static uint64_t rotate(struct rig *rig)
{
    uint64_t former;

    cr_assert(rig_run(rig, 10000, spoken, 0));
    former = key_of(rig);
    submit(rig, wish, 0);
    cr_assert(rig_run(rig, 20000, rotated, former), "not rotated, or not erased");
    return former;
}

/* Nobody up has any key of sessions but the one in use, in the ring or kept for the next start. */
static bool one_key(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++) {
        const struct rig_node *n = &rig->nodes[i - 1];
        uint64_t ids[SEAL_RING_KEYS];

        if (!n->up)
            continue;
        if (seal_ring_list((struct seal_ring *)(uintptr_t)&n->ring, SEAL_SESSION, ids,
                           SEAL_RING_KEYS) != 1 ||
            ids[0] != fsm_of(rig, i)->session_key || n->memory[0].id != ids[0] ||
            n->memory[1].id != 0)
            return false;
    }
    return true;
}

/* --- who has all disks, and all keys that are in memory now --- */

static void all_keys(const struct rig *rig, struct seal_ring *out)
{
    struct seal_means means;

    cr_assert(seal_means_of(&suite_default, &means));
    seal_ring_init(out, &means, 99, 99);
    for (uint32_t i = 1; i <= rig->n; i++) {
        const struct rig_node *n = &rig->nodes[i - 1];

        for (size_t k = 0; k < SEAL_RING_KEYS; k++) {
            if (n->up && n->ring.keys[k].id != 0)
                (void)seal_ring_add(out, n->ring.keys[k].kind, n->ring.keys[k].bytes);
            if (n->memory[k].id != 0)
                (void)seal_ring_add(out, SEAL_SESSION, n->memory[k].bytes);
        }
        if (n->kept.id != 0)
            (void)seal_ring_add(out, SEAL_CONFIGURATION, n->kept.bytes);
    }
}

/* Nothing is on its way to a disk. */
static bool quiet(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && sim_storage_next(rig->nodes[i - 1].storage) != UINT64_MAX)
            return false;
    return true;
}

struct seen {
    size_t opened, closed, found[2]; /* of `deleted`, of `lives` */
};

static void try_one(struct seal_ring *ring, enum seal_purpose purpose, struct span sealed,
                    struct seen *seen)
{
    uint8_t *plain = repl_alloc_zero(1, sealed.len + 1);
    size_t n = 0;

    if (ring->seal.open(ring, purpose, sealed, plain, &n)) {
        seen->opened++;
        seen->found[0] += memmem(plain, n, deleted, sizeof deleted - 1) != NULL;
        seen->found[1] += memmem(plain, n, lives, sizeof lives - 1) != NULL;
    } else {
        seen->closed++;
    }
    free(plain);
}

static struct seen try_all(struct rig *rig)
{
    struct seal_ring ring;
    struct seen seen = {0};

    cr_assert(rig_run(rig, 5000, quiet, 0));
    all_keys(rig, &ring);
    for (uint32_t i = 1; i <= rig->n; i++) {
        struct repl_loaded loaded;
        Holdfast__Entry *e;
        struct span s;

        sim_storage_load(rig_node(rig, i)->storage, &loaded);
        for (size_t k = 0; k < loaded.n_entries; k++) {
            if (loaded.entries[k].kind != REPL_ENTRY_COMMAND ||
                (e = entry_unpack(raft_command_get(loaded.entries[k].data))) == NULL)
                continue;
            for (size_t j = 0; j < e->n_records; j++)
                try_one(&ring, SEAL_RECORD, record_span(e->records[j]), &seen);
            entry_free(e);
        }
        s = loaded.snapshot_data;
        while (s.len > 4) {
            size_t n = get_be32(s.data);

            cr_assert_leq(n, s.len - 4);
            try_one(&ring, SEAL_SNAPSHOT, span_of(s.data + 4, n), &seen);
            s = span_of(s.data + 4 + n, s.len - 4 - n);
        }
    }
    seal_ring_deinit(&ring);
    return seen;
}

/* --- tests --- */

Test(repl_rotate, a_wish_brings_another_key_and_ends_the_former)
{
    size_t compared = 0;

    for (size_t n = 1; n <= 5; n += 2) {
        struct rig *rig = sealed(n, 100 + n);

        for (uint64_t id = 1; id <= 10; id++)
            submit(rig, create, id);
        for (int round = 0; round < 4; round++, compared++) {
            (void)rotate(rig);
            submit(rig, create, 100 + (uint64_t)round);
        }
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        cr_assert(one_key(rig, 0));
        for (uint64_t id = 1; id <= 10; id++)
            cr_assert_not_null(fsm_sa(fsm_of(rig, 1), id), "SA %d", (int)id);
        for (uint32_t i = 1; i <= n; i++)
            cr_assert_geq(rig_node(rig, i)->resets, 0);
        cluster_finish(rig);
    }
    (void)printf("compared %zu rotations\n", compared);
}

/* Once per age, no sooner; and never a third key before the first is erased. */
static size_t most_keys;

static bool counts_keys(const struct rig *rig, uint64_t until)
{
    uint64_t ids[SEAL_RING_KEYS];

    for (uint32_t i = 1; i <= rig->n; i++) {
        size_t n = rig->nodes[i - 1].up
                       ? seal_ring_list((struct seal_ring *)(uintptr_t)&rig->nodes[i - 1].ring,
                                        SEAL_SESSION, ids, SEAL_RING_KEYS)
                       : 0;

        most_keys = n > most_keys ? n : most_keys;
    }
    return rig->now_ms >= until;
}

Test(repl_rotate, a_key_has_its_age)
{
    struct rig *rig = rig_create(3, 1, 120);
    uint64_t keys[16] = {0};
    size_t n = 0;
    uint64_t begun;

    rig_seal(rig);
    rig->key_age_ms = 5000;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 8000, rig_has_owner, 1));
    begun = rig->now_ms;
    while (rig->now_ms < begun + 30000 && n < 15) {
        (void)rig_run(rig, 200, counts_keys, rig->now_ms + 100);
        if (n == 0 || keys[n - 1] != key_of(rig))
            keys[n++] = key_of(rig);
    }
    cr_assert(n >= 5 && n <= 8, "%zu keys in 30 s of an age of 5", n);
    cr_assert_eq(most_keys, 2);
    for (size_t i = 0; i + 1 < n; i++)
        cr_assert_not(seal_ring_has(&rig_node(rig, 1)->ring, keys[i]) &&
                      keys[i] != fsm_of(rig, 1)->former_key);
    cluster_finish(rig);
    (void)printf("compared %zu keys\n", n);
}

/* Must show 5: three disks, all keys in memory, one node down all the while. The same search before the
 * erasure finds what it looks for, or it would prove nothing. */
Test(repl_rotate, a_deleted_sas_keys_are_gone_while_a_node_is_down)
{
    size_t compared = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = sealed(3, 200 + seed);
        uint32_t away;
        struct seen before, after;

        for (uint64_t id = 1; id <= 20; id++)
            submit(rig, create, id);
        away = owner(rig) % 3 + 1;
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        rig_kill(rig, away); /* its machine is off: its memory is gone, its disk is not */
        for (uint64_t id = 2; id <= 20; id += 2)
            end_sa(rig, id);
        before = try_all(rig);
        (void)rotate(rig);
        after = try_all(rig);
        cr_assert(before.found[0] >= 30 && before.found[1] >= 30, "the search finds what is there");
        cr_assert_eq(after.found[0], 0, "seed %d: of deleted SAs", (int)seed);
        cr_assert_geq(after.found[1], 20, "those that live are in two snapshots");
        cr_assert(after.closed > 0 && after.opened > 0);
        compared += after.opened + after.closed;
        rig_start(rig, away);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0), "seed %d: it came back", (int)seed);
        submit(rig, create, 1001);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        for (uint64_t id = 1; id <= 20; id++)
            cr_assert_eq(fsm_sa(fsm_of(rig, away), id) != NULL, id % 2 == 1);
        cluster_finish(rig);
    }
    (void)printf("compared %zu records and items\n", compared);
}

static bool reinstalled(const struct rig *rig, uint64_t node)
{
    struct repl_status status;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &status);
    return status.counters[REPL_COUNT_REINSTALLS] > 0;
}

static bool has_what_was_sealed(const struct rig *rig, uint64_t node)
{
    return fsm_sa(fsm_of(rig, (uint32_t)node), 51) != NULL;
}

/* One comes back that is needed for a majority: nobody has a state to compare with. Where the leader's log
 * begins behind what it lacks it gets an ordinary snapshot; else it must ask for one. */
Test(repl_rotate, one_without_the_erased_key_is_given_a_snapshot_even_when_it_is_the_majority)
{
    size_t installed = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = sealed(3, 300 + seed);
        uint32_t away, other, stays;

        for (uint64_t id = 1; id <= 5; id++)
            submit(rig, create, id);
        stays = owner(rig);
        away = stays % 3 + 1;
        other = away % 3 + 1;
        cr_assert(rig_run(rig, 10000, spoken, 0)); /* all have booted: before, nothing rotates */
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        rig_kill(rig, away);
        submit(rig, create, 51); /* something in the log that it cannot open */
        (void)rotate(rig);
        rig_kill(rig, other);
        rig_start(rig, away);
        /* Sooner than it would be taken for lost. */
        cr_assert(rig_run(rig, 2500, has_what_was_sealed, away), "seed %d", (int)seed);
        installed += reinstalled(rig, away);
        submit(rig, create, 61);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        cr_assert_not_null(fsm_sa(fsm_of(rig, away), 51));
        rig_start(rig, other);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        for (uint64_t id = 1; id <= 5; id++)
            cr_assert_not_null(fsm_sa(fsm_of(rig, stays), id), "no session ended");
        cluster_finish(rig);
    }
    cr_assert_geq(installed, 2);
    (void)printf("compared 6 clusters, %zu snapshots in place of what cannot be opened\n",
                 installed);
}

/* A key is needed for as long as no majority has a snapshot behind the change. */
Test(repl_rotate, nothing_is_erased_before_a_majority_has_a_snapshot)
{
    struct rig *rig = sealed(3, 350);
    uint64_t former;

    for (uint64_t id = 1; id <= 5; id++)
        submit(rig, create, id);
    cr_assert(rig_run(rig, 10000, spoken, 0));
    former = key_of(rig);
    for (uint32_t i = 1; i <= 3; i++)
        sim_storage_full(rig_node(rig, i)->storage, true);
    submit(rig, wish, 0);
    cr_assert_not(rig_run(rig, 5000, rotated, former));
    sim_storage_full(rig_node(rig, 2)->storage, false);
    cr_assert_not(rig_run(rig, 40000, rotated, former), "one of three");
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(fsm_of(rig, i)->former_key, former);
        cr_assert(seal_ring_has(&rig_node(rig, i)->ring, former));
    }
    sim_storage_full(rig_node(rig, 1)->storage, false);
    cr_assert(rig_run(rig, 40000, rotated, former), "two of three: the third is not waited for");
    sim_storage_full(rig_node(rig, 3)->storage, false);
    rig->stays_on = true; /* what is on the third disk can be opened by nobody */
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    submit(rig, create, 6);
    for (uint64_t id = 1; id <= 6; id++)
        cr_assert_not_null(fsm_sa(fsm_of(rig, owner(rig)), id));
    cluster_finish(rig);
}

static void cut_off(struct rig *rig, uint32_t node)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (i != node) {
            sim_network_partition(rig->network, i, node);
            sim_network_partition(rig->network, node, i);
        }
}

static bool owned_elsewhere(const struct rig *rig, uint64_t node)
{
    uint32_t now = rig_owner(rig, 1);

    return now != 0 && now != node;
}

static bool others_rotated(const struct rig *rig, uint64_t node)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (i != node && (fsm_of(rig, i)->former_key != 0 || fsm_of(rig, i)->rotate_wish != 0))
            return false;
    return true;
}

/* What waits there was sealed with a key that is erased before it can be sent: it is judged all the
 * same, by the log or behind a snapshot. */
Test(repl_rotate, what_waits_is_sealed_anew)
{
    size_t compared = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig *rig = sealed(3, 400 + seed);
        uint32_t away;
        struct maker m;

        rig->trailing = 8;
        for (uint64_t id = 1; id <= 3; id++)
            submit(rig, create, id);
        cr_assert(rig_run(rig, 10000, spoken, 0));
        away = owner(rig);
        cut_off(rig, away);
        for (uint64_t id = 11; id <= 14; id++, compared++) {
            m = rig_maker(rig, away, 1);
            cr_assert_neq(rig_submit(rig, away, create(&m, id)), 0);
        }
        cr_assert(rig_run(rig, 10000, owned_elsewhere, away));
        submit(rig, wish, 0);
        cr_assert(rig_run(rig, 20000, others_rotated, away));
        if (seed % 2 == 0) /* so much that its log is behind what the others keep of theirs */
            for (uint64_t id = 100; id <= 140; id++)
                submit(rig, create, id);
        if (seed % 2 == 0)
            (void)rig_run(rig, 2000, NULL, 0);
        sim_network_heal(rig->network);
        cr_assert(rig_run(rig, 20000, rig_settled, away), "seed %d: never judged", (int)seed);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        cr_assert(rig_run(rig, 20000, one_key, 0));
        submit(rig, create, 21);
        cluster_finish(rig);
    }
    (void)printf("compared %zu requests\n", compared);
}

/* A removal is a wish, and the one who left is not given what comes of it. */
Test(repl_rotate, a_removal_rotates_and_the_removed_has_only_what_it_had)
{
    struct rig *rig = sealed(5, 500);
    uint64_t former;
    uint32_t gone, via;
    struct maker m;

    for (uint64_t id = 1; id <= 5; id++)
        submit(rig, create, id);
    cr_assert(rig_run(rig, 10000, spoken, 0));
    former = key_of(rig);
    via = owner(rig);
    gone = via % 5 + 1;
    m = rig_maker(rig, via, 1);
    cr_assert_neq(rig_submit(rig, via, make_leave(&m, gone)), 0);
    cr_assert(rig_run(rig, 10000, rig_settled, via));
    for (uint64_t until = rig->now_ms + 20000; rig->now_ms < until;) {
        (void)rig_run(rig, 100, NULL, 0);
        if (fsm_of(rig, via)->session_key != former && fsm_of(rig, via)->former_key == 0)
            break;
    }
    cr_assert_neq(fsm_of(rig, via)->session_key, former, "a removal rotates");
    cr_assert_eq(fsm_of(rig, via)->former_key, 0);
    cr_assert_not(seal_ring_has(&rig_node(rig, gone)->ring, fsm_of(rig, via)->session_key));
    submit(rig, create, 7);
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert_not(seal_ring_has(&rig_node(rig, gone)->ring, fsm_of(rig, via)->session_key),
                  "it may ask, and is given nothing");
    rig_kill(rig, gone);
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
    rig_destroy(rig);
}

/* Keys change by age and by wish while nodes lose power or only their daemons, a few at a time or all. */
Test(repl_rotate, random_power_losses)
{
    enum { SEEDS = 24, ROUNDS = 10 };
    size_t kills = 0, dark = 0, erased = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig *rig = sealed(3, 1000 + seed);
        struct sim_random random = {.state = seed};
        uint64_t next = 1;

        rig->snapshot_entries = 30;
        for (size_t round = 0; round < ROUNDS; round++) {
            uint64_t which = sim_next(&random) % 8;
            uint64_t before = next;
            bool stays_on;

            for (uint64_t k = 0; k < 4; k++)
                submit(rig, create, next++);
            cr_assert(rig_run(rig, 10000, spoken, 0));
            submit(rig, wish, 0);
            (void)rig_run(rig, sim_next(&random) % 400, NULL, 0);
            stays_on = rig->stays_on = sim_next(&random) % 2 == 0;
            for (uint32_t i = 1; i <= 3; i++)
                if ((which >> (i - 1) & 1) != 0) {
                    rig_kill(rig, i);
                    kills++;
                }
            (void)rig_run(rig, sim_next(&random) % 3000, NULL, 0);
            for (uint32_t i = 1; i <= 3; i++)
                if ((which >> (i - 1) & 1) != 0)
                    rig_start(rig, i);
            submit(rig, create, next++);
            for (uint32_t i = 1; i <= 3; i++)
                if (rig_has_failed(rig, i)) { /* as its service manager has it do */
                    rig->stays_on = true;
                    rig_kill(rig, i);
                    rig_start(rig, i);
                }
            cr_assert(rig_run(rig, 40000, rig_agrees, 0), "seed %d round %zu", (int)seed, round);
            cr_assert(rig_run(rig, 40000, one_key, 0), "seed %d round %zu: keys stay", (int)seed,
                      round);
            if (which != 7 || stays_on)
                cr_assert_not_null(fsm_sa(fsm_of(rig, 1), before), "seed %d: a session ended",
                                   (int)seed);
            dark += which == 7 && !stays_on;
            erased += fsm_of(rig, 1)->former_key == 0;
            cr_assert_eq(rig->two_owners, 0);
            cr_assert(rig_mirrors(rig));
        }
        rig_destroy(rig);
    }
    cr_assert_gt(dark, 0);
    (void)printf("compared %zu kills, all dark %zu times, %zu keys erased\n", kills, dark, erased);
}
