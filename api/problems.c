/* What each problem's name means, for GET /v1/problems/{name}: the `docs` link of every refusal. A
 * name is kept for ever; checks/openapi holds this table against the sources. */
#include "api/problems.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
} problems[] = {
    {"alone",
     "A single node without certificates cannot take members. Give it 'cluster: tls:' first."},
    {"bad-address", "The address is not one at which members could reach the node: an IP address, "
                    "a colon, a port."},
    {"bad-certificate",
     "The client's certificate is missing where one is required, or it is not by a CA of "
     "api.client_ca, expired, revoked, or not for clients (extended key usage clientAuth)."},
    {"bad-configuration", "The node's file has a mistake: `holdfastd --check` tells all of them. "
                          "What was in force stays."},
    {"bad-event-id",
     "An event's id is INCARNATION.INDEX.N, three numbers, as GET /v1/events gives them."},
    {"bad-idempotency-key", "An Idempotency-Key has 1 to 64 letters, digits or - . _ ~."},
    {"bad-query",
     "Something behind '?' in the path is not known here, is given twice, or has no such value."},
    {"bad-token", "That token was not made for this node, was used, or is out of date: make "
                  "another by `holdfast cluster token`."},
    {"busy", "Something of the same kind is under way, or too much is: nothing was begun. Ask "
             "again later."},
    {"client-unfit",
     "That kind of client can do nothing that the gateway offers, or not authenticate as it would "
     "have to: the detail says what to change."},
    {"closing", "This node is stopping. What was asked of it may still have taken effect: look, "
                "then ask another node."},
    {"forbidden", "The principal's role does not include this. See /v1/openapi.json for the role "
                  "of each operation."},
    {"full", "The cluster has as many members as it may have."},
    {"id-used", "That node id is or was in use. Ids are never used again: take another one."},
    {"idempotency-in-progress", "The first request of that Idempotency-Key has no outcome yet. Ask "
                                "again later, with the same key."},
    {"idempotency-mismatch", "That Idempotency-Key was used for another request: take a new one."},
    {"ids-used-up", "So many node ids were used that no more can be remembered."},
    {"itself", "A node cannot be asked to do this to itself: ask another member."},
    {"malformed-json", "The body must be one JSON object, in UTF-8, without duplicate members."},
    {"method-not-allowed", "There is such a path, but not for that method: see the header Allow."},
    {"missing-member", "The body lacks a member that must be there: `errors` points at it."},
    {"no-key", "This node has no key of sessions (yet): is it connected with the others?"},
    {"no-leader", "No leader is known, so nothing can be written. `holdfast cluster status` says "
                  "what it waits for."},
    {"no-quorum", "No majority of the members is reached, so nothing can be written."},
    {"no-role", "The certificate is good, but api.clients gives its name no role."},
    {"no-state",
     "This node has no state that a backup may be made of: it has applied nothing, is no "
     "member, or its state or disk is not trusted. Ask another one."},
    {"no-such-path", "There is nothing at that path: see /v1/openapi.json."},
    {"not-a-member", "This node is no member of the cluster: ask one that is."},
    {"not-armed",
     "The drill cannot be armed: drills are off in the node's file, or there is no such point."},
    {"not-json", "The body's type must be said: 'Content-Type: application/json'."},
    {"not-leader", "This node is not the leader: ask the node that GET /v1/cluster names."},
    {"not-ordered", "The recovery could not be written to this node's disk. Nothing has begun."},
    {"not-outside", "This node is a member already, or was founded as one."},
    {"not-ready",
     "This node cannot serve clients now: the detail says why. Traffic should go to another one."},
    {"not-rekeyed", "The rekey cannot begin: there is no such SA here, or it is busy."},
    {"old-member",
     "A member runs a program that does not know this yet: upgrade all of them first."},
    {"old-members",
     "Some members run a program that does not know this yet: upgrade all of them first."},
    {"other-leader", "Another node than the wished one became leader: read GET /v1/cluster."},
    {"out-of-date",
     "A certificate or list of the new files is out of date. What was in force stays."},
    {"outcome-unknown", "No outcome came in time. It may still take effect: look before you ask "
                        "again, or ask again with the same Idempotency-Key."},
    {"precondition-failed",
     "The resource is another version than If-Match says: read it again, then decide again."},
    {"precondition-required", "Changes of this resource need If-Match with the ETag of a GET, so "
                              "that nobody's change is overwritten unseen."},
    {"quorum", "The cluster is alive: the last resort is not for this. Remove or replace the dead "
               "nodes instead."},
    {"refused", "The log has judged it and refused it as things stand there, so nothing was "
                "changed: the detail says why."},
    {"stopping", "This node is stopping: ask another one."},
    {"stuck", "This node's control loop does not turn. Its supervisor should restart it."},
    {"timeout",
     "What was asked is written down, but was not followed in time: look at GET /v1/cluster."},
    {"too-large", "The body is longer than this operation takes."},
    {"too-many-tokens", "There are as many tokens as there may be: remove some that nobody needs."},
    {"too-many-watchers",
     "As many watch the events of this node, or do so by this name, as may: end some, or ask "
     "another node."},
    {"too-many-requests",
     "This address asks more often than api.limits allows: wait as long as Retry-After says."},
    {"unable-node", "That node cannot own the shard now: the detail says why."},
    {"unauthorized", "Show a client's certificate or a bearer token that is good here: it may be "
                     "unknown, out of date or revoked."},
    {"unknown-attempt",
     "There is no such attempt here. Each node keeps its own, so many and for a day, until its "
     "next "
     "start: the first four digits of an id are the node's number, in hexadecimal. See GET "
     "/v1/attempts of that node."},
    {"unknown-entry",
     "There is no such entry of the audit here: the newest 1,024 are kept in the "
     "state, older ones are in the files audit.jsonl and audit.jsonl.1 to .15 of each node."},
    {"unknown-identity",
     "Nobody of that name can connect: give it a shared key in auth.psk, or set certificates up "
     "(auth.certificates, auth.clients)."},
    {"unknown-id", "There is no such id: a whole number from 1 to 65535."},
    {"unknown-member", "The body has a member that is not known here: `errors` points at it. "
                       "Nothing is ignored, lest a misspelt word be."},
    {"unknown-node", "There is no such node in the cluster."},
    {"unknown-problem", "There is no problem of that name."},
    {"unknown-sa", "There is no such SA: an id is 16 hexadecimal digits, as GET /v1/sas tells."},
    {"unknown-shard", "There is no such shard: see GET /v1/cluster."},
    {"unknown-token", "There is no token of that id: it was removed, has expired, or was never "
                      "there. See GET /v1/tokens."},
    {"wrong-nodes", "All other members, and nobody else, must be named as dead."},
    {"wrong-type",
     "A member of the body has a wrong type or is out of range: `errors` points at it."},
    {"wrong-value", "A member of the body has a value that means nothing: `errors` points at it."},
};

const char *api_problem_meaning(const char *name)
{
    for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
        if (strcmp(problems[i].name, name) == 0) {
            return problems[i].meaning;
        }
    }
    return NULL;
}
