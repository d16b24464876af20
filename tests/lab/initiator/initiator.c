/* Our own IKEv2 initiator as a program, for what stock clients cannot show (ESN): the production
 * engine, conductor and ESP workers over a log that commits at once.
 *
 *   holdfast-initiator --local IP --remote IP --id ID --gateway-id ID --psk FILE --tun NAME
 * --network PREFIX... [--address 4|6|both] [--esn] [--ike-bits 128|256] [--esp-bits 128|256]
 * [--no-force] [--keepalive-ms N] [--dpd-ms N] [--bytes SOFT:HARD]
 *
 * --no-force: claims no NAT, so what stands between the two is found by the hashes alone, and where
 * nothing does ESP goes as it is (protocol 50).
 *
 * Commands on stdin, one a line: status, keys (for tshark), rekey-child, rekey-child-pfs, rekey-ike, dpd, delete,
 * connect (anew, after a delete), quit. Answers on stdout, one JSON object a line; also {"event":"established"} and
 * {"event":"down"}. Ends when stdin closes.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "arguments.h"
#include "conductor/core.h"
#include "crypto/tables.h"
#include "daemon/datapath.h"
#include "instant_log/instant_log.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/esp_socket.h"
#include "io/netlink.h"
#include "io/tun.h"
#include "io/udp.h"

enum { SHARD = 1, NODE = 1, BOOT = 1 };

struct submission {
    uint8_t *bytes; /* packed record */
    size_t len;
    void *op;
    struct submission *next;
};

struct initiator {
    struct submission *submitted, **submitted_tail;
    uv_loop_t loop;
    uv_poll_t poll_500, poll_workers, poll_stdin;
    uv_prepare_t prepare;
    uv_timer_t timer;
    int udp_500, udp_4500, esp;
    struct tun tun;
    struct netlink *netlink;
    struct initiator_arguments arguments;
    struct log log;
    struct instant_log records;
    struct repl_lease lease;
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    uint64_t request;
    bool up;
    struct ike_sa sa; /* the established one, as of the last look */
    struct conductor_sa_view view;
    size_t n_established;
    char line[256];
    size_t line_len;
    uint8_t buffer[65536];
};

static uint64_t now_ms(void *self)
{
    (void)self;
    return io_boottime_ns() / 1000000;
}

static void op_entropy(void *self, uint8_t *out, size_t n)
{
    (void)self;
    io_entropy(out, n);
}

/* Kept until the engine has returned: a submission is never settled inside its own call. */
static bool op_submit(void *self, Holdfast__Record *r, void *op)
{
    struct initiator *in = self;
    struct submission *s = calloc(1, sizeof *s);

    r->node = NODE;
    r->boot = BOOT;
    r->request = ++in->request;
    if (s == NULL || (s->bytes = record_pack(r, &s->len)) == NULL)
        initiator_fail("out of memory");
    s->op = op;
    *in->submitted_tail = s;
    in->submitted_tail = &s->next;
    return true;
}

static void commit_all(struct initiator *in)
{
    while (in->submitted != NULL) {
        struct submission *s = in->submitted;
        Holdfast__Record *r = record_unpack(span_of(s->bytes, s->len));

        in->submitted = s->next;
        if (in->submitted == NULL)
            in->submitted_tail = &in->submitted;
        if (r == NULL)
            initiator_fail("a record of ours does not unpack");
        instant_log_commit(&in->records, now_ms(NULL), r, in, s->op);
        record_free(r);
        secret_wipe_bytes(s->bytes, s->len);
        free(s->bytes);
        free(s);
    }
}

static bool op_may_act(void *self, uint32_t shard)
{
    (void)self;
    return shard == SHARD;
}

static bool op_leader(void *self)
{
    (void)self;
    return true;
}

