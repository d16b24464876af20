# The production storage (wal.h). hf_repl_wal needs nothing of raft.
hf_library(hf_repl_wal
  SOURCES
    crc32c.c
    wal_fs.c
    wal_file.c
    wal_slots.c
    wal_high_water.c
    wal_loss.c
    wal_segment.c
    wal_log.c
    wal_load.c
    wal_snapshot.c
    wal_draft.c
    wal_aside.c
    wal_directory.c
    wal_core.c
    wal_recover.c
    wal_rolled_back.c
    wal_thread.c
    wal.c
  LIBS hf_base PkgConfig::UV Threads::Threads)
