# The production transport (tcp_transport.h); crc32c comes with the storage.
hf_library(hf_repl_transport
  SOURCES tcp_frame.c tcp_conn.c tcp_links.c tcp_transport.c
  LIBS hf_base hf_repl_wal PkgConfig::UV)
