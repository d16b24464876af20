#include "conductor/steppoint.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const point_names[] = {"stepped", "submitted", "committed", "sent", "peer"};
static const char *const mode_names[] = {"process", "machine"};

const char *step_point_name(enum step_point p)
{
    HF_ASSERT(p < POINT_COUNT);
    return point_names[p];
}

/* One field of "a:b:c"; false when it is missing or too long. */
static bool field(const char **text, char *out, size_t cap, char end)
{
    const char *stop = end == '\0' ? *text + strlen(*text) : strchr(*text, end);
    size_t len;

    if (stop == NULL)
        return false;
    len = (size_t)(stop - *text);
    if (len == 0 || len >= cap)
        return false;
    memcpy(out, *text, len);
    out[len] = '\0';
    *text = end == '\0' ? stop : stop + 1;
    return true;
}

static int index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

bool steppoint_arm(struct steppoint *s, const char *text, const char *mode, const char **why)
{
    char exchange[32], role[16], point[16];
    int e = -1, p, m = index_of(mode_names, 2, mode);

    if (!s->enabled) {
        *why = "drills are disabled: set `drills: enabled` in the node's configuration";
        return false;
    }
    if (text[0] == '\0') {
        s->armed = false;
        return true;
    }
    if (s->fd < 0) {
        *why = "no step pipe: start the daemon with HOLDFAST_STEP_FD set to an inherited pipe";
        return false;
    }
    if (!field(&text, exchange, sizeof exchange, ':') || !field(&text, role, sizeof role, ':') ||
        !field(&text, point, sizeof point, '\0')) {
        *why = "a step point is exchange:role:point, for example child-rekey:gateway:committed";
        return false;
    }
    for (int i = IKE_EX_INIT; i <= IKE_EX_INFORMATIONAL; i++)
        if (strcmp(ike_exchange_name((enum ike_exchange)i), exchange) == 0)
            e = i;
    p = index_of(point_names, POINT_COUNT, point);
    if (e < 0 || p < 0 || m < 0 || (strcmp(role, "client") != 0 && strcmp(role, "gateway") != 0)) {
        *why = e < 0
                   ? "unknown exchange (child-rekey, child-rekey-pfs, ike-rekey, child-create, ...)"
               : p < 0 ? "unknown point (stepped, submitted, committed, sent, peer)"
               : m < 0 ? "unknown mode (process, machine)"
                       : "unknown role (client, gateway)";
        return false;
    }
    s->exchange = (enum ike_exchange)e;
    s->begun = role[0] == 'c' ? IKE_BY_PEER : IKE_BY_US;
    s->point = (enum step_point)p;
    s->mode = (enum step_mode)m;
    s->armed = true;
    return true;
}

void steppoint_reached(const struct steppoint *s, enum ike_exchange exchange, enum ike_begun begun,
                       enum step_point point, const struct step_facts *facts)
{
    char line[320];
    int n;

    if (!s->armed || s->exchange != exchange || s->begun != begun || s->point != point)
        return;
    if (s->mode == STEP_MODE_MACHINE && s->cut_links != NULL)
        s->cut_links(s->self);
    n = snprintf(
        line, sizeof line,
        "{\"point\":\"%s:%s:%s\",\"mode\":\"%s\",\"log_index\":%llu,\"owner\":%s,\"leader\":%s,"
        "\"sa\":\"%016llx\",\"node\":%u,\"message\":\"%016llx\"}\n",
        ike_exchange_name(exchange), begun == IKE_BY_PEER ? "client" : "gateway",
        point_names[point], mode_names[s->mode], (unsigned long long)facts->log_index,
        facts->owner ? "true" : "false", facts->leader ? "true" : "false",
        (unsigned long long)facts->sa, facts->node, (unsigned long long)facts->message);
    if (n > 0) {
        ssize_t written = write(s->fd, line, (size_t)n);

        (void)written; /* nobody may listen any more: die all the same */
    }
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}
