/* Frames of REPL_CHANNEL_ADMIN from nodes that may be members or not, to a node that is one, waits to
 * become one, or was one; with a request of its operator that waits for them, or none. What they lead
 * to the doubles judge (members_doubles.h): nobody joins without its token, only addresses that are
 * some go to the links. A request ends once.
 *
 *   this node's role 1 | nodes 1, and for each: role and links 1 | tokens 1, and for each: whose 1 |
 *   request 1 | frames: from 1 | kind and shape 1 | n 1 | n bytes
 */
#include <stdlib.h>

#include "crypto/tables.h"
#include "fuzz/take.h"
#include "members_doubles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The token of each node, as its operator has it. */
static void token_of(uint32_t node, uint8_t out[DAEMON_TOKEN_BYTES])
{
    memset(out, (int)node, DAEMON_TOKEN_BYTES);
}

static void take_status(struct in *in)
{
    struct repl_status *st = &doubles.status;

    memset(&doubles, 0, sizeof doubles);
    doubles.now_ms = 1000;
    st->node = 1;
    st->speaks = 1000;
    st->quorum = (take(in) & 1) != 0;
    st->n_nodes = 1 + take(in) % REPL_MAX_NODES;
    for (size_t i = 0; i < st->n_nodes; i++) {
        uint8_t what = take(in);
        struct ip_addr ip = (what & 64) != 0 ? addr_v6((const uint8_t[16]){0xfd, [15] = what})
                                             : addr_v4(0x0a000000u + what);

        st->nodes[i] =
            (struct repl_node_status){.node = (uint32_t)i + 1,
                                      .address = {.ip = ip, .port = 7400},
                                      .connected = i == 0 || (what & 128) != 0,
                                      .role = (enum repl_role)(what % (REPL_OUTSIDE + 1))};
        if ((what & 32) != 0)
            st->nodes[i].address = (struct endpoint){.port = 0};
    }
    st->leader = take(in) % 4;
    st->n_tokens = take(in) % (REPL_MAX_MEMBERS + 1);
    for (size_t i = 0; i < st->n_tokens; i++) {
        uint8_t token[DAEMON_TOKEN_BYTES];
        struct span part = span_of(token, sizeof token);

        st->tokens[i].node = 2 + take(in) % 8u;
        token_of(st->tokens[i].node, token);
        HF_ASSERT(suite_default.sha256->compute(&part, 1, st->tokens[i].hash));
    }
}

static bool ask(struct daemon *d, struct in *in)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * DAEMON_TOKEN_BYTES + 1] = "";
    uint8_t token[DAEMON_TOKEN_BYTES];
    struct api_token args = {.node = 2, .valid_s = 60, .address = "10.0.0.9:7400"};

    switch (take(in) % 4) {
    case 1:
        token_of(1 + take(in) % 2u, token);
        for (size_t i = 0; i < sizeof token; i++) {
            text[2 * i] = digits[token[i] >> 4];
            text[2 * i + 1] = digits[token[i] & 15];
        }
        d->backend.join(d, doubles_request(), text, &doubles_asker);
        return true;
    case 2:
        args.node = 2 + take(in) % 16u;
        d->backend.make_token(d, doubles_request(), &args, &doubles_asker);
        return true;
    case 3:
        d->backend.remove_node(d, doubles_request(), 1 + take(in) % 8u, &doubles_asker);
        return true;
    default:
        return false;
    }
}

/* The rest of a frame as it stands, or with what a fuzzer would not guess: a token, the hash of one. */
static size_t shape(struct daemon *d, uint8_t kind, uint32_t from, struct span rest,
                    uint8_t out[600])
{
    uint8_t hash[32];
    struct span part;
    size_t n = 0;

    out[n++] = kind % 8 < 6 ? kind % 8 : kind;
    if ((out[0] == 1 || out[0] == 5) && (kind & 8) != 0) {
        token_of((kind & 16) != 0 ? from : from + 1, out + 1);
        n += DAEMON_TOKEN_BYTES;
    }
    memcpy(out + n, rest.data, rest.len);
    n += rest.len;
    if (out[0] == 2 && (kind & 8) != 0) {
        part = span_of(d->member.token, sizeof d->member.token);
        HF_ASSERT(suite_default.sha256->compute(&part, 1, hash));
        out[n++] = '\0';
        memcpy(out + n, hash, 4);
        n += 4;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct log quiet = {LOG_ERROR, -1};
    static struct config config;
    static struct daemon d;
    struct in in = {data, size};
    unsigned asked;

    memset(&d, 0, sizeof d);
    take_status(&in);
    config.node_id = 1;
    config.n_nodes = 1;
    config.nodes[0].id = 1;
    config.nodes[0].address.ip = addr_v4(0x0a000001);
    config.nodes[0].address.port = 7400;
    d.config = &config;
    d.log = &quiet;
    d.tls = (struct tls_identity *)&d; /* there is one: no more is asked */
    admin_members_fill(&d.backend);
    asked = ask(&d, &in);
    while (in.size >= 3) {
        uint32_t from = 1 + take(&in) % 9u;
        uint8_t kind = take(&in);
        size_t n = take(&in);
        uint8_t frame[600];
        uint8_t *exact;

        n = n < in.size ? n : in.size;
        n = shape(&d, kind, from, span_of(in.data, n), frame);
        exact = malloc(n); /* of its very length, so that a read behind it shows */
        HF_ASSERT(exact != NULL);
        memcpy(exact, frame, n);
        if (from != 1)
            admin_members_frame(&d, from, span_of(exact, n));
        free(exact);
        in.data += n < in.size ? n : in.size;
        in.size -= n < in.size ? n : in.size;
        doubles.now_ms += kind;
        doubles.busy = kind >= 250;
        admin_members_tick(&d);
    }
    admin_members_stop(&d);
    HF_ASSERT(doubles.answered + doubles.refused == asked && d.member.request == NULL);
    return 0;
}
