/* Packets before the message that ends their SA.
 *
 *   the record is applied ─> traffic moves to another CHILD SA ─> workers pass ─> the step's messages leave
 *
 * A worker may have packets in hand that it chose the old SA for. The message (the Delete of that SA,
 * or the answer to one) leaves by the control loop: it would overtake them, the peer drops the SA, and
 * they are lost. So it waits until every worker was without a packet in hand, and the SA's next step
 * with it; not for long, for the peer waits too.
 */
#include "conductor/internal.h"

enum { LATE_MOST_MS = 200, LATE_LOOK_MS = 1 };

bool late_wait(struct conductor *c, struct conductor_sa *sa, struct conductor_op *op)
{
    bool moved = sa->sender_moved;

    sa->sender_moved = false;
    if (!moved || op->n_effects == 0 || c->ops.esp_pass == NULL || c->steppoint.armed)
        return false;
    op->late_ticket = c->ops.esp_pass(c->ops.esp_self);
    op->late_until_ms = c->ops.now_ms(c->ops.self) + LATE_MOST_MS;
    op->late_next = c->late;
    c->late = op;
    return true;
}

void late_run(struct conductor *c)
{
    struct conductor_op **at = &c->late, *op;
    uint64_t now = c->ops.now_ms(c->ops.self);

    while ((op = *at) != NULL) {
        struct conductor_sa *sa = sa_find(c, op->sa_id);

        if (!c->ops.esp_pass_done(c->ops.esp_self, op->late_ticket) && now < op->late_until_ms) {
            at = &op->late_next;
            continue;
        }
        *at = op->late_next;
        if (sa != NULL && sa->inflight == op) {
            sa->inflight = NULL;
            perform(c, sa, op);
            run_queue(c, sa);
        }
        op_free(c, op);
    }
}

uint64_t late_wake_ms(const struct conductor *c)
{
    return c->late == NULL ? UINT64_MAX : c->ops.now_ms(c->ops.self) + LATE_LOOK_MS;
}
