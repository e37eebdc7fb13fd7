// How many cores the system lets this process keep busy.
#pragma once

#include <string>

namespace crispvl {

// Cores of CPU time that control groups grant: the least quota of the process's own groups and of
// all groups around them (cgroup v1 and v2), infinity without one. `root` stands before /proc and
// before the groups' folders.
double cpu_quota(const std::string& root = "");

// Physical cores within the affinity mask, hyper-threads of one core counted once, and no more than
// the quota, rounded to whole cores. At least 1.
int usable_cores(const std::string& root = "");

}  // namespace crispvl
