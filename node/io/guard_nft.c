#include "io/guard_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void guard_say(struct guard_text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->bytes + t->len, sizeof t->bytes - t->len, format, args);
    va_end(args);
    HF_ASSERT(n >= 0 && (size_t)n < sizeof t->bytes - t->len);
    t->len += (size_t)n;
}

static void say_ip(struct guard_text *t, const struct ip_addr *ip, bool first)
{
    char text[INET6_ADDRSTRLEN] = "?";

    (void)inet_ntop(ip->family == ADDR_V6 ? AF_INET6 : AF_INET, ip->bytes, text, sizeof text);
    guard_say(t, "%s%s", first ? " elements = { " : ", ", text);
}

static void say_set(struct guard_text *t, const char *name, const struct ip_addr *ip, size_t n,
                    uint8_t family)
{
    bool first = true;

    guard_say(t, "  set %s%u { type ipv%u_addr;", name, family, family);
    for (size_t i = 0; i < n; i++) {
        if (ip[i].family != family)
            continue;
        say_ip(t, &ip[i], first);
        first = false;
    }
    guard_say(t, first ? " }\n" : " }; }\n");
}

static void say_pools(struct guard_text *t, const struct guard_config *c, uint8_t family)
{
    bool first = true;

    guard_say(t, "  set pool%u { type ipv%u_addr; flags interval;", family, family);
    for (size_t i = 0; i < c->n_pools; i++) {
        if (c->pools[i].ip.family != family)
            continue;
        say_ip(t, &c->pools[i].ip, first);
        guard_say(t, "/%u", c->pools[i].length);
        first = false;
    }
    guard_say(t, first ? " }\n" : " }; }\n");
}

/* Replication asks everybody who he is (mutual TLS); that nobody but the nodes' own addresses gets to
 * ask costs nothing and keeps floods off its loop. */
static void say_replication(struct guard_text *input, const struct endpoint *e)
{
    char text[INET6_ADDRSTRLEN] = "?";
    bool v6 = e->ip.family == ADDR_V6;
    const char *ip = v6 ? "ip6" : "ip";

    if (e->ip.family == ADDR_NONE)
        return;
    (void)inet_ntop(v6 ? AF_INET6 : AF_INET, e->ip.bytes, text, sizeof text);
    guard_say(input, "    %s daddr %s tcp dport %u %s saddr != @node%c drop\n", ip, text, e->port,
              ip, v6 ? '6' : '4');
}

/* The recipe of the guard, one family after the other. Each rule stands for a way in which a kernel
 * without a daemon would speak or let plaintext through. */
static void say_family(struct guard_text *prerouting, struct guard_text *input,
                       struct guard_text *output, struct guard_text *forward, bool v6,
                       const char *tun)
{
    const char *ip = v6 ? "ip6" : "ip";
    char n = v6 ? '6' : '4';

    /* No daemon, no TUN, so the address is not ours: it must not be forwarded or answered. */
    guard_say(prerouting, "    %s daddr @vip%c fib daddr type != local drop\n", ip, n);
    /* A client's packet is for what is behind the gateway, never for a node, by whichever node it
     * came out of its tunnel. */
    guard_say(input, "    %s saddr @pool%c drop\n", ip, n);
    guard_say(forward, "    %s saddr @pool%c %s daddr @node%c drop\n", ip, n, ip, n);
    /* Only where a socket is bound: else the kernel answers port-unreachable. */
    guard_say(input, "    %s daddr @vip%c udp dport { 500, 4500 } socket wildcard 0 accept\n", ip,
              n);
    guard_say(input, "    %s daddr @vip%c meta l4proto 50 accept\n", ip, n);
    guard_say(
        input,
        v6 ? "    %s daddr @vip%c icmpv6 type { destination-unreachable, packet-too-big } accept\n"
           : "    %s daddr @vip%c icmp type destination-unreachable accept\n",
        ip, n);
    /* IPv6 is put together behind this hook, IPv4 before it: what is no first fragment shows no port,
     * and without its first one nothing comes of it. */
    if (v6)
        guard_say(input, "    %s daddr @vip%c frag frag-off != 0 accept\n", ip, n);
    guard_say(input, "    %s daddr @vip%c drop\n", ip, n);
    guard_say(output, "    %s saddr @vip%c meta l4proto %s drop\n", ip, n, v6 ? "58" : "1");
    guard_say(forward, "    %s daddr @vip%c drop\n", ip, n);
    guard_say(forward, "    %s daddr @pool%c oifname != \"%s\" drop\n", ip, n, tun);
    guard_say(forward, "    %s saddr @pool%c iifname != \"%s\" drop\n", ip, n, tun);
}

