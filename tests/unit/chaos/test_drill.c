/* The drill format: what is accepted, what is refused and where, and how lists become cells. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/drill.h"

static const char good[] = "kind: Drill\n"
                           "name: x\n"
                           "seed: 9\n"
                           "topology: { nodes: 3, shards: 1, clients: 1, auth: psk }\n"
                           "traffic: { pps: 200, bytes: 64, directions: [in, out] }\n"
                           "hypothesis: [tunnel-up, quorum]\n"
                           "fault:\n"
                           "  type: kill\n"
                           "  mode: machine\n"
                           "  at: { exchange: [child-rekey, ike-rekey], role: [client, gateway], "
                           "point: [stepped, sent] }\n"
                           "  leader: [owner, other]\n"
                           "expect: [dpd]\n"
                           "limits: { gap: 600ms, takeover: 2s }\n";

Test(drill, a_good_one_is_read)
{
    struct drill d;
    char error[DRILL_ERROR];

    cr_assert(drill_parse_text(&d, "f", good, error), "%s", error);
    cr_assert_str_eq(d.name, "x");
    cr_assert_eq(d.seed, 9);
    cr_assert_eq(d.gap_ms, 600);
    cr_assert_eq(d.takeover_ms, 2000);
    cr_assert_eq(d.expect, DRILL_EXP_DPD);
    cr_assert_eq(d.hypothesis, DRILL_HYP_TUNNEL | DRILL_HYP_QUORUM);
}

Test(drill, lists_expand_to_every_combination_once)
{
    struct drill d;
    char error[DRILL_ERROR], point[64];
    struct drill_cell *cells = NULL;
    size_t n = 0;

    cr_assert(drill_parse_text(&d, "f", good, error));
    cr_assert(drill_cells(&d, &cells, &n));
    cr_assert_eq(n, 2 * 2 * 2 * 2);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(cells[i].id, cells[k].id);
    }
    cr_assert_str_eq(cells[0].id, "x/child-rekey:client:stepped/machine/leader-owner");
    drill_point_text(&cells[0], point, sizeof point);
    cr_assert_str_eq(point, "child-rekey:client:stepped");
    drill_only(cells, &n, "*ike-rekey:gateway:*");
    cr_assert_eq(n, 4);
    free(cells);
}

Test(drill, the_same_seed_samples_the_same_cells)
{
    struct drill d;
    char error[DRILL_ERROR];
    struct drill_cell *a = NULL, *b = NULL, *c = NULL;
    size_t na = 0, nb = 0, nc = 0;
    bool differs = false;

    cr_assert(drill_parse_text(&d, "f", good, error));
    cr_assert(drill_cells(&d, &a, &na) && drill_cells(&d, &b, &nb) && drill_cells(&d, &c, &nc));
    drill_sample(a, &na, 5, 1);
    drill_sample(b, &nb, 5, 1);
    cr_assert_eq(na, 5);
    cr_assert_eq(nb, 5);
    for (size_t i = 0; i < na; i++)
        cr_assert_str_eq(a[i].id, b[i].id);
    drill_sample(c, &nc, 5, 2);
    for (size_t i = 0; i < na; i++)
        differs = differs || strcmp(a[i].id, c[i].id) != 0;
    cr_assert(differs);
    drill_sample(a, &na, 50, 1);
    cr_assert_eq(na, 5);
    free(a);
    free(b);
    free(c);
}

/* The good drill with one part replaced must be refused at that place. */
static void refuse(const char *part, const char *with, const char *where_and_what)
{
    char text[2048], error[DRILL_ERROR] = "";
    const char *at = strstr(good, part);
    struct drill d;

    cr_assert(at != NULL);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, with, at + strlen(part));
    cr_assert_not(drill_parse_text(&d, "f.yaml", text, error), "accepted: %s", with);
    cr_assert(strstr(error, where_and_what) == error, "'%s' does not begin with '%s'", error,
              where_and_what);
}

