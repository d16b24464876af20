/* Numbered UDP packets of every client both ways through its tunnel, at a bounded rate, and a TCP
 * upload of client 1 beside them. Plain sockets in the clients' and the server's namespace; only the
 * runner ends live on both sides, so every number has one send and its arrivals.
 *
 *   in:  client → server        out: server → client        upload: client 1 → server
 *
 * Where clients have addresses of both families, even numbers go by IPv4 and odd ones by IPv6.
 */
#ifndef HF_CHAOS_TRAFFIC_H
#define HF_CHAOS_TRAFFIC_H

#include "lab.h"
#include "numbers.h"

enum traffic_direction { TRAFFIC_IN, TRAFFIC_OUT, TRAFFIC_DIRECTIONS };
enum { TRAFFIC_MIN_BYTES = 32, TRAFFIC_MAX_BYTES = 1300 };
enum { TRAFFIC_V4, TRAFFIC_V6, TRAFFIC_FAMILIES };

/* First bytes of every numbered packet: on the outside bridge they would be plaintext. */
#define TRAFFIC_MAGIC "hfdrill\001"

/* One UDP socket. */
struct traffic_end {
    struct pump_watch watch;
    struct traffic *owner;
    enum traffic_direction receives;
};

struct traffic_client {
    struct traffic_end ends[TRAFFIC_FAMILIES]; /* fd -1: it has no address of that family */
    uint32_t inner[TRAFFIC_FAMILIES];          /* host order, of IPv6 the twin's; 0 = none */
    struct numbers numbers[TRAFFIC_DIRECTIONS];
    size_t mark[TRAFFIC_DIRECTIONS]; /* arrivals at traffic_mark() */
};

struct traffic_plan {
    unsigned pps, bytes; /* of each client in each direction */
    bool directions[TRAFFIC_DIRECTIONS];
    bool upload;
    unsigned clients;
};

struct traffic {
    struct chaos_lab *lab; /* NULL: not opened */
    struct traffic_plan plan;
    struct traffic_client *clients; /* heap, plan.clients of them */
    struct traffic_end server[TRAFFIC_FAMILIES];
    bool sending;
    bool half; /* only `alone` is sent, and no upload */
    enum traffic_direction alone;
    struct pump_watch tick; /* timer */
    uint64_t turn;          /* ticks; a client sends at every slices-th */
    unsigned slices;
    uint64_t send_failed;
    struct pump_watch listener, uploader, downloader;
    uint64_t upload_credit, uploaded, upload_received;
    struct numbers upload_progress; /* arrivals only: number = bytes so far */
    uint64_t in_mono_ns;            /* since then the clients send without a pause */
};

/* Sockets and listeners; the tunnels must be up. inner[i]: client i's addresses as its own log told
 * them, 0 where it has none of that family. */
bool traffic_open(struct traffic *t, struct chaos_lab *lab, const struct traffic_plan *plan,
                  const uint32_t (*inner)[TRAFFIC_FAMILIES]);
void traffic_begin(struct traffic *t);
/* Sends nothing but numbers of that direction: one end hears the other, which hears nothing. */
void traffic_only(struct traffic *t, enum traffic_direction alone);
/* Stops sending; arrivals are still noted. */
void traffic_pause(struct traffic *t);
void traffic_close(struct traffic *t);

/* From now on traffic_since() counts; it is what arrived at the client that got the least. */
void traffic_mark(struct traffic *t);
size_t traffic_since(const struct traffic *t, enum traffic_direction d);

/* Over all clients: sums, and the longest gap of any. */
void traffic_judge(const struct traffic *t, enum traffic_direction d, uint64_t from_ns,
                   uint64_t to_ns, struct numbers_summary *out);

/* traffic_upload.c */
bool traffic_open_upload(struct traffic *t);
void traffic_upload_some(struct traffic *t, uint64_t ticks);

#endif
