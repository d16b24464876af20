/* The doctor's rules: each finding has facts that bring it about, alone but for what it entails; facts of a sound cluster bring none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon/doctor.h"
#include "replication/record.h"

static struct repl_status status;
static struct doctor_facts facts;

/* Three nodes that are well, seen by node 1; it owns shard 1, node 2 shard 2. */
static void sound(void)
{
    memset(&status, 0, sizeof status);
    memset(&facts, 0, sizeof facts);
    status.node = 1;
    status.leader = 2;
    status.quorum = true;
    status.speaks = RECORD_SPEAKS;
    status.commit_index = status.applied_index = 100000;
    status.n_nodes = 3;
    for (uint32_t i = 0; i < 3; i++)
        status.nodes[i] = (struct repl_node_status){.node = i + 1,
                                                    .connected = true,
                                                    .heard = true,
                                                    .healthy = true,
                                                    .role = REPL_VOTER,
                                                    .votes = true,
                                                    .applied_index = 100000,
                                                    .agreement = REPL_AGREES};
    status.n_shards = 2;
    status.shards[0] =
        (struct repl_shard_status){.shard = 1, .prefer = 1, .owner_node = 1, .mine = true};
    status.shards[1] = (struct repl_shard_status){.shard = 2, .prefer = 2, .owner_node = 2};
    facts.status = &status;
    facts.acting[0] = true;
    facts.outside_up = facts.inside_up = true;
    facts.outside = "out0";
    facts.inside = "in0";
    facts.outside_mtu = 1500;
    facts.mtu_needed = 1464;
    facts.data_dir = "/var/lib/holdfast";
    facts.disk_percent = 90;
    facts.window_ms = 300000;
    facts.since[DOCTOR_IKE_IN] = 1000;
    facts.since[DOCTOR_IKE_IN_NATT] = 800;
    facts.since[DOCTOR_REQUESTED] = 1000;
    facts.since[DOCTOR_ESP_IN] = 1000000;
}

static struct doctor_finding found[DOCTOR_MOST];
static size_t n_found;

static bool has(enum doctor_id id)
{
    for (size_t i = 0; i < n_found; i++)
        if (found[i].id == id)
            return true;
    return false;
}

static void look(void)
{
    n_found = doctor_find(&facts, found);
}

Test(doctor, finds_nothing_where_all_is_well)
{
    sound();
    look();
    cr_assert_eq(n_found, 0, "%s: %s", n_found ? doctor_name(found[0].id) : "",
                 n_found ? found[0].evidence : "");
}

Test(doctor, finds_nothing_in_what_happens_every_day)
{
    sound();
    facts.since[DOCTOR_RETRANSMITTED] = 19; /* few */
    facts.since[DOCTOR_PEER_DEAD] = 2;
    facts.since[DOCTOR_LOGINS_REFUSED] = 9;
    facts.since[DOCTOR_ESP_REPLAYED] = 900;      /* of a million */
    facts.since[DOCTOR_HALF_OPEN_EXPIRED] = 900; /* somebody knocks; others go on to 4500 */
    status.nodes[2].applied_index -= 4096;
    status.nodes[1].agreement = REPL_AGREEMENT_UNKNOWN;
    facts.outside_mtu = 0; /* not known */
    look();
    cr_assert_eq(n_found, 0, "%s", n_found ? doctor_name(found[0].id) : "");
    facts.since[DOCTOR_IKE_IN] = facts.since[DOCTOR_IKE_IN_NATT] =
        0; /* they knock at another node */
    look();
    cr_assert_eq(n_found, 0, "%s", n_found ? doctor_name(found[0].id) : "");
    sound(); /* a node alone is what was ordered */
    status.n_nodes = status.n_shards = 1;
    look();
    cr_assert_eq(n_found, 0);
}

/* ---- each finding ---- */

