/* holdfastd that mars ESP, for tests/lab/marred: what HF_MARRING names (nothing: as released). Each packet that comes from inside
 * still leaves as one ESP packet with a number of its own, so that only the client can tell (-Wl,--wrap=esp_outbound,
 * esp_inbound). No line of the product is different for it.
 *
 *   icv    one bit of the integrity value of each tenth packet out
 *   spi    one bit of its SPI: an SA that the client has not
 *   late   some leave behind 150 that have higher numbers: behind the client's window
 *   deaf   each second packet in is verified and not delivered
 */
#include <stdlib.h>
#include <string.h>

#include "esp/inbound.h"
#include "esp/outbound.h"

enum { EACH = 10, EACH_IN = 2, CYCLE = 300, KEPT_AT = 20, LEAVES_AT = 170, PACKET_BYTES = 2048 };

enum esp_drop __real_esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                                  const struct esp_inner *decoded, struct span inner, uint8_t *out,
                                  size_t cap, struct esp_out_result *r);
enum esp_drop __wrap_esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                                  const struct esp_inner *decoded, struct span inner, uint8_t *out,
                                  size_t cap, struct esp_out_result *r);
enum esp_drop __real_esp_inbound(struct esp_sa *sa, const struct esp_turn *turn, struct span packet,
                                 const struct endpoint *from, uint8_t *out, size_t cap,
                                 struct esp_in_result *r);
enum esp_drop __wrap_esp_inbound(struct esp_sa *sa, const struct esp_turn *turn, struct span packet,
                                 const struct endpoint *from, uint8_t *out, size_t cap,
                                 struct esp_in_result *r);

/* One worker in the laboratory (DAEMON_WORKERS). */
static bool mars(const char *what)
{
    const char *asked = getenv("HF_MARRING");

    return asked != NULL && strcmp(asked, what) == 0;
}

enum esp_drop __wrap_esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                                  const struct esp_inner *decoded, struct span inner, uint8_t *out,
                                  size_t cap, struct esp_out_result *r)
{
    static uint8_t kept[PACKET_BYTES];
    static size_t kept_len;
    static unsigned n;
    enum esp_drop d = __real_esp_outbound(sa, turn, decoded, inner, out, cap, r);

    if (d != ESP_DROP_NONE)
        return d;
    n++;
    if (mars("icv") && n % EACH == 0) {
        out[r->len - 1] ^= 1;
    } else if (mars("spi") && n % EACH == 0) {
        out[3] ^= 1;
    } else if (mars("late") && n % CYCLE == KEPT_AT && r->len <= sizeof kept) {
        memcpy(kept, out, r->len);
        kept_len = r->len;
        d = __real_esp_outbound(sa, turn, decoded, inner, out, cap, r);
    } else if (mars("late") && n % CYCLE == LEAVES_AT && kept_len == r->len) {
        memcpy(out, kept, kept_len);
    }
    return d;
}

enum esp_drop __wrap_esp_inbound(struct esp_sa *sa, const struct esp_turn *turn, struct span packet,
                                 const struct endpoint *from, uint8_t *out, size_t cap,
                                 struct esp_in_result *r)
{
    static unsigned n;
    enum esp_drop d = __real_esp_inbound(sa, turn, packet, from, out, cap, r);

    return d == ESP_DROP_NONE && mars("deaf") && ++n % EACH_IN == 0 ? ESP_DROP_ICV : d;
}