static void op_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                    const struct endpoint *to, struct span bytes)
{
    static const uint8_t marker[4] = {0};
    struct span parts[2] = {{marker, sizeof marker}, bytes};
    struct initiator *in = self;

    (void)shard;
    if (udp_send(from->port == UDP_NAT_PORT ? in->udp_4500 : in->udp_500, &from->ip, to,
                 natt ? parts : parts + 1, natt ? 2 : 1) != UDP_OK)
        log_line(&in->log, LOG_DEBUG, "ike", "send failed"); /* as if the network lost it */
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    (void)self;
    conductor_job_run(work);
    conductor_job_done(c, work);
}

static void tell(void *self, const struct repl_event *event, void *submitter, void *op)
{
    struct initiator *in = self;
    struct repl_event copy = *event;

    if (event->kind == REPL_EV_ASSIGNED)
        atomic_store(&in->lease.epoch_index, event->epoch.index);
    copy.mine = submitter != NULL;
    copy.effects = op;
    conductor_handle_replication(in->conductor, &copy);
}

/* --- what it says --- */

static void look(void *self, const struct conductor_sa_view *view)
{
    struct initiator *in = self;

    if (view->sa->state != IKE_SA_ESTABLISHED)
        return;
    in->n_established++;
    in->sa = *view->sa;
    in->view = *view;
}

static void take_address(struct initiator *in)
{
    struct io_error error;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        const struct ip_addr *ip = &in->sa.virtual_ip[slot];
        struct netlink_prefix own = {.ip = *ip, .length = (uint8_t)(addr_len(ip) * 8)};

        if (addr_is_set(ip) && !netlink_addr_add(in->netlink, in->tun.name, &own, &error))
            initiator_fail(error.text);
    }
    for (size_t i = 0; i < in->arguments.n_networks; i++) {
        const struct netlink_prefix *network = &in->arguments.networks[i];

        if (addr_is_set(&in->sa.virtual_ip[addr_slot(network->ip.family)]) &&
            !netlink_route_add(in->netlink, network, in->tun.name, &error))
            initiator_fail(error.text);
    }
}

/* The next SA may have other addresses, from which the networks are reached. */
static void drop_routes(struct initiator *in)
{
    struct io_error error;

    for (size_t i = 0; i < in->arguments.n_networks; i++)
        if (!netlink_route_del(in->netlink, &in->arguments.networks[i], in->tun.name, &error))
            initiator_fail(error.text);
}

static void watch(struct initiator *in)
{
    char ip[LOG_ENDPOINT_CHARS], ip6[LOG_ENDPOINT_CHARS];

    commit_all(in);
    in->n_established = 0;
    conductor_each_sa(in->conductor, look, in);
    if (in->up == (in->n_established > 0))
        return;
    in->up = !in->up;
    if (in->up)
        take_address(in);
    (void)printf("{\"event\":\"%s\",\"virtual_ip\":\"%s\",\"virtual_ip6\":\"%s\",\"encap\":%s}\n",
                 in->up ? "established" : "down", log_address(&in->sa.virtual_ip[SLOT_V4], ip),
                 log_address(&in->sa.virtual_ip[SLOT_V6], ip6), in->sa.encap ? "true" : "false");
    (void)fflush(stdout);
}

static void totals(struct initiator *in)
{
    /* what a rekey may lose at this end */
    static const enum worker_counter between[] = {WORKER_WAITED_IN_VAIN, WORKER_OUT_NO_SA,
                                                  WORKER_OUT_SELECTORS, WORKER_IN_UNKNOWN_SPI};
    const struct counters *c = conductor_counters(in->conductor);
    struct datapath_drops drops;
    uint64_t dropped = 0;

    datapath_count_drops(in->datapath);
    datapath_drops(in->datapath, &drops);
    for (int i = 0; i < ESP_DROP_COUNT; i++)
        dropped += drops.in[i] + drops.out[i];
    (void)printf("\"rekeys_child\":%" PRIu64 ",\"hard_expirations\":%" PRIu64
                 ",\"hard_limit\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"between_sas\":{",
                 c->value[COUNTER_rekeys_child], c->value[COUNTER_hard_expirations],
                 drops.in[ESP_DROP_HARD_LIMIT] + drops.out[ESP_DROP_HARD_LIMIT], dropped);
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++)
        (void)printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", worker_counter_name(between[i]),
                     worker_pool_counter(in->pool, between[i]));
    (void)printf("},\"send_errors\":%" PRIu64 ",",
                 worker_pool_counter(in->pool, WORKER_UDP_ERRORS));
}

