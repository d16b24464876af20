/* Calls on their way from the HTTP thread to the control loop, and back.
 *
 *   HTTP thread:  api_cross_send ─> there ─┐ async          ┌─ async <─ back <─ api_cross_return
 *                                          └> control loop: handler ─> backend ┘  (now or later)
 *
 * The control loop carries out CARRY_CALLS calls a turn at most, and begins none once CARRY_NS of it
 * are gone: its other work goes on however many ask. Only pointers and two short locks are shared.
 */
#include <stdlib.h>

#include "api/internal.h"

enum { CARRY_CALLS = 16, CARRY_NS = 1000000 };

struct queue {
    struct api_call *first, **last;
};

struct api_cross {
    const struct api_backend *backend;
    uv_mutex_t lock;
    struct queue there, back; /* under the lock, */
    bool shut;                /* as this */
    struct api_call *waiting; /* for the backend; the control loop's */
    uv_async_t control, http;
    api_back_fn *came_back;
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void put(struct queue *q, struct api_call *call)
{
    call->next = NULL;
    *q->last = call;
    q->last = &call->next;
}

static struct api_call *take(struct api_cross *x, struct queue *q)
{
    struct api_call *call;

    uv_mutex_lock(&x->lock);
    call = q->first;
    if (call != NULL) {
        q->first = call->next;
        if (q->first == NULL) {
            q->last = &q->first;
        }
    }
    uv_mutex_unlock(&x->lock);
    return call;
}

/* --- on the control loop --- */

static void send_back(struct api_cross *x, struct api_call *call)
{
    call->index = x->backend->index(x->backend->self);
    uv_mutex_lock(&x->lock);
    put(&x->back, call);
    uv_mutex_unlock(&x->lock);
    HF_ASSERT(uv_async_send(&x->http) == 0);
}

void api_cross_return(struct api_call *call)
{
    *call->link = call->next;
    if (call->next != NULL) {
        call->next->link = call->link;
    }
    call->waits = false;
    send_back(call->cross, call);
}

static void carry_out(struct api_cross *x, struct api_call *call)
{
    struct api_problem p;

    call->cross = x;
    if (call->query.leader && !x->backend->leads(x->backend->self, &p)) {
        api_call_problem(call, &p);
    } else {
        call->route->handle(call, x->backend);
    }
    if (call->status != 0) {
        send_back(x, call);
        return;
    }
    HF_ASSERT(call->request != NULL);
    call->waits = true;
    call->next = x->waiting;
    call->link = &x->waiting;
    if (x->waiting != NULL) {
        x->waiting->link = &call->next;
    }
    x->waiting = call;
}

static void on_control(uv_async_t *async)
{
    struct api_cross *x = async->data;
    uint64_t until = uv_hrtime() + CARRY_NS;
    struct api_call *call;

    for (unsigned i = 0; i < CARRY_CALLS && (i == 0 || uv_hrtime() < until); i++) {
        call = take(x, &x->there);
        if (call == NULL) {
            return;
        }
        carry_out(x, call);
    }
    HF_ASSERT(uv_async_send(&x->control) == 0); /* the rest in the next turn */
}

static void refuse(struct api_call *call)
{
    struct api_problem p;

    api_problem_set(&p, MHD_HTTP_SERVICE_UNAVAILABLE, "closing",
                    "this node is stopping: the outcome is unknown");
    api_call_detach(call);
    api_call_problem(call, &p);
}

void api_cross_shut(struct api_cross *x)
{
    struct api_call *call;

    uv_mutex_lock(&x->lock);
    x->shut = true;
    uv_mutex_unlock(&x->lock);
    while (x->waiting != NULL) {
        refuse(x->waiting); /* which takes it out */
    }
    while ((call = take(x, &x->there)) != NULL) {
        refuse(call);
        send_back(x, call);
    }
}

/* --- on the HTTP loop --- */

static void on_http(uv_async_t *async)
{
    api_cross_drain(async->data);
}

void api_cross_drain(struct api_cross *x)
{
    struct api_call *call;

    while ((call = take(x, &x->back)) != NULL) {
        x->came_back(x->arg, call);
    }
}

bool api_cross_send(struct api_cross *x, struct api_call *call)
{
    bool shut;

    uv_mutex_lock(&x->lock);
    shut = x->shut;
    if (!shut) {
        put(&x->there, call);
    }
    uv_mutex_unlock(&x->lock);
    if (!shut) {
        HF_ASSERT(uv_async_send(&x->control) == 0);
    }
    return !shut;
}

void api_cross_close_http(struct api_cross *x)
{
    uv_close((uv_handle_t *)&x->http, NULL);
}

/* --- its own life --- */

struct api_cross *api_cross_create(uv_loop_t *control, uv_loop_t *http,
                                   const struct api_backend *backend, api_back_fn *back, void *arg)
{
    struct api_cross *x = calloc(1, sizeof *x);

    HF_ASSERT(x != NULL);
    x->backend = backend;
    x->came_back = back;
    x->arg = arg;
    x->there.last = &x->there.first;
    x->back.last = &x->back.first;
    HF_ASSERT(uv_mutex_init(&x->lock) == 0);
    HF_ASSERT(uv_async_init(control, &x->control, on_control) == 0);
    HF_ASSERT(uv_async_init(http, &x->http, on_http) == 0);
    x->control.data = x->http.data = x;
    return x;
}

static void on_closed(uv_handle_t *handle)
{
    struct api_cross *x = handle->data;

    uv_mutex_destroy(&x->lock);
    if (x->closed != NULL) {
        x->closed(x->closed_arg);
    }
    free(x);
}

void api_cross_close(struct api_cross *x, void (*closed)(void *arg), void *arg)
{
    x->closed = closed;
    x->closed_arg = arg;
    uv_close((uv_handle_t *)&x->control, on_closed);
}
