/* A node's answer as it comes in, piece by piece. */
#include <criterion/criterion.h>
#include <string.h>

#include "chaos/http_answer.h"

static struct http_answer a;

static enum http_answer_state read_text(const char *text, bool ended)
{
    a = (struct http_answer){.status = -1};
    return http_answer_read(text, strlen(text), ended, &a);
}

Test(http_answer, is_whole_when_its_length_is_there)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
                               "application/json\r\ncontent-LENGTH:\t 7 \r\n\r\n{\"a\":1}";

    for (size_t n = 0; n < sizeof text - 1; n++) {
        cr_assert_eq(http_answer_read(text, n, false, &a), HTTP_ANSWER_MORE, "%zu bytes", n);
        cr_assert_eq(http_answer_read(text, n, true, &a), HTTP_ANSWER_BAD, "%zu bytes", n);
    }
    cr_assert_eq(read_text(text, false), HTTP_ANSWER_WHOLE);
    cr_assert_eq(a.status, 503);
    cr_assert_eq(a.body_len, 7);
    cr_assert_str_eq(text + a.body_at, "{\"a\":1}");
}

/* What was cut off by a deadline is no answer: half a list of SAs would be judged as a whole one. */
Test(http_answer, without_a_length_ends_with_the_connection_alone)
{
    static const char text[] = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n[1,2]";

    cr_assert_eq(read_text(text, false), HTTP_ANSWER_MORE);
    cr_assert_eq(read_text(text, true), HTTP_ANSWER_WHOLE);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(a.body_len, 5);
}

Test(http_answer, that_is_none_is_refused)
{
    static const char *const texts[] = {
        "\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 -12 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_assert_eq(read_text(texts[i], true), HTTP_ANSWER_BAD, "%s", texts[i]);
        cr_assert_eq(a.status, -1, "written on success alone");
    }
    cr_assert_eq(read_text("HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n", false), HTTP_ANSWER_WHOLE);
    cr_assert_eq(a.status, 204);
}
