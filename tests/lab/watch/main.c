/* The packet oracle over the frames of a bridge's ports, for labs that are scripts: what chaos/'s cells
 * judge, without a drill.
 *
 *   holdfast-watch CLIENT-PORT NODE-PORT...      interfaces of this namespace, the machines' ends elsewhere
 *
 * Answers one line of JSON to each line of stdin: "up" (from here on no new IKE SA may begin), "judge"
 * (stops, and judges all that was seen): {"frames", "esp": {"client", "gateway"}, "ike", "copies", "requests": {"client",
 * "gateway"} (CREATE_CHILD_SA begun since "up"), "violations": [...]}. Addresses are chaos/lab.h's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "chaos/oracle.h"

enum { FRAME_BYTES = 2048, ROOM = 64 << 20, AT_ONCE = 512 };

static struct capture capture;
static struct oracle_report report;
static uint64_t up_ns;

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-watch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_port(const char *name)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int room = ROOM, on = 1;

    if (at.sll_ifindex == 0 || fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail(name);
    return fd;
}

/* One frame, with the kernel's time. False: none waits. */
static bool take(int fd, uint8_t port)
{
    static uint8_t frame[FRAME_BYTES];
    struct sockaddr_ll from = {0};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec iov = {frame, sizeof frame};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(fd, &m, MSG_TRUNC);
    uint64_t ns = 0;

    if (n < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;

            memcpy(&t, CMSG_DATA(c), sizeof t);
            ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        }
    (void)capture_add(&capture, ns, port, from.sll_pkttype != PACKET_OUTGOING,
                      span_of(frame, (size_t)n < sizeof frame ? (size_t)n : sizeof frame),
                      (size_t)n);
    return true;
}

static uint64_t missed(const int *fds, unsigned ports)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < ports; i++) {
        struct tpacket_stats s = {0};
        socklen_t len = sizeof s;

        if (getsockopt(fds[i], SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
            n += s.tp_drops;
    }
    return n;
}

static json_t *judge(const int *fds, unsigned ports)
{
    uint64_t zero = capture.n_frames > 0 ? capture.frames[0].ns : 0, end = UINT64_MAX;
    uint64_t holes = missed(fds, ports);
    json_int_t esp[2] = {0, 0}, ike = 0; /* ESP: the client's, the nodes' */
    struct oracle_copies copies;
    json_t *violations = json_array();

    capture_sort(&capture);
    if (holes > 0 || capture.out_of_memory)
        oracle_violation(&report, "the capture has holes: %llu frames", (unsigned long long)holes);
    oracle_unique_numbers(&capture, zero, &report);
    oracle_identical_copies(&capture, zero, NULL, &copies, &report);
    oracle_no_plaintext(&capture, zero, &report);
    if (up_ns != 0)
        oracle_no_renegotiation(&capture, zero, up_ns, UINT64_MAX, &report);
    for (size_t i = 0; i < capture.n_frames; i++) {
        esp[capture.frames[i].port != CAPTURE_CLIENT_PORT] +=
            capture.frames[i].left && capture.frames[i].kind == CAPTURE_ESP;
        ike += capture.frames[i].left && capture.frames[i].kind == CAPTURE_IKE;
    }
    for (unsigned i = 0; i < report.n && i < ORACLE_MAX_VIOLATIONS; i++)
        (void)json_array_append_new(violations, json_string(report.text[i]));
    return json_pack(
        "{s:I,s:{s:I,s:I},s:I,s:I,s:{s:I,s:I},s:o}", "frames", (json_int_t)capture.n_frames, "esp",
        "client", esp[0], "gateway", esp[1], "ike", ike, "copies", (json_int_t)copies.compared,
        "requests", "client",
        (json_int_t)oracle_count_requests(&capture, up_ns, end, true, IKE_HDR_CREATE_CHILD),
        "gateway",
        (json_int_t)oracle_count_requests(&capture, up_ns, end, false, IKE_HDR_CREATE_CHILD),
        "violations", violations);
}

/* False: that was the last. */
static bool obey(const char *line, const int *fds, unsigned ports)
{
    bool last = strcmp(line, "judge\n") == 0;
    json_t *answer = last ? judge(fds, ports) : json_object();

    if (strcmp(line, "up\n") == 0)
        up_ns = now_ns();
    (void)json_dumpf(answer, stdout, JSON_COMPACT);
    (void)printf("\n");
    (void)fflush(stdout);
    json_decref(answer);
    return !last;
}

int main(int argc, char **argv)
{
    struct pollfd p[CAPTURE_MAX_PORTS + 1];
    int fds[CAPTURE_MAX_PORTS];
    unsigned ports = (unsigned)argc - 1;
    char line[64];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 3 || ports > CAPTURE_MAX_PORTS) {
        (void)fprintf(stderr, "holdfast-watch CLIENT-PORT NODE-PORT...\n");
        return 2;
    }
    for (unsigned i = 0; i < ports; i++) {
        fds[i] = open_port(argv[i + 1]);
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    p[ports] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    (void)printf("{}\n");
    (void)fflush(stdout);
    for (;;) {
        if (poll(p, ports + 1, -1) < 0 && errno != EINTR)
            fail("poll");
        for (unsigned i = 0; i < ports; i++)
            for (unsigned k = 0; k < AT_ONCE && take(fds[i], (uint8_t)i); k++)
                ;
        if (p[ports].revents == 0)
            continue;
        if (fgets(line, sizeof line, stdin) == NULL || !obey(line, fds, ports))
            return 0;
    }
}
