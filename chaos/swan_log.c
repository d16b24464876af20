#include "swan_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has(const char *line, const char *part)
{
    return strstr(line, part) != NULL;
}

static void complain(struct swan_log *log, const char *why, const char *line)
{
    if (log->n_complaints < SWAN_LOG_COMPLAINTS)
        (void)snprintf(log->complaints[log->n_complaints], SWAN_LOG_LINE, "%s: %.150s", why, line);
    log->n_complaints++;
}

/* "... CHILD_SA net{2} established with SPIs 73ea78ab_i 0373be61_o and TS ..." */
static void child_established(struct swan_log *log, const char *line)
{
    const char *number = strchr(line, '{'), *spis = strstr(line, "with SPIs ");
    struct swan_child child = {0};
    char *end;

    if (!number || !spis)
        return;
    child.number = (uint32_t)strtoul(number + 1, NULL, 10);
    child.spi_in = (uint32_t)strtoul(spis + 10, &end, 16);
    if (strncmp(end, "_i ", 3) != 0)
        return;
    child.spi_out = (uint32_t)strtoul(end + 3, NULL, 16);
    for (uint32_t i = 0; i < log->n_children; i++) {
        if (log->children[i].number == child.number)
            return; /* its outbound half */
    }
    if (log->n_children < SWAN_LOG_CHILDREN)
        log->children[log->n_children++] = child;
    if (has(line, "inbound CHILD_SA"))
        log->child_rekeyed++;
    else
        log->child_up++;
}

static void child_closing(struct swan_log *log, const char *line)
{
    const char *number = strchr(line, '{');
    uint32_t n = number ? (uint32_t)strtoul(number + 1, NULL, 10) : 0;

    log->child_closed++;
    for (uint32_t i = 0; i < log->n_children; i++) {
        if (log->children[i].number == n)
            log->children[i].closed = true;
    }
    if (log->child_closed > log->child_rekeyed && !log->collides)
        complain(log, "a CHILD SA was deleted without a successor", line);
}

static void exchange(struct swan_log *log, const char *line)
{
    bool request = has(line, " request ");

    if (has(line, "TEMP_FAIL") && !log->collides)
        complain(log, "TEMPORARY_FAILURE", line);
    if (has(line, "CREATE_CHILD_SA request") && has(line, " KE ") && has(line, " TSi "))
        log->ke_requests++;
    if (has(line, "parsed INFORMATIONAL") && has(line, "[ ]")) {
        if (request)
            log->dpd_received++;
        else if (log->dpd_answered < log->dpd_sent)
            log->dpd_answered++;
    }
}

/* Nobody answered, and what it does then. False: another line. */
static bool gives_up(struct swan_log *log, const char *line)
{
    if (has(line, "giving up"))
        complain(log, "gave up", line);
    else if (has(line, "peer not responding"))
        complain(log, "peer not responding", line);
    else if (has(line, "restarting CHILD_SA") || has(line, "trying to connect again"))
        complain(log, "began anew", line);
    else
        return false;
    return true;
}

void swan_log_line(struct swan_log *log, const char *line)
{
    if (has(line, "[JOB] spawning"))
        log->ready = true;
    else if (has(line, "[ENC]"))
        exchange(log, line);
    else if (has(line, "CHILD_SA ") && has(line, "} established with SPIs "))
        child_established(log, line);
    else if (has(line, "closing CHILD_SA "))
        child_closing(log, line);
    else if (has(line, "IKE_SA ") && has(line, "] established between"))
        log->ike_up++;
    else if (has(line, "IKE_SA ") && has(line, "] rekeyed between"))
        log->ike_rekeyed++;
    else if (has(line, "sending DPD request"))
        log->dpd_sent++;
    if (has(line, "detected ") && has(line, " collision with "))
        log->n_collisions++;
    log->n_won += has(line, "rekey collision won");
    log->n_lost += has(line, "rekey collision lost");
    if (has(line, "deleting IKE_SA ") && ++log->ike_deleted > log->ike_rekeyed && !log->collides)
        complain(log, "an IKE SA was deleted without a successor", line);
    if (!log->may_give_up && gives_up(log, line))
        return;
    if (has(line, "no CHILD_SA built") || has(line, "CHILD_SA rekeying failed") ||
        has(line, "IKE_SA rekeying failed"))
        complain(log, "an exchange failed", line);
    else if (!log->collides &&
             (has(line, "detected rekeying of unknown") || has(line, "TEMPORARY_FAILURE")))
        complain(log, "refused", line);
    else if (has(line, "reauthenticating IKE_SA"))
        complain(log, "began anew", line);
}

bool swan_log_address(const char *line, char *connection, size_t size, char *address,
                      size_t address_size)
{
    static const char words[] = "installing new virtual IP ";
    const char *from = strchr(line, '<'), *to = from ? strchr(from, '|') : NULL;
    const char *at = strstr(line, words);

    if (!to || !at || to > at || (size_t)(to - from) > size)
        return false;
    at += sizeof words - 1;
    (void)snprintf(connection, size, "%.*s", (int)(to - from - 1), from + 1);
    (void)snprintf(address, address_size, "%.*s", (int)strcspn(at, " \r\n"), at);
    return connection[0] && address[0];
}
