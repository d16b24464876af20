#include "drill.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void drill_point_text(const struct drill_cell *c, char *to, size_t size)
{
    (void)snprintf(to, size, "%s:%s:%s", drill_exchange_name(c->exchange), drill_role_name(c->role),
                   drill_point_name(c->point));
}

bool drill_leader_fits(enum drill_leader want, bool owner_leads)
{
    return want == DRILL_LEADER_ANY || owner_leads == (want == DRILL_LEADER_OWNER);
}

static bool append(struct drill_cell **cells, size_t *n, const struct drill_cell *c)
{
    struct drill_cell *p = realloc(*cells, (*n + 1) * sizeof *c);

    if (!p)
        return false;
    *cells = p;
    p[(*n)++] = *c;
    return true;
}

static void name_cell(struct drill_cell *c)
{
    char point[64] = "at-rest";

    if (c->drill->fault == DRILL_COLLISION)
        (void)snprintf(point, sizeof point, "%s", drill_exchange_name(c->exchange));
    else if (c->exchange != DRILL_AT_REST)
        drill_point_text(c, point, sizeof point);
    (void)snprintf(c->id, sizeof c->id, "%s/%s/%s/leader-%s", c->drill->name, point,
                   c->mode == DRILL_PLAIN ? drill_fault_name(c->drill->fault)
                                          : drill_mode_name(c->mode),
                   drill_leader_name(c->leader));
}

bool drill_cells(const struct drill *d, struct drill_cell **cells, size_t *n)
{
    struct drill_cell c = {.drill = d, .seed = d->seed};
    /* Bits of: exchange 4, role 2, point 5, mode DRILL_MODES, leader 3. */
    for (unsigned i = 0; i < 4 * 2 * 5 * DRILL_MODES * 3; i++) {
        unsigned rest = i;

        c.leader = (enum drill_leader)(rest % 3);
        rest /= 3;
        c.mode = (enum drill_mode)(rest % DRILL_MODES);
        rest /= DRILL_MODES;
        c.point = (enum drill_point)(rest % 5);
        rest /= 5;
        c.role = (enum drill_role)(rest % 2);
        c.exchange = (enum drill_exchange)(rest / 2);
        if (!(d->exchanges >> c.exchange & 1) || !(d->roles >> c.role & 1) ||
            !(d->points >> c.point & 1) || !(d->modes >> c.mode & 1) ||
            !(d->leaders >> c.leader & 1))
            continue;
        name_cell(&c);
        if (!append(cells, n, &c))
            return false;
    }
    return true;
}

void drill_only(struct drill_cell *cells, size_t *n, const char *pattern)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++) {
        if (fnmatch(pattern, cells[i].id, 0) == 0)
            cells[kept++] = cells[i];
    }
    *n = kept;
}

static uint64_t mixed(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void drill_sample(struct drill_cell *cells, size_t *n, size_t want, uint64_t seed)
{
    size_t kept = 0, total = *n;
    uint64_t state = seed;

    /* Selection sampling: each of the rest with probability wanted / left. */
    for (size_t i = 0; i < total && kept < want; i++) {
        state = mixed(state);
        if (state % (total - i) < want - kept)
            cells[kept++] = cells[i];
    }
    if (kept < *n)
        *n = kept;
}