void guard_ruleset(const struct guard_config *c, struct guard_text *out)
{
    struct guard_text *chain = calloc(4, sizeof *chain);
    static const char *const hook[4] = {"prerouting", "input", "output", "forward"};
    static const int priority[4] = {-300, -10, -10, -10}; /* raw, and before filter */

    HF_ASSERT(chain != NULL);
    out->len = 0;
    guard_say(out, "table inet holdfast_guard {\n");
    guard_say(&chain[1], "    iifname \"%s\" drop\n", c->tun);
    say_replication(&chain[1], &c->replication);
    for (int v6 = 0; v6 < 2; v6++) {
        uint8_t family = v6 ? ADDR_V6 : ADDR_V4;

        say_set(out, "vip", c->addresses, c->n_addresses, family);
        say_set(out, "node", c->nodes, c->n_nodes, family);
        say_pools(out, c, family);
        say_family(&chain[0], &chain[1], &chain[2], &chain[3], v6 != 0, c->tun);
    }
    /* A gateway forwards between tunnel and inside only: nothing passes the outside interface in
     * plaintext. */
    if (strcmp(c->outside, c->inside) != 0)
        guard_say(&chain[3], "    iifname \"%s\" drop\n    oifname \"%s\" drop\n", c->outside,
                  c->outside);
    for (int i = 0; i < 4; i++)
        guard_say(
            out, "  chain guard_%s {\n    type filter hook %s priority %d; policy accept;\n%s  }\n",
            hook[i], hook[i], priority[i], chain[i].bytes);
    guard_say(out, "}\n");
    free(chain);
}

static const char *find_nft(void)
{
    static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                         "/usr/local/sbin/nft"};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* In the child: stdin, stdout and stderr are the pipes; nothing else is inherited (all our
 * descriptors are close-on-exec). */
_Noreturn static void become_nft(const char *nft, const int in[2], const int out[2],
                                 const int err[2], const char *listed)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
        _exit(127);
    if (listed != NULL)
        (void)execl(nft, "nft", "-s", "list", "table", "inet", listed, (char *)NULL);
    else
        (void)execl(nft, "nft", "-f", "-", (char *)NULL);
    _exit(127);
}

