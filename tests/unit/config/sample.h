/* A good configuration of three nodes; tests alter one line of it. Lines are numbered from 1. */
#ifndef HF_TESTS_CONFIG_SAMPLE_H
#define HF_TESTS_CONFIG_SAMPLE_H

#define SAMPLE                                                                                           \
    "node: { id: 1, data: /var/lib/holdfast }\n"                        /* 1 */                          \
    "cluster:\n"                                                        /* 2 */                          \
    "  tls: { ca: ca.pem, certificate: node-1.pem, key: node-1.key }\n" /* 3 */                          \
    "  nodes:\n"                                                        /* 4 */                          \
    "    - { id: 1, address: 10.77.2.1:7400 }\n"                        /* 5 */                          \
    "    - { id: 2, address: 10.77.2.2:7400 }\n"                        /* 6 */                          \
    "    - { id: 3, address: 10.77.2.3:7400 }\n"                        /* 7 */                          \
    "  timing: { election: 300ms, heartbeat: 50ms, lease: 200ms, lease_heartbeat: 40ms }\n" /* 8 */      \
    "interfaces: { outside: out0, inside: in0, tun: hf7 }\n" /* 9 */                                     \
    "shards:\n"                                              /* 10 */                                    \
    "  - { id: 1, outside: 10.77.1.100, inside: 10.77.2.100, pool: 10.99.0.0/24, prefer: 2 }\n" /* 11 */ \
    "gateway:\n"                     /* 12 */                                                            \
    "  identity: gw.holdfast.test\n" /* 13 */                                                            \
    "  networks: [10.77.2.0/24]\n"   /* 14 */                                                            \
    "  dns: [10.77.2.10]\n"          /* 15 */                                                            \
    "  proposals: { ike: [aes256gcm16-prfsha256-x25519], esp: [aes128gcm16, "                            \
    "aes256gcm16-x25519-esn] }\n"                                                    /* 16 */            \
    "  force_encapsulation: false\n"                                                 /* 17 */            \
    "ike:\n"                                                                         /* 18 */            \
    "  lifetime: { hard: 2h, rekey_at: 60%, rekey_at_responder: 75%, jitter: 3% }\n" /* 19 */            \
    "  retransmit: { first: 500ms, factor: 1.5, tries: 4 }\n"                        /* 20 */            \
    "  dpd: 10s\n"                                                                   /* 21 */            \
    "  keepalive: 15s\n"                                                             /* 22 */            \
    "  half_open: 20s\n"                                                             /* 23 */            \
    "  linger: 45s\n"                                                                /* 24 */            \
    "child:\n"                                                                       /* 25 */            \
    "  lifetime: { hard: 1h, packets: { soft: 1000, hard: 2000 } }\n"                /* 26 */            \
    "  pfs: { every: 3 }\n"                                                          /* 27 */            \
    "auth:\n"                                                                        /* 28 */            \
    "  psk:\n"                                                                       /* 29 */            \
    "    - { identity: client@holdfast.test, secret_file: client.psk }\n"            /* 30 */            \
    "    - { identity: 10.0.0.7, secret_file: other.psk }\n"                         /* 31 */            \
    "admin: { socket: /run/holdfast/admin.sock }\n"                                  /* 32 */            \
    "drills: enabled\n"                                                              /* 33 */            \
    "log: { level: debug }\n"                                                        /* 34 */

#endif