static void no_quorum(void)
{
    status.quorum = false;
}
static void state_differs(void)
{
    status.nodes[1].agreement = REPL_DIFFERS;
}
static void node_distrusted(void)
{
    status.nodes[2].distrust = REPL_DISTRUST_SUFFIX;
}
static void node_unreachable(void)
{
    status.nodes[2].connected = status.nodes[2].heard = false;
}
static void node_unhealthy(void)
{
    status.nodes[1].healthy = false;
}
static void link_down(void)
{
    facts.inside_up = false;
}
static void disk_full(void)
{
    facts.disk_full = true;
}
static void shard_unowned(void)
{
    status.shards[1].owner_node = 0;
}
static void shard_silent(void)
{
    facts.acting[0] = false;
}
static void certificate(void)
{
    facts.certificate = "ends in 6 days";
}
static void keys_overdue(void)
{
    facts.keys_overdue = true;
}
static void pool_exhausted(void)
{
    facts.since[DOCTOR_POOL_EXHAUSTED] = 1;
}
static void sends_refused(void)
{
    facts.since[DOCTOR_UDP_ERRORS] = 1;
}
static void inside_refused(void)
{
    facts.since[DOCTOR_TUN_ERRORS] = 1;
}
static void mtu(void)
{
    facts.outside_mtu = 1463;
}
static void no_spare(void)
{
    status.n_nodes = 2;
}
static void node_behind(void)
{
    status.nodes[2].applied_index -= 4097;
}
static void node_reluctant(void)
{
    facts.leaving = true;
}
static void rollback_unheard(void)
{
    facts.rollback_deaf = true;
}
static void port_4500_silent(void)
{
    facts.since[DOCTOR_HALF_OPEN_EXPIRED] = 5;
    facts.since[DOCTOR_IKE_IN_NATT] = 0;
}
static void retransmissions(void)
{
    facts.since[DOCTOR_RETRANSMITTED] = 201;
}
static void clients_lost(void)
{
    facts.since[DOCTOR_PEER_DEAD] = 3;
}
static void numbers_late(void)
{
    facts.since[DOCTOR_NUMBERS_LATE] = 1;
}
static void leases_lost(void)
{
    facts.since[DOCTOR_LEASES_LOST] = 1;
}
static void replays(void)
{
    facts.since[DOCTOR_ESP_REPLAYED] = 1001;
}
static void hard_expired(void)
{
    facts.since[DOCTOR_HARD_EXPIRED] = 1;
}
static void logins_fail(void)
{
    facts.since[DOCTOR_LOGINS_REFUSED] = 10;
}
static void old_program(void)
{
    status.speaks = RECORD_SPEAKS - 1;
}
static void node_drained(void)
{
    status.nodes[1].drained = true;
}

static const struct {
    void (*make)(void);
    const char *subject, *seen; /* parts of both */
    unsigned entails;           /* findings more */
} cases[] = {
    [DOCTOR_no_quorum] = {no_quorum, "the cluster", "node 1 hears 3 of 3 voters", 0},
    [DOCTOR_state_differs] = {state_differs, "node 2", "digest", 0},
    [DOCTOR_node_distrusted] = {node_distrusted, "node 3", "counts for nothing: ", 1},
    [DOCTOR_node_unreachable] = {node_unreachable, "node 3", "node 1 has no connection", 1},
    [DOCTOR_node_unhealthy] = {node_unhealthy, "node 2", "not well", 0},
    [DOCTOR_link_down] = {link_down, "node 1, interface in0", "the inside interface", 0},
    [DOCTOR_disk_full] = {disk_full, "node 1", "/var/lib/holdfast: more than 90%", 0},
    [DOCTOR_shard_unowned] = {shard_unowned, "shard 2", "no node owns it", 0},
    [DOCTOR_shard_silent] = {shard_silent, "shard 1", "node 1 owns it", 0},
    [DOCTOR_certificate] = {certificate, "node 1", "ends in 6 days", 0},
    [DOCTOR_keys_overdue] = {keys_overdue, "the cluster", "is not erased", 0},
    [DOCTOR_pool_exhausted] = {pool_exhausted, "node 1",
                               "1 clients got no address in the last 300 s", 0},
    [DOCTOR_sends_refused] = {sends_refused, "node 1", "refused by the kernel", 0},
    [DOCTOR_inside_refused] = {inside_refused, "node 1", "refused by the TUN", 0},
    [DOCTOR_mtu] = {mtu, "node 1, interface out0",
                    "1463 bytes; a full packet of a client takes 1464", 0},
    [DOCTOR_no_spare] = {no_spare, "the cluster", "2 of 2 voters are well, 2 are a majority", 0},
    [DOCTOR_node_behind] = {node_behind, "node 3", "95903 of 100000", 0},
    [DOCTOR_node_reluctant] = {node_reluctant, "node 1", "told to stop", 0},
    [DOCTOR_rollback_unheard] = {rollback_unheard, "node 1", "not heard", 0},
    [DOCTOR_port_4500_silent] = {port_4500_silent, "node 1", "5 clients began on UDP 500", 0},
    [DOCTOR_retransmissions] = {retransmissions, "node 1", "201 requests", 0},
    [DOCTOR_clients_lost] = {clients_lost, "node 1", "3 clients", 0},
    [DOCTOR_numbers_late] = {numbers_late, "node 1", "1 packets waited", 0},
    [DOCTOR_leases_lost] = {leases_lost, "node 1", "1 leases", 0},
    [DOCTOR_replays] = {replays, "node 1", "1001 packets", 0},
    [DOCTOR_hard_expired] = {hard_expired, "node 1", "1 SAs", 0},
    [DOCTOR_logins_fail] = {logins_fail, "node 1", "10 authentications", 0},
    [DOCTOR_old_program] = {old_program, "the cluster", "are spoken", 0},
    [DOCTOR_node_drained] = {node_drained, "node 2", "an operator drained it", 0},
};

