/* A stock strongSwan (charon-systemd with kernel-libipsec): the client, or for the reference drill
 * the gateway. Its settings are Debian's defaults but for those written in swan.c; it is never
 * patched, and spoken to by `swanctl` alone. */
#ifndef HF_CHAOS_SWAN_H
#define HF_CHAOS_SWAN_H

#include "lab.h"
#include "swan_log.h"
#include "swan_sas.h"

struct swan {
    struct chaos_lab *lab;
    enum lab_place place;
    char dir[96], uri[128], env[160];
    struct chaos_proc proc;
    struct swan_log log;
};

struct swan_options {
    bool gateway;   /* the reference responder */
    bool pfs;       /* the client's CHILD SA "net" is rekeyed with KE when it begins */
    unsigned dpd_s; /* 0: none */
};

/* Writes its files and starts it; swan_load() waits until it runs and loads them. */
bool swan_start(struct swan *s, struct chaos_lab *lab, enum lab_place place, const char *name,
                const struct swan_options *options);
bool swan_load(struct swan *s);

/* What it holds, by `swanctl --list-sas --raw`. False: lab->error, or it is not what swanctl
 * writes. */
bool swan_list(struct swan *s, unsigned ms, struct swan_sas *sas);

/* Runs swanctl with up to three words (NULL ends them early) beside --uri. ms: how long it may
 * take. */
bool swan_ctl(struct swan *s, unsigned ms, const char *a, const char *b, const char *c);

#endif
