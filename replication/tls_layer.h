/* Mutual TLS 1.3 between the transport's sockets and its frames (tcp_layer.h). Sans-I/O: no sockets
 * and no timers, so that tests put two ends together in memory, cut and turn what passes between.
 *
 *   socket bytes ─> receive ─> tls_bio ─> SSL_do_handshake, SSL_read ─> plain
 *   frames       ─> send ──────────────> SSL_write ─> tls_bio ────────> wire
 *
 * A session is ready when its peer has proven to be a node of our cluster (tls_identity.h): the one
 * that was dialled, or any that dialled us; the transport holds the hello and its list against
 * peer_node(). Nothing of a peer reaches the frames before that, and no more than
 * TLS_MAX_HANDSHAKE_BYTES of it are looked at.
 *
 * The identity in force may be replaced while links stand (a reload): new sessions use the new one;
 * the transport asks recheck() of the others, which refuses those that the new one would refuse for
 * any reason but time. A link that stands outlives its certificates' end; no new one begins then.
 */
#ifndef HF_REPL_TLS_LAYER_H
#define HF_REPL_TLS_LAYER_H

#include "replication/tcp_layer.h"
#include "replication/tls_identity.h"

enum {
    TLS_MAX_HANDSHAKE_BYTES = 64 << 10,
    /* RFC 8446 5.5: 2^24.5 records under one AES-GCM key at most; a quarter of that, for the last
     * write may be long. */
    TLS_RECORDS_PER_KEY = 1 << 22
};

struct tls_counters {
    uint64_t handshakes, refused; /* that ended well; not: strangers, bad certificates, noise */
    uint64_t key_updates;         /* ours */
};

struct tls_layer;

/* Holds the identity. records_per_key 0: TLS_RECORDS_PER_KEY. */
struct tls_layer *tls_layer_create(struct tls_identity *identity, uint32_t records_per_key);
/* All its sessions are closed. NULL is allowed. */
void tls_layer_destroy(struct tls_layer *layer);
/* For sessions from now on; whoever has sessions rechecks them. */
void tls_layer_replace(struct tls_layer *layer, struct tls_identity *identity);

const struct tcp_layer *tls_layer_interface(struct tls_layer *layer);
void tls_layer_get_counters(const struct tls_layer *layer, struct tls_counters *out);

#endif
