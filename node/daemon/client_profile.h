/* A client's configuration, made of the gateway's own: what it offers, how long its SAs live and whether rekeys make a new key exchange
 * come from the policy in force, so that nothing can mismatch, at the first rekey either.
 *
 *   struct config, struct ike_policy, who and where ─> struct client_facts ─> client_swanctl.c, client_apple.c, ... ─> text
 *
 * No secret is in it: a shared key or a certificate's key comes to the client in another way. What goes into a text
 * is checked to be letters, digits and . _ @ : - first, which mean nothing in any of the formats. A kind of client
 * that can do none of what the gateway offers is refused, with the reason.
 */
#ifndef HF_DAEMON_CLIENT_PROFILE_H
#define HF_DAEMON_CLIENT_PROFILE_H

#include "config/config.h"

enum client_kind {
    CLIENT_SWANCTL,        /* strongSwan's swanctl.conf */
    CLIENT_APPLE,          /* .mobileconfig: iOS, macOS */
    CLIENT_WINDOWS,        /* PowerShell: Windows 10 and later */
    CLIENT_ANDROID,        /* .sswan: strongSwan's app */
    CLIENT_NETWORKMANAGER, /* keyfile of its strongSwan plugin */
    CLIENT_KINDS
};

enum { CLIENT_NAME_BYTES = 128, CLIENT_WHY_BYTES = 400, CLIENT_FILE_BYTES = 160 };

/* "swanctl", "apple", "windows", "android", "networkmanager"; NULL: there is none. CLIENT_KINDS: no kind has that name. */
const char *client_kind_name(enum client_kind kind);
enum client_kind client_kind_of(const char *name);

struct client_facts {
    const struct config *config;
    char server[CLIENT_NAME_BYTES];   /* where the client finds it: a name or an address */
    char identity[CLIENT_NAME_BYTES]; /* the client's */
    char gateway[CLIENT_NAME_BYTES];  /* who the gateway says it is */
    bool shared_key;                  /* else certificates, both ways */
    bool v4, v6;                      /* addresses that it is given */
    bool pfs;                         /* rekeys of CHILD SAs make a new key exchange */
    uint64_t ike_soft_s, ike_hard_s, child_soft_s, child_hard_s;
};

struct client_profile {
    char *text; /* owned by the caller, zero-terminated */
    char file[CLIENT_FILE_BYTES];
    const char *media_type; /* static */
};

enum client_refusal { CLIENT_MADE, CLIENT_MALFORMED, CLIENT_UNKNOWN, CLIENT_UNFIT };

/* Makes it, or says why not. server NULL: the first service address of the configuration. */
enum client_refusal client_profile(const struct config *config, const struct ike_policy *policy,
                                   enum client_kind kind, const char *identity, const char *server,
                                   struct client_profile *out, char why[CLIENT_WHY_BYTES]);

/* ---- for the kinds ---- */

/* Writes it; false with *why: this kind of client has nothing that the gateway takes. */
typedef bool client_write_fn(const struct client_facts *f, FILE *out, char why[CLIENT_WHY_BYTES]);
client_write_fn client_write_swanctl, client_write_apple, client_write_windows,
    client_write_android, client_write_networkmanager;

/* The proposals as strongSwan writes them, with ", " or "," between: all of the policy's. */
void client_put_ike(const struct client_facts *f, FILE *out, const char *between);
void client_put_esp(const struct client_facts *f, FILE *out, const char *between);
/* Of whom, where and which part of a profile: made again it replaces the one before. RFC 9562 5.8 (version 8: what is in it is the
 * maker's). */
enum { CLIENT_UUID_BYTES = 37 };
void client_uuid(const struct client_facts *f, unsigned part, char out[CLIENT_UUID_BYTES]);
/* "10.0.0.0/8"; returns out. */
const char *client_network(const struct ip_prefix *p, char out[64]);

/* What a client calls the transforms of one proposal. */
struct client_word {
    uint16_t id, key_bits;
    const char *word;
};
struct client_words {
    const struct client_word *encr, *prf, *integ, *ke; /* each ended by word == NULL */
};
struct client_chosen {
    const char *encr, *prf, *integ,
        *ke; /* integ NULL with combined modes, prf with ESP; ke NULL where there is none */
};
/* The first proposal, and its first transforms, that the client has words for. The group of ESP is `ike_ke` where the configuration
 * leaves it to the IKE SA. False: none. */
bool client_choose_ike(const struct client_facts *f, const struct client_words *w,
                       struct client_chosen *out);
bool client_choose_esp(const struct client_facts *f, const struct client_words *w,
                       const char *ike_ke, struct client_chosen *out);

#endif
