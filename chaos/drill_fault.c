/* The fault of a drill and the relay's rules. */
#include <string.h>

#include "drill_read.h"

static const char *const fault_words[] = {[DRILL_NONE] = "none",
                                          [DRILL_KILL] = "kill",
                                          [DRILL_PAUSE] = "pause",
                                          [DRILL_LINK_DOWN] = "link-down",
                                          [DRILL_PARTITION] = "partition",
                                          [DRILL_HANDOVER] = "handover",
                                          [DRILL_DRAIN] = "drain",
                                          [DRILL_DISK_FULL] = "disk-full",
                                          [DRILL_RESTART] = "restart",
                                          [DRILL_LEADER_CHANGE] = "leader-change",
                                          [DRILL_LEADER_KILL] = "leader-kill",
                                          [DRILL_COLLISION] = "collision",
                                          [DRILL_QUORUM_LOSS] = "quorum-loss",
                                          [DRILL_ROLLING] = "rolling-restart",
                                          [DRILL_HANG] = "hang",
                                          [DRILL_DISK_ERROR] = "disk-error",
                                          [DRILL_DISK_SLOW] = "disk-slow",
                                          [DRILL_CLOCK_JUMP] = "clock-jump",
                                          [DRILL_WIPED] = "wiped",
                                          [DRILL_REBIND] = "rebind",
                                          [DRILL_ALL_DIE] = "all-die",
                                          NULL};
static const char *const mode_words[] = {[DRILL_PROCESS] = "process",
                                         [DRILL_MACHINE] = "machine",
                                         [DRILL_OUTSIDE] = "outside",
                                         [DRILL_INSIDE] = "inside",
                                         [DRILL_RAFT] = "raft",
                                         [DRILL_FULL] = "full",
                                         [DRILL_DEAF] = "deaf",
                                         [DRILL_MUTE] = "mute",
                                         [DRILL_TERM] = "term",
                                         [DRILL_BOTH_AT_ONCE] = "both-at-once",
                                         [DRILL_BEHIND_DELETE] = "behind-delete",
                                         [DRILL_UNSEEN_CLIENT] = "unseen-client",
                                         [DRILL_UNSEEN_GATEWAY] = "unseen-gateway",
                                         [DRILL_PARTIAL] = "partial",
                                         [DRILL_OWNER_LEFT] = "owner-left",
                                         [DRILL_OTHER_LEFT] = "other-left",
                                         [DRILL_WORKER] = "worker",
                                         [DRILL_CONTROL] = "control",
                                         [DRILL_REPLICATION] = "replication",
                                         [DRILL_DISK] = "disk",
                                         [DRILL_FORWARD] = "forward",
                                         [DRILL_BACKWARD] = "backward",
                                         [DRILL_PLAIN] = "plain",
                                         NULL};
static const char *const exchange_words[] = {"at-rest", "child-rekey", "child-rekey-pfs",
                                             "ike-rekey", NULL};
static const char *const role_words[] = {"client", "gateway", NULL};
static const char *const point_words[] = {"stepped", "submitted", "committed",
                                          "sent",    "peer",      NULL};
static const char *const leader_words[] = {"owner", "other", "any", NULL};

/* Which modes a fault has; the first one is taken where none is named. */
static const unsigned fault_modes[] = {
    [DRILL_NONE] = 1u << DRILL_PROCESS | 1u << DRILL_MACHINE,
    [DRILL_KILL] = 1u << DRILL_PROCESS | 1u << DRILL_MACHINE,
    [DRILL_PAUSE] = 1u << DRILL_PLAIN,
    [DRILL_LINK_DOWN] = 1u << DRILL_OUTSIDE | 1u << DRILL_INSIDE | 1u << DRILL_RAFT,
    [DRILL_PARTITION] =
        1u << DRILL_FULL | 1u << DRILL_DEAF | 1u << DRILL_MUTE | 1u << DRILL_PARTIAL,
    [DRILL_HANDOVER] = 1u << DRILL_PLAIN,
    [DRILL_DRAIN] = 1u << DRILL_PLAIN,
    [DRILL_DISK_FULL] = 1u << DRILL_PLAIN,
    [DRILL_RESTART] = 1u << DRILL_TERM | 1u << DRILL_PROCESS,
    [DRILL_LEADER_CHANGE] = 1u << DRILL_PLAIN,
    [DRILL_LEADER_KILL] = 1u << DRILL_PROCESS | 1u << DRILL_MACHINE,
    [DRILL_COLLISION] = 1u << DRILL_BOTH_AT_ONCE | 1u << DRILL_BEHIND_DELETE |
                        1u << DRILL_UNSEEN_CLIENT | 1u << DRILL_UNSEEN_GATEWAY,
    [DRILL_QUORUM_LOSS] = 1u << DRILL_OWNER_LEFT | 1u << DRILL_OTHER_LEFT,
    [DRILL_ROLLING] = 1u << DRILL_TERM | 1u << DRILL_PROCESS,
    [DRILL_HANG] =
        1u << DRILL_WORKER | 1u << DRILL_CONTROL | 1u << DRILL_REPLICATION | 1u << DRILL_DISK,
    [DRILL_DISK_ERROR] = 1u << DRILL_PLAIN,
    [DRILL_DISK_SLOW] = 1u << DRILL_PLAIN,
    [DRILL_CLOCK_JUMP] = 1u << DRILL_FORWARD | 1u << DRILL_BACKWARD,
    [DRILL_WIPED] = 1u << DRILL_PLAIN,
    [DRILL_REBIND] = 1u << DRILL_PLAIN,
    [DRILL_ALL_DIE] = 1u << DRILL_PROCESS | 1u << DRILL_MACHINE};

