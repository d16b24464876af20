/* The command line over TLS: against the real server with its roles, and against servers that are none
 * of ours, too slow, too large, or not who they say. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "unit/api/rest_rig.h"

static struct rest rest;
static char *said;
static size_t said_bytes;
static char paths[8][128];
enum { FILE_CA, FILE_CERT, FILE_KEY, FILE_TOKEN, FILE_OTHER_CA };

static void put(int which, const char *name, struct span text, mode_t mode)
{
    FILE *f;

    (void)snprintf(paths[which], sizeof paths[which], "%s/%s", rest.rig.folder, name);
    f = fopen(paths[which], "w");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text.data, 1, text.len, f), text.len);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(paths[which], mode), 0);
}

static struct pki_pair serve_as(const char *name, const char *address, int64_t until_days,
                                const struct pki_pair *issuer)
{
    struct pki_request r = certs_server_request(name);

    r.names[r.n_names++] = address;
    r.from_s = (int64_t)time(NULL) - 2 * CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + until_days * CERTS_DAY;
    return certs_make("p256", &r, issuer);
}

static void begin(void)
{
    char token[256];

    rest_init(&rest);
    rest.server = serve_as("localhost", "127.0.0.1", 1, &rest.ca);
    rest.files.certificate = rest_cert_pem(rest.server.cert);
    rest.files.key = rest_key_pem(rest.server.key);
    put(FILE_CA, "ca.pem", rest_cert_pem(rest.ca.cert), 0644);
    put(FILE_CERT, "c.pem", rest_cert_pem(rest.clients[API_ROLE_VIEWER].cert), 0644);
    put(FILE_KEY, "c.key", rest_key_pem(rest.clients[API_ROLE_VIEWER].key), 0600);
    put(FILE_OTHER_CA, "other.pem", rest_cert_pem(rest.stranger.cert), 0644);
    (void)snprintf(token, sizeof token, "%.200s\n", rest.bearer[API_ROLE_OPERATOR] + 7);
    put(FILE_TOKEN, "token", span_of(token, strlen(token)), 0600);
    (void)setenv("XDG_CONFIG_HOME", rest.rig.folder, 1);
}

static void end(void)
{
    for (size_t i = 0; i < 8; i++) {
        if (paths[i][0] != '\0') {
            (void)unlink(paths[i]);
        }
    }
    rig_deinit(&rest.rig);
    free(said);
}

TestSuite(cli_tls, .init = begin, .fini = end);

/* Runs the words; all it prints is in `said`. Limits are short. */
static int run(const char *words, const char *servers, const char *more)
{
    static char line[2048];
    char *argv[40], *at = NULL;
    struct cli cli = {
        .limits = {.silence_ms = 700, .total_ms = 1500, .connect_ms = 700, .most_bytes = 1 << 20}};
    char why[CLI_WHY_BYTES];
    int argc = 0, status = -1;

    free(said);
    said = NULL;
    cli.out = cli.err = open_memstream(&said, &said_bytes);
    cr_assert_not_null(cli.out);
    (void)snprintf(line, sizeof line, "holdfast %s --server %s %s", words, servers, more);
    for (char *p = strtok_r(line, " ", &at); p != NULL; p = strtok_r(NULL, " ", &at)) {
        cr_assert_lt(argc, 40);
        argv[argc++] = p;
    }
    if (cli_parse(&cli, argc, argv, &status)) {
        if (!cli_where_find(&cli.where, &cli, why)) {
            (void)fprintf(cli.err, "%s", why);
            status = CLI_USAGE;
        } else {
            status = cli.command->run(&cli);
        }
        cli_where_free(&cli.where);
    }
    cr_assert_eq(fclose(cli.out), 0);
    return status;
}

static void expect(const char *words, const char *servers, const char *more, int status,
                   const char *part)
{
    int got = run(words, servers, more);

    cr_expect_eq(got, status, "%s %s ended with %d: %s", words, more, got, said);
    cr_expect_not_null(strstr(said, part), "%s %s said:\n%s\nwanted: %s", words, more, said, part);
}

static char *with(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *with(const char *format, ...)
{
    static char text[32][1024];
    static unsigned next;
    char *out = text[next++ % 32];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out, sizeof text[0], format, args);
    va_end(args);
    return out;
}

