/* Who the others are: the members of the log, and those that this node was started with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/repl_addresses.h"
#include "replication/replica_parts.h"

/* --- addresses as text, the one form in which the log has them --- */

void replica_address_text(const struct endpoint *at, char *out, size_t cap)
{
    const uint8_t *b = at->ip.bytes;

    out[0] = '\0';
    if (at->ip.family == ADDR_V4)
        (void)snprintf(out, cap, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], at->port);
    else if (at->ip.family == ADDR_V6)
        (void)snprintf(out, cap, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u", get_be16(b), get_be16(b + 2),
                       get_be16(b + 4), get_be16(b + 6), get_be16(b + 8), get_be16(b + 10),
                       get_be16(b + 12), get_be16(b + 14), at->port);
}

/* One number in `base` up to `max`, and the character behind it. */
static bool number(const char **at, int base, unsigned long max, char end, unsigned long *out)
{
    char *stop = NULL;

    if (**at == '\0' || **at == ' ' || **at == '-' || **at == '+')
        return false;
    *out = strtoul(*at, &stop, base);
    if (stop == *at || *stop != end || *out > max)
        return false;
    *at = end == '\0' ? stop : stop + 1;
    return true;
}

bool replica_address_parse(const char *text, struct endpoint *out)
{
    struct endpoint e = {.ip = {.family = text[0] == '[' ? ADDR_V6 : ADDR_V4}};
    const char *at = text + (e.ip.family == ADDR_V6);
    size_t n = e.ip.family == ADDR_V6 ? 8 : 4;
    unsigned long v = 0;

    for (size_t i = 0; i < n; i++) {
        if (e.ip.family == ADDR_V4) {
            if (!number(&at, 10, 255, i + 1 < n ? '.' : ':', &v))
                return false;
            e.ip.bytes[i] = (uint8_t)v;
        } else {
            if (!number(&at, 16, 0xffff, i + 1 < n ? ':' : ']', &v))
                return false;
            put_be16(e.ip.bytes + 2 * i, (uint16_t)v);
        }
    }
    if (e.ip.family == ADDR_V6 && *at++ != ':')
        return false;
    if (!number(&at, 10, 65535, '\0', &v))
        return false;
    e.port = (uint16_t)v;
    *out = e;
    return true;
}

bool repl_address_valid(const char *text)
{
    struct endpoint at;

    return replica_address_parse(text, &at) && at.port != 0;
}

/* --- the list --- */

struct roster {
    struct replica_node nodes[REPL_MAX_NODES];
    size_t n;
};

/* Its row, made where it belongs in the order of ids; NULL: no room. */
static struct replica_node *row_of(struct roster *l, uint32_t node)
{
    size_t i = 0;

    while (i < l->n && l->nodes[i].node < node)
        i++;
    if (i < l->n && l->nodes[i].node == node)
        return &l->nodes[i];
    if (l->n == REPL_MAX_NODES)
        return NULL;
    memmove(&l->nodes[i + 1], &l->nodes[i], (l->n++ - i) * sizeof l->nodes[0]);
    l->nodes[i] = (struct replica_node){.node = node, .role = RAFT_DRIVER_NO_MEMBER};
    return &l->nodes[i];
}

bool replica_is_founder(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->options.n_founders; i++)
        if (r->options.founders[i] == node)
            return true;
    return false;
}

bool replica_has_left(const struct replica *r, uint32_t node)
{
    const struct fsm_member *m = fsm_member(&r->fsm, node);

    for (size_t i = 0; i < r->n_unread_left; i++)
        if (r->unread_left[i] == node)
            return true;
    return m != NULL && m->left;
}

/* Until the log has been heard up to this start, what is applied of it may name nobody who is still there.
 * First of all there is room for whom its end names: they vote by that, applied or not. */
static void add_newest(const struct replica *r, struct roster *l)
{
    struct repl_configuration c = replica_newest_configuration(r);

    for (size_t i = 0; i < c.n_servers && !r->ownership.confirmed; i++)
        (void)row_of(l, c.servers[i].node);
}