const char *drill_fault_name(enum drill_fault f)
{
    return fault_words[f];
}

const char *drill_mode_name(enum drill_mode m)
{
    return mode_words[m];
}

const char *drill_exchange_name(enum drill_exchange e)
{
    return exchange_words[e];
}

const char *drill_role_name(enum drill_role r)
{
    return role_words[r];
}

const char *drill_point_name(enum drill_point p)
{
    return point_words[p];
}

const char *drill_leader_name(enum drill_leader l)
{
    return leader_words[l];
}

static void read_at(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"exchange", "role", "point", NULL};
    const bool step = d->fault == DRILL_KILL;
    const struct yaml_node *v;

    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "exchange", true)))
        (void)read_words(r, v, exchange_words, &d->exchanges);
    if (v && d->exchanges & 1u << DRILL_AT_REST)
        (void)read_refuse(r, v, "leave `at` out to kill at rest", NULL);
    if ((v = read_value(r, map, "role", step)))
        (void)read_words(r, v, role_words, &d->roles);
    if ((v = read_value(r, map, "point", step)))
        (void)read_words(r, v, point_words, &d->points);
    if (!r->failed && (!d->exchanges || !d->roles || !d->points))
        (void)read_refuse(r, map, "an empty list makes no cell", NULL);
}

static void read_modes(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    const unsigned known = fault_modes[d->fault];
    const struct yaml_node *v = yaml_get(map, "mode");

    if (!v && !(known & (known - 1))) {
        d->modes = known;
        return;
    }
    if (!(v = read_value(r, map, "mode", d->fault != DRILL_NONE)) ||
        !read_words(r, v, mode_words, &d->modes))
        return;
    if (!d->modes)
        (void)read_refuse(r, v, "an empty list makes no cell", NULL);
    else if (d->modes & ~known)
        (void)read_refuse(r, v, "this fault has no such mode:", fault_words[d->fault]);
}

/* What the fault needs of the topology. */
static void check_fault(struct reader *r, const struct yaml_node *map, const struct drill *d)
{
    bool reference = d->gateway == DRILL_STRONGSWAN, at = d->exchanges != 1u << DRILL_AT_REST;

    if (reference && at && d->fault == DRILL_KILL)
        (void)read_refuse(r, yaml_get(map, "at"), "the reference gateway has no step points", NULL);
    else if (reference && d->fault > DRILL_KILL && d->fault != DRILL_COLLISION)
        (void)read_refuse(r, map, "the reference gateway can only be killed", NULL);
    else if (at && d->fault != DRILL_KILL && d->fault != DRILL_COLLISION)
        (void)read_refuse(r, yaml_get(map, "at"), "this fault has no step points", NULL);
    else if (!at && d->fault == DRILL_COLLISION)
        (void)read_refuse(r, map, "this key is missing:", "at");
    else if (d->fault == DRILL_KILL && !reference && d->nodes == 1)
        (void)read_refuse(r, map, "a kill would leave no majority of 1 node", NULL);
    else if (d->fault > DRILL_KILL && d->fault != DRILL_COLLISION && d->nodes == 1)
        (void)read_refuse(r, map, "this fault needs another node", NULL);
    else if (d->fault == DRILL_LEADER_KILL && d->leaders != 1u << DRILL_LEADER_OTHER)
        (void)read_refuse(r, map, "the leader dies alone: it is `leader: other`", NULL);
    else if (d->fault == DRILL_REBIND && d->outside_v6)
        (void)read_refuse(r, map, "the lab's NAT is one of IPv4", NULL);
    else if (d->fault == DRILL_COLLISION && d->clients > 1)
        (void)read_refuse(r, map, "a collision is one client's", NULL);
}

