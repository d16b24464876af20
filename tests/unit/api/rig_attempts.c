/* What the rig's backend says of attempts that failed and of what is wrong, and notes of refusals. */
#include <stdio.h>

#include "unit/api/rig.h"

static json_t *one_attempt(const char *id)
{
    return json_pack("{s:s,s:I,s:I,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:s,s:s,s:i}", "id",
                     id, "first_wall_ms", (json_int_t)1795921200000, "last_wall_ms",
                     (json_int_t)1795921205000, "times", 3, "peer", "192.0.2.7:4500", "identity",
                     "alice\\x1b@example.org", "identity_type", "email", "exchange", "ike-init",
                     "begun_by", "client", "cause",
                     "only-weak-groups-offered-modp2048-or-better-needed", "said", "",
                     "certificate", "", "asked_again", 0, "proven", 0, "sa", "0000000000000000",
                     "local", "192.0.2.10:500", "shard", 1);
}

static json_t *at(const char *id, json_int_t last_wall_ms, bool asked_again)
{
    json_t *attempt = one_attempt(id);

    json_object_set_new(attempt, "last_wall_ms", json_integer(last_wall_ms));
    json_object_set_new(attempt, "asked_again", json_boolean(asked_again));
    return attempt;
}

json_t *rig_attempts(void *self, const struct api_attempts_query *query,
                     struct api_problem *problem)
{
    struct rig *rig = self;

    (void)problem;
    rig->attempts = *query;
    (void)snprintf(rig->attempts_peer, sizeof rig->attempts_peer, "%s", query->peer);
    (void)snprintf(rig->attempts_identity, sizeof rig->attempts_identity, "%s", query->identity);
    if (rig->no_attempts) {
        return json_pack("{s:i,s:i,s:[]}", "node", 1, "unkept", 0, "attempts");
    }
    if (rig->three_attempts) {
        return json_pack("{s:i,s:i,s:[o,o,o]}", "node", 1, "unkept", 0, "attempts",
                         at("0001a3f20000002d", 1795921209000, true),
                         at("0001a3f20000002c", 1795921204000, false),
                         at("0001a3f20000002b", 1795921207000, false));
    }
    return json_pack("{s:i,s:i,s:[o],s:s}", "node", 1, "unkept", 0, "attempts",
                     one_attempt("0001a3f20000002a"), "next", "0001a3f20000002a");
}

json_t *rig_attempt(void *self, uint64_t id, struct api_problem *problem)
{
    char text[17];

    (void)self;
    if (id == 1) {
        api_problem_set(problem, 404, "unknown-attempt", "there is none");
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)id);
    return json_pack("{s:o,s:{s:s,s:s,s:[{s:s,s:[s,s],s:[s],s:b},{s:s,s:[s],s:[s],s:b}]}}",
                     "attempt", one_attempt(text), "explain", "meaning", "All would fit but.",
                     "fix", "Set it.", "evidence", "what", "encryption", "offered", "aes256",
                     "3des", "allowed", "aes256", "differs", 0, "what", "group", "offered",
                     "modp1024", "allowed", "x25519", "differs", 1);
}

void rig_note(void *self, const struct api_asker *who, const char *operation, const char *path,
              const char *name)
{
    struct rig *rig = self;

    rig->asker = *who;
    (void)snprintf(rig->noted, sizeof rig->noted, "%s|%s|%s", operation, path, name);
    rig->notes++;
}
json_t *rig_doctor(void *self, struct api_problem *problem)
{
    struct rig *rig = self;
    json_t *list = json_array();

    (void)problem;
    if (rig->findings > 0) {
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "id", "node-drained",
                                              "severity", "note", "subject", "node 2", "evidence",
                                              "an operator drained it", "meaning", "It votes.",
                                              "next", "Undrain it."));
    }
    if (rig->findings > 1) {
        json_array_insert_new(list, 0,
                              json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "id", "mtu", "severity",
                                        "warning", "subject", "node 1, interface out0", "evidence",
                                        "its MTU is 1300 bytes", "meaning", "Large ones hang.",
                                        "next", "Raise it."));
    }
    return json_pack("{s:i,s:i,s:i,s:o}", "node", 1, "checked", 29, "window_s", 300, "findings",
                     list);
}

void rig_profile(void *self, struct api_request *request, const struct api_profile *args,
                 const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    (void)snprintf(rig->profile, sizeof rig->profile, "%s|%s|%s", args->kind, args->identity,
                   args->server != NULL ? args->server : "");
    if (rig->how == RIG_NOW) {
        api_request_answer(request,
                           json_pack("{s:s,s:s,s:s,s:s}", "kind", args->kind, "file", "gw.conf",
                                     "media_type", "text/plain", "text", "first\nsecond\tline\n"));
    } else {
        rig_decide(rig, request);
    }
}