static void ask_the_real_one(struct rig *rig)
{
    unsigned port = api_server_port(rig->server);
    const char *name = with("localhost:%u", port), *address = with("127.0.0.1:%u", port);
    const char *cert =
        with("--ca %s --cert %s --key %s", paths[FILE_CA], paths[FILE_CERT], paths[FILE_KEY]);
    const char *token = with("--ca %s --token-file %s", paths[FILE_CA], paths[FILE_TOKEN]);

    expect("cluster status -o json", name, cert, CLI_DONE, "{");
    expect("cluster status -o yaml", address, cert, CLI_DONE, ": ");
    expect("cluster transfer 3", name, cert, CLI_REFUSED, "(403)");
    expect("cluster transfer 3", name, cert, CLI_REFUSED, "The principal's role does not include");
    expect("cluster transfer 3", name, cert, CLI_REFUSED, "see /v1/problems/forbidden");
    cr_expect_eq(rig->transfers, 0);
    expect("cluster transfer 3", name, token, CLI_DONE, "leads");
    cr_expect(rig->transfers == 1 && rig->node == 3);
    expect("cluster status", name, with("--ca %s", paths[FILE_CA]), CLI_REFUSED, "(401)");
    expect(
        "cluster status", name,
        with("--ca %s --cert %s --key %s", paths[FILE_OTHER_CA], paths[FILE_CERT], paths[FILE_KEY]),
        CLI_NO_NODE, "its certificate is not taken: ");
    cr_assert_eq(chmod(paths[FILE_TOKEN], 0640), 0);
    expect("cluster status", name, token, CLI_NO_NODE, "others may read it: chmod 600");
    cr_assert_eq(chmod(paths[FILE_KEY], 0644), 0);
    expect("cluster status", name, cert, CLI_NO_NODE, "others may read it: chmod 600");
    cr_assert_eq(chmod(paths[FILE_KEY], 0600), 0);
    /* Nobody listens at the first: the second is asked, for changes too. */
    expect("cluster status -o json", with("127.0.0.1:1,%s", name), cert, CLI_DONE,
           "Connection refused");
    cr_assert_eq(chmod(paths[FILE_TOKEN], 0600), 0);
    expect("cluster transfer 2", with("127.0.0.1:1,%s", name), token, CLI_DONE,
           "the next server is asked");
    cr_expect_eq(rig->transfers, 2);
    expect("cluster status", "127.0.0.1:1", cert, CLI_NO_NODE, "is `api.listen` there set");
}

Test(cli_tls, asks_the_server_by_certificate_and_by_token)
{
    rest_run(&rest, ask_the_real_one);
}

/* --- servers that are not ours --- */

struct server {
    int listener;
    unsigned port, max_version, taken;
    struct pki_pair pair;
    const char *answer;
    enum { SAY, ENDLESS, DRIBBLE, SILENT, NO_HANDSHAKE } how;
    bool once;       /* then nobody listens there any more */
    char asked[256]; /* how the last request began */
    pthread_t thread;
};

/* The client has gone. */
static bool gone(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, ms) != 0;
}

static void talk(struct server *s, SSL *ssl, int fd)
{
    char head[4096];
    static const char letters[1024] = {[0 ... 1023] = 'x'};

    if (SSL_accept(ssl) != 1 || SSL_read(ssl, head, sizeof head) <= 0) {
        return;
    }
    s->taken++;
    (void)snprintf(s->asked, sizeof s->asked, "%.*s", (int)strcspn(head, "\r"), head);
    if (s->how != SILENT) {
        (void)SSL_write(ssl, s->answer, (int)strlen(s->answer));
    }
    while (s->how == ENDLESS && SSL_write(ssl, letters, sizeof letters) > 0)
        ;
    while (s->how == DRIBBLE && !gone(fd, 20) && SSL_write(ssl, "x", 1) > 0)
        ;
    if (s->how == SILENT) {
        (void)gone(fd, 10000);
    }
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        SSL *ssl;

        cr_assert_not_null(context);
        cr_assert_eq(SSL_CTX_use_certificate(context, s->pair.cert), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey(context, s->pair.key), 1);
        if (s->max_version != 0) {
            cr_assert_eq(SSL_CTX_set_max_proto_version(context, (int)s->max_version), 1);
        }
        ssl = SSL_new(context);
        cr_assert(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
        if (s->how == NO_HANDSHAKE) {
            (void)gone(fd, 10000);
        } else {
            talk(s, ssl, fd);
        }
        SSL_free(ssl);
        SSL_CTX_free(context);
        (void)close(fd);
        if (s->once) {
            cr_assert_eq(shutdown(s->listener, SHUT_RDWR), 0);
        }
    }
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(s->listener, 8), 0);
    cr_assert_eq(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    if (!s->once) {
        cr_assert_eq(shutdown(s->listener, SHUT_RDWR), 0);
    }
    cr_assert_eq(pthread_join(s->thread, NULL), 0);
    (void)close(s->listener);
}

