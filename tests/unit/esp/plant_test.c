/* The planted faults of the data path do what their names say: a takeover reuses numbers, or
 * delivers twice. (That a whole cluster turns red with them is the drills' business; this keeps the
 * plants themselves alive.) */
#include <criterion/criterion.h>

#include "esp/gate.h"
#include "esp/reservation.h"

#if defined(HOLDFAST_PLANT_reservation_ignored)
Test(plant, a_new_owner_uses_a_number_of_the_old_one)
{
    struct esp_reservation old_owner, new_owner;
    uint64_t a, b;

    esp_reservation_init(&old_owner);
    esp_reservation_init(&new_owner);
    esp_reservation_grant(&old_owner, 1, 0, 64);
    esp_reservation_grant(&new_owner, 2, 64, 64 + 65536);
    cr_assert_eq(esp_reservation_take(&old_owner, 1, UINT32_MAX, &a), ESP_TAKEN);
    cr_assert_eq(esp_reservation_take(&new_owner, 2, UINT32_MAX, &b), ESP_TAKEN);
    cr_assert_eq(a, b);
}
#elif defined(HOLDFAST_PLANT_ceiling_ignored)
static enum esp_gate_verdict pass(struct esp_gate *g, uint64_t epoch, uint64_t seq)
{
    bool fresh;

    cr_assert(esp_gate_refresh(g, epoch, &fresh));
    cr_assert_eq(esp_gate_look(g, seq), ESP_GATE_ACCEPT);
    return esp_gate_mark(g, seq);
}

Test(plant, a_new_owner_delivers_what_the_old_one_delivered)
{
    struct esp_gate old_owner, new_owner;

    esp_gate_init(&old_owner);
    esp_gate_init(&new_owner);
    esp_gate_grant(&old_owner, 1, 0, 8);
    esp_gate_grant(&new_owner, 2, 8, 16);
    cr_assert_eq(pass(&old_owner, 1, 5), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&new_owner, 2, 5), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&old_owner, 1, 1000), ESP_GATE_ACCEPT, "above the ceiling");
}
#else
#error "compiled without a plant"
#endif