static void status(struct initiator *in)
{
    bool first = true;

    in->n_established = 0;
    conductor_each_sa(in->conductor, look, in);
    (void)printf("{");
    totals(in);
    (void)printf("\"established\":%zu,\"ike_spi\":\"%016" PRIx64 "\",\"children\":[",
                 in->n_established, in->sa.local_spi);
    for (int i = 0; in->n_established > 0 && i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *child = &in->sa.children[i];
        struct esp_sa_view esp = {0};

        if (child->state == IKE_CHILD_NONE)
            continue;
        if (in->view.children[i].esp != NULL)
            datapath_view(in->view.children[i].esp, &esp);
        (void)printf(
            "%s{\"spi_in\":\"%08x\",\"spi_out\":\"%08x\",\"esn\":%s,\"packets_in\":%" PRIu64
            ",\"packets_out\":%" PRIu64 "}",
            first ? "" : ",", child->spi_in, child->spi_out, child->esn ? "true" : "false",
            esp.in_packets, esp.out_packets);
        first = false;
    }
    (void)printf("]}\n");
    (void)fflush(stdout);
}

static void print_key(const char *name, const struct secret *key)
{
    (void)printf(",\"%s\":\"0x", name);
    for (size_t i = 0; i < key->len; i++)
        (void)printf("%02x", key->bytes[i]);
    (void)printf("\"");
}

/* What an independent reader of the wire needs: the keys of this test, with their salts. */
static void keys(struct initiator *in)
{
    bool first = true;

    in->n_established = 0;
    conductor_each_sa(in->conductor, look, in);
    (void)printf("[");
    for (int i = 0; in->n_established > 0 && i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *child = &in->sa.children[i];

        if (child->state == IKE_CHILD_NONE)
            continue;
        (void)printf("%s{\"spi_in\":\"0x%08x\",\"spi_out\":\"0x%08x\"", first ? "" : ",",
                     child->spi_in, child->spi_out);
        print_key("key_in", &child->key_in);
        print_key("key_out", &child->key_out);
        (void)printf("}");
        first = false;
    }
    (void)printf("]\n");
    (void)fflush(stdout);
}

static void obey(struct initiator *in, const char *line)
{
    static const struct {
        const char *name;
        uint32_t want;
    } commands[] = {{"rekey-child", IKE_WANT_REKEY_CHILD_NOPFS},
                    {"rekey-child-pfs", IKE_WANT_REKEY_CHILD_PFS},
                    {"rekey-ike", IKE_WANT_REKEY_IKE},
                    {"dpd", IKE_WANT_DPD},
                    {"delete", IKE_WANT_DELETE_IKE}};
    const char *why = "not established";
    uint32_t spi = 0;

    if (strcmp(line, "quit") == 0)
        uv_stop(&in->loop);
    if (strcmp(line, "status") == 0)
        status(in);
    if (strcmp(line, "keys") == 0)
        keys(in);
    if (strcmp(line, "connect") == 0) { /* after a delete */
        drop_routes(in);
        conductor_initiate(in->conductor, SHARD, &in->arguments.local, &in->arguments.remote);
        commit_all(in);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        bool ok = false;

        if (strcmp(line, commands[i].name) != 0)
            continue;
        in->n_established = 0;
        conductor_each_sa(in->conductor, look, in);
        for (int k = 0; k < IKE_MAX_CHILDREN; k++)
            if (in->sa.children[k].state == IKE_CHILD_INSTALLED && in->sa.children[k].outbound)
                spi = in->sa.children[k].spi_in;
        if (in->n_established > 0)
            ok = conductor_command(in->conductor, in->sa.local_spi, commands[i].want,
                                   strncmp(line, "rekey-child", 11) == 0 ? spi : 0, &why);
        commit_all(in);
        (void)printf("{\"command\":\"%s\",\"ok\":%s,\"why\":\"%s\"}\n", line, ok ? "true" : "false",
                     ok ? "" : why);
        (void)fflush(stdout);
    }
}

