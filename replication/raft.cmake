# The raft driver (raft_driver.h): libraft's core over a storage and a transport. Only these files include <raft.h>.
set(HF_RAFT_SOURCES raft_change.c raft_deliver.c raft_disk.c raft_driver.c raft_found.c raft_frame.c raft_history.c raft_install.c raft_log.c raft_muted.c raft_repair.c
  raft_send.c raft_step.c raft_wraps.c)
hf_library(hf_repl_raft SOURCES ${HF_RAFT_SOURCES} LIBS hf_base PkgConfig::RAFT)

# The same sources with a switch per wrapped defect, for the tests that go red without it; never in a release's programs.
if(HOLDFAST_TESTS)
  hf_library(hf_replication_unwrapped SOURCES ${HF_RAFT_SOURCES} raft_test_heap.c LIBS hf_base PkgConfig::RAFT)
  target_compile_definitions(hf_replication_unwrapped PUBLIC HOLDFAST_RAFT_UNWRAP)
endif()
