/* What each finding means, and what to do about it. */
#include "daemon/doctor.h"

#include "base/assert.h"

static const struct text {
    const char *meaning, *next;
} texts[] = {
    [DOCTOR_no_quorum] =
        {"This node hears no majority. It serves nothing and takes no change, so that no packet "
         "number is used twice; clients of a side that has a majority are served by that side.",
         "Start the nodes that are down and mend the network between the nodes (TCP, the addresses "
         "of `holdfast cluster status`). Only when a majority is lost for good: `holdfast cluster "
         "recover`, which ends all tunnels."},
    [DOCTOR_state_differs] =
        {"Two nodes that applied the same log have different states. One of them is wrong, by a "
         "fault of its memory or of this program; the wrong one is replaced from a snapshot by "
         "itself where a majority can tell which it is.",
         "Look for 'digest' in the logs of both. Keep `GET /v1/cluster` of each node for a report, "
         "test the machine's memory, and replace the node (`holdfast cluster replace`) when it "
         "comes again."},
    [DOCTOR_node_distrusted] =
        {"That node's disk has less than the node once acknowledged: it may have been restored "
         "from a "
         "copy or lost its last writes. It neither votes nor serves until it has caught up.",
         "It mends itself while a majority of the others is up. When it does not, its log says "
         "what "
         "it waits for; a disk that loses writes has to be replaced."},
    [DOCTOR_node_unreachable] =
        {"One node less to take over. Its shards, if it had any, were taken over by others.",
         "On that node: `systemctl status holdfast` and its log. If it runs: the replication port "
         "between the two (TCP, both ways), the guard (`nft list table inet holdfast_guard`), and "
         "whether "
         "its certificate was refused, which both logs say."},
    [DOCTOR_node_unhealthy] =
        {"The node runs, but would not do as an owner: a link is down, or its state is behind.",
         "Run `holdfast doctor` there: it says what is wrong with that node."},
    [DOCTOR_link_down] =
        {"Without both links the node cannot serve: its shards go to others.",
         "Check cable, switch port and `ip link show`. The node takes shards again by itself once "
         "the link is back."},
    [DOCTOR_disk_full] =
        {"A node whose disk is full can acknowledge nothing. It gives its shards away before that "
         "happens.",
         "Make room on that file system: other programs' files, old core files, logs. Nothing in "
         "the data folder may be removed by hand. The watermark is disk.handover_at."},
    [DOCTOR_shard_unowned] =
        {"As far as this node knows nobody serves that shard: its clients are cut off.",
         "A shard is given out by the leader once a majority says that its last owner's lease is "
         "over: under a second. If it stays: findings about nodes come first; then see whether all "
         "nodes are drained (`holdfast node undrain`)."},
    [DOCTOR_shard_silent] =
        {"This node owns the shard and has no lease for it: a majority did not answer in time. It "
         "is silent meanwhile, so that no other owner is contradicted.",
         "Look for nodes that are slow or gone, and for `longest_ms` of `loops` in GET "
         "/v1/cluster: "
         "turns as long as the lease mean a machine that is too busy."},
    [DOCTOR_certificate] =
        {"Nodes show each other certificates. One that has ended is refused, and the node is alone "
         "then.",
         "`holdfast pki node ID --force` where the cluster's CA is, bring the files there, and "
         "`holdfast reload`: no tunnel is dropped."},
    [DOCTOR_keys_overdue] =
        {"The key that sealed ended tunnels' records is still in memory, longer than is promised: "
         "with it and a disk those tunnels' keys could be read.",
         "Each member must have a snapshot of a newer time first. Find the one that is behind or "
         "down; one that will not come back: `holdfast cluster remove`."},
    [DOCTOR_pool_exhausted] =
        {"All addresses of a shard's pool are in use; further clients are refused.",
         "Make the pool larger, or give a second shard a pool of its own. `holdfast sa list` shows "
         "who holds addresses; clients that come back keep theirs."},
    [DOCTOR_sends_refused] =
        {"What this node sealed did not leave it: the kernel refused it. Those packets are lost.",
         "See `nft list ruleset` for a rule of output or a full conntrack table, `ip route get "
         "CLIENT` for a route, `ip -s link` for the interface's errors."},
    [DOCTOR_inside_refused] =
        {"Packets that were opened could not be given to the kernel.",
         "See `ip -s link show` of the TUN interface: it must be up; nobody but this program may "
         "change it."},
    [DOCTOR_mtu] =
        {"Full packets of clients leave this node in fragments, or not at all: small ones work, "
         "large ones hang. Firewalls like to drop fragments.",
         "`ip link set dev INTERFACE mtu 1500` and the same on the way to the clients; else lower "
         "what is sent through the tunnels (clamp TCP's MSS on the inside)."},
    [DOCTOR_no_spare] =
        {"The next node that fails stops the gateway: there is no majority without it.",
         "Bring the missing nodes back. A cluster of two bears no failure at all: add a third "
         "(`holdfast cluster token`, `holdfast cluster join`)."},
    [DOCTOR_node_behind] =
        {"That node would have to catch up before it could take over.",
         "See whether its disk or network is slow. It is sent a snapshot by itself when it is too "
         "far behind."},
    [DOCTOR_node_reluctant] =
        {"That node would rather own nothing, because it is being stopped or its disk fills up.",
         "If it was not meant: `holdfast doctor` there."},
    [DOCTOR_rollback_unheard] =
        {"A virtual machine that goes on from a copy of its memory would not be told at once. "
         "Other "
         "nodes' leases still keep it silent; the wait is longer.",
         "Start the daemon anew. If it comes again: the log says what the kernel answers."},
    [DOCTOR_port_4500_silent] =
        {"Clients begin on UDP 500 and go on on UDP 4500. Nothing comes there: something in front "
         "lets only 500 pass. (Or forged addresses only begin, which looks the same.)",
         "Open UDP 4500 (and, for clients without NAT, protocol 50) to the service addresses in "
         "every firewall before this node, both ways. `tcpdump -ni OUTSIDE udp port 4500` here "
         "while a client tries."},
    [DOCTOR_retransmissions] =
        {"Answers of clients come late or not at all: a lossy way, or requests larger than it "
         "carries.",
         "`holdfast sa list` for whom; if all of them: the provider's line, and whether fragments "
         "pass. If some: their network."},
    [DOCTOR_clients_lost] =
        {"Clients that were there no longer answer. Devices that sleep or roam do that; many at "
         "once do not: then a NAT or firewall on the way forgot their mappings, or a line is down.",
         "Compare with `holdfast events` for when it happened. Shorten the NAT keepalive when the "
         "same clients are lost again and again while idle."},
    [DOCTOR_numbers_late] =
        {"Packet numbers are reserved in the replicated log before they are used. The log answered "
         "too late, so packets were dropped.",
         "Replication is slow: findings about nodes come first; then disks (`fsync` time) and the "
         "network between the nodes."},
    [DOCTOR_leases_lost] =
        {"This node owned a shard and could not renew its lease in time; another took over.",
         "A machine that stalls (`longest_ms` of `loops`), a network that pauses, or a timing too "
         "short for them: cluster.timing."},
    [DOCTOR_replays] =
        {"Packets that were received before came again, or so late that the window had passed "
         "them. After a rekey that may be a client that mixes up its SAs; else a network that "
         "duplicates or reorders widely, or an attack, which fails.",
         "`holdfast sa list -o json` for several clients: if one alone, look at that client. If "
         "all: a "
         "bond or load balancer that sprays packets over paths."},
    [DOCTOR_hard_expired] =
        {"An SA ended at its hard limit, so its traffic stopped until the client came again. Soft "
         "limits lie far enough before it when both ends answer.",
         "`holdfast attempt list` for rekeys that failed, and why. Policies that differ between "
         "client and gateway show at the first rekey."},
    [DOCTOR_logins_fail] = {"Many authentications are refused: someone guesses, or a key or "
                            "certificate was changed on "
                            "one end only.",
                            "`holdfast attempt list`, then `holdfast explain ID`."},
    [DOCTOR_old_program] =
        {"A member runs an older program: the cluster speaks what all of them know, and some "
         "functions wait.",
         "Upgrade the remaining nodes one by one, each after a drain."},
    [DOCTOR_node_drained] = {"It is given no shards, by an operator's word. It still votes.",
                             "`holdfast node undrain` when the work on it is done."},
};

HF_STATIC_ASSERT(sizeof texts / sizeof texts[0] == DOCTOR_COUNT);

static const char *const names[] = {
#define X(id, name, severity) [DOCTOR_##id] = (name),
    DOCTOR_LIST(X)
#undef X
};

static const enum doctor_severity severities[] = {
#define X(id, name, severity) [DOCTOR_##id] = (severity),
    DOCTOR_LIST(X)
#undef X
};

const char *doctor_name(enum doctor_id id)
{
    HF_ASSERT((unsigned)id < DOCTOR_COUNT);
    return names[id];
}

enum doctor_severity doctor_severity_of(enum doctor_id id)
{
    HF_ASSERT((unsigned)id < DOCTOR_COUNT);
    return severities[id];
}

const char *doctor_severity_name(enum doctor_severity severity)
{
    static const char *const words[] = {"error", "warning", "note"};

    return words[severity];
}

const char *doctor_meaning(enum doctor_id id)
{
    HF_ASSERT((unsigned)id < DOCTOR_COUNT);
    return texts[id].meaning;
}

const char *doctor_next(enum doctor_id id)
{
    HF_ASSERT((unsigned)id < DOCTOR_COUNT);
    return texts[id].next;
}