/* --- the loop --- */

static void on_500(uv_poll_t *h, int s, int e)
{
    struct initiator *in = h->data;
    struct endpoint peer, local;
    size_t len;

    (void)s;
    (void)e;
    while (udp_recv(in->udp_500, in->buffer, sizeof in->buffer, &len, &peer, &local) == UDP_OK)
        conductor_handle_datagram(in->conductor, SHARD, &local, &peer, false,
                                  span_of(in->buffer, len));
    watch(in);
}

static void on_workers(uv_poll_t *h, int s, int e)
{
    struct initiator *in = h->data;
    struct worker_datagram d;

    (void)s;
    (void)e;
    worker_pool_event_clear(in->pool);
    datapath_drain_events(in->datapath);
    while (worker_pool_datagram(in->pool, &d)) {
        conductor_handle_datagram(in->conductor, SHARD, &d.to, &d.from, true, d.bytes);
        worker_pool_datagram_done(in->pool);
    }
    watch(in);
}

static void on_stdin(uv_poll_t *h, int s, int e)
{
    struct initiator *in = h->data;
    char c;
    ssize_t n;

    (void)s;
    (void)e;
    n = read(STDIN_FILENO, &c, 1);
    if (n == 0)
        uv_stop(&in->loop);
    if (n != 1)
        return;
    if (c == '\n') {
        in->line[in->line_len] = '\0';
        in->line_len = 0;
        obey(in, in->line);
    } else if (in->line_len + 1 < sizeof in->line) {
        in->line[in->line_len++] = c;
    }
}

static void on_timer(uv_timer_t *h)
{
    struct initiator *in = h->data;

    conductor_handle_timer(in->conductor);
    datapath_pace(in->datapath);
    watch(in);
}

static void on_prepare(uv_prepare_t *h)
{
    struct initiator *in = h->data;
    uint64_t now = now_ms(NULL), at = conductor_next_wake_ms(in->conductor);

    if (datapath_next_ms(in->datapath) < at)
        at = datapath_next_ms(in->datapath);
    if (at == UINT64_MAX)
        (void)uv_timer_stop(&in->timer);
    else
        (void)uv_timer_start(&in->timer, on_timer, at > now ? at - now : 0, 0);
}

static void start_engine(struct initiator *in)
{
    struct conductor_ops ops = {.self = in,
                                .now_ms = now_ms,
                                .entropy = op_entropy,
                                .submit = op_submit,
                                .may_act = op_may_act,
                                .leader = op_leader,
                                .send = op_send,
                                .run_job = op_run_job};
    struct worker_shard shard = {.shard = SHARD, .lease = &in->lease};
    const struct worker_options workers = {
        .n_workers = 1, .tun_fds = &in->tun.fd, .shards = &shard, .n_shards = 1, .sa_capacity = 64};
    struct conductor_options o = {.policy = &in->arguments.policy,
                                  .log = &in->log,
                                  .node = NODE,
                                  .boot = BOOT,
                                  .n_shards = 1,
                                  .step_fd = -1};
    static const uint32_t ids[] = {SHARD};

    o.shards[0].id = SHARD;
    shard.outside[addr_slot(in->arguments.local.ip.family)] = in->arguments.local.ip;
    shard.udp_fds[addr_slot(in->arguments.local.ip.family)] = &in->udp_4500;
    shard.esp_fds[addr_slot(in->arguments.local.ip.family)] = &in->esp;
    atomic_store(&in->lease.until_ns, UINT64_MAX);
    in->pool = worker_pool_create(&workers);
    if (in->pool == NULL || !worker_pool_start(in->pool))
        initiator_fail("cannot start the ESP worker");
    in->datapath = datapath_create(&(struct datapath_options){.pool = in->pool,
                                                              .suites = &suite_default,
                                                              .shard_ids = ids,
                                                              .n_shards = 1,
                                                              .log = &in->log,
                                                              .now_ns = io_boottime_ns});
    datapath_fill(in->datapath, &ops);
    in->conductor = conductor_create(&o, &ops);
    datapath_bind(in->datapath, in->conductor);
    instant_log_init(&in->records, tell, in);
    instant_log_boot(&in->records, now_ms(NULL), NODE, BOOT);
    instant_log_assign(&in->records, now_ms(NULL), SHARD, NODE, BOOT);
}

