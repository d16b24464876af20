/* A stock strongSwan (charon-systemd with kernel-libipsec): the client, or for the reference drill
 * the gateway. Its settings are Debian's defaults but for those written in swan.c; it is never
 * patched, and spoken to by `swanctl` alone. */
#ifndef HF_CHAOS_SWAN_H
#define HF_CHAOS_SWAN_H

#include <stdio.h>

#include "lab.h"
#include "swan_log.h"
#include "swan_sas.h"

struct swan {
    struct chaos_lab *lab;
    enum lab_place place;
    char dir[96], uri[128], env[160];
    struct chaos_proc proc;
    struct swan_log log;
    uint32_t inner[LAB_MAX_CLIENTS][2]; /* each client's IPv4 address inside, its IPv6 one's twin */
};

enum { SWAN_NAME = 40, SWAN_TOGETHER = 12 };

struct swan_options {
    bool gateway;             /* the reference responder: the rest is not for it, but `patient` */
    unsigned clients, shards; /* one connection a client, client k at shard swan_shard(k) */
    bool outside_v6, inside_v4, inside_v6;
    bool collides;  /* rekeys are made to collide: see swan_log.h */
    bool patient;   /* retransmits often enough for a path that loses a third each way */
    bool pfs;       /* the client's CHILD SA "net" is rekeyed with KE when it begins */
    unsigned dpd_s; /* 0: none */
    bool returns;   /* where nobody answers any more it begins anew, and tries for ever */
};

/* Writes its files and starts it; swan_load() waits until it runs and loads them. */
bool swan_start(struct swan *s, struct chaos_lab *lab, enum lab_place place, const char *name,
                const struct swan_options *options);
bool swan_load(struct swan *s);

/* What it holds, by `swanctl --list-sas --raw`. False: lab->error, or it is not what swanctl
 * writes. */
bool swan_list(struct swan *s, unsigned ms, struct swan_sas *sas);

/* Runs swanctl with up to six words, ended by NULL, beside --uri. ms: how long it may take. */
bool swan_ctl(struct swan *s, unsigned ms, const char *first, ...) __attribute__((sentinel));

/* Clients from..to connect, SWAN_TOGETHER at once (the gateway bounds half-open SAs of one source).
 * ms: how long each batch may take. */
bool swan_initiate(struct swan *s, unsigned from, unsigned to, unsigned ms);

/* ---- swan_conf.c: names and files, client and shard from 1 ---- */

static inline unsigned swan_shard(unsigned client, unsigned shards)
{
    return (client - 1) % shards + 1;
}

const char *swan_connection(unsigned client, char text[SWAN_NAME]);
/* Its CHILD SA "net": names are unique, so that swanctl finds one client's. */
const char *swan_child_name(unsigned client, char text[SWAN_NAME]);
/* The client whose connection it is. False: nobody's. */
bool swan_client_of(const char *connection, unsigned *client);
const char *swan_identity(unsigned client, char text[SWAN_NAME]);
void swan_write_daemon(FILE *f, const char *uri, bool patient, bool many);
void swan_write_gateway(FILE *f);
void swan_write_clients(FILE *f, const struct swan_options *o);

#endif
