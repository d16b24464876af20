/* Before everything else in node/daemon/datapath.c when it is compiled for the simulator: an SA's
 * keys pass by sim_kernel.c, which tells keys apart by them. */
#ifndef HF_SIM_DATAPATH_NAMES_H
#define HF_SIM_DATAPATH_NAMES_H

/* Its declaration in io/worker.h becomes the other one's as well. */
#define worker_sa_install(pool, params) sim_sys_worker_sa_install(pool, params)

#endif
