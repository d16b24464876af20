# The production transport (tcp_transport.h); crc32c comes with the storage. hf_repl_tls: certificates and TLS without sockets.
hf_library(hf_repl_tls SOURCES tls_bio.c tls_identity.c tls_judge.c tls_layer.c LIBS hf_base PkgConfig::SSL PkgConfig::CRYPTO)
hf_library(hf_repl_transport
  SOURCES tcp_frame.c tcp_conn.c tcp_door.c tcp_links.c tcp_transport.c
  LIBS hf_base hf_repl_wal PkgConfig::UV)