Test(drill, mistakes_are_refused_with_their_place)
{
    refuse("kind: Drill", "kind: Drills", "f.yaml:1:7: unknown word 'Drills'");
    refuse("seed: 9", "sede: 9", "f.yaml:3:1: unknown key 'sede'");
    refuse("seed: 9", "seed: nine", "f.yaml:3:7: a number is expected");
    refuse("seed: 9", "name: y", "f.yaml:3:1: ");
    refuse("nodes: 3", "nodes: 4", "f.yaml:4:20: 1, 3 or 5 nodes");
    refuse("nodes: 3", "nodes: 1", "f.yaml:8:3: a kill would leave no majority");
    refuse("nodes: 3, ", "", "f.yaml:4:11: this key is missing: nodes");
    refuse("pps: 200", "pps: 0", "f.yaml:5:17: a number from 1 to 2000");
    refuse("[in, out]", "[in, in]", "f.yaml:5:50: this word is there twice: in");
    refuse("[in, out]", "[]", "f.yaml:5:45: at least one direction");
    refuse("mode: machine", "mode: machines", "f.yaml:9:9: unknown word 'machines'");
    refuse("stepped, ", "stopped, ", "f.yaml:10:78: unknown word 'stopped'");
    refuse("gap: 600ms", "gap: 600", "f.yaml:13:16: a time like 150ms");
    refuse("gap: 600ms", "gap: 0ms", "f.yaml:13:16: a time from 1ms");
    refuse("name: x", "name: X y", "f.yaml:2:7: a name of small letters");
    refuse("expect: [dpd]", "expect: [dpd", "f.yaml:");
    refuse("auth: psk", "auth: eap", "f.yaml:4:52: unknown word 'eap'");
    refuse("auth: psk", "gateway: strongswan",
           "f.yaml:10:7: the reference gateway has no step points");
}

/* The good drill with another fault, and what stands behind it. */
static bool parse_fault(const char *fault, struct drill *d, char error[DRILL_ERROR])
{
    char text[2048];
    const char *at = strstr(good, "fault:"), *end = strstr(good, "expect:");

    (void)snprintf(text, sizeof text, "%.*s%s\n%s", (int)(at - good), good, fault, end);
    return drill_parse_text(d, "f", text, error);
}

static void read_fault_text(const char *fault, struct drill *d)
{
    char error[DRILL_ERROR] = "";

    cr_assert(parse_fault(fault, d, error), "%s", error);
}

