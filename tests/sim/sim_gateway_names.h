/* Before everything else in node/daemon/gateway.c when it is compiled for the simulator: what comes from
 * outside passes by sim_node_ops.c, which tells the judge whether it is anybody's. */
#ifndef HF_SIM_GATEWAY_NAMES_H
#define HF_SIM_GATEWAY_NAMES_H

/* Its declaration in conductor/core.h becomes the other one's as well. */
#define conductor_handle_datagram sim_sys_conductor_handle_datagram

#endif
