/* The program `holdfast` against the real admin server with a backend of the test's, and against
 * servers that are none. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/api/cli_run.h"
#include "unit/api/rig.h"

static struct rig rig;

static json_t *three_nodes(void *self, struct api_problem *problem)
{
    (void)self;
    (void)problem;
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:I, s:b, s:s, s:i, "
        "s:[{s:i,s:s,s:b},{s:i,s:s,s:b},{s:i,s:s,s:b}],"
        " s:[{s:i, s:s, s:s, s:{s:i,s:i}, s:{s:i}, s:{s:b,s:i}, s:b}]}",
        "node", 1, "leader", 2, "term", 7, "applied_index", 41, "commit_index", 42, "cluster_ms",
        (json_int_t)7200000, "quorum", 1, "digest", "0123456789abcdef0123", "sas", 1, "nodes", "id",
        1, "address", "10.77.2.1:7400", "connected", 0, "id", 2, "address", "10.77.2.2:7400",
        "connected", 1, "id", 3, "address", "10.77.2.3:7400", "connected", 0, "shards", "id", 1,
        "outside", "10.77.1.100", "inside", "10.77.2.100", "epoch", "incarnation", 1, "index", 9,
        "owner", "node", 1, "lease", "held", 1, "remaining_ms", 120, "acting", 1);
}

static json_t *one_tunnel(void *self, const struct api_page *page, struct api_problem *problem)
{
    (void)self;
    (void)page;
    (void)problem;
    return json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:[{s:s, s:s, s:s, s:i, s:i, "
                     "s:i, s:i, s:i, s:i}]}]}",
                     "sas", "id", "0123456789abcdef", "identity", "client\033[31m@holdfast.test",
                     "peer", "10.77.1.50:4500", "virtual_ip", "10.99.0.1", "state", "established",
                     "role", "responder", "established_ms", (json_int_t)3600000, "soft_ms",
                     (json_int_t)7245000, "children", "spi_in", "c0ffee01", "spi_out", "deadbeef",
                     "state", "installed", "packets_in", 12, "packets_out", 34, "next_out", 35,
                     "reservation_end", 99, "last_in", 12, "ceiling", 20);
}

static void start(void)
{
    rig_init(&rig);
    cli_run_at(&rig);
    rig.backend.cluster = three_nodes;
    rig.backend.sas = one_tunnel;
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(cli, .init = start, .fini = end);

/* What the status says of the keys that sessions are sealed with; NULL: the answer has none. */
static json_t *keys_said;

static json_t *with_keys(void *self, struct api_problem *problem)
{
    json_t *body = three_nodes(self, problem);

    (void)json_object_set(body, "keys", keys_said);
    return body;
}

static void look_at_keys(struct rig *r)
{
    r->backend.cluster = with_keys;
    keys_said = json_pack("{s:s,s:n,s:I,s:I,s:n,s:I,s:b}", "session", "01", "former", "since_ms",
                          (json_int_t)(12 * 60000), "age_ms", (json_int_t)3600000,
                          "former_since_ms", "erased_within_ms", (json_int_t)3660000, "overdue", 0);
    expect_part("cluster status", 0,
                "digest 0123456789abcdef\n"
                "key of sessions: 12 min old, replaced after 60 min\n"
                "keys of a deleted tunnel: nobody can read them any more after at most 61 min\n");
    cr_expect_null(strstr(cli_said(), "ALARM"));
    expect_part("cluster status -o json", 0, "\"erased_within_ms\": 3660000");
    (void)json_object_set_new(keys_said, "former", json_string("02"));
    (void)json_object_set_new(keys_said, "former_since_ms", json_integer(12 * 60000));
    (void)json_object_set_new(keys_said, "overdue", json_true());
    expect_part(
        "cluster status", 0,
        "1 tunnels\nALARM: a former key of sessions waits to be erased for 12 min: what was "
        "stored of tunnels deleted since can still be read. A majority of the nodes must have "
        "made a snapshot: look at their disks\n");
    expect_part("cluster status", 0,
                "after 60 min; the former one waits for a majority's snapshots\n");
    (void)json_object_set_new(keys_said, "erased_within_ms", json_null());
    expect_part("cluster status", 0, "keys of a deleted tunnel: no time is promised");
    json_decref(keys_said);
}

Test(cli, says_until_when_a_deleted_tunnels_keys_can_be_read)
{
    rig_run(&rig, look_at_keys);
}