/* ... and for those of whom others have told, before those that an operator's file names. */
static void add_started(const struct replica *r, struct roster *l)
{
    bool keep = !r->ownership.confirmed;

    for (size_t k = 0; k < r->options.n_nodes; k++) {
        size_t i = (k + r->options.n_listed) % r->options.n_nodes;
        const struct repl_node_address *n = &r->options.nodes[i];
        struct replica_node *row = NULL;

        if (n->node == r->options.node || (keep && !replica_has_left(r, n->node)))
            row = row_of(l, n->node);
        if (row != NULL && r->configuration.n_servers == 0 && r->founded &&
            replica_is_founder(r, n->node))
            row->role = RAFT_DRIVER_VOTER;
    }
}

static void add_configured(const struct replica *r, struct roster *l)
{
    for (size_t i = 0; i < r->configuration.n_servers; i++) {
        struct replica_node *row = row_of(l, r->configuration.servers[i].node);

        if (row != NULL)
            row->role = r->configuration.servers[i].role;
    }
}

static bool log_names(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->configuration.n_servers; i++)
        if (r->configuration.servers[i].node == node)
            return true;
    return fsm_member(&r->fsm, node) != NULL && !replica_has_left(r, node);
}

/* The log is heard, again or all the while, where the leader is one that it names. */
static void find_back(struct replica *r)
{
    if (r->raft.leader != 0 && log_names(r, r->raft.leader))
        r->strays.n = 0;
}

/* Who ran all the while and was cut off knows nobody who came meanwhile; and when that one leads, nobody
 * else has more of the log for it. As at a start it goes by a member's word then, in what room is left. */
static void add_heard_of(const struct replica *r, struct roster *l)
{
    for (size_t k = 0; k < r->options.n_nodes && r->strays.n > 0; k++) {
        size_t i = (k + r->options.n_listed) % r->options.n_nodes;

        if (!replica_has_left(r, r->options.nodes[i].node))
            (void)row_of(l, r->options.nodes[i].node);
    }
}

/* Who has a token is expected: connected with, so that it can ask. */
static void add_expected(const struct replica *r, struct roster *l)
{
    for (size_t i = 0; i < r->fsm.n_members; i++)
        if (!r->fsm.members[i]->left)
            (void)row_of(l, r->fsm.members[i]->node);
    for (size_t i = 0; i < r->fsm.n_tokens; i++)
        (void)row_of(l, r->fsm.tokens[i].node);
}

/* The log's address, else the one that this node was started with. */
static void set_address(const struct replica *r, struct replica_node *row)
{
    const struct fsm_member *m = fsm_member(&r->fsm, row->node);

    for (size_t i = 0; i < r->options.n_nodes; i++)
        if (r->options.nodes[i].node == row->node)
            row->address = r->options.nodes[i].address;
    if (m != NULL)
        (void)replica_address_parse(m->address, &row->address);
    for (size_t i = 0; i < r->fsm.n_tokens; i++)
        if (r->fsm.tokens[i].node == row->node)
            (void)replica_address_parse(r->fsm.tokens[i].address, &row->address);
}

struct replica_node *replica_node(struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node == node)
            return &r->nodes[i];
    return NULL;
}

static void tell_ownership(struct replica *r)
{
    struct ownership_list list = {.n = r->n_nodes, .configuration = r->configuration.index};

    for (size_t i = 0; i < r->n_nodes; i++) {
        list.nodes[i] = r->nodes[i].node;
        list.voter[i] = r->nodes[i].role == RAFT_DRIVER_VOTER;
    }
    ownership_listed(&r->ownership, &list);
    for (size_t i = 0; i < r->fsm.n_members; i++)
        ownership_booted(&r->ownership, r->fsm.members[i]->node, r->fsm.members[i]->boot);
}

