/* One HTTP/1.1 answer out of the bytes that have come so far. Pure: no socket, no JSON.
 *
 *   HTTP/1.1 200 OK \r\n  header lines \r\n\r\n  body of Content-Length bytes, or to the connection's end
 */
#ifndef HF_CHAOS_HTTP_ANSWER_H
#define HF_CHAOS_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum http_answer_state {
    HTTP_ANSWER_MORE,  /* it goes on */
    HTTP_ANSWER_WHOLE, /* *out is set */
    HTTP_ANSWER_BAD    /* never an answer, or cut short by the end */
};

struct http_answer {
    int status;
    size_t body_at, body_len;
};

/* ended: no more bytes will come. Bytes behind the body are left alone (we ask for `Connection: close`). */
enum http_answer_state http_answer_read(const char *in, size_t len, bool ended,
                                        struct http_answer *out);

#endif
