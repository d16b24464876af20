#include "members_doubles.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/clock.h"
#include "replication/record.h"

struct members_doubles doubles;
const struct api_asker doubles_asker = {
    .role = "admin", .principal = "email:a", .address = "10.9.9.9", .request_id = "r-1"};

struct api_request {
    int nothing;
};

struct api_request *doubles_request(void)
{
    struct api_request *request = calloc(1, sizeof *request);

    HF_ASSERT(request != NULL);
    return request;
}

/* --- the links and the log --- */

void repl_status(struct repl *repl, struct repl_status *out)
{
    (void)repl;
    *out = doubles.status;
}

/* The kinds of admin_members.c, each as it may leave. */
enum repl_result repl_send_frame(struct repl *repl, uint32_t node, enum repl_channel channel,
                                 struct span bytes)
{
    (void)repl;
    HF_ASSERT(channel == REPL_CHANNEL_ADMIN && bytes.len > 0 && node != doubles.status.node);
    switch (bytes.data[0]) {
    case 1:
        HF_ASSERT(bytes.len == 1 + DAEMON_TOKEN_BYTES + 4);
        break;
    case 5: /* role, principal, address, request id */
        HF_ASSERT(bytes.len >= 1 + DAEMON_TOKEN_BYTES + 4 + 4 && bytes.data[bytes.len - 1] == 0);
        break;
    case 2:
        HF_ASSERT(bytes.len > 1 + 4 && bytes.len <= 1 + JOIN_WHY_BYTES);
        break;
    case 3:
        HF_ASSERT(bytes.len == 1);
        break;
    case 4:
        HF_ASSERT(bytes.len > 1 && (bytes.len - 1) % 23 == 0);
        break;
    default:
        HF_ASSERT(false);
    }
    doubles.sent++;
    doubles.kinds[bytes.data[0]]++;
    return doubles.busy ? REPL_BUSY : REPL_OK;
}

void repl_introduce(struct repl *repl, uint32_t from, const struct repl_node_address *nodes,
                    size_t n)
{
    (void)repl;
    HF_ASSERT(from != 0 && n > 0 && n <= REPL_MAX_NODES);
    for (size_t i = 0; i < n; i++)
        HF_ASSERT(nodes[i].node != 0 && nodes[i].address.port != 0 &&
                  (nodes[i].address.ip.family == ADDR_V4 || nodes[i].address.ip.family == ADDR_V6));
    doubles.introduced++;
}

/* As a record has it. */
static void note(const struct repl_admin *by)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__RotateKeys body = HOLDFAST__ROTATE_KEYS__INIT;
    Holdfast__Admin admin;

    doubles.asked_by[0] = '\0';
    if (by == NULL)
        return;
    admin = record_admin(by, "");
    r.node = 1;
    r.boot = r.request = 1;
    r.body_case = HOLDFAST__RECORD__BODY_ROTATE_KEYS;
    r.rotate_keys = &body;
    r.admin = &admin;
    HF_ASSERT(record_valid(&r));
    (void)snprintf(doubles.asked_by, sizeof doubles.asked_by, "%s %s %s %s", by->role,
                   by->principal, by->address, by->request_id);
}

static uint64_t numbered(void)
{
    return doubles.busy ? 0 : ++doubles.wishes;
}

/* Only whose token waits. */
uint64_t conductor_wish_join(struct conductor *c, uint32_t node, const uint8_t hash[32],
                             uint32_t speaks, const struct repl_admin *by)
{
    bool waits = false;

    (void)c;
    (void)speaks;
    for (size_t i = 0; i < doubles.status.n_tokens; i++)
        waits = waits || (doubles.status.tokens[i].node == node &&
                          memcmp(doubles.status.tokens[i].hash, hash, 32) == 0);
    HF_ASSERT(waits);
    note(by);
    doubles.joins++;
    return numbered();
}

uint64_t conductor_wish_token(struct conductor *c, uint32_t node, const char *address,
                              const uint8_t hash[32], uint64_t valid_ms,
                              const struct repl_admin *by)
{
    (void)c;
    (void)hash;
    HF_ASSERT(node != 0 && repl_address_valid(address) && valid_ms > 0);
    note(by);
    doubles.tokens++;
    return numbered();
}

uint64_t conductor_wish_leave(struct conductor *c, uint32_t node, uint64_t until_ms,
                              const struct repl_admin *by)
{
    (void)c;
    HF_ASSERT(node != doubles.status.node);
    HF_ASSERT(until_ms == 0 || doubles.status.speaks >= RECORD_SPEAKS_UNTIL);
    note(by);
    doubles.leaves++;
    doubles.leave_until_ms = until_ms;
    return numbered();
}

uint64_t conductor_wish_drain(struct conductor *c, uint32_t node, bool drained, uint64_t until_ms,
                              uint64_t removal, const struct repl_admin *by)
{
    (void)c;
    HF_ASSERT(until_ms == 0 || node != doubles.status.node);
    HF_ASSERT(until_ms == 0 || doubles.status.speaks >= RECORD_SPEAKS_UNTIL);
    HF_ASSERT(removal == 0 || (doubles.status.speaks >= RECORD_SPEAKS_REMOVAL && until_ms != 0));
    note(by);
    doubles.drain_removal = removal;
    doubles.drains++;
    doubles.drained = drained;
    doubles.drain_until_ms = until_ms;
    return numbered();
}

/* --- the daemon and the admin server --- */

uint32_t recover_used_ids(struct repl *repl)
{
    (void)repl;
    return 0;
}

const struct config_node *config_self(const struct config *config)
{
    return &config->nodes[0];
}

uint64_t io_boottime_ms(void)
{
    return doubles.now_ms;
}

void api_request_answer(struct api_request *request, json_t *body)
{
    HF_ASSERT(request != NULL && json_is_object(body));
    json_decref(body);
    free(request);
    doubles.answered++;
}

void api_request_refuse(struct api_request *request, const struct api_problem *problem)
{
    HF_ASSERT(request != NULL && problem->detail[0] != '\0');
    free(request);
    doubles.refused++;
    doubles.problem = *problem;
}