static void tell_peers(struct replica *r)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {0};
    bool same = r->n_nodes == r->n_told;

    for (size_t i = 0; i < r->n_nodes; i++) {
        nodes[i] = (struct repl_node_address){r->nodes[i].node, r->nodes[i].address};
        same = same && nodes[i].node == r->told[i].node &&
               endpoint_equal(&nodes[i].address, &r->told[i].address);
    }
    if (same)
        return;
    memcpy(r->told, nodes, sizeof r->told);
    r->n_told = r->n_nodes;
    if (r->callbacks.peers != NULL)
        r->callbacks.peers(r->callbacks.self, r->told, r->n_told);
}

/* Who is no more has no say in whose state is sound, and needs no room for it. */
static void forget_witnesses(struct replica *r)
{
    uint32_t nodes[REPL_MAX_NODES];

    for (size_t i = 0; i < r->n_nodes; i++)
        nodes[i] = r->nodes[i].node;
    witness_keep(&r->witness, nodes, r->n_nodes);
}

void replica_list(struct replica *r)
{
    struct roster l = {.n = 0};

    find_back(r);
    (void)row_of(&l, r->options.node); /* first: there is room for it whoever else is known */
    add_newest(r, &l);
    add_configured(r, &l);
    add_started(r, &l);
    add_expected(r, &l);
    add_heard_of(r, &l);
    for (size_t i = 0; i < l.n; i++) {
        const struct replica_node *old = replica_node(r, l.nodes[i].node);

        l.nodes[i].unlinked_ns = r->now_ns;
        if (old != NULL) {
            l.nodes[i].link = old->link;
            l.nodes[i].unlinked_ns = old->unlinked_ns;
            l.nodes[i].disk_ok_ns = old->disk_ok_ns;
            l.nodes[i].distrust = old->distrust;
            l.nodes[i].distrusted_ns = old->distrusted_ns;
            l.nodes[i].reported = old->reported;
            l.nodes[i].repair_above = old->repair_above;
        }
        set_address(r, &l.nodes[i]);
    }
    memcpy(r->nodes, l.nodes, sizeof r->nodes);
    r->n_nodes = l.n;
    r->awaited_index = 0; /* by place in the list: whoever waits hears with the next heartbeat */
    forget_witnesses(r);
    tell_ownership(r);
    tell_peers(r);
}

/* Until its start is applied a node has nobody else to believe: it may stand where all members are others.
 * Then whom the log names, as committed: who is in its newest configuration alone is there by the word of who
 * led, and without a leader that may be one that is known by a word itself. Nobody who is there rightly is
 * missed: a JOIN is committed before the configuration that follows from it is written. */
static bool is_believed(const struct replica *r, uint32_t from)
{
    return !r->ownership.confirmed || log_names(r, from);
}

/* More are not there at a time: what was said long ago makes room. */
static void stray(struct replica *r, uint32_t node)
{
    if (r->strays.n == REPL_MAX_NODES)
        r->strays.n = 0;
    replica_set_add(&r->strays, node);
}

void replica_introduce(struct replica *r, uint64_t now_ns, uint32_t from,
                       const struct repl_node_address *nodes, size_t n)
{
    if (r->failed || !is_believed(r, from))
        return;
    r->now_ns = now_ns > r->now_ns ? now_ns : r->now_ns;
    r->options.n_nodes =
        repl_addresses_merge(r->options.nodes, r->options.n_nodes, r->options.n_listed, nodes, n);
    for (size_t i = 0; i < n && r->ownership.confirmed; i++)
        if (!log_names(r, nodes[i].node) && !replica_has_left(r, nodes[i].node))
            stray(r, nodes[i].node);
    replica_list(r);
}

void replica_leader_named(struct replica *r)
{
    if (r->strays.n > 0)
        replica_list(r);
}