static json_t *begun_anew(void *self, struct api_problem *problem)
{
    json_t *body = three_nodes(self, problem);

    (void)json_object_set_new(
        body, "beginnings",
        json_pack("[{s:s},{s:s,s:i,s:i,s:i,s:s,s:I,s:i,s:s,s:s}]", "how", "restore", "how",
                  "recover", "former", 1, "incarnation", 77, "node", 3, "given_up", "1,2", "wall_s",
                  (json_int_t)1764000000, "highest_id", 5, "who", "alice as root", "why", "fire"));
    return body;
}

static void look_at_beginnings(struct rig *r)
{
    r->backend.cluster = begun_anew;
    expect_part("cluster status", 0,
                "began anew: recover on node 3, 2025-11-24 16:00:00 UTC, by alice as root: fire; "
                "nodes 1,2 were given up; incarnation 77 (it was 1); ids up to 5 are used\n");
    expect_part("cluster status -o json", 0, "\"how\": \"restore\"");
}

Test(cli, says_how_the_cluster_began_anew)
{
    rig_run(&rig, look_at_beginnings);
}

static void look(struct rig *r)
{
    (void)r;
    expect("cluster status", 0,
           "2 of 3 nodes up, can lose 0, 1 of 1 shards owned, 1 tunnels\n"
           "term 7, committed 42, applied 41, digest 0123456789abcdef\n"
           "\n"
           "NODE  ADDRESS         LINK       ROLE      APPLIED\n"
           "1     10.77.2.1:7400  this node  follower  41\n"
           "2     10.77.2.2:7400  up         leader    -\n"
           "3     10.77.2.3:7400  DOWN       follower  -\n"
           "\n"
           "SHARD  OUTSIDE      INSIDE       OWNER   EPOCH  HERE\n"
           "1      10.77.1.100  10.77.2.100  node 1  1.9    acting, lease 120ms\n");
    expect("sa list", 0,
           "SA                IDENTITY                   PEER             ADDRESS    STATE        "
           "ROLE       LIFE\n"
           "0123456789abcdef  client?[31m@holdfast.test  10.77.1.50:4500  10.99.0.1  established  "
           "responder  1h 0m old, rekey in 45s\n"
           "  c0ffee01        deadbeef                   in 12            out 34     installed     "
           "          next 35 of 99, last 12 of 20\n"
           "1 SAs\n");
    expect("shard list", 0,
           "SHARD  OUTSIDE      INSIDE       OWNER  HOME  MOVING TO\n"
           "1      10.77.1.100  10.77.2.100  1      -     -\n");
    expect_part("cluster status -o json", 0, "\"commit_index\": 42");
    expect_part("-o json sa list", 0, "\"identity\": \"client\\u001B[31m@holdfast.test\"");
}

static json_t *states_differ(void *self, struct api_problem *problem)
{
    json_t *c = three_nodes(self, problem), *nodes = json_object_get(c, "nodes");

    (void)json_object_set_new(json_array_get(nodes, 0), "state", json_string("agrees"));
    (void)json_object_set_new(json_array_get(nodes, 1), "state", json_string("differs"));
    (void)json_object_set_new(json_array_get(nodes, 2), "state", json_string("tied"));
    return c;
}

static void look_at_alarms(struct rig *r)
{
    r->backend.cluster = states_differ;
    expect_part("cluster status", 0,
                "1 tunnels\n"
                "ALARM: the state of node 2 differs from the majority's: it owns nothing until a "
                "sound one has taken its place\n"
                "ALARM: the state of node 3 differs from another node's, and no majority tells "
                "which is right: bring the missing nodes back. Until then no snapshot is taken, "
                "and the log grows\nterm 7");
}

Test(cli, a_state_that_is_not_the_majoritys_is_an_alarm)
{
    rig_run(&rig, look_at_alarms);
}

static json_t *cannot_begin(void *self, struct api_problem *problem)
{
    json_t *c = three_nodes(self, problem);

    (void)json_object_set_new(c, "waits", json_string("node 3 has not been heard"));
    return c;
}

static void look_at_waits(struct rig *r)
{
    r->backend.cluster = cannot_begin;
    expect_part("cluster status", 0, "1 tunnels\nALARM: node 3 has not been heard\nterm 7");
}

static json_t *deaf(void *self, struct api_problem *problem)
{
    json_t *c = three_nodes(self, problem);

    (void)json_object_set_new(
        c, "rollback", json_pack("{s:b,s:s,s:i}", "watched", 0, "why", "Socket gone", "missed", 0));
    return c;
}

static json_t *hears(void *self, struct api_problem *problem)
{
    json_t *c = deaf(self, problem);

    (void)json_object_set_new(json_object_get(c, "rollback"), "watched", json_true());
    return c;
}

