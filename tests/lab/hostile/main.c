/* Sends datagrams that no honest peer sends (messages.h), from any address, also from the honest
 * client's own.
 *
 *   holdfast-hostile classes
 *   holdfast-hostile record IFACE GATEWAY FILE
 *   holdfast-hostile send CLASS COUNT FROM GATEWAY PORT [--recording FILE] [--sources N] [--seed S]
 *   holdfast-hostile half-open FROM GATEWAY SOURCES
 *   holdfast-hostile hold udp|tcp IP PORT
 *
 * `record` keeps what leaves IFACE by UDP for GATEWAY, until stdin ends; `hold` has the port, and
 * `half-open` begins IKE SAs from as many addresses (half_open.h), as long.
 * `send` sends from FROM:PORT (the client's own address and port: a spoofed datagram of the live
 * tunnel), or in turn from N addresses that begin at FROM. It prints how many it sent. Root only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "hostile/half_open.h"
#include "hostile/messages.h"

enum { IP_BYTES = 20, UDP_BYTES = 8, RAW_MAX = 1400, PORT_NAT = 4500, RECORD_HEADER = 4 };

static _Noreturn void fail(const char *text)
{
    (void)fprintf(stderr, "holdfast-hostile: %s: %s\n", text, strerror(errno));
    exit(1);
}

static struct sockaddr_in address(const char *ip, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        fail("not an IPv4 address");
    return a;
}

static void wait_for_end_of_stdin(void)
{
    char c;

    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
}

/* --- record --- */

static void keep(FILE *out, const uint8_t *frame, size_t n, uint32_t gateway)
{
    const uint8_t *ip = frame + sizeof(struct ether_header), *udp = ip + IP_BYTES;
    uint8_t head[RECORD_HEADER];
    size_t len;

    if (n < sizeof(struct ether_header) + IP_BYTES + UDP_BYTES || ip[0] != 0x45 ||
        ip[9] != IPPROTO_UDP || memcmp(ip + 16, &gateway, 4) != 0)
        return;
    len = get_be16(udp + 4);
    if (len < UDP_BYTES || (size_t)(udp - frame) + len > n)
        return;
    put_be16(head, get_be16(udp));
    put_be16(head + 2, (uint16_t)(len - UDP_BYTES));
    if (fwrite(head, 1, sizeof head, out) != sizeof head ||
        fwrite(udp + UDP_BYTES, 1, len - UDP_BYTES, out) != len - UDP_BYTES || fflush(out) != 0)
        fail("cannot write");
}

static int record(char **argv)
{
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct sockaddr_in gateway = address(argv[1], 0);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    struct pollfd polled[2] = {{fd, POLLIN, 0}, {STDIN_FILENO, POLLIN | POLLHUP, 0}};
    FILE *out = fopen(argv[2], "w");
    static uint8_t frame[65536];

    link.sll_ifindex = (int)if_nametoindex(argv[0]);
    if (fd < 0 || out == NULL || bind(fd, (struct sockaddr *)&link, sizeof link) != 0)
        fail("cannot record");
    (void)printf("recording\n");
    (void)fflush(stdout);
    while (poll(polled, 2, -1) > 0) {
        if ((polled[0].revents & POLLIN) != 0) {
            struct sockaddr_ll from;
            socklen_t from_len = sizeof from;
            ssize_t n = recvfrom(fd, frame, sizeof frame, MSG_DONTWAIT, (struct sockaddr *)&from,
                                 &from_len);

            if (n > 0 && from.sll_pkttype == PACKET_OUTGOING)
                keep(out, frame, (size_t)n, gateway.sin_addr.s_addr);
            continue;
        }
        if (polled[1].revents != 0)
            break;
    }
    return fclose(out) == 0 ? 0 : 1;
}

/* Newest request: the IKE SA under attack and its message ID. */
static void find_sa(struct hostile_job *j)
{
    for (size_t i = 0; i < j->n_recorded; i++) {
        const struct hostile_recorded *r = &j->recorded[i];

        if (r->source_port != PORT_NAT || r->length < 32 || get_be32(r->bytes) != 0 ||
            (r->bytes[4 + 19] & 0x20) != 0)
            continue;
        j->spi_i = get_be64(r->bytes + 4);
        j->spi_r = get_be64(r->bytes + 12);
        if (get_be32(r->bytes + 24) > j->last_id)
            j->last_id = get_be32(r->bytes + 24);
    }
}

static void load(struct hostile_job *j, const char *path)
{
    static uint8_t bytes[8 << 20];
    FILE *in = fopen(path, "r");
    size_t n = in != NULL ? fread(bytes, 1, sizeof bytes, in) : 0, at = 0;

    if (in == NULL || n == 0)
        fail("cannot read the recording");
    (void)fclose(in);
    while (at + RECORD_HEADER <= n && j->n_recorded < HOSTILE_MAX_RECORDED) {
        uint16_t port = get_be16(bytes + at), len = get_be16(bytes + at + 2);

        at += RECORD_HEADER;
        if (at + len > n)
            break;
        j->recorded[j->n_recorded++] = (struct hostile_recorded){port, len, bytes + at};
        at += len;
    }
    find_sa(j);
    if (j->last_id == 0)
        fail("the recording holds no protected request");
}

