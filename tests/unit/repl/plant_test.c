/* With the planted fault "owner acts before it has applied its assignment" the rig must see just
 * that. */
#include <criterion/criterion.h>

#include "unit/repl/rig.h"

Test(repl_plant, an_owner_that_has_not_applied_its_assignment_is_seen)
{
    struct rig *rig = rig_create(3, 1, 1);

    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    (void)rig_run(rig, 500, NULL, 0);
    cr_assert_eq(rig->unassigned, 0);
    rig_kill(rig, rig_owner(rig, 1));
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_gt(rig->unassigned, 0);
    rig_destroy(rig);
}
