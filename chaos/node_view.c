#include "node.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swan.h"

enum { NODE_LOOK_MS = 300 };

static uint64_t number_of(const json_t *j)
{
    if (json_is_integer(j))
        return (uint64_t)json_integer_value(j);
    return json_is_string(j) ? strtoull(json_string_value(j), NULL, 16)
                             : 0; /* ids are hexadecimal strings */
}

static uint64_t member(const json_t *j, const char *key)
{
    return number_of(json_object_get(j, key));
}

static void text(const json_t *j, const char *key, char *to, size_t size)
{
    const char *s = json_string_value(json_object_get(j, key));

    (void)snprintf(to, size, "%s", s ? s : "");
}

static uint64_t sum_of(const json_t *counters, const char *const *names, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += member(counters, names[i]);
    return sum;
}

/* A counter that this does not know counts drops until it is said here that it does not. */
static bool counts_drops(const char *name)
{
    static const char *const others[] = {
        "in-packets",    "out-packets",    "keepalives",      "ike-datagrams", "ike-dropped",
        "aside-packets", "handed-over",    "events-deferred", "waited",        "turns",
        "raw-packets",   "raw-unknown-spi" /* in in-unknown-spi, too */};

    if (strncmp(name, "stray_dropped_", 14) == 0)
        return true;
    if (strncmp(name, "esp_", 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name + 4, others[i]) == 0)
            return false;
    return true;
}

static void take_drops(const json_t *counters, struct node_view *view)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)counters, name, value)
    {
        struct node_drop *d = &view->drops[view->n_drops];

        if (view->n_drops == NODE_MAX_DROPS || !counts_drops(name) || !number_of(value))
            continue;
        (void)snprintf(d->reason, sizeof d->reason, "%s", name);
        d->packets = number_of(value);
        view->n_drops++;
    }
}

void node_take_counters(const json_t *counters, struct node_view *view)
{
    static const char *const refused[] = {"esp_drop_in_replayed", "esp_drop_in_old",
                                          "esp_drop_in_below-floor", "esp_in-unknown-spi"};
    static const char *const others[] = {"esp_keepalives", "esp_ike-datagrams", "esp_ike-dropped",
                                         "esp_in-no-lease", "esp_in-malformed"};
    uint64_t all = member(counters, "esp_in-packets"), not = sum_of(counters, others, 5);

    take_drops(counters, view);
    view->refused_in = sum_of(counters, refused, 4);
    view->recoveries = member(counters, "replay_recoveries");
    view->esp_in = all > not ? all - not : 0; /* read one by one while packets come in */
}

/* Appends to the text that `to` holds. False: no room, and the text is as before. */
static bool tell(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool tell(char *to, size_t size, const char *format, ...)
{
    size_t at = strlen(to);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to + at, size - at, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < size - at)
        return true;
    to[at] = '\0';
    return false;
}

/* What is between two nodes' parts stands in front of the later one. */
static bool tell_node(const struct node_view *v, unsigned node, char *to, size_t size)
{
    const char *between = *to ? "; " : "";

    if (!v->answered)
        return tell(to, size, "%snode %u does not answer", between, node);
    for (unsigned i = 0; i < v->n_drops; i++) {
        const struct node_drop *d = &v->drops[i];
        unsigned long long packets = d->packets;

        if (i == 0 ? !tell(to, size, "%snode %u: %s %llu", between, node, d->reason, packets)
                   : !tell(to, size, ", %s %llu", d->reason, packets))
            return false;
    }
    return true;
}

void node_tell_drops(const struct node_view *views, unsigned nodes, char *to, size_t size)
{
    static const char cut[] = "...";
    bool room = size > sizeof cut;

    to[0] = '\0';
    for (unsigned i = 0; room && i < nodes; i++)
        room = tell_node(&views[i], i + 1, to, size - sizeof cut + 1);
    if (!room)
        (void)tell(to, size, "%s", cut);
    else if (!*to)
        (void)tell(to, size, "nothing");
}

static void take_shards(const json_t *list, struct node_view *view)
{
    json_t *j;
    size_t i;

    json_array_foreach(list, i, j)
    {
        uint64_t id = member(j, "id");
        struct node_shard *s;

        if (id < 1 || id > LAB_MAX_SHARDS)
            continue;
        s = &view->shards[id - 1];
        s->owner = (unsigned)member(json_object_get(j, "owner"), "node");
        s->owner_boot = member(json_object_get(j, "owner"), "boot");
        s->epoch = member(json_object_get(j, "epoch"), "index");
        s->assignments = member(j, "assignments");
        s->acting = json_is_true(json_object_get(j, "acting"));
        view->n_shards++;
    }
}