Test(drill, every_fault_has_its_modes_and_its_time)
{
    static const struct {
        const char *text;
        enum drill_fault fault;
        unsigned modes, for_ms, times;
    } cases[] = {
        {"fault: { type: none }", DRILL_NONE, 1u << DRILL_MACHINE, 0, 1},
        {"fault: { type: pause }", DRILL_PAUSE, 1u << DRILL_PLAIN, DRILL_FOR_MS, 1},
        {"fault: { type: pause, for: 500ms }", DRILL_PAUSE, 1u << DRILL_PLAIN, 500, 1},
        {"fault: { type: link-down, mode: [outside, raft] }", DRILL_LINK_DOWN,
         1u << DRILL_OUTSIDE | 1u << DRILL_RAFT, DRILL_FOR_MS, 1},
        {"fault: { type: partition, mode: deaf, for: 4s }", DRILL_PARTITION, 1u << DRILL_DEAF, 4000,
         1},
        {"fault: { type: handover, times: 50 }", DRILL_HANDOVER, 1u << DRILL_PLAIN, 0, 50},
        {"fault: { type: disk-full }", DRILL_DISK_FULL, 1u << DRILL_PLAIN, DRILL_FOR_MS, 1},
        {"fault: { type: drain }", DRILL_DRAIN, 1u << DRILL_PLAIN, 0, 1},
        {"fault: { type: restart, mode: [term, process] }", DRILL_RESTART,
         1u << DRILL_TERM | 1u << DRILL_PROCESS, 0, 1},
        {"fault: { type: leader-change, every: 1s, times: 9 }", DRILL_LEADER_CHANGE,
         1u << DRILL_PLAIN, 0, 9},
        {"fault: { type: leader-kill, mode: [process, machine], leader: other }", DRILL_LEADER_KILL,
         1u << DRILL_PROCESS | 1u << DRILL_MACHINE, 0, 1},
        {"fault: { type: collision, mode: [both-at-once, unseen-client], at: { exchange: "
         "ike-rekey } }",
         DRILL_COLLISION, 1u << DRILL_BOTH_AT_ONCE | 1u << DRILL_UNSEEN_CLIENT, 0, 1},
        {"fault: { type: partition, mode: [partial, full] }", DRILL_PARTITION,
         1u << DRILL_PARTIAL | 1u << DRILL_FULL, DRILL_FOR_MS, 1},
        {"fault: { type: quorum-loss, mode: [owner-left, other-left], for: 2s }", DRILL_QUORUM_LOSS,
         1u << DRILL_OWNER_LEFT | 1u << DRILL_OTHER_LEFT, 2000, 1},
        {"fault: { type: rolling-restart, mode: term }", DRILL_ROLLING, 1u << DRILL_TERM, 0, 1},
        {"fault: { type: hang, mode: [worker, control, replication, disk] }", DRILL_HANG,
         1u << DRILL_WORKER | 1u << DRILL_CONTROL | 1u << DRILL_REPLICATION | 1u << DRILL_DISK,
         DRILL_FOR_MS, 1},
        {"fault: { type: disk-error }", DRILL_DISK_ERROR, 1u << DRILL_PLAIN, DRILL_FOR_MS, 1},
        {"fault: { type: disk-slow, for: 5s }", DRILL_DISK_SLOW, 1u << DRILL_PLAIN, 5000, 1},
        {"fault: { type: clock-jump, mode: [forward, backward] }", DRILL_CLOCK_JUMP,
         1u << DRILL_FORWARD | 1u << DRILL_BACKWARD, DRILL_FOR_MS, 1},
        {"fault: { type: wiped }", DRILL_WIPED, 1u << DRILL_PLAIN, 0, 1},
        {"fault: { type: rebind }", DRILL_REBIND, 1u << DRILL_PLAIN, 0, 1},
        {"fault: { type: all-die, mode: [process, machine] }", DRILL_ALL_DIE,
         1u << DRILL_PROCESS | 1u << DRILL_MACHINE, DRILL_FOR_MS, 1}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drill_cell *cells = NULL;
        struct drill d;
        size_t n = 0;

        read_fault_text(cases[i].text, &d);
        cr_assert_eq(d.fault, cases[i].fault);
        cr_assert_eq(d.modes, cases[i].modes, "%s: %#x", cases[i].text, d.modes);
        cr_assert_eq(d.for_ms, cases[i].for_ms, "%s: %u ms", cases[i].text, d.for_ms);
        cr_assert_eq(d.times, cases[i].times);
        cr_assert(drill_cells(&d, &cells, &n));
        cr_assert_eq(n, (size_t)__builtin_popcount(d.modes));
        free(cells);
    }
}

Test(drill, a_cell_is_named_after_its_fault)
{
    struct drill_cell *cells = NULL;
    struct drill d;
    size_t n = 0;

    read_fault_text("fault: { type: pause, leader: owner }", &d);
    cr_assert(drill_cells(&d, &cells, &n));
    cr_assert_str_eq(cells[0].id, "x/at-rest/pause/leader-owner");
    read_fault_text("fault: { type: collision, mode: unseen-client, at: { exchange: ike-rekey } }",
                    &d);
    cr_assert(drill_cells(&d, &cells, &n));
    cr_assert_str_eq(cells[1].id, "x/ike-rekey/unseen-client/leader-any");
    free(cells);
}

Test(drill, a_fault_that_cannot_be_is_refused)
{
    const char *kill_at = "type: kill\n  mode: machine\n";

    refuse(kill_at, "type: pause\n", "f.yaml:9:7: this fault has no step points");
    refuse(kill_at, "type: link-down\n  mode: full\n",
           "f.yaml:9:9: this fault has no such mode: link-down");
    refuse(kill_at, "type: partition\n", "f.yaml:8:3: this key is missing: mode");
    refuse("mode: machine", "mode: deaf", "f.yaml:9:9: this fault has no such mode: kill");
    refuse(kill_at, "type: leader-kill\n  mode: machine\n",
           "f.yaml:10:7: this fault has no step points");
    refuse("  leader: [owner, other]", "  times: 0", "f.yaml:11:10: a number from 1 to 1000");
    refuse("clients: 1", "clients: 1001", "f.yaml:4:43: a number from 1 to 1000");
    refuse("shards: 1", "shards: 2", "f.yaml:4:11: each shard needs a client of its own");
    refuse("shards: 1", "shards: 9", "f.yaml:4:31: a number from 1 to 8");
    refuse("pps: 200, bytes: 64", "pps: 2000, bytes: 16", "f.yaml:5:30: a number from 32");
    refuse("clients: 1", "clients: 21", "f.yaml:12:9: dpd is tried with 20 clients at most");
    refuse("clients: 1", "clients: 200", "f.yaml:5:10: pps is for each client");
    refuse("auth: psk", "families: { outside: v5 }", "f.yaml:4:67: unknown word 'v5'");
}

