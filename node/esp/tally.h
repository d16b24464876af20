/* Limits by packets and bytes over several owners: when an owner tells how many it counted, and what its
 * successor takes for counted.
 *
 *   owner 1:  told ──── packets ─── told ── untold, dies
 *   owner 2:                         └─ told + slack ─── packets ─── told ...
 *
 * An owner tells again (an Extend record, most often one that is due anyway) before it is half of
 * `slack` ahead of what it told last; its successor counts a whole slack for each owner that may
 * have died with something untold. So the limit errs towards too few packets, by at most a slack
 * for each takeover; what passes while one record is committed has the other half for itself.
 */
#ifndef HF_ESP_TALLY_H
#define HF_ESP_TALLY_H

#include "base/assert.h"
#include "base/span.h"

enum {
    ESP_TALLY_SLACK_MAX = 1 << 16,
    ESP_TALLY_SLACK_BYTES = 1 << 26, /* the least that the bound of bytes is */
    ESP_TALLY_LEAD_MS = 3000,        /* a rekey takes no longer, two lost messages included */
    ESP_TALLY_RECORDS_MAX = 512      /* of an SA's life, at the most */
};

/* Packets that may be untold. A quarter of what lies between the limits, so that a takeover alone
 * does not end an SA; bounded below by hard / 256 (few records), above by what a takeover skips in
 * numbers. 0: no hard limit, nothing to tell. */
uint64_t esp_tally_slack(uint64_t soft_packets, uint64_t hard_packets) HF_MUST_USE;

/* The same for bytes; bounded above by a 64th of the limit, which may be terabytes. */
uint64_t esp_tally_slack_bytes(uint64_t soft_bytes, uint64_t hard_bytes) HF_MUST_USE;

/* Is a rekey due before the soft limit? Where at this rate the hard one comes sooner than a rekey
 * takes; but not before half of it is used, so that a limit too small for the traffic does not make
 * one rekey follow the other. */
bool esp_tally_soft_near(uint64_t hard, uint64_t counted, uint64_t per_second) HF_MUST_USE;

/* Packets until it is to be looked again when `bytes` more may pass: exact for packets of 64 KiB
 * where there is much, of 2 KiB where there is little; never 0. */
uint64_t esp_tally_packets_of(uint64_t bytes) HF_MUST_USE;

/* What counts already, at a grant: saturating. */
uint64_t esp_tally_at_grant(uint64_t told, uint64_t untold_owners, uint64_t slack) HF_MUST_USE;

/* The soft limit under that grant, to be compared with what counts then. What is only feared to have
 * been sent is a reason to stop sooner, not to rekey: else each takeover would be followed by the
 * rekeys of all SAs that are within a slack of their soft limit (P24). But no later than two slacks
 * before the hard limit, which further takeovers come closer to. unsure: what esp_tally_at_grant()
 * added. 0: no soft limit. */
uint64_t esp_tally_soft_at_grant(uint64_t soft, uint64_t hard, uint64_t unsure,
                                 uint64_t slack) HF_MUST_USE;

/* How many packets may pass before it is to be told that `counted` are; 0: now. slack > 0. */
uint64_t esp_tally_left(uint64_t told, uint64_t counted, uint64_t slack) HF_MUST_USE;

#endif
