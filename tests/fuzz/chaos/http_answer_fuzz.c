/* A node's answer to the drill runner, byte by byte as a socket may give it: what is whole stays so and is the same
 * however much more comes, what is refused stays refused, and nothing is outside of what came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "chaos/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct http_answer *a, const struct http_answer *b)
{
    return a->status == b->status && a->body_at == b->body_at && a->body_len == b->body_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum http_answer_state before = HTTP_ANSWER_MORE, now;
    struct http_answer first = {0};

    for (size_t n = 0; n <= size; n++) {
        char *in = malloc(n + (n == 0)); /* no byte of what has not come */
        struct http_answer a = {.status = -1}, at_end = {.status = -1};

        HF_ASSERT(in != NULL);
        memcpy(in, data, n);
        now = http_answer_read(in, n, false, &a);
        HF_ASSERT(before == HTTP_ANSWER_MORE || now == before);
        HF_ASSERT((a.status != -1) == (now == HTTP_ANSWER_WHOLE));
        if (now == HTTP_ANSWER_WHOLE) {
            HF_ASSERT(a.status >= 0 && a.status <= 999);
            HF_ASSERT(a.body_at <= n && a.body_len <= n - a.body_at);
            if (before == HTTP_ANSWER_MORE) {
                HF_ASSERT(a.body_at + a.body_len == n); /* not one byte too late */
                first = a;
            }
            HF_ASSERT(same(&a, &first));
        }
        switch (http_answer_read(in, n, true, &at_end)) {
        case HTTP_ANSWER_MORE:
            abort(); /* nothing comes behind the end */
        case HTTP_ANSWER_WHOLE:
            HF_ASSERT(now != HTTP_ANSWER_BAD && at_end.body_len <= n - at_end.body_at);
            HF_ASSERT(now == HTTP_ANSWER_MORE || same(&a, &at_end));
            break;
        case HTTP_ANSWER_BAD:
            HF_ASSERT(now != HTTP_ANSWER_WHOLE);
            break;
        }
        free(in);
        before = now;
    }
    return 0;
}
