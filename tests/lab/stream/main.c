/* Numbered UDP in both directions, for labs: one process at each end.
 *
 *   holdfast-stream LOCAL-IP PORT REMOTE-IP PORT PACKETS-PER-SECOND
 *
 * Sends numbers to the other end at that rate and takes account of those that come. Commands on
 * stdin, one a line; each answers with one JSON object:
 *   go       begins to send: once the other end is there
 *   mark N   when N more have come: {"gap_ms": the longest time between two since the last mark}
 *   stop     sends no more
 *   report   {"sent", "refused", "received", "duplicates", "highest"}; refused by the kernel, of those sent
 *   quit     ends, without an answer; so does the end of stdin
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <stdbool.h>

#include "base/bytes.h"

enum { PACKET_BYTES = 200, NUMBERS = 1 << 22, RECEIVE_BUFFER = 4 << 20 };

struct stream {
    int fd, timer;
    bool going, stopped;
    uint32_t sent, refused, received, duplicates, highest, marking;
    uint64_t last_ns, gap_ns;
    uint8_t seen[NUMBERS / 8];
    char line[64];
    size_t line_len;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-stream: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in address(const char *ip, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        fail(ip);
    return a;
}

static void send_due(struct stream *s)
{
    uint8_t packet[PACKET_BYTES] = {0};
    uint64_t due;

    if (read(s->timer, &due, sizeof due) != sizeof due)
        return;
    for (; due > 0 && s->going && !s->stopped && s->sent + 1 < NUMBERS; due--) {
        put_be32(packet, ++s->sent);
        /* What the kernel refuses (no route yet, no buffer) is lost, and counted as such. */
        if (send(s->fd, packet, sizeof packet, MSG_DONTWAIT) != (ssize_t)sizeof packet)
            s->refused++;
    }
}

static void take(struct stream *s)
{
    uint8_t packet[PACKET_BYTES];

    while (recv(s->fd, packet, sizeof packet, MSG_DONTWAIT) == PACKET_BYTES) {
        uint32_t n = get_be32(packet) % NUMBERS;
        uint64_t now = now_ns();

        if ((s->seen[n / 8] >> (n % 8) & 1) != 0) {
            s->duplicates++;
            continue;
        }
        s->seen[n / 8] = (uint8_t)(s->seen[n / 8] | 1u << (n % 8));
        s->received++;
        if (n > s->highest)
            s->highest = n;
        if (s->last_ns != 0 && now - s->last_ns > s->gap_ns)
            s->gap_ns = now - s->last_ns;
        s->last_ns = now;
        if (s->marking > 0 && --s->marking == 0) {
            (void)printf("{\"gap_ms\":%.2f}\n", (double)s->gap_ns / 1e6);
            s->gap_ns = 0;
        }
    }
}

static void obey(struct stream *s)
{
    if (strncmp(s->line, "mark ", 5) == 0) {
        s->marking = (uint32_t)atoi(s->line + 5);
    } else if (strcmp(s->line, "go") == 0) {
        s->going = true;
        (void)printf("{}\n");
    } else if (strcmp(s->line, "quit") == 0) {
        exit(0);
    } else if (strcmp(s->line, "stop") == 0) {
        s->stopped = true;
        (void)printf("{\"sent\":%u}\n", s->sent);
    } else if (strcmp(s->line, "report") == 0) {
        (void)printf("{\"sent\":%u,\"refused\":%u,\"received\":%u,\"duplicates\":%u,"
                     "\"highest\":%u}\n",
                     s->sent, s->refused, s->received, s->duplicates, s->highest);
    }
}

static void read_commands(struct stream *s)
{
    char c;
    ssize_t n = read(STDIN_FILENO, &c, 1);

    if (n == 0)
        exit(0);
    if (n != 1)
        return;
    if (c != '\n' && s->line_len + 1 < sizeof s->line) {
        s->line[s->line_len++] = c;
        return;
    }
    s->line[s->line_len] = '\0';
    s->line_len = 0;
    obey(s);
}

int main(int argc, char **argv)
{
    static struct stream s;
    struct itimerspec every = {0};
    struct sockaddr_in local, remote;
    int size = RECEIVE_BUFFER;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 6) {
        (void)fprintf(stderr, "usage: holdfast-stream IP PORT IP PORT PACKETS-PER-SECOND\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    local = address(argv[1], argv[2]);
    remote = address(argv[3], argv[4]);
    s.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(s.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (s.fd < 0 || bind(s.fd, (struct sockaddr *)&local, sizeof local) != 0 ||
        connect(s.fd, (struct sockaddr *)&remote, sizeof remote) != 0)
        fail("socket");
    s.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    every.it_interval.tv_nsec = every.it_value.tv_nsec = 1000000000L / atoi(argv[5]);
    if (s.timer < 0 || timerfd_settime(s.timer, 0, &every, NULL) != 0)
        fail("timer");
    for (;;) {
        struct pollfd p[3] = {{s.fd, POLLIN, 0}, {s.timer, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};

        if (poll(p, 3, -1) < 0 && errno != EINTR)
            fail("poll");
        if (p[1].revents != 0)
            send_due(&s);
        if (p[0].revents != 0)
            take(&s);
        if (p[2].revents != 0)
            read_commands(&s);
    }
}
