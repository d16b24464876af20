/* The secure layer, before anybody has proven anything. The first byte's low bit says which end it is.
 *
 *   even kinds: the rest comes off the wire as it is, in pieces: never ready, nothing heard
 *   odd kinds:  a true conversation of two nodes, spoiled by the rest: triples of place (2 bytes) and
 *               what is turned there; the end hears what the peer said, or nothing
 */
#include <stdlib.h>
#include <string.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/tls_layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 20 };

struct line {
    uint8_t bytes[ROOM];
    size_t len;
};

static struct tls_layer *layers[2]; /* nodes 1 and 2 */
static struct line out[2], plain[2];
static const char word[] = "spoken";

static void take(void *self, struct span in)
{
    struct line *l = self;

    HF_ASSERT(l->len + in.len <= ROOM);
    if (in.len > 0)
        memcpy(l->bytes + l->len, in.data, in.len);
    l->len += in.len;
}

static struct tcp_sink to(struct line *l)
{
    return (struct tcp_sink){.self = l, .write = take};
}

static void make(void)
{
    static struct cluster_pki pki;

    cluster_pki_init(&pki, "fuzz");
    for (uint32_t i = 0; i < 2; i++) {
        struct tls_identity *identity = cluster_pki_identity(&pki, i + 1);

        layers[i] = tls_layer_create(identity, 0);
        tls_identity_release(identity);
    }
}

static const struct tcp_layer *face(int i)
{
    return tls_layer_interface(layers[i]);
}

static void *open_one(int i, bool dials)
{
    void *s = face(i)->open(face(i)->self, dials, dials ? 2 - (uint32_t)i : 0, to(&out[i]));

    HF_ASSERT(s != NULL);
    return s;
}

static void noise(bool dials, size_t piece, const uint8_t *data, size_t size)
{
    void *s = open_one(0, dials);
    bool alive = true;

    for (size_t at = 0; at < size && alive; at += piece) {
        size_t n = size - at < piece ? size - at : piece;

        alive = face(0)->receive(s, span_of(data + at, n), to(&plain[0]), to(&out[0]));
        HF_ASSERT(!face(0)->ready(s) && face(0)->peer_node(s) == 0 && plain[0].len == 0);
        HF_ASSERT(alive || face(0)->why(s)[0] != '\0');
    }
    face(0)->close(s);
}

static void spoil(struct line *l, size_t passed, const uint8_t *edits, size_t n)
{
    for (size_t i = 0; i + 3 <= n; i += 3) {
        size_t place = (size_t)edits[i] << 8 | edits[i + 1];

        if (place >= passed && place - passed < l->len)
            l->bytes[place - passed] ^= edits[i + 2];
    }
}

/* Node 2's bytes come to node 1 spoiled. */
static void conversation(bool dials, const uint8_t *edits, size_t n)
{
    static struct line moving;
    void *s[2] = {open_one(0, dials), open_one(1, !dials)};
    bool alive[2] = {true, true}, said = false;
    size_t passed = 0, moved = 1;

    while (moved > 0) {
        moved = 0;
        if (alive[1] && !said && face(1)->ready(s[1]))
            said = face(1)->send(s[1], span_of(word, sizeof word), to(&out[1]));
        for (int from = 0; from < 2; from++) {
            int at = 1 - from;

            moving.len = out[from].len;
            memcpy(moving.bytes, out[from].bytes, moving.len);
            out[from].len = 0;
            if (from == 1) {
                spoil(&moving, passed, edits, n);
                passed += moving.len;
            }
            moved += moving.len;
            if (moving.len > 0 && alive[at])
                alive[at] = face(at)->receive(s[at], span_of(moving.bytes, moving.len),
                                              to(&plain[at]), to(&out[at]));
        }
    }
    HF_ASSERT(plain[0].len == 0 ||
              (plain[0].len == sizeof word && memcmp(plain[0].bytes, word, sizeof word) == 0));
    HF_ASSERT(plain[1].len == 0);
    face(0)->close(s[0]);
    face(1)->close(s[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (layers[0] == NULL)
        make();
    if (size < 2)
        return 0;
    out[0].len = out[1].len = plain[0].len = plain[1].len = 0;
    if (data[0] % 2 == 0)
        noise((data[0] & 2) != 0, data[1] == 0 ? size : data[1], data + 2, size - 2);
    else
        conversation((data[0] & 2) != 0, data + 1, size - 1);
    return 0;
}
