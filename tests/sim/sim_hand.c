#include "sim/sim_hand.h"

#include <stdlib.h>
#include <ucontext.h>

/* The sanitizer must know on which stack it is. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define SWITCH_BEGINS __sanitizer_start_switch_fiber
#define SWITCH_ENDS __sanitizer_finish_switch_fiber
#else
#define SWITCH_BEGINS(fake, stack, bytes) ((void)(fake))
#define SWITCH_ENDS(fake, stack, bytes) ((void)(fake))
#endif

enum { STACK_BYTES = 512 * 1024 };

struct sim_hand {
    ucontext_t world, worker;
    const void *world_stack; /* as the sanitizer knows it */
    size_t world_bytes;
    void (*turn)(void *arg);
    void *arg;
    bool full;
    _Alignas(64) unsigned char stack[STACK_BYTES];
};

static struct sim_hand *beginning; /* makecontext() passes numbers only */

struct sim_hand *sim_hand_create(void)
{
    struct sim_hand *h = aligned_alloc(_Alignof(struct sim_hand), sizeof *h);

    HF_ASSERT(h != NULL);
    h->full = false;
    return h;
}

void sim_hand_destroy(struct sim_hand *h)
{
    free(h);
}

bool sim_hand_is_full(const struct sim_hand *h)
{
    return h->full;
}

static void to_worker(struct sim_hand *h)
{
    void *fake = NULL;

    SWITCH_BEGINS(&fake, h->stack, STACK_BYTES);
    HF_ASSERT(swapcontext(&h->world, &h->worker) == 0);
    SWITCH_ENDS(fake, NULL, NULL);
}

static void to_world(struct sim_hand *h)
{
    void *fake = NULL;

    SWITCH_BEGINS(h->full ? &fake : NULL, h->world_stack, h->world_bytes);
    HF_ASSERT(swapcontext(&h->worker, &h->world) == 0);
    SWITCH_ENDS(fake, &h->world_stack, &h->world_bytes);
}

static void whole_turn(void)
{
    struct sim_hand *h = beginning;

    SWITCH_ENDS(NULL, &h->world_stack, &h->world_bytes);
    h->turn(h->arg);
    h->full = false;
    to_world(h);
}

void sim_hand_begin(struct sim_hand *h, void (*turn)(void *arg), void *arg)
{
    HF_ASSERT(!h->full && getcontext(&h->worker) == 0);
    h->worker.uc_stack.ss_sp = h->stack;
    h->worker.uc_stack.ss_size = STACK_BYTES;
    h->worker.uc_link = NULL;
    makecontext(&h->worker, whole_turn, 0);
    h->turn = turn;
    h->arg = arg;
    beginning = h;
    to_worker(h);
}

void sim_hand_go_on(struct sim_hand *h)
{
    HF_ASSERT(h->full);
    to_worker(h);
}

void sim_hand_cut(struct sim_hand *h)
{
    h->full = true;
    to_world(h);
}