/* Reads what fits of a pipe that has something; false at its end. */
static bool drain(int fd, char *buf, size_t size, size_t *len)
{
    char rest[512];
    size_t room = size - 1 - *len;
    ssize_t got = room > 0 ? read(fd, buf + *len, room) : read(fd, rest, sizeof rest);

    if (got > 0 && room > 0)
        *len += (size_t)got;
    buf[*len] = '\0';
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Feeds `input` and gathers both outputs at once, so that no pipe can block another. */
static void converse(int in, int out, int err, const char *input, char *text, size_t text_size,
                     char *complaint, size_t complaint_size)
{
    size_t fed = 0, want = strlen(input), text_len = 0, complaint_len = 0;
    struct pollfd p[3] = {{in, POLLOUT, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}};

    text[0] = complaint[0] = '\0';
    while (p[1].fd >= 0 || p[2].fd >= 0) {
        if (fed == want && p[0].fd >= 0) {
            (void)close(p[0].fd);
            p[0].fd = -1;
        }
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            break;
        if (p[0].fd >= 0 && (p[0].revents & (POLLOUT | POLLERR)) != 0) {
            ssize_t n = write(p[0].fd, input + fed, want - fed);

            fed = n < 0 && errno != EINTR && errno != EAGAIN ? want : fed + (n > 0 ? (size_t)n : 0);
        }
        if (p[1].fd >= 0 && p[1].revents != 0 && !drain(out, text, text_size, &text_len))
            p[1].fd = -1;
        if (p[2].fd >= 0 && p[2].revents != 0 &&
            !drain(err, complaint, complaint_size, &complaint_len))
            p[2].fd = -1;
    }
    if (p[0].fd >= 0)
        (void)close(p[0].fd);
}

/* Runs nft to list a table, or (NULL) to take `input`; exit status, or -1 when it could not be run. */
static int run_nft(const char *nft, const char *listed, const char *input, char *text,
                   size_t text_size, char *complaint, size_t complaint_size)
{
    int in[2], out[2], err[2], status = -1;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        become_nft(nft, in, out, err, listed);
    (void)close(in[0]);
    (void)close(out[1]);
    (void)close(err[1]);
    converse(in[1], out[0], err[0], input, text, text_size, complaint, complaint_size);
    complaint[strcspn(complaint, "\n")] = '\0'; /* what follows only points into the rules */
    (void)close(out[0]);
    (void)close(err[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool no_nft(struct io_error *error)
{
    return io_fail(error, ENOENT, "the program nft is not there: install the package nftables");
}

bool guard_nft(const char *input, struct guard_text *output, struct io_error *error)
{
    const char *nft = find_nft();
    char complaint[256];

    if (nft == NULL)
        return no_nft(error);
    if (run_nft(nft, NULL, input, output->bytes, sizeof output->bytes, complaint,
                sizeof complaint) != 0)
        return io_fail(
            error, 0,
            "nft refused the guard's rules (needs CAP_NET_ADMIN and nftables in the kernel): %s",
            complaint);
    output->len = strlen(output->bytes);
    return true;
}

/* "": there is no such table. */
static bool list_table(const char *table, struct guard_text *out, struct io_error *error)
{
    const char *nft = find_nft();
    char complaint[256];
    int status;

    if (nft == NULL)
        return no_nft(error);
    status = run_nft(nft, table, "", out->bytes, sizeof out->bytes, complaint, sizeof complaint);
    if (status != 0 && strstr(complaint, "No such file") == NULL)
        return io_fail(error, 0, "cannot list the guard's rules (needs CAP_NET_ADMIN): %s",
                       complaint);
    if (status != 0)
        out->bytes[0] = '\0';
    out->len = strlen(out->bytes);
    return true;
}

bool guard_listing(struct guard_text *out, struct io_error *error)
{
    return list_table("holdfast_guard", out, error);
}

#define PROBE "holdfast_probe"
static const char probe_gone[] = "table inet " PROBE " {\n}\ndelete table inet " PROBE "\n";
static const char probe_begins[] = "table inet " PROBE " {\n\tflags dormant\n";
static const char guard_begins[] = "table inet holdfast_guard {\n";

/* The probe's listing as the guard's own: its beginning alone differs, by name, flag and the empty line behind that. */
static bool rename_probe(struct guard_text *t)
{
    size_t old = sizeof probe_begins - 1, new = sizeof guard_begins - 1;

    _Static_assert(sizeof guard_begins <= sizeof probe_begins, "it becomes no longer");
    if (strncmp(t->bytes, probe_begins, old) != 0)
        return false;
    while (t->bytes[old] == '\n')
        old++;
    memmove(t->bytes + new, t->bytes + old, t->len - old + 1);
    memcpy(t->bytes, guard_begins, new);
    t->len -= old - new;
    return true;
}

bool guard_expected_listing(const struct guard_config *config, struct guard_text *out,
                            struct io_error *error)
{
    struct guard_text *text = calloc(2, sizeof *text);
    bool ok, gone;

    HF_ASSERT(text != NULL);
    guard_ruleset(config, &text[1]);
    HF_ASSERT(strncmp(text[1].bytes, guard_begins, sizeof guard_begins - 1) == 0);
    guard_say(&text[0], "%s%s%s", probe_gone, probe_begins,
              text[1].bytes + sizeof guard_begins - 1);
    ok = guard_nft(text[0].bytes, &text[1], error) && list_table(PROBE, out, error);
    gone = guard_nft(probe_gone, &text[1], error);
    free(text);
    if (!ok || !gone)
        return false;
    return rename_probe(out) ||
           io_fail(error, 0, "cannot verify the guard: nft does not list its rules as it did");
}