/* --- send --- */

struct sender {
    int raw, plain; /* plain: for what needs fragments; its source port is its own */
    struct sockaddr_in from, to;
    uint16_t port;
    unsigned sources;
};

static void send_one(const struct sender *s, unsigned i, const uint8_t *bytes, size_t n)
{
    uint32_t source = htonl(ntohl(s->from.sin_addr.s_addr) + i % s->sources);
    uint8_t packet[IP_BYTES + UDP_BYTES + RAW_MAX] = {0x45};
    uint8_t *udp = packet + IP_BYTES;
    ssize_t sent;

    if (n > RAW_MAX) {
        sent = sendto(s->plain, bytes, n, 0, (const struct sockaddr *)&s->to, sizeof s->to);
        if (sent != (ssize_t)n)
            fail("sendto");
        return;
    }
    packet[8] = 64;
    packet[9] = IPPROTO_UDP;
    memcpy(packet + 12, &source, 4);
    memcpy(packet + 16, &s->to.sin_addr, 4);
    put_be16(udp, s->port);
    put_be16(udp + 2, s->port);
    put_be16(udp + 4, (uint16_t)(UDP_BYTES + n));
    memcpy(udp + UDP_BYTES, bytes, n);
    sent = sendto(s->raw, packet, IP_BYTES + UDP_BYTES + n, 0, (const struct sockaddr *)&s->to,
                  sizeof s->to);
    if (sent != (ssize_t)(IP_BYTES + UDP_BYTES + n))
        fail("sendto (raw)");
}

static int send_all(const struct sender *s, const struct hostile_class *c, struct hostile_job *j,
                    unsigned count)
{
    static uint8_t bytes[4 + HOSTILE_MAX_BYTES];
    size_t marker = s->port == PORT_NAT && !c->esp && !c->replay ? 4 : 0;
    unsigned sent = 0;

    for (; sent < count; sent++) {
        size_t n;

        j->index = sent;
        memset(bytes, 0, 4);
        n = c->make(j, bytes + marker);
        if (n == 0)
            break;
        send_one(s, sent, bytes, marker + n);
    }
    (void)printf("%u\n", sent);
    return sent > 0 ? 0 : 1;
}

static const struct hostile_class *find_class(const char *name)
{
    for (const struct hostile_class *c = hostile_classes; c->name != NULL; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    errno = ENOENT;
    fail(name);
}

/* CLASS COUNT FROM GATEWAY PORT [options] */
static int send_class(int argc, char **argv)
{
    static struct hostile_job job = {.random = 0x9e3779b97f4a7c15u};
    const struct hostile_class *c = find_class(argv[0]);
    unsigned port = (unsigned)strtoul(argv[4], NULL, 10);
    struct sender s = {.raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW),
                       .plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                       .from = address(argv[2], 0),
                       .to = address(argv[3], port),
                       .port = (uint16_t)port,
                       .sources = 1};

    for (int i = 5; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--recording") == 0)
            load(&job, argv[i + 1]);
        else if (strcmp(argv[i], "--sources") == 0)
            s.sources = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            job.random ^= strtoull(argv[i + 1], NULL, 10) * 0xd1342543de82ef95u;
    }
    errno = EINVAL;
    if (s.raw < 0 || s.plain < 0 || s.sources == 0 || (c->recorded && job.n_recorded == 0))
        fail("cannot send");
    if (job.random == 0)
        job.random = 1;
    return send_all(&s, c, &job, (unsigned)strtoul(argv[1], NULL, 10));
}

static int hold(char **argv)
{
    bool tcp = strcmp(argv[0], "tcp") == 0;
    struct sockaddr_in a = address(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
    int fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || (tcp && listen(fd, 1) != 0))
        fail("cannot hold the port");
    (void)printf("held\n");
    (void)fflush(stdout);
    wait_for_end_of_stdin();
    return 0;
}

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc == 2 && strcmp(argv[1], "classes") == 0) {
        for (const struct hostile_class *c = hostile_classes; c->name != NULL; c++)
            (void)printf("%s\n", c->name);
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "record") == 0)
        return record(argv + 2);
    if (argc >= 7 && strcmp(argv[1], "send") == 0)
        return send_class(argc - 2, argv + 2);
    if (argc == 5 && strcmp(argv[1], "half-open") == 0)
        return hostile_half_open(argv + 2);
    if (argc == 5 && strcmp(argv[1], "hold") == 0)
        return hold(argv + 2);
    (void)fprintf(stderr, "holdfast-hostile: see the head of its main.c\n");
    return 2;
}
