/* Two ends of a CHILD SA in one process, for sa_test.c and sa_limits_test.c. */
#ifndef HF_TESTS_ESP_SA_RIG_H
#define HF_TESTS_ESP_SA_RIG_H

#include "pair.h"

extern struct esp_sa gateway, client;
extern uint8_t plain[2048], sealed[4096], opened[4096];
extern const struct pair_options usual;

/* That time, under a lease of PAIR_EPOCH. */
struct esp_turn at(uint64_t ms);
void grant(struct esp_sa *sa, uint64_t epoch, uint64_t first, uint64_t end, uint64_t floor,
           uint64_t ceiling);
/* Both ends with wide grants for PAIR_EPOCH and marks that are never reached. */
void set_up(const struct pair_options *o);
void tear_down(void);
/* The client's packet with its next number, in `sealed`. */
struct span from_client(const struct pair_options *o, uint32_t number);
/* What the gateway makes of it; events are taken. The inner packet is in `opened`. */
enum esp_drop to_gateway(struct span packet, uint64_t ms, struct esp_in_result *r);
/* The gateway's packet, in `sealed`; events are taken. */
enum esp_drop gateway_sends(const struct pair_options *o, uint32_t number,
                            struct esp_out_result *r);
/* Packets of either direction dropped for this reason. */
uint64_t dropped(struct esp_sa *sa, enum esp_drop why);

#endif
