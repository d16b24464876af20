/* The one thing that is done with a directory before anything else is known of this node. */
#include "replication/wal_directory.h"
#include "replication/wal_file.h"

bool wal_rolled_back(const struct wal_fs *fs, const char *directory, uint32_t node,
                     struct wal_error *error)
{
    const struct wal_options o = {.directory = directory, .node = node, .fs = fs};
    struct wal_high_water w = {.slots.fd = -1};
    struct wal_dir d = {.fs = NULL};
    int lock_fd = -1;
    bool ok = wal_directory_open(&d, &o, &lock_fd, error) && wal_high_water_open(&d, &w, error) &&
              wal_high_water_distrust(&d, &w, wal_doubted(w.distrust, REPL_DISTRUST_ROLLED_BACK),
                                      w.machine, error);

    if (d.fs != NULL) {
        wal_file_close(&d, w.slots.fd);
        wal_file_close(&d, lock_fd);
    }
    return ok;
}
