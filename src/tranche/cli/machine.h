// What this machine lets one process have; cgroup limits (v1 and v2) included.
#pragma once

#include <cstdint>

namespace tranche {

int64_t MachineMemory();  // bytes
int MachineThreads();

}  // namespace tranche
