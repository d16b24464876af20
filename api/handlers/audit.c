/* /v1/audit: what operators did, each entry chained to the one before */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

void api_get_audit(struct api_call *call, const struct api_backend *backend)
{
    const struct api_query *q = &call->query;
    struct api_audit_query query = {.after = q->page.after,
                                    .limit = q->page.limit,
                                    .oldest_first = q->oldest_first,
                                    .principal = q->principal,
                                    .operation = q->operation};
    struct api_problem problem = {0};
    json_t *body = backend->audit(backend->self, &query, &problem);

    api_call_give(call, body, &problem);
}

/* 1 to 19 digits, the first no zero: as the entries say it. */
static bool sequence_of(const char *text, uint64_t *sequence)
{
    size_t n = strspn(text, "0123456789");

    if (n < 1 || n > 19 || text[n] != '\0' || text[0] == '0') {
        return false;
    }
    *sequence = strtoull(text, NULL, 10);
    return true;
}

void api_get_audit_entry(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    uint64_t sequence = 0;
    json_t *entry = NULL;

    if (!sequence_of(call->parameter, &sequence)) {
        api_problem_set(&problem, 404, "unknown-entry", "'%.40s' is no sequence of an entry",
                        call->parameter);
    } else {
        entry = backend->audit_entry(backend->self, sequence, &problem);
    }
    api_call_give(call, entry, &problem);
}

static void note(struct api_call *call, const struct api_backend *backend)
{
    char operation[API_OPERATION_BYTES];

    (void)snprintf(operation, sizeof operation, "%s %s", call->refused->method,
                   call->refused->path);
    backend->note_refusal(backend->self, &call->who, operation, call->body, call->refused_as);
    api_call_answer(call, MHD_HTTP_OK, NULL);
}

const struct api_route api_note = {.method = "", .path = "", .handle = note};
