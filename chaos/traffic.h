/* Numbered UDP packets both ways through the tunnel, at a bounded rate, and a TCP upload beside
 * them. Plain sockets in the client's and the server's namespace; only the runner ends live on both
 * sides, so every number has one send and its arrivals.
 *
 *   in:  client → server        out: server → client        upload: client → server
 */
#ifndef HF_CHAOS_TRAFFIC_H
#define HF_CHAOS_TRAFFIC_H

#include "lab.h"
#include "numbers.h"

enum traffic_direction { TRAFFIC_IN, TRAFFIC_OUT, TRAFFIC_DIRECTIONS };
enum { TRAFFIC_MIN_BYTES = 32, TRAFFIC_MAX_BYTES = 1300 };

/* First bytes of every numbered packet: on the outside bridge they would be plaintext. */
#define TRAFFIC_MAGIC "hfdrill\001"

struct traffic_end {
    struct pump_watch watch; /* UDP socket */
    struct traffic *owner;
    enum traffic_direction receives;
};

struct traffic {
    struct chaos_lab *lab;
    unsigned pps, bytes;
    bool directions[TRAFFIC_DIRECTIONS];
    bool sending;
    bool half; /* only `alone` is sent, and no upload */
    enum traffic_direction alone;
    struct traffic_end ends[2]; /* client's, server's */
    struct pump_watch tick;     /* timer */
    struct numbers numbers[TRAFFIC_DIRECTIONS];
    uint64_t send_failed;
    bool upload;
    struct pump_watch listener, uploader, downloader;
    uint64_t upload_credit, uploaded, upload_received;
    struct numbers upload_progress; /* arrivals only: number = bytes so far */
    uint64_t in_mono_ns;            /* since then the client sends without a pause */
};

/* Sockets and listeners; the tunnel must be up (the client's virtual address is chosen by its
 * route). `inner` takes that address, host order. */
bool traffic_open(struct traffic *t, struct chaos_lab *lab, unsigned pps, unsigned bytes,
                  bool upload, uint32_t *inner);
void traffic_begin(struct traffic *t);
/* Sends nothing but numbers of that direction: one end hears the other, which hears nothing. */
void traffic_only(struct traffic *t, enum traffic_direction alone);
/* Stops sending; arrivals are still noted. */
void traffic_pause(struct traffic *t);
void traffic_close(struct traffic *t);

#endif