static void expect_of(struct server s, const char *words, int status, const char *part)
{
    server_start(&s);
    expect(words, with("127.0.0.1:%u", s.port),
           with("--ca %s --token-file %s", paths[FILE_CA], paths[FILE_TOKEN]), status, part);
    server_stop(&s);
}

/* One breaks off in the middle of an event: the next one goes on behind the last that was whole. */
Test(cli_tls, events_go_on_at_the_next_server)
{
    struct server
        first = {.pair = rest.server,
                 .once = true,
                 .answer =
                     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                     "retry: 3000\nid: 5.1.0\n\n"
                     "id: 5.1.1\nevent: x\ndata: {\"at\":\"a\\u001b[31m\",\"cluster_ms\":7}\n\n"
                     "event: own\ndata: {}\n\n:\nid: 5.3.0\n\n"
                     "id: 5.4.1\nevent: y\ndata: {\"at\":4"},
        second = {.pair = rest.server,
                  .once = true,
                  .answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                            "retry: 3000\nid: 5.3.0\n\n"
                            "id: 5.4.1\nevent: y\ndata: {\"at\":4}\n\n"};
    const char *y;

    server_start(&first);
    server_start(&second);
    expect("events --follow", with("127.0.0.1:%u,127.0.0.1:%u", first.port, second.port),
           with("--ca %s --token-file %s", paths[FILE_CA], paths[FILE_TOKEN]), CLI_NO_NODE,
           "5.1.1            x                at=a?[31m\n-                own             \n");
    cr_expect_str_eq(first.asked, "GET /v1/events HTTP/1.1");
    cr_expect_str_eq(second.asked, "GET /v1/events?after=5.3.0 HTTP/1.1");
    y = strstr(said, "5.4.1            y                at=4\n");
    cr_expect(y != NULL && strstr(y + 8, "5.4.1            y") == NULL, "%s", said);
    cr_expect_not_null(strstr(said, "; going on behind 5.3.0\n"), "%s", said);
    server_stop(&first);
    server_stop(&second);
}

