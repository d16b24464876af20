/* A machine that goes dark: no FIN, no RST, no ARP. And comes back. Root: two network namespaces of
 * the test's own. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../io/ns.h"
#include "replication/tcp_transport.h"

enum { PORT = 7400, ROUNDS = 5, LIMIT_MS = 10000 };

struct end {
    uv_loop_t loop;
    uv_timer_t limit;
    struct tcp_transport *t;
    bool up, late;
};

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    (void)self;
    (void)from;
    (void)channel;
    (void)bytes;
}

static void on_link(void *self, uint32_t node, bool up)
{
    struct end *e = self;

    (void)node;
    e->up = up;
}

static void start(struct end *e, uint32_t own, uint32_t other)
{
    struct tcp_peer peer = {other, {addr_v4(0x0a090000 + other), PORT}};
    struct tcp_transport_options o = {.node = own,
                                      .boot = own * 100,
                                      .listen = {addr_v4(0x0a090000 + own), PORT},
                                      .peers = &peer,
                                      .n_peers = 1,
                                      .listener = {.self = e, .frame = on_frame, .link = on_link}};
    struct tcp_error error;

    (void)signal(SIGPIPE, SIG_IGN);
    memset(e, 0, sizeof *e);
    cr_assert(uv_loop_init(&e->loop) == 0 && uv_timer_init(&e->loop, &e->limit) == 0);
    e->limit.data = e;
    e->t = tcp_transport_create(&e->loop, &o, &error);
    if (e->t == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        _exit(1);
    }
}

static void on_limit(uv_timer_t *timer)
{
    ((struct end *)timer->data)->late = true;
}

/* ms until the link is as wanted. */
static uint64_t until(struct end *e, bool up)
{
    uint64_t began;

    uv_update_time(&e->loop);
    began = uv_now(&e->loop);
    (void)uv_timer_start(&e->limit, on_limit, LIMIT_MS, 0);
    while (e->up != up && !e->late)
        (void)uv_run(&e->loop, UV_RUN_ONCE);
    cr_assert(!e->late, "the link never went %s", up ? "up" : "down");
    uv_update_time(&e->loop);
    return uv_now(&e->loop) - began;
}

Test(transport_dead_peer, is_noticed_and_welcome_back, .timeout = 120)
{
    uint64_t noticed, back, worst_noticed = 0, worst_back = 0;
    struct end e;
    pid_t other, pid;

    ns_own();
    other = ns_create();
    ns_run(0, "ip link add name a0 type veth peer name b0 netns %d", (int)other);
    ns_run(0, "ip addr add 10.9.0.1/24 dev a0");
    ns_run(0, "ip link set a0 up");
    ns_run(other, "ip addr add 10.9.0.2/24 dev b0");
    ns_run(other, "ip link set b0 up");
    pid = ns_fork(other);
    if (pid == 0) {
        struct end two;

        start(&two, 2, 1);
        (void)uv_run(&two.loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    start(&e, 1, 2);
    (void)until(&e, true);
    for (int i = 0; i < ROUNDS; i++) {
        ns_run(other, "ip link set b0 down");
        noticed = until(&e, false);
        ns_run(other, "ip link set b0 up");
        back = until(&e, true);
        worst_noticed = noticed > worst_noticed ? noticed : worst_noticed;
        worst_back = back > worst_back ? back : worst_back;
    }
    printf("transport: %d times a machine went dark: noticed within %d ms, connected again within "
           "%d ms, at worst\n",
           ROUNDS, (int)worst_noticed, (int)worst_back);
    cr_assert(worst_noticed < 4000 && worst_back < 4000);
    tcp_transport_close(e.t, NULL, NULL);
    uv_close((uv_handle_t *)&e.limit, NULL);
    (void)uv_run(&e.loop, UV_RUN_DEFAULT);
    cr_assert(uv_loop_close(&e.loop) == 0);
    (void)kill(pid, SIGKILL);
    (void)kill(other, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    (void)waitpid(other, NULL, 0);
}
