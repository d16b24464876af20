/* One end of numbered UDP packets in both directions, so that a script can say: so many left, so
 * many arrived, so many of them twice.
 *
 *   holdfast-numbered LOCAL-IP PEER-IP PORT PPS BYTES
 *
 * PPS 0: as fast as it can, in bursts of BURST. Commands on stdin, one a line: go, stop, report. Answer to each: one JSON object,
 * {"sent":N,"received":N,"duplicated":N,"failed":N}; received counts each number once. Ends when
 * stdin closes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/span.h"

enum { TICK_MS = 2, BURST = 32, MAX_BYTES = 1400, MAX_NUMBERS = 1 << 26, LINE = 64 };

static const char magic[8] = "hfnumber";

struct end {
    int udp, timer;
    unsigned pps;
    size_t bytes;
    bool sending;
    uint64_t credit; /* thousandths of a packet */
    uint64_t sent, received, duplicated, failed;
    uint8_t *seen; /* one bit a number */
    char line[LINE];
    size_t line_len;
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-numbered: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_due(struct end *e, uint64_t ticks)
{
    uint8_t packet[MAX_BYTES] = {0};

    if (!e->sending)
        return;
    if (ticks > 50) /* after a stall of this machine: no burst of more than that */
        ticks = 50;
    e->credit += e->pps == 0 ? BURST * 1000 : ticks * TICK_MS * e->pps;
    memcpy(packet, magic, sizeof magic);
    for (; e->credit >= 1000; e->credit -= 1000) {
        put_be64(packet + sizeof magic, e->sent + 1);
        if (send(e->udp, packet, e->bytes, MSG_DONTWAIT) == (ssize_t)e->bytes)
            e->sent++;
        else
            e->failed++; /* not sent: its number is used by the next */
    }
}

static void receive_all(struct end *e)
{
    uint8_t packet[MAX_BYTES + 1];
    ssize_t n;

    while ((n = recv(e->udp, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
        uint64_t number;

        if (n < 16 || memcmp(packet, magic, sizeof magic) != 0)
            continue;
        number = get_be64(packet + sizeof magic);
        if (number >= MAX_NUMBERS)
            continue;
        if ((e->seen[number / 8] >> number % 8 & 1) != 0)
            e->duplicated++;
        else
            e->received++;
        e->seen[number / 8] |= (uint8_t)(1u << number % 8);
    }
}

static void obey(struct end *e)
{
    if (strcmp(e->line, "go") == 0)
        e->sending = true;
    if (strcmp(e->line, "stop") == 0)
        e->sending = false;
    (void)printf("{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"duplicated\":%" PRIu64
                 ",\"failed\":%" PRIu64 "}\n",
                 e->sent, e->received, e->duplicated, e->failed);
    (void)fflush(stdout);
}

/* False: stdin is closed. */
static bool read_commands(struct end *e)
{
    char c;

    if (read(STDIN_FILENO, &c, 1) != 1)
        return false;
    if (c == '\n') {
        e->line[e->line_len] = '\0';
        e->line_len = 0;
        obey(e);
    } else if (e->line_len + 1 < LINE) {
        e->line[e->line_len++] = c;
    }
    return true;
}

static void open_end(struct end *e, char **argv)
{
    struct sockaddr_in local = {.sin_family = AF_INET}, peer = {.sin_family = AF_INET};
    const struct itimerspec every = {{0, TICK_MS * 1000000}, {0, TICK_MS * 1000000}};
    const int room = 64 << 20; /* a loaded machine must not lose packets here: FORCE, as root */

    local.sin_port = peer.sin_port = htons((uint16_t)atoi(argv[3]));
    e->pps = (unsigned)atoi(argv[4]);
    e->bytes = (size_t)atoi(argv[5]);
    errno = EINVAL;
    if (inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1 || e->bytes < 16 || e->bytes > MAX_BYTES)
        fail("bad arguments");
    e->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (e->udp < 0 || setsockopt(e->udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        setsockopt(e->udp, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0 ||
        bind(e->udp, (struct sockaddr *)&local, sizeof local) != 0 ||
        connect(e->udp, (struct sockaddr *)&peer, sizeof peer) != 0)
        fail("socket");
    e->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (e->timer < 0 || timerfd_settime(e->timer, 0, &every, NULL) != 0)
        fail("timer");
    e->seen = calloc(MAX_NUMBERS / 8, 1);
    if (e->seen == NULL)
        fail("memory");
}

int main(int argc, char **argv)
{
    struct end e = {.sending = false};
    struct pollfd fds[3];
    uint64_t ticks;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 6) {
        (void)fprintf(stderr, "holdfast-numbered LOCAL-IP PEER-IP PORT PPS BYTES\n");
        return 2;
    }
    open_end(&e, argv);
    fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = e.udp, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = e.timer, .events = POLLIN};
    for (;;) {
        if (poll(fds, 3, e.sending && e.pps == 0 ? 0 : -1) < 0 && errno != EINTR)
            fail("poll");
        if ((fds[1].revents & (POLLIN | POLLERR)) != 0)
            receive_all(&e);
        if ((fds[2].revents & POLLIN) != 0 && read(e.timer, &ticks, sizeof ticks) == sizeof ticks &&
            e.pps != 0)
            send_due(&e, ticks);
        if (e.pps == 0)
            send_due(&e, 1);
        if ((fds[0].revents & (POLLIN | POLLHUP)) != 0 && !read_commands(&e))
            break;
    }
    free(e.seen);
    return 0;
}