Test(cli_tls, streams_that_are_none)
{
    static const struct {
        const char *answer;
        int how;
    } rows[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", SAY},
                {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", ENDLESS},
                {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX: ", ENDLESS},
                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
                 "text/event-stream\r\n\r\n",
                 SAY},
                {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", SILENT},
                {"", SAY}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s = {.pair = rest.server, .answer = rows[i].answer, .how = rows[i].how};

        server_start(&s);
        cr_expect_neq(run("events", with("127.0.0.1:%u", s.port),
                          with("--ca %s --token-file %s", paths[FILE_CA], paths[FILE_TOKEN])),
                      CLI_DONE, "row %zu: %s", i, said);
        cr_expect_not_null(strstr(said, "holdfast: "), "row %zu: %s", i, said);
        server_stop(&s);
    }
}

Test(cli_tls, servers_that_do_not_show_who_they_are)
{
    struct pki_pair other = serve_as("other.example.org", "192.0.2.1", 1, &rest.ca);
    struct pki_pair old = serve_as("localhost", "127.0.0.1", -1, &rest.ca);
    struct pki_pair self = serve_as("localhost", "127.0.0.1", 1, NULL);
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct pki_request r = certs_client_request("a@example.org");
    struct pki_pair client;

    r.names[r.n_names++] = "127.0.0.1";
    r.from_s = (int64_t)time(NULL) - CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + CERTS_DAY;
    client = certs_make("p256", &r, &rest.ca);
    expect_of((struct server){.pair = rest.server, .answer = good}, "cluster status -o json",
              CLI_DONE, "{}");
    expect_of((struct server){.pair = other, .answer = good}, "cluster status", CLI_NO_NODE,
              "its certificate is not for '127.0.0.1'");
    expect_of((struct server){.pair = old, .answer = good}, "cluster status", CLI_NO_NODE,
              "certificate has expired");
    expect_of((struct server){.pair = self, .answer = good}, "cluster status", CLI_NO_NODE,
              "its certificate is not taken");
    expect_of((struct server){.pair = client, .answer = good}, "cluster status", CLI_NO_NODE,
              "its certificate is not taken");
    expect_of((struct server){.pair = rest.server, .answer = good, .max_version = TLS1_2_VERSION},
              "cluster status", CLI_NO_NODE, "no TLS 1.3 came about");
}

Test(cli_tls, answers_that_are_too_large_too_slow_or_nonsense)
{
    static const struct {
        const char *answer;
        int how;
        const char *said;
    } rows[] = {
        {"", SILENT, "was silent for"},
        {"", NO_HANDSHAKE, "was silent for"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", DRIBBLE, "was not there after"},
        {"HTTP/1.1 200 OK\r\nX: ", DRIBBLE, "was not there after"},
        {"HTTP/1.1 200 OK\r\nX: ", ENDLESS, "does not speak as holdfastd does"},
        {"HTTP/1.1 200 OK\r\n\r\n", ENDLESS, "does not speak as holdfastd does"},
        {"", ENDLESS, "does not speak as holdfastd does"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", SAY, "is larger than 1048576 bytes"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", ENDLESS, "is larger than"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", SAY, "does not speak"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n{}", SAY, "does not speak"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", SAY,
         "does not speak"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", SAY, "does not speak"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}", SAY, "does not speak"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", SAY, "it broke off"},
        {"HTTP/1.1 302 Found\r\nLocation: https://evil/\r\nContent-Length: 0\r\n\r\n", SAY,
         "(302)"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SAY, "(200)"},
        {"HTTP/1.1 409 No\r\nContent-Length: 25\r\n\r\n{\"detail\":\"a\\u001b[31mb\"}", SAY,
         "holdfast: a?[31mb (409)"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s = {.pair = rest.server, .answer = rows[i].answer};
        int status = rows[i].said[0] == '(' || i + 1 == sizeof rows / sizeof rows[0] ? CLI_REFUSED
                                                                                     : CLI_NO_NODE;

        memcpy(&s.how, &rows[i].how, sizeof s.how);
        expect_of(s, "cluster status", status, rows[i].said);
    }
}

/* What may have been done is not asked of another server; what only reads is. */
Test(cli_tls, a_change_is_asked_once)
{
    struct server first = {.pair = rest.server, .answer = "HTTP/1.1 "}, second = first;
    const char *both, *how = with("--ca %s", paths[FILE_CA]);

    second.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    server_start(&first);
    server_start(&second);
    both = with("127.0.0.1:%u,127.0.0.1:%u", first.port, second.port);
    expect("cluster transfer 2", both, how, CLI_NO_NODE, "whether it was done is not known");
    cr_expect_eq(second.taken, 0);
    expect("cluster status -o json", both, how, CLI_DONE, "the next server is asked");
    server_stop(&first);
    server_stop(&second);
    cr_expect_eq(second.taken, 1);
}

static json_t *in_pages(void *self, const struct api_page *page, struct api_problem *problem)
{
    (void)self;
    (void)problem;
    return page->after == 0 ? json_pack("{s:[{s:s},{s:s}],s:s}", "sas", "id", "1", "id", "2",
                                        "next", "0000000000000002")
                            : json_pack("{s:[{s:s}]}", "sas", "id", "3");
}

static void list_all(struct rig *rig)
{
    rig->backend.sas = in_pages;
    expect("sa list -o json", with("localhost:%u", api_server_port(rig->server)),
           with("--ca %s --token-file %s", paths[FILE_CA], paths[FILE_TOKEN]), CLI_DONE,
           "\"id\": \"3\"");
    cr_expect(strstr(said, "\"id\": \"1\"") != NULL && strstr(said, "next") == NULL, "%s", said);
}

Test(cli_tls, a_list_is_all_of_its_pages)
{
    rest_run(&rest, list_all);
}
