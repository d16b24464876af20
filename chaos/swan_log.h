/* What a stock strongSwan says in its log, counted line by line. Pure. The oracle reads the
 * client's: nobody gave up, nothing was deleted but by a rekey, no TEMPORARY_FAILURE; the script
 * waits on the counts instead of on time. */
#ifndef HF_CHAOS_SWAN_LOG_H
#define HF_CHAOS_SWAN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SWAN_LOG_COMPLAINTS = 8, SWAN_LOG_LINE = 200, SWAN_LOG_CHILDREN = 4096 };

struct swan_child {
    uint32_t number;          /* net{N} */
    uint32_t spi_in, spi_out; /* as this end sees them */
    bool closed;
};

struct swan_log {
    bool ready;           /* its workers run: vici answers */
    uint32_t ike_up;      /* IKE SAs established by IKE_AUTH */
    uint32_t ike_rekeyed; /* successors made */
    uint32_t ike_deleted;
    uint32_t child_up;      /* CHILD SAs made by anything but a rekey */
    uint32_t child_rekeyed; /* successors made */
    uint32_t child_closed;
    uint32_t ke_requests; /* CREATE_CHILD_SA requests for a CHILD SA with KE, sent or received */
    uint32_t dpd_sent, dpd_answered; /* ours */
    uint32_t dpd_received;           /* the peer's empty INFORMATIONAL requests */
    struct swan_child children[SWAN_LOG_CHILDREN];
    uint32_t n_children;
    bool collides;          /* collisions are arranged: TEMPORARY_FAILURE is a good answer, and what
                              was redundant is deleted beside what was replaced */
    uint32_t n_collisions;  /* rekeys that it saw collide */
    uint32_t n_won, n_lost; /* of them: whose successor stayed was settled by the nonces */
    bool may_give_up;       /* nobody has its SAs any more: to give up and begin anew is right */
    uint32_t n_complaints;  /* all; the first few are kept */
    char complaints[SWAN_LOG_COMPLAINTS][SWAN_LOG_LINE];
};

void swan_log_line(struct swan_log *log, const char *line);

/* "... <home-3|7> installing new virtual IP 10.99.0.2": which connection, and the address text as it
 * stands there. False: another line. */
bool swan_log_address(const char *line, char *connection, size_t size, char *address,
                      size_t address_size);

#endif
