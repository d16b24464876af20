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
