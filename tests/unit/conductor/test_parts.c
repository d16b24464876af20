/* The conductor's small parts: heap, step points, log text. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conductor/heap.h"
#include "conductor/log.h"
#include "conductor/steppoint.h"

Test(heap, gives_back_in_order_whatever_the_order_of_changes)
{
    struct heap_node nodes[200] = {0};
    struct heap h = {0};
    uint64_t last = 0, x = 7;
    unsigned n = 0;

    for (int round = 0; round < 5; round++)
        for (size_t i = 0; i < 200; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            heap_set(&h, &nodes[i], x % 1000);
        }
    for (size_t i = 0; i < 200; i += 3)
        heap_remove(&h, &nodes[i]);
    while (heap_first(&h) != NULL) {
        cr_assert_geq(heap_first(&h)->at_ms, last);
        last = heap_first(&h)->at_ms;
        heap_set(&h, heap_first(&h), UINT64_MAX);
        n++;
    }
    cr_assert_eq(n, 133);
    heap_deinit(&h);
}

Test(steppoint, takes_every_name_of_the_matrix_and_refuses_others)
{
    static const char *const exchanges[] = {"child-rekey", "child-rekey-pfs", "ike-rekey"};
    static const char *const roles[] = {"client", "gateway"};
    static const char *const points[] = {"stepped", "submitted", "committed", "sent", "peer"};
    static const char *const bad[] = {
        "child-rekey",
        "child-rekey:client",
        "nothing:client:sent",
        "ike-rekey:server:sent",
        "ike-rekey:client:later",
        "ike-rekey:client:sent:x",
        ":client:sent",
        "child-rekey-child-rekey-child-rekey-child-rekey:client:sent"};
    struct steppoint s = {.enabled = true, .fd = 1};
    const char *why = NULL;
    unsigned n = 0;
    char text[96];

    for (size_t e = 0; e < 3; e++)
        for (size_t r = 0; r < 2; r++)
            for (size_t p = 0; p < 5; p++, n++) {
                (void)snprintf(text, sizeof text, "%s:%s:%s", exchanges[e], roles[r], points[p]);
                cr_assert(steppoint_arm(&s, text, n % 2 ? "machine" : "process", &why), "%s: %s",
                          text, why);
                cr_assert(s.armed && s.point == (enum step_point)p && s.begun == (enum ike_begun)r);
            }
    cr_assert_eq(n, 30);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why = NULL;
        cr_assert_not(steppoint_arm(&s, bad[i], "process", &why), "%s", bad[i]);
        cr_assert_not_null(why);
    }
    cr_assert_not(steppoint_arm(&s, "ike-rekey:client:sent", "sideways", &why));
    cr_assert(steppoint_arm(&s, "", "process", &why) && !s.armed);
    s.enabled = false;
    cr_assert_not(steppoint_arm(&s, "ike-rekey:client:sent", "process", &why));
}

Test(steppoint, its_last_line_tells_what_the_record_sends)
{
    struct steppoint s = {.enabled = true};
    struct step_facts facts = {
        .node = 2, .sa = 0xabc, .message = span_fnv1a64(span_of("foobar", 6)), .leader = true};
    const char *why = NULL;
    char line[512] = "";
    int fds[2], status;
    pid_t pid;

    cr_assert_eq(pipe(fds), 0);
    s.fd = fds[1];
    cr_assert(steppoint_arm(&s, "child-rekey-pfs:client:committed", "process", &why), "%s", why);
    pid = fork();
    if (pid == 0)
        steppoint_reached(&s, IKE_EX_CHILD_REKEY_PFS, IKE_BY_PEER, POINT_COMMITTED, &facts);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert_gt(read(fds[0], line, sizeof line - 1), 0);
    cr_assert(strstr(line, "\"sa\":\"0000000000000abc\",\"node\":2,"
                           "\"message\":\"85944171f73967e8\"}\n"),
              "%s", line);
}

Test(log, peer_text_is_escaped_and_cut)
{
    char out[LOG_TEXT_CHARS];
    uint8_t long_text[400];

    cr_assert_str_eq(log_text(span_of("a\n\"b", 4), out), "a\\x0a\\x22b");
    memset(long_text, 1, sizeof long_text);
    cr_assert_lt(strlen(log_text(span_of(long_text, sizeof long_text), out)),
                 (size_t)LOG_TEXT_CHARS);
}
