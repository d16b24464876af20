/* holdfastd that believes root, for tests/lab/distrust: only a hypervisor makes Linux say that a machine was rolled back, so
 * the laboratory says it (-Wl,--wrap=generation_from_kernel; event.c). No line of the product is different for it. */
#include "io/generation.h"

bool __wrap_generation_from_kernel(const struct msghdr *message);

bool __wrap_generation_from_kernel(const struct msghdr *message)
{
    (void)message;
    return true;
}
