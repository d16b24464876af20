#include "hostile/half_open.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "hostile/messages.h"

enum {
    MAX_SOURCES = 200,
    WINDOW = 64, /* under way at once */
    PER_SECOND = 250,
    ANSWER_MS = 1000,
    TURN_MS = 10,
    PORT_IKE = 500,
    ROOM = HOSTILE_INIT_BYTES + HOSTILE_COOKIE_MAX
};

struct asked {
    uint64_t spi; /* 0: nothing is under way here */
    uint64_t at_ms;
    unsigned source;
    size_t n;
    uint8_t bytes[ROOM];
};

struct beginner {
    struct sockaddr_in to;
    struct pollfd sockets[MAX_SOURCES + 1]; /* behind the last: stdin */
    unsigned sources, next;
    struct asked asked[WINDOW];
    struct hostile_job job;
    uint64_t from_ms, begun, cookies, made, unanswered, refused;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int complain(const char *what)
{
    (void)fprintf(stderr, "holdfast-hostile: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool open_sources(struct beginner *b, const char *first)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT_IKE)};

    if (inet_pton(AF_INET, first, &a.sin_addr) != 1)
        return false;
    for (unsigned i = 0; i < b->sources; i++) {
        struct sockaddr_in from = a;
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        from.sin_addr.s_addr = htonl(ntohl(a.sin_addr.s_addr) + i);
        if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
            return false;
        b->sockets[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    b->sockets[b->sources] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    return true;
}

static void send_it(struct beginner *b, struct asked *a)
{
    a->at_ms = now_ms();
    (void)sendto(b->sockets[a->source].fd, a->bytes, a->n, 0, (const struct sockaddr *)&b->to,
                 sizeof b->to); /* what the kernel has no room for is like lost on its way */
}

static void begin_more(struct beginner *b)
{
    uint64_t due = (now_ms() - b->from_ms) * PER_SECOND / 1000;

    for (unsigned i = 0; i < WINDOW; i++) {
        struct asked *a = &b->asked[i];

        if (a->spi != 0 && now_ms() - a->at_ms >= ANSWER_MS) {
            b->unanswered++;
            a->spi = 0;
        }
        if (a->spi != 0 || b->begun >= due)
            continue;
        a->n = hostile_init(&b->job, a->bytes);
        a->spi = get_be64(a->bytes);
        a->source = b->next++ % b->sources;
        b->begun++;
        send_it(b, a);
    }
}

static void take_answer(struct beginner *b, unsigned source, const uint8_t *bytes, size_t n)
{
    const uint8_t *cookie;
    size_t len;

    for (unsigned i = 0; i < WINDOW; i++) {
        struct asked *a = &b->asked[i];

        if (a->spi == 0 || a->source != source || n < 8 || get_be64(bytes) != a->spi)
            continue;
        cookie = hostile_cookie(bytes, n, &len);
        if (cookie != NULL && a->n == HOSTILE_INIT_BYTES) {
            b->cookies++;
            a->n = hostile_put_cookie(a->bytes, a->n, cookie, len);
            send_it(b, a);
            return;
        }
        a->spi = 0;
        if (hostile_is_accepted(bytes, n))
            b->made++;
        else
            b->refused++;
        return;
    }
}

/* False: stdin has ended. */
static bool take_answers(struct beginner *b)
{
    static uint8_t bytes[2048];

    if (poll(b->sockets, b->sources + 1, TURN_MS) <= 0)
        return true;
    for (unsigned i = 0; i < b->sources; i++) {
        ssize_t n;

        if ((b->sockets[i].revents & POLLIN) == 0)
            continue;
        while ((n = recv(b->sockets[i].fd, bytes, sizeof bytes, 0)) > 0)
            take_answer(b, i, bytes, (size_t)n);
    }
    return b->sockets[b->sources].revents == 0;
}

/* FROM GATEWAY SOURCES */
int hostile_half_open(char **argv)
{
    static struct beginner b = {.job.random = 0x9e3779b97f4a7c15u};

    b.sources = (unsigned)strtoul(argv[2], NULL, 10);
    b.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT_IKE)};
    errno = EINVAL;
    if (b.sources == 0 || b.sources > MAX_SOURCES ||
        inet_pton(AF_INET, argv[1], &b.to.sin_addr) != 1 || !open_sources(&b, argv[0]))
        return complain("cannot begin");
    b.from_ms = now_ms();
    b.job.random ^= now_ms() << 20 ^ (uint64_t)getpid(); /* another run's SPIs are others */
    do
        begin_more(&b);
    while (take_answers(&b));
    (void)printf("{\"begun\":%llu,\"cookies\":%llu,\"made\":%llu,\"unanswered\":%llu,"
                 "\"refused\":%llu}\n",
                 (unsigned long long)b.begun, (unsigned long long)b.cookies,
                 (unsigned long long)b.made, (unsigned long long)b.unanswered,
                 (unsigned long long)b.refused);
    return b.made > 0 ? 0 : 1;
}