void node_look(struct node *n, struct node_view *view)
{
    struct http_reply reply;
    json_t *j, *peer;
    size_t i;

    *view = (struct node_view){0};
    if (!node_alive(n) ||
        !http_call(n->lab, n->socket, "GET", "/v1/cluster", NULL, NODE_LOOK_MS, &reply))
        return;
    j = reply.body;
    view->answered = reply.status == 200 && json_is_object(j);
    view->quorum = json_is_true(json_object_get(j, "quorum"));
    view->boot = member(j, "boot");
    view->leader = (unsigned)member(j, "leader");
    view->term = member(j, "term");
    view->applied_index = member(j, "applied_index");
    view->commit_index = member(j, "commit_index");
    view->cluster_ms = member(j, "cluster_ms");
    json_array_foreach(json_object_get(j, "nodes"), i, peer)
    {
        if (member(peer, "id") != n->id && json_is_true(json_object_get(peer, "connected")))
            view->connected++;
    }
    take_shards(json_object_get(j, "shards"), view);
    node_take_counters(json_object_get(j, "counters"), view);
    json_decref(j);
}

static void take_sa(const json_t *j, struct node_sa *sa)
{
    json_t *child, *list = json_object_get(j, "children");
    size_t i;

    *sa = (struct node_sa){0};
    text(j, "id", sa->id, sizeof sa->id);
    text(j, "remote_spi", sa->remote_spi, sizeof sa->remote_spi);
    text(j, "state", sa->state, sizeof sa->state);
    text(j, "identity", sa->identity, sizeof sa->identity);
    text(json_object_get(j, "pending"), "exchange", sa->pending, sizeof sa->pending);
    text(json_object_get(j, "pending"), "new_ike_spi", sa->pending_ike_spi,
         sizeof sa->pending_ike_spi);
    sa->pending_spi_in = (uint32_t)member(json_object_get(j, "pending"), "new_spi_in");
    json_array_foreach(list, i, child)
    {
        struct node_child *c = &sa->children[sa->n_children];

        if (sa->n_children == NODE_MAX_CHILDREN)
            break;
        c->spi_in = (uint32_t)member(child, "spi_in");
        c->spi_out = (uint32_t)member(child, "spi_out");
        c->outbound = json_is_true(json_object_get(child, "outbound"));
        text(child, "state", c->state, sizeof c->state);
        sa->n_children++;
    }
}

void node_look_sas(struct node *n, struct node_sas *sas)
{
    struct http_reply reply;
    json_t *sa;
    size_t i;

    *sas = (struct node_sas){0};
    if (!node_alive(n) ||
        !http_call(n->lab, n->socket, "GET", "/v1/sas", NULL, NODE_LOOK_MS, &reply))
        return;
    sas->answered = reply.status == 200 && json_is_object(reply.body);
    json_array_foreach(json_object_get(reply.body, "sas"), i, sa)
    {
        if (sas->n_sas < NODE_MAX_SAS)
            take_sa(sa, &sas->sas[sas->n_sas++]);
    }
    json_decref(reply.body);
}

const struct node_sa *node_find_client(const struct node_sas *sas)
{
    char identity[SWAN_NAME];

    (void)swan_identity(1, identity);
    for (unsigned i = 0; i < sas->n_sas; i++) {
        if (strcmp(sas->sas[i].state, "established") == 0 &&
            strcmp(sas->sas[i].identity, identity) == 0)
            return &sas->sas[i];
    }
    return NULL;
}

unsigned node_workers(const struct node *n)
{
    static const char name[] = "hf-esp-";
    char path[64], comm[32];
    const struct dirent *e;
    unsigned found = 0;
    DIR *d = NULL;

    if (node_alive(n)) {
        (void)snprintf(path, sizeof path, "/proc/%d/task", (int)n->proc.pid);
        d = opendir(path);
    }
    while (d && (e = readdir(d)) != NULL) {
        FILE *f;

        (void)snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", (int)n->proc.pid, e->d_name);
        f = fopen(path, "re");
        found += f && fgets(comm, sizeof comm, f) && strncmp(comm, name, sizeof name - 1) == 0;
        if (f)
            (void)fclose(f);
    }
    if (d)
        (void)closedir(d);
    return found;
}
