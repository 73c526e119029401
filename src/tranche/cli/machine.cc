#include "tranche/cli/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tranche/base/file.h"

namespace tranche {
namespace {

// The number in a one-line file; -1 where there is none ("max", absent).
int64_t NumberIn(const std::string& path) {
  const auto text = ReadFile(path, 4096);
  if (!text) return -1;
  char* end = nullptr;
  const int64_t number = std::strtoll(text->c_str(), &end, 10);
  return end == text->c_str() ? -1 : number;
}

// The paths of this process's cgroup under a controller, from its own up to the root.
std::vector<std::string> Cgroups(const std::string& controller) {
  std::vector<std::string> folders;
  const auto text = ReadFile("/proc/self/cgroup", 64 << 10);
  if (!text) return folders;
  size_t at = 0;
  while (at < text->size()) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, end - at);
    at = end + 1;
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    std::string root;
    if (names.empty()) {
      root = "/sys/fs/cgroup";
    } else if (("," + names + ",").find("," + controller + ",") != std::string::npos) {
      root = "/sys/fs/cgroup/" + controller;
    } else {
      continue;
    }
    std::string path = line.substr(second + 1);
    while (!path.empty() && path != "/") {
      folders.push_back(root + path);
      path = path.substr(0, path.rfind('/'));
    }
    folders.push_back(root);
  }
  return folders;
}

}  // namespace

int64_t MachineMemory() {
  int64_t memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  for (const std::string& folder : Cgroups("memory")) {
    for (const char* file : {"/memory.max", "/memory.limit_in_bytes"}) {
      const int64_t limit = NumberIn(folder + file);
      if (limit > 0) memory = std::min(memory, limit);
    }
  }
  return memory;
}

int MachineThreads() {
  cpu_set_t set;
  int threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  for (const std::string& folder : Cgroups("cpu")) {
    int64_t quota = NumberIn(folder + "/cpu.cfs_quota_us");
    int64_t period = NumberIn(folder + "/cpu.cfs_period_us");
    if (const auto text = ReadFile(folder + "/cpu.max", 4096); text) {
      char* rest = nullptr;
      quota = std::strtoll(text->c_str(), &rest, 10);  // "max" reads as 0
      period = std::strtoll(rest, nullptr, 10);
    }
    if (quota > 0 && period > 0)
      threads = std::min<int64_t>(threads, std::max<int64_t>(1, (quota + period - 1) / period));
  }
  return std::max(threads, 1);
}

}  // namespace tranche