Test(doctor, finds_each_thing_and_says_what_was_seen)
{
    cr_assert_eq(sizeof cases / sizeof cases[0], DOCTOR_COUNT);
    for (unsigned id = 0; id < DOCTOR_COUNT; id++) {
        size_t i = 0;

        cr_assert_not_null(cases[id].make, "%s has no case", doctor_name(id));
        sound();
        cases[id].make();
        look();
        cr_assert(has(id), "%s is not found", doctor_name(id));
        cr_assert_eq(n_found, 1 + cases[id].entails, "%s: %zu findings", doctor_name(id), n_found);
        while (found[i].id != id)
            i++;
        cr_assert_str_eq(found[i].subject, cases[id].subject);
        cr_assert_not_null(strstr(found[i].evidence, cases[id].seen), "%s: %s", doctor_name(id),
                           found[i].evidence);
    }
    printf("compared %d findings\n", DOCTOR_COUNT);
}

Test(doctor, misses_an_owner_that_is_gone)
{
    sound();
    status.nodes[1].connected = status.nodes[1].heard = false;
    look();
    cr_assert(has(DOCTOR_shard_unowned) && has(DOCTOR_node_unreachable));
    sound();
    status.shards[1].owner_boot = 7; /* of an earlier start */
    look();
    cr_assert(n_found == 1 && has(DOCTOR_shard_unowned));
    sound();
    status.shards[0].owner_node = 3; /* until a moment ago it was this node's */
    status.shards[0].mine = false;
    look();
    cr_assert_eq(n_found, 0);
}

Test(doctor, says_first_what_matters_most)
{
    sound();
    for (unsigned id = 0; id < DOCTOR_COUNT; id++)
        if (id != DOCTOR_no_quorum && id != DOCTOR_no_spare)
            cases[id].make();
    look();
    cr_assert_gt(n_found, 20);
    for (size_t i = 1; i < n_found; i++) {
        cr_assert_leq(found[i - 1].id, found[i].id);
        cr_assert_leq(doctor_severity_of(found[i - 1].id), doctor_severity_of(found[i].id));
    }
}

Test(doctor, is_bounded)
{
    sound();
    status.n_shards = REPL_MAX_SHARDS;
    for (uint32_t i = 0; i < REPL_MAX_SHARDS; i++)
        status.shards[i] = (struct repl_shard_status){.shard = i + 1};
    for (int i = 0; i < 3; i++) {
        status.nodes[i].agreement = REPL_DIFFERS;
        status.nodes[i].drained = true;
        status.nodes[i].healthy = false;
    }
    for (int i = 0; i < DOCTOR_COUNTED; i++)
        facts.since[i] = UINT64_MAX / 200;
    look();
    cr_assert_leq(n_found, DOCTOR_MOST);
    cr_assert_gt(n_found, 20);
}

Test(doctor, has_a_text_for_each)
{
    for (unsigned id = 0; id < DOCTOR_COUNT; id++) {
        cr_assert_gt(strlen(doctor_meaning(id)), 30, "%s", doctor_name(id));
        cr_assert_gt(strlen(doctor_next(id)), 20, "%s", doctor_name(id));
        for (unsigned other = 0; other < id; other++)
            cr_assert_str_neq(doctor_name(id), doctor_name(other));
    }
}

/* ---- the window ---- */

Test(doctor, counts_what_came_in_the_window_alone)
{
    struct doctor_history h = {0};
    uint64_t count[DOCTOR_COUNTED] = {0};

    sound();
    count[DOCTOR_POOL_EXHAUSTED] = 7;
    doctor_since(&h, 1000, count, &facts);
    cr_assert(facts.since[DOCTOR_POOL_EXHAUSTED] == 0 && facts.window_ms == 0,
              "nothing is kept yet");
    doctor_keep(&h, 1000, count); /* what was before is over */
    count[DOCTOR_POOL_EXHAUSTED] = 9;
    doctor_keep(&h, 2000, count); /* not due */
    doctor_since(&h, 2000, count, &facts);
    cr_assert(facts.since[DOCTOR_POOL_EXHAUSTED] == 2 && facts.window_ms == 1000);
    for (uint64_t t = 1; t <= DOCTOR_SAMPLES; t++)
        doctor_keep(&h, 1000 + t * DOCTOR_SAMPLE_MS, count);
    doctor_since(&h, 1000 + DOCTOR_WINDOW_MS, count, &facts);
    cr_assert_eq(facts.since[DOCTOR_POOL_EXHAUSTED], 0, "it is over");
    cr_assert_eq(facts.window_ms, DOCTOR_WINDOW_MS - DOCTOR_SAMPLE_MS);
    count[DOCTOR_POOL_EXHAUSTED] = 3; /* never goes back; nothing follows if it did */
    doctor_since(&h, 1000 + DOCTOR_WINDOW_MS, count, &facts);
    cr_assert_eq(facts.since[DOCTOR_POOL_EXHAUSTED], 0);
}
