/* The keyless oracle: judges a capture of the outside bridge and the accounts of inner numbers.
 * Every violation names the offending pair. Pure: the captures may be synthetic.
 *
 *   unique numbers    no (SPI, sequence number) twice over all nodes' egress (I1, I5)
 *   identical copies  one (IKE SPIs, sender, response flag, message ID): always the same bytes (I4)
 *   no renegotiation  no IKE_SA_INIT and no IKE_AUTH from the client once the tunnel was up
 *   no plaintext      nothing outside to or from the pool or the inside network, no numbered packet
 *                     in clear (I13)
 *   no second copy    no inner number delivered twice (I2)
 *   one speaker       as a service address only its shard's owner (I5)
 */
#ifndef HF_CHAOS_ORACLE_H
#define HF_CHAOS_ORACLE_H

#include "capture.h"
#include "numbers.h"

enum { ORACLE_MAX_VIOLATIONS = 32, ORACLE_TEXT = 640 };

struct oracle_report {
    unsigned n; /* all; the first ones are kept */
    char text[ORACLE_MAX_VIOLATIONS][ORACLE_TEXT];
};

/* printf into the report. */
void oracle_violation(struct oracle_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "ESP", "IKE", ...: static. */
const char *oracle_frame_kind(const struct capture_frame *f);

/* Times in texts are milliseconds after zero_ns. c must be sorted. */
void oracle_unique_numbers(const struct capture *c, uint64_t zero_ns, struct oracle_report *r);
/* Not in (up_ns, to_ns]. */
void oracle_no_renegotiation(const struct capture *c, uint64_t zero_ns, uint64_t up_ns,
                             uint64_t to_ns, struct oracle_report *r);
void oracle_no_plaintext(const struct capture *c, uint64_t zero_ns, struct oracle_report *r);
/* Nothing left the port as the service address in [from_ns, to_ns]: its node was dead. */
void oracle_dead_is_silent(const struct capture *c, uint64_t zero_ns, uint8_t port,
                           uint64_t from_ns, uint64_t to_ns, struct oracle_report *r);
/* From from_ns on the node is the shard's owner, until the shard's next tenure. */
struct oracle_tenure {
    unsigned shard;
    uint8_t node;
    uint64_t from_ns;
};

/* A node that was stopped goes on: what it had in hand may leave in [from_ns, to_ns]. */
struct oracle_hand {
    uint8_t node;
    uint64_t from_ns, to_ns;
    unsigned left; /* ESP packets that may still; counted down */
};

/* What may leave a node that has been the owner, and is not any more. */
struct oracle_hands {
    /* What is on its way comes by within it after its successor's first frame, what leaves at once
     * leaves within it. */
    uint64_t slack_ns;
    unsigned batch; /* ESP packets that a node has in hand at most */
    struct oracle_hand *list;
    size_t n;
    /* This machine held threads up where nobody stopped them: nobody knows when one went on, but at
     * most a batch of a tenure's former owners leaves, all of it within slack_ns. */
    bool held_up;
};

/* Packets of a thread that was held up, so far. */
struct oracle_held_up {
    unsigned n;
    uint64_t first_ns;
};

/* May this frame, which left `node` when it might start nothing any more, have been in hand? */
bool oracle_was_in_hand(const struct oracle_hands *hands, struct oracle_held_up *held_up,
                        const struct capture_frame *f);

/* Only the owner speaks as the shard's service address (I5). Of its predecessor at most a batch comes
 * by within slack_ns of its successor's first frame; later ESP packets alone, as `hands` says. Tenures
 * of one shard are in order of time. */
void oracle_one_speaker(const struct capture *c, uint64_t zero_ns,
                        const struct oracle_tenure *tenures, size_t n,
                        const struct oracle_hands *hands, struct oracle_report *r);

/* The gateway began no exchange of that type in [from_ns, to_ns]. */
void oracle_begins_nothing(const struct capture *c, uint64_t zero_ns, uint8_t exchange,
                           uint64_t from_ns, uint64_t to_ns, struct oracle_report *r);

/* oracle_minority.c: from from_ns to to_ns no majority was there, and the last lease had ended so long
 * before that what was in hand then has left. Nobody may speak as a service address; each node that
 * does is named once. */
void oracle_minority_silent(const struct capture *c, uint64_t zero_ns, uint64_t from_ns,
                            uint64_t to_ns, struct oracle_report *r);
/* ... nor let anything through. `late`: numbers sent before from_ns that may still arrive, where behind
 * the gateway they pass a client that takes its time. Returns how many were sent in that time: none
 * arrives of none. */
size_t oracle_minority_delivers_nothing(const struct numbers *n, const char *direction,
                                        uint64_t zero_ns, uint64_t from_ns, uint64_t to_ns,
                                        unsigned late, struct oracle_report *r);

/* oracle_ended.c: at ended_ns all SAs of before had ended with the memory of all nodes. Nothing leaves a node under one of
 * them any more, ESP or IKE, whatever its number; each is named once. Returns how many SAs there were. */
size_t oracle_ended_silent(const struct capture *c, uint64_t zero_ns, uint64_t ended_ns,
                           struct oracle_report *r);
/* ... nor does anything arrive of what was sent since then, before the first tunnel was made anew (anew_ns). Returns how
 * many numbers were sent in that time: none arrives of none. */
size_t oracle_ended_delivers_nothing(const struct numbers *n, const char *direction,
                                     uint64_t zero_ns, uint64_t ended_ns, uint64_t anew_ns,
                                     struct oracle_report *r);
/* When a node first answered an IKE_AUTH after ended_ns; UINT64_MAX: it did not. c must be sorted. */
uint64_t oracle_began_anew(const struct capture *c, uint64_t ended_ns);

/* No more numbers are missing than the path itself dropped packets. `counted`: what the nodes say that they
 * dropped, by reason (node_tell_drops()); it excuses nothing, the text tells of it. */
void oracle_loss_explained(const struct numbers_summary *s, uint64_t zero_ns, const char *direction,
                           uint64_t dropped, const char *counted, struct oracle_report *r);

/* Nobody has to take over, so numbers go on coming: s->gap_ns, taken over the fault, is at most allowed_ms. */
void oracle_no_pause(const struct numbers_summary *s, const char *direction, unsigned allowed_ms,
                     struct oracle_report *r);

/* The cluster's time goes on as time does, whatever a wall clock says (I14): by no more than what passed and a
 * second, by no less than half of it. Without a leader it would stand, so there must have been one. */
void oracle_cluster_time(unsigned node, uint64_t from_ms, uint64_t to_ms, uint64_t passed_ms,
                         struct oracle_report *r);

void oracle_delivered_once(const struct numbers *n, const char *direction, uint64_t zero_ns,
                           struct oracle_report *r);

/* One IKE message as the bridge knows it: everything but its bytes. */
struct oracle_message {
    uint64_t spi_i, spi_r;
    uint32_t message_id;
    bool response;
    bool from_client;
};

/* Copies compared: each further copy of a protected message (IKE_SA_INIT is not protected) beside
 * the one before it. */
struct oracle_copies {
    uint64_t compared;        /* all */
    uint64_t of_gateway;      /* those of the gateway's messages */
    uint64_t of_message;      /* those of `about` */
    uint64_t across;          /* those of `about` where the one before left another node */
    uint64_t sent_of_message; /* how often `about` left at all */
};

void oracle_identical_copies(const struct capture *c, uint64_t zero_ns,
                             const struct oracle_message *about, struct oracle_copies *copies,
                             struct oracle_report *r);

/* Is this frame a transmission of m (by the machine behind the port)? */
bool oracle_is_message(const struct capture_frame *f, const struct oracle_message *m);

/* How often m left the port in [from_ns, before_ns); *first_ns (0: never) is when it first did. */
unsigned oracle_sent_by(const struct capture *c, const struct oracle_message *m, uint8_t port,
                        uint64_t from_ns, uint64_t before_ns, uint64_t *first_ns);

/* Every transmission of m carries the bytes that the record said, known by their span_fnv1a64().
 * Returns how many were looked at. */
unsigned oracle_of_record(const struct capture *c, uint64_t zero_ns, const struct oracle_message *m,
                          uint64_t hash, struct oracle_report *r);

/* How many different requests of that exchange type that side sent in [from_ns, to_ns] and not
 * before it. */
unsigned oracle_count_requests(const struct capture *c, uint64_t from_ns, uint64_t to_ns,
                               bool from_client, uint8_t exchange);

/* m's identity as a value. */
struct oracle_message oracle_message_of(const struct capture_frame *f);

#endif