Test(drill, a_leader_that_dies_alone_is_not_the_owner)
{
    static const char *const others[] = {"owner", "any", "[owner, other]"};
    char fault[128], error[DRILL_ERROR] = "";
    struct drill d;

    cr_assert(parse_fault("fault: { type: leader-kill, mode: process, leader: other }", &d, error));
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(fault, sizeof fault,
                       "fault: { type: leader-kill, mode: process, leader: %s }", others[i]);
        cr_assert_not(parse_fault(fault, &d, error), "accepted: %s", fault);
        cr_assert(strstr(error, "f:7:8: the leader dies alone"), "%s", error);
    }
}

Test(drill, limits_of_a_pause_are_read)
{
    char text[2048], error[DRILL_ERROR] = "";
    struct drill d;

    (void)snprintf(text, sizeof text, "%.*s%s", (int)(strstr(good, "limits:") - good), good,
                   "limits: { pause_in: 1400ms, pause_out: 250ms }\n");
    cr_assert(drill_parse_text(&d, "f", text, error), "%s", error);
    cr_assert(d.pause_in_ms == 1400 && d.pause_out_ms == 250);
    cr_assert(drill_parse_text(&d, "f", good, error), "%s", error);
    cr_assert(d.pause_in_ms == 0 && d.pause_out_ms == 0);
}

Test(drill, families_and_the_relay_are_read)
{
    char text[2048], error[DRILL_ERROR] = "";
    const char *at = strstr(good, "hypothesis:");
    const struct relay_rule *r;
    struct drill d;

    (void)snprintf(text, sizeof text,
                   "kind: Drill\nname: x\n"
                   "topology: { nodes: 3, families: { outside: v6, inside: dual } }\n"
                   "traffic: { pps: 200 }\n"
                   "relay:\n"
                   "  - { class: [esp, create-child], way: in, loss: 30%%, delay: 5ms }\n"
                   "  - { duplicate: 1%%, reorder: 2%%, jitter: 7ms }\n%s",
                   at);
    cr_assert(drill_parse_text(&d, "f", text, error), "%s", error);
    cr_assert(d.outside_v6 && d.inside_v4 && d.inside_v6);
    cr_assert_eq(d.relay.n_rules, 2);
    r = &d.relay.rules[0];
    cr_assert_eq(r->ways, 1u << RELAY_IN);
    cr_assert_eq(r->classes, 1u << RELAY_ESP | 1u << RELAY_CREATE_CHILD);
    cr_assert(r->loss == 30 && r->delay_ms == 5 && r->duplicate == 0);
    r = &d.relay.rules[1];
    cr_assert(r->ways == RELAY_ALL_WAYS && r->classes == RELAY_ALL_CLASSES);
    cr_assert(r->duplicate == 1 && r->reorder == 2 && r->jitter_ms == 7);
    refuse("expect: [dpd]", "relay: { loss: 91% }", "f.yaml:12:16: a share from 0% to 90%");
    refuse("expect: [dpd]", "relay: { loss: 30 }", "f.yaml:12:16: a share from 0% to 90%");
    refuse("expect: [dpd]", "relay: { class: arp }", "f.yaml:12:17: unknown word 'arp'");
    refuse("expect: [dpd]", "relay: { delay: 2s }", "f.yaml:12:8: a second is the longest");
    refuse("expect: [dpd]", "relay: []", "f.yaml:12:8: a rule or a list of rules");
}