static void open_all(struct initiator *in)
{
    struct endpoint local = in->arguments.local;
    struct io_error error;

    local.port = UDP_IKE_PORT;
    in->udp_500 = udp_open(&local, &error);
    local.port = UDP_NAT_PORT;
    in->udp_4500 = in->udp_500 < 0 ? -1 : udp_open(&local, &error);
    in->esp = in->udp_4500 < 0 ? -1 : esp_socket_open(&local.ip, 1, 0, &error);
    if (in->esp < 0 || !tun_open(&in->tun, in->arguments.tun, false, &error))
        initiator_fail(error.text);
    in->netlink = netlink_open(&error);
    if (in->netlink == NULL || !netlink_link_set_mtu(in->netlink, in->tun.name, TUN_MTU, &error) ||
        !netlink_link_set_up(in->netlink, in->tun.name, true, &error))
        initiator_fail(error.text);
}

static void run(struct initiator *in)
{
    int bad = uv_loop_init(&in->loop);

    bad |= uv_poll_init(&in->loop, &in->poll_500, in->udp_500);
    bad |= uv_poll_init(&in->loop, &in->poll_workers, worker_pool_event_fd(in->pool));
    bad |= uv_poll_init(&in->loop, &in->poll_stdin, STDIN_FILENO);
    bad |= uv_prepare_init(&in->loop, &in->prepare);
    bad |= uv_timer_init(&in->loop, &in->timer);
    in->poll_500.data = in->poll_workers.data = in->poll_stdin.data = in->prepare.data =
        in->timer.data = in;
    bad |= uv_poll_start(&in->poll_500, UV_READABLE, on_500);
    bad |= uv_poll_start(&in->poll_workers, UV_READABLE, on_workers);
    bad |= uv_poll_start(&in->poll_stdin, UV_READABLE | UV_DISCONNECT, on_stdin);
    bad |= uv_prepare_start(&in->prepare, on_prepare);
    if (bad != 0)
        initiator_fail("cannot set the loop up");
    conductor_initiate(in->conductor, SHARD, &in->arguments.local, &in->arguments.remote);
    commit_all(in);
    (void)uv_run(&in->loop, UV_RUN_DEFAULT);
    worker_pool_stop(in->pool);
    conductor_destroy(in->conductor);
    datapath_destroy(in->datapath);
    worker_pool_destroy(in->pool);
    instant_log_deinit(&in->records);
    netlink_close(in->netlink);
    tun_close(&in->tun);
}

int main(int argc, char **argv)
{
    struct initiator *in = calloc(1, sizeof *in);

    if (in == NULL)
        return 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    in->submitted_tail = &in->submitted;
    in->log = (struct log){LOG_INFO, STDERR_FILENO};
    initiator_arguments(argc, argv, &in->arguments);
    open_all(in);
    start_engine(in);
    run(in);
    secret_wipe_bytes(in, sizeof *in);
    free(in);
    return 0;
}
