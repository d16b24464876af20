/* The socket itself: who may connect, what it replaces, what it leaves alone. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/api/rig.h"

static struct rig rig;
static char reply[RIG_REPLY_BYTES];

static void start(void)
{
    rig_init(&rig);
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(api_socket, .init = start, .fini = end);

static void look_at_modes(struct rig *r)
{
    struct stat st;
    char folder[96];

    cr_assert_eq(stat(r->socket, &st), 0);
    cr_assert(S_ISSOCK(st.st_mode));
    cr_assert_eq(st.st_mode & 07777, 0600);
    (void)snprintf(folder, sizeof folder, "%s/run", r->folder);
    cr_assert_eq(stat(folder, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
}

Test(api_socket, is_for_its_owner_alone_whatever_the_umask)
{
    (void)umask(0);
    rig_run(&rig, look_at_modes);
}

/* A listening socket whose process is gone: the name stays. */
static void leave_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 1), 0);
    (void)close(fd);
}

static void ask_once(struct rig *r)
{
    (void)rig_ask(r, "GET", "/v1/sas", "", reply);
    cr_assert_not_null(strstr(reply, "{\"sas\":[]}"));
}

Test(api_socket, a_stale_one_is_replaced)
{
    char folder[96];

    (void)snprintf(folder, sizeof folder, "%s/run", rig.folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    leave_stale(rig.socket);
    rig_run(&rig, ask_once);
}

static void expect_refused(const char *path, const char *part)
{
    struct api_server_options options = {.socket_path = path};
    char error[256] = "";
    uv_loop_t loop;

    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_null(api_server_create(&loop, &options, &rig.backend, error, sizeof error));
    cr_assert_not_null(strstr(error, part), "%s", error);
    cr_assert_not_null(strstr(error, path), "%s", error);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(api_socket, a_path_that_cannot_be_used_is_named)
{
    char path[256], body[8] = "";
    unsigned before;
    int fd;

    expect_refused(rig.folder,
                   "something else than a socket is there"); /* libuv's own files are open now */
    before = rig_open_files();
    (void)snprintf(path, sizeof path, "%s/file", rig.folder);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, "keep", 4), 4);
    (void)close(fd);
    expect_refused(path, "something else than a socket is there");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, body, sizeof body), 4);
    cr_assert_str_eq(body, "keep");
    (void)close(fd);
    (void)snprintf(path, sizeof path, "%s/no/such/folder/admin.sock", rig.folder);
    expect_refused(path, "No such file or directory");
    memset(path, 'x', 200);
    path[200] = '\0';
    expect_refused(path, "too long for a socket");
    cr_assert_eq(rig_open_files(), before);
}

static void start_second(struct rig *r)
{
    expect_refused(r->socket, "in use: another holdfastd answers there");
    ask_once(r);
}

Test(api_socket, one_that_is_alive_is_left_alone)
{
    rig_run(&rig, start_second);
}

/* Someone else, who got past the file's mode: closed without an answer. */
static void come_as_nobody(struct rig *r)
{
    pid_t child;
    char folder[96];
    int status = 0;

    (void)snprintf(folder, sizeof folder, "%s/run", r->folder);
    cr_assert_eq(chmod(r->folder, 0755), 0);
    cr_assert_eq(chmod(folder, 0755), 0);
    cr_assert_eq(chmod(r->socket, 0666), 0);
    child = fork();
    if (child == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char bytes[64];
        int fd;

        strcpy(address.sun_path, r->socket);
        if (setgid(65534) != 0 || setuid(65534) != 0) {
            _exit(2);
        }
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
            _exit(3);
        }
        (void)send(fd, "GET /v1/sas HTTP/1.1\r\nHost: x\r\n\r\n", 34, MSG_NOSIGNAL);
        _exit(recv(fd, bytes, sizeof bytes, 0) > 0 ? 4 : 0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "the child ended with %d", WEXITSTATUS(status));
    ask_once(r);
}

Test(api_socket, a_stranger_gets_no_answer)
{
    if (getuid() != 0) {
        cr_skip_test("only root can become someone else");
    }
    rig_run(&rig, come_as_nobody);
}
