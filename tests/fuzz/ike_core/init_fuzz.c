/* IKE_SA_INIT. First byte: 0 the gateway, 1 the gateway under load, 2 the client with its request
 * out; then the datagram. */
#include "plain_suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct plain_ends *e = plain_ends();
    static struct ike_transition out;
    enum ike_outcome outcome;
    struct ike_event ev;

    if (size == 0)
        return 0;
    ev = plain_event(data[0] % 3 == 2, span_of(data + 1, size - 1));
    ev.cookie_required = data[0] % 3 == 1;
    do {
        outcome = data[0] % 3 == 2 ? ike_init_handle_response(&e->client, &e->c_init, &ev, &out)
                                   : ike_init_handle_request(&e->gateway, &ev, &out);
    } while (plain_serve(outcome, &out, &ev));
    plain_check(outcome, &out);
    /* Unprotected answers are never larger than what asked for them, as long as nothing is kept. */
    if (outcome == IKE_LOCAL && out.after.state == IKE_SA_NONE && data[0] % 3 != 2 && size > 110)
        HF_ASSERT(out.plain.len <= size - 1);
    return 0;
}