static void look_at_rollback(struct rig *r)
{
    r->backend.cluster = deaf;
    expect_part("cluster status", 0,
                "1 tunnels\nALARM: node 1 does not hear when its machine is rolled back: Socket "
                "gone. Start its daemon anew, and after a rollback with --distrust\nterm 7");
    r->backend.cluster = hears;
    expect_part("cluster status", 0, "1 tunnels\nterm 7");
}

Test(cli, says_that_a_rollback_is_not_heard_of)
{
    rig_run(&rig, look_at_rollback);
}

Test(cli, says_why_a_cluster_waits)
{
    rig_run(&rig, look_at_waits);
}

Test(cli, shows_the_cluster_and_its_tunnels)
{
    rig_run(&rig, look);
}

static void change(struct rig *r)
{
    expect("sa rekey 0123456789abcdef --kind child --child c0ffee01 --no-pfs", 0,
           "rekey of 0123456789abcdef has begun\n");
    cr_expect_eq(r->rekey.kind, API_REKEY_CHILD);
    cr_expect_eq(r->rekey.pfs, API_PFS_NO);
    cr_expect_eq(r->rekey.child_spi_in, 0xc0ffee01u);
    expect("sa rekey 0123456789abcdef --kind ike", 0, "rekey of 0123456789abcdef has begun\n");
    cr_expect_eq(r->rekey.kind, API_REKEY_IKE);
    expect("drill arm child-rekey:gateway:sent --mode machine", 0,
           "armed: the node dies when it reaches child-rekey:gateway:sent\n");
    cr_expect_eq(r->arm.mode, API_ARM_MACHINE);
    expect("cluster transfer 3 -o json", 0, "{}\n");
    cr_expect_eq(r->node, 3);
    cr_expect_eq(r->rekeys + r->arms + r->transfers, 4);
    expect_part("shard move 7 --to 3", 0, "shard ");
    cr_expect(r->move.shard == 7 && r->move.to == 3);
    expect("node drain 2", 0, "node 2 is drained: it owns nothing and is given nothing\n");
    cr_expect(r->drain.node == 2 && r->drain.drained);
    expect("node undrain 2", 0, "node 2 takes shards again\n");
    cr_expect(r->drain.node == 2 && !r->drain.drained);
    expect_part("cluster rotate-keys", 0, "is erased: nobody can open what it sealed");
    cr_expect_eq(r->rotations, 1);
    expect_part("shard move 7", 2, "which node?");
    expect_part("shard move x --to 3", 2, "'x' is no shard");
    expect_part("shard move 7 --to 0", 2, "'0' is no node");
    expect_part("node drain 70000", 2, "'70000' is no node");
    cr_expect_eq(r->moves + r->drains, 3);
}

Test(cli, changes_what_it_is_told_to)
{
    rig_run(&rig, change);
}

