# The ESP worker threads' share of hf_io.
set(HF_IO_WORKER_SOURCES worker.c worker_pool.c worker_in.c worker_out.c worker_wait.c worker_ring.c)