/* Whose word counts from here on: an operator reads a takeover beside it. */
static void log_configuration(struct replica *r)
{
    const struct repl_configuration *now = &r->configuration;
    char voters[128] = "", others[128] = "";

    for (size_t i = 0; i < now->n_servers; i++) {
        bool voter = now->servers[i].role == RAFT_DRIVER_VOTER;
        char *to = voter ? voters : others;
        size_t len = strlen(to);

        (void)snprintf(to + len, sizeof voters - len, " %u", (unsigned)now->servers[i].node);
    }
    replica_log(r, REPL_LOG_INFO, "configuration at index %llu: voters%s%s%s",
                (unsigned long long)now->index, voters, others[0] ? ", others" : "", others);
}

void replica_on_configuration(void *self, const struct repl_configuration *configuration)
{
    struct replica *r = self;

    r->configuration = *configuration;
    log_configuration(r);
    for (size_t i = 0; i < configuration->n_servers && configuration->index == 1 && !r->halted; i++)
        fsm_found(&r->fsm, configuration->servers[i].node);
    r->change_ns = 0; /* one promise from now */
    replica_list(r);
    /* An owner that lags behind gets no promise until it counts as the others do. */
    for (size_t i = 0; i < r->n_nodes && r->able; i++)
        replica_await(r, configuration->index, r->nodes[i].node);
}

uint64_t replica_incarnation(const struct replica *r)
{
    const uint64_t known = raft_driver_incarnation(r->driver);

    /* While the driver starts, its snapshot is told already. */
    if (r->started || known != 0)
        return known;
    /* A snapshot's it cannot read yet, or not without a key. */
    return r->founded && r->waiting != NULL && r->waiting->snapshot.index == 0
               ? r->options.incarnation
               : 0;
}

bool replica_is_outside(const struct replica *r)
{
    const struct fsm_member *m = fsm_member(&r->fsm, r->options.node);

    if (m != NULL)
        return m->left;
    for (size_t i = 0; i < r->configuration.n_servers; i++)
        if (r->configuration.servers[i].node == r->options.node)
            return false;
    return true;
}

bool replica_is_member(const struct replica *r, uint32_t node)
{
    if (log_names(r, node))
        return true;
    /* Without a configuration this node has heard nothing yet, but must hear it from somebody. */
    if (replica_has_left(r, node))
        return false;
    return r->configuration.n_servers == 0 || !r->ownership.confirmed;
}

bool replica_is_told_of(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->strays.n; i++)
        if (r->strays.nodes[i] == node)
            return !replica_has_left(r, node);
    return false;
}

/* --- the leader: the configuration becomes what the members are, one change at a time --- */

static uint8_t role_in(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->configuration.n_servers; i++)
        if (r->configuration.servers[i].node == node)
            return r->configuration.servers[i].role;
    return RAFT_DRIVER_NO_MEMBER;
}

/* A learner that has the log, has started, and is well. */
static bool caught_up(const struct replica *r, size_t i)
{
    const struct ownership_peer *p = &r->ownership.peers[i];

    return r->nodes[i].role == RAFT_DRIVER_STANDBY && p->healthy && p->boot == p->member_boot &&
           p->boot != 0 && r->now_ns - p->heard_ns <= ownership_promise_ns(&r->ownership) &&
           raft_driver_match(r->driver, r->nodes[i].node) + LEARNER_BEHIND >=
               raft_driver_status(r->driver).last_index;
}

/* An even number of voters survives no more failures than one less: a learner waits for a second
 * one, or fills a gap. Who has left counts for none of them: beside one that is dead he could not be taken out before
 * the learner votes. 0 = none is due. */
static uint32_t promotable(const struct replica *r)
{
    uint32_t first = 0;
    size_t voters = 0, ready = 0;

    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct fsm_member *m = fsm_member(&r->fsm, r->nodes[i].node);

        voters += r->nodes[i].role == RAFT_DRIVER_VOTER && !replica_has_left(r, r->nodes[i].node);
        if (m == NULL || m->left || !caught_up(r, i))
            continue;
        ready++;
        if (first == 0)
            first = r->nodes[i].node;
    }
    return voters % 2 == 0 || ready > 1 ? first : 0;
}