/* Without the word and the list it only says what would be lost; the list is compared by the node. */
static void recover(struct rig *r)
{
    static const char *const parts[] = {"Node 1 alone would become the cluster",
                                        "This node reaches a majority NOW", "- all tunnels (1 now)",
                                        "must never be started again with their present",
                                        "nothing was changed"};
    static const char *const words[] = {"cluster recover", "cluster recover --force",
                                        "cluster recover --lost 2,3"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            expect_part(words[i], 2, parts[k]);
    cr_expect_eq(r->recoveries, 0);
    expect_part("cluster recover --lost 2,3 --force", 0, "ordered: the daemon starts anew");
    cr_expect(r->recoveries == 1 && strcmp(r->lost, "2,3") == 0 && r->who[0] != '\0' &&
              r->why[0] == '\0' && r->highest_id == 0);
    expect_part("cluster recover --lost 2,3 --force --why fire --highest-id 7", 0, "ordered");
    cr_expect(r->recoveries == 2 && strcmp(r->why, "fire") == 0 && r->highest_id == 7);
    expect_part("cluster recover --lost 2,3 --force --highest-id x", 2, "'x' is no node's id");
    cr_expect_eq(r->recoveries, 2);
}

Test(cli, recovers_only_when_told_what_is_lost)
{
    rig_run(&rig, recover);
}

static void back_up(struct rig *r)
{
    char words[128], path[96];
    char bytes[8] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/backup", r->folder);
    (void)snprintf(words, sizeof words, "snapshot save %s", path);
    expect_part("snapshot save /no/such/folder", 1, "/no/such/folder: No such file or directory");
    (void)snprintf(r->backup, sizeof r->backup, "48464b");
    expect_part(words, 0,
                "saved 3 bytes, without tunnels and keys, as of entry 4711 of incarnation "
                "1099511627776. Keep");
    file = fopen(path, "rb");
    cr_assert_not_null(file);
    cr_expect_eq(fread(bytes, 1, sizeof bytes, file), 3);
    cr_expect_str_eq(bytes, "HFK");
    (void)fclose(file);
    (void)snprintf(words, sizeof words, "snapshot save %s -o json", path);
    expect_part(words, 0, "\"index\": 4711,\n  \"incarnation\": 1099511627776\n}");
    (void)snprintf(r->backup, sizeof r->backup, "no hex");
    expect_part(words, 1, "the node's answer is no backup");
    cr_expect_eq(r->backups, 4);
}

Test(cli, saves_a_backup)
{
    (void)snprintf(rig.backup, sizeof rig.backup, "00");
    rig_run(&rig, back_up);
}

/* A token in the arguments is everybody's on that machine: by file, or by standard input, it is not. */
static void join(struct rig *r)
{
    char words[256], path[96];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/token", r->folder);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fputs("00ff\nmore\n", file);
    (void)fclose(file);
    (void)snprintf(words, sizeof words, "cluster join --token-file %s", path);
    (void)run_cli(words);
    cr_expect(r->joins == 1 && strcmp(r->joined_by, "00ff") == 0, "joined by '%s'", r->joined_by);
    (void)snprintf(words, sizeof words, "cluster join --token-file - <%s", path);
    r->joined_by[0] = '\0';
    (void)run_cli(words);
    cr_expect(r->joins == 2 && strcmp(r->joined_by, "00ff") == 0, "joined by '%s'", r->joined_by);
    (void)run_cli("cluster join --token 11ee");
    cr_expect(r->joins == 3 && strcmp(r->joined_by, "11ee") == 0, "joined by '%s'", r->joined_by);
    expect_part("cluster join", 2, "which token?");
    expect_part("cluster join --token 11ee --token-file -", 2, "which token?");
    expect_part("cluster join --token-file - </dev/null", 2, "no token in standard input");
    expect_part("cluster join --token-file /no/such/file", 2, "/no/such/file: No such file");
    cr_expect_eq(r->joins, 3);
}

Test(cli, joins_by_a_token_of_a_file)
{
    rig_run(&rig, join);
}

static void be_refused(struct rig *r)
{
    (void)r;
    expect(
        "cluster transfer 3", 1,
        "holdfast: no leader is known (409)\n"
        "  No leader is known, so nothing can be written. `holdfast cluster status` says what it "
        "waits for.\n"
        "  see /v1/problems/no-leader\n");
    expect_part("cluster transfer 3 -o json", 1, "\"type\": \"urn:holdfast:problem:no-leader\"");
    expect_part("cluster transfer 3 -o yaml", 1, "type: \"urn:holdfast:problem:no-leader\"\n");
    expect("sa rekey 0123456789abcdef --kind child --child xyz", 1,
           "holdfast: 'child' must be the SPI as 8 hexadecimal digits (400)\n"
           "  at #/child\n"
           "  A member of the body has a value that means nothing: `errors` points at it.\n"
           "  see /v1/problems/wrong-value\n");
}

static char on_screen[1 << 16];

/* Runs it on a terminal until it has said the text `times` times, or ends; `on_screen` is what it said. */
static void on_terminal(const char *verb, const char *last, const char *text, unsigned times)
{
    size_t n = 0;
    ssize_t got;
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);

    cr_assert(pid >= 0);
    if (pid == 0) {
        (void)execl(CLI_PROGRAM, "holdfast", "--socket", rig.socket,
                    strcmp(verb, "list") == 0 ? "shard" : "cluster", verb, last, (char *)NULL);
        _exit(127);
    }
    for (unsigned seen = 0; seen < times;) {
        got = read(master, on_screen + n, sizeof on_screen - 1 - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        on_screen[n] = '\0';
        seen = 0;
        for (const char *p = on_screen; (p = strstr(p, text)) != NULL; p++) {
            seen++;
        }
    }
    (void)close(master); /* SIGHUP */
    cr_assert_eq(waitpid(pid, &status, 0), pid);
}

/* A document a line, and it ends when nobody reads any more; on a terminal it is drawn anew. */
static void watch(struct rig *r)
{
    (void)r;
    expect_part("shard list --watch=1 | head -n 2 | cut -c 1-11", 0,
                "{\"shards\":[\n{\"shards\":[\n");
    expect_part("shard list --watch=1 -o yaml | head -n 3", 0, "---\nshards:\n  - id: 1\n");
    on_terminal("list", "--watch=1", "\033[H\033[JSHARD  OUTSIDE", 2);
    cr_expect_not_null(strstr(on_screen + 1, "\033[H\033[JSHARD  OUTSIDE"), "%s", on_screen);
}

Test(cli, watches, .timeout = 30)
{
    rig_run(&rig, watch);
}

/* For people at a terminal, and for nobody else. */
static void wait_long(struct rig *r)
{
    (void)r;
    on_terminal("transfer", "3", "leads", 1);
    cr_expect_not_null(strstr(on_screen, "the leader hands over (1 s)"), "%s", on_screen);
    cr_expect_not_null(strstr(on_screen, "leads"), "%s", on_screen);
    (void)run_cli("cluster transfer 3");
    cr_expect_null(strstr(cli_said(), "hands over"), "%s", cli_said());
}

Test(cli, shows_that_it_waits, .timeout = 30)
{
    rig.how = RIG_LATER;
    rig.delay_ms = 1500;
    rig_run(&rig, wait_long);
}

Test(cli, says_why_it_was_refused)
{
    rig.how = RIG_REFUSE;
    rig_run(&rig, be_refused);
}

Test(cli, wrong_use_is_told_from_failure)
{
    expect_part("", 2, "cluster status");
    expect_part("--help", 0, "Exit status: 0 done; 1 refused by the node");
    expect_part("cluster --help", 0, "cluster transfer NODE");
    expect("--version", 0, "holdfast " HOLDFAST_VERSION "\n");
    expect_part("frob", 2, "holdfast: unknown command 'frob'\n");
    expect_part("cluster frob", 2, "unknown command 'frob'");
    expect_part("cluster status now", 2, "one word too many: 'now'");
    expect_part("cluster transfer", 2, "this command needs 'NODE'");
    expect_part("cluster transfer x", 2, "'x' is no node");
    expect_part("cluster status --frob", 2, "unknown option '--frob'");
    expect_part("-o xml cluster status", 2, "it must be one of table|json|yaml, not 'xml'");
    expect_part("sa rekey 0123456789abcdef --kind", 2, "a value is missing behind '--kind'");
    expect_part("sa rekey 0123456789abcdef", 2, "say --kind child or --kind ike");
    expect_part("sa rekey 0123456789abcdef --kind ike --pfs", 2,
                "an IKE rekey always has a key exchange");
    expect_part("sa rekey 0123456789abcdef --kind child --pfs --no-pfs", 2,
                "contradict each other");
    expect_part("sa rekey 12 --kind ike", 2, "'12' is no SA");
}

static int listen_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(rig.socket, sizeof rig.socket, "%s/raw.sock", rig.folder);
    strcpy(address.sun_path, rig.socket);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

static const char *raw_answer;

/* Takes one connection, reads the request's head and says `raw_answer`. */
static void *serve_once(void *arg)
{
    int fd = accept(*(int *)arg, NULL, NULL);
    char head[1024];

    cr_assert_gt(recv(fd, head, sizeof head, 0), 0);
    (void)send(fd, raw_answer, strlen(raw_answer), MSG_NOSIGNAL);
    (void)close(fd);
    return NULL;
}

Test(cli, no_node_and_what_is_no_node)
{
    static const char *const answers[] = {
        "hello\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",                        /* no length */
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",  /* cut off */
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",   /* too long */
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", /* no JSON */
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    };
    int fd;

    expect_part("cluster status", 3, "is holdfastd running here?");
    fd = listen_raw();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        pthread_t thread;

        raw_answer = answers[i];
        cr_assert_eq(pthread_create(&thread, NULL, serve_once, &fd), 0);
        expect_part("cluster status", 3, "does not speak as holdfastd does");
        cr_assert_eq(pthread_join(thread, NULL), 0);
    }
    {
        pthread_t thread;

        raw_answer = "";
        cr_assert_eq(pthread_create(&thread, NULL, serve_once, &fd), 0);
        expect_part("cluster status", 3, "closed without an answer");
        cr_assert_eq(pthread_join(thread, NULL), 0);
        raw_answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1,2,\"x\"]";
        cr_assert_eq(pthread_create(&thread, NULL, serve_once, &fd), 0);
        expect_part("cluster status", 0,
                    "0 of 0 nodes up"); /* JSON of another shape: nothing known, no crash */
        cr_assert_eq(pthread_join(thread, NULL), 0);
    }
    (void)close(fd);
    expect_part("cluster status", 3, "nobody answers at");
}