static bool lasts(enum drill_fault f)
{
    return f == DRILL_PAUSE || f == DRILL_LINK_DOWN || f == DRILL_PARTITION ||
           f == DRILL_DISK_FULL || f == DRILL_QUORUM_LOSS || f == DRILL_HANG ||
           f == DRILL_DISK_ERROR || f == DRILL_DISK_SLOW || f == DRILL_CLOCK_JUMP ||
           f == DRILL_ALL_DIE;
}

void read_fault(struct reader *r, const struct yaml_node *map, struct drill *d)
{
    static const char *const keys[] = {"type", "mode",  "at",    "leader",
                                       "for",  "every", "times", NULL};
    const struct yaml_node *v;
    unsigned word = 0;

    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "type", true)) && read_word(r, v, fault_words, &word))
        d->fault = (enum drill_fault)word;
    read_modes(r, map, d);
    if ((v = read_value(r, map, "leader", false)) && read_words(r, v, leader_words, &d->leaders) &&
        !d->leaders)
        (void)read_refuse(r, v, "an empty list makes no cell", NULL);
    if ((v = read_value(r, map, "at", false)))
        read_at(r, v, d);
    if (lasts(d->fault))
        d->for_ms = DRILL_FOR_MS;
    if ((v = read_value(r, map, "for", false)))
        (void)read_ms(r, v, &d->for_ms);
    if ((v = read_value(r, map, "every", false)))
        (void)read_ms(r, v, &d->every_ms);
    if ((v = read_value(r, map, "times", false)))
        (void)read_unsigned(r, v, 1, DRILL_MAX_TIMES, &d->times);
    if (!r->failed)
        check_fault(r, map, d);
}

/* ---- the relay ---- */

static const char *const way_words[] = {[RELAY_IN] = "in", [RELAY_OUT] = "out", NULL};
static const char *const class_words[] = {[RELAY_INIT] = "init",
                                          [RELAY_AUTH] = "auth",
                                          [RELAY_CREATE_CHILD] = "create-child",
                                          [RELAY_INFORMATIONAL] = "informational",
                                          [RELAY_ESP] = "esp",
                                          NULL};

static void read_rule(struct reader *r, const struct yaml_node *map, struct relay_rule *rule)
{
    static const char *const keys[] = {"way",     "class", "loss",   "duplicate",
                                       "reorder", "delay", "jitter", NULL};
    const char *const shares[] = {"loss", "duplicate", "reorder"};
    unsigned *const share_to[] = {&rule->loss, &rule->duplicate, &rule->reorder};
    const struct yaml_node *v;

    *rule = (struct relay_rule){.ways = RELAY_ALL_WAYS, .classes = RELAY_ALL_CLASSES};
    if (!read_is_map(r, map, keys))
        return;
    if ((v = read_value(r, map, "way", false)))
        (void)read_words(r, v, way_words, &rule->ways);
    if ((v = read_value(r, map, "class", false)))
        (void)read_words(r, v, class_words, &rule->classes);
    for (size_t i = 0; i < 3; i++) {
        if ((v = read_value(r, map, shares[i], false)))
            (void)read_percent(r, v, RELAY_MAX_SHARE, share_to[i]);
    }
    if ((v = read_value(r, map, "delay", false)))
        (void)read_ms(r, v, &rule->delay_ms);
    if ((v = read_value(r, map, "jitter", false)))
        (void)read_ms(r, v, &rule->jitter_ms);
    if (!r->failed && (rule->delay_ms > RELAY_MAX_MS || rule->jitter_ms > RELAY_MAX_MS))
        (void)read_refuse(r, map, "a second is the longest delay and jitter", NULL);
    if (!r->failed && (!rule->ways || !rule->classes))
        (void)read_refuse(r, map, "an empty list matches nothing", NULL);
}

/* One rule or a list of them; for each packet the first that fits decides. */
void read_relay(struct reader *r, const struct yaml_node *node, struct drill *d)
{
    if (node->kind == YAML_MAP) {
        read_rule(r, node, &d->relay.rules[0]);
        d->relay.n_rules = 1;
        return;
    }
    if (node->kind != YAML_LIST || !node->child) {
        (void)read_refuse(r, node, "a rule or a list of rules is expected", NULL);
        return;
    }
    for (const struct yaml_node *c = node->child; c && !r->failed; c = c->next) {
        if (d->relay.n_rules == RELAY_MAX_RULES) {
            (void)read_refuse(r, c, "too many rules", NULL);
            return;
        }
        read_rule(r, c, &d->relay.rules[d->relay.n_rules++]);
    }
}