/* Leadership goes to the voter that has most of the log, first of those whose disks work: another's
 * own vote would never be on its disk, so it would never lead; and who has left would give it away again. */
void replica_step_aside(struct replica *r)
{
    uint32_t best = 0;
    uint64_t most = 0;
    bool works = false;

    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct replica_node *n = &r->nodes[i];
        uint64_t has = raft_driver_match(r->driver, n->node);
        bool well = replica_disk_works(r, n) && !replica_has_left(r, n->node);

        if (n->role == RAFT_DRIVER_VOTER && n->node != r->options.node &&
            r->transport.connected(r->transport.self, n->node) && has > 0 &&
            (well != works ? well : has > most)) {
            works = well;
            most = has;
            best = n->node;
        }
    }
    if (best != 0)
        (void)raft_driver_transfer(r->driver, r->now_ns / 1000000, best);
}

void replica_left(struct replica *r)
{
    r->leave_index = r->fsm.applied_index;
    r->leave_ns = r->now_ns;
}

/* Who is in no configuration hears nothing any more. So it hears first that it has left, and wipes what it
 * has (replica_forget.c), if it is there to hear it. */
static bool must_hear(const struct replica *r, uint32_t node)
{
    if (r->now_ns - r->leave_ns >= LEAVE_HEARD_MS * 1000000ull ||
        !r->transport.connected(r->transport.self, node))
        return false;
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node == node)
            return r->ownership.peers[i].applied_index < r->leave_index;
    return false;
}

/* What is to be done next with this member; false: nothing. */
static bool change_of(struct replica *r, const struct fsm_member *m,
                      enum raft_driver_result *result)
{
    uint64_t now_ms = r->now_ns / 1000000;
    uint8_t role = role_in(r, m->node);

    if (m->left && role != RAFT_DRIVER_NO_MEMBER) {
        if (m->node == r->options.node) {
            replica_step_aside(r);
            return false;
        }
        if (must_hear(r, m->node))
            return false;
        *result = raft_driver_remove(r->driver, now_ms, m->node);
        return true;
    }
    if (m->left || role == RAFT_DRIVER_STANDBY || role == RAFT_DRIVER_VOTER)
        return false;
    *result = role == RAFT_DRIVER_NO_MEMBER
                  ? raft_driver_add(r->driver, now_ms, m->node)
                  : raft_driver_assign(r->driver, now_ms, m->node, RAFT_DRIVER_STANDBY);
    return true;
}

/* Two changes are at least one promise apart, also over a change of leader: members.md. */
void replica_lead_members(struct replica *r)
{
    enum raft_driver_result result = RAFT_DRIVER_OK;
    uint32_t learner;

    if (r->change_ns == 0)
        r->change_ns = r->now_ns + ownership_promise_ns(&r->ownership);
    if (r->now_ns < r->change_ns || raft_driver_status(r->driver).changing)
        return;
    for (size_t i = 0; i < r->fsm.n_members; i++)
        if (change_of(r, r->fsm.members[i], &result) && result == RAFT_DRIVER_OK)
            return; /* what is refused may become possible by another's change */
    learner = promotable(r);
    if (learner != 0)
        (void)raft_driver_assign(r->driver, r->now_ns / 1000000, learner, RAFT_DRIVER_VOTER);
}

void replica_on_changed(void *self, enum raft_driver_result result)
{
    struct replica *r = self;

    r->change_ns = 0;
    if (result != RAFT_DRIVER_OK)
        replica_log(r, REPL_LOG_WARN, "a change of members did not come about: %s",
                    result == RAFT_DRIVER_TIMED_OUT ? "the node did not catch up in time"
                    : result == RAFT_DRIVER_BUSY
                        ? "of the voters that would be there no majority answers"
                        : "leadership was lost");
}
