#include "base/operator.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void operator_name(char *out, size_t n)
{
    char scratch[1024];
    struct passwd user, *found = NULL;
    const char *before = getenv("SUDO_USER");

    if (getpwuid_r(getuid(), &user, scratch, sizeof scratch, &found) != 0 || found == NULL)
        (void)snprintf(out, n, "uid %u", (unsigned)getuid());
    else if (before != NULL && before[0] != '\0')
        (void)snprintf(out, n, "%s as %s", before, found->pw_name);
    else
        (void)snprintf(out, n, "%s", found->pw_name);
}
