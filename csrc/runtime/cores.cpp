#include "runtime/cores.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace crispvl {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

double quota_of(double quota_us, double period_us) {
    return quota_us > 0 && period_us > 0 ? quota_us / period_us : kNoQuota;
}

// "150000 100000" (us of every so many us) or "max 100000".
double quota_v2(const std::string& group) {
    std::ifstream file(group + "/cpu.max");
    double quota_us = 0, period_us = 0;
    file >> quota_us >> period_us;
    return quota_of(quota_us, period_us);
}

// The same in two files; a quota of -1 is none.
double quota_v1(const std::string& group) {
    double quota_us = 0, period_us = 0;
    std::ifstream(group + "/cpu.cfs_quota_us") >> quota_us;
    std::ifstream(group + "/cpu.cfs_period_us") >> period_us;
    return quota_of(quota_us, period_us);
}

bool lists(const std::string& names, const std::string& wanted) {
    return ("," + names + ",").find("," + wanted + ",") != std::string::npos;
}

// The process's group where the CPU is shared out: of v2, and of v1's controller "cpu"; empty where
// there is none. Lines of /proc/self/cgroup: number:controllers:path.
std::string own_group(const std::string& root, bool is_v2) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string number, controllers, path; std::getline(file, number, ':') &&
                                                std::getline(file, controllers, ':') &&
                                                std::getline(file, path);) {
        if (is_v2 ? number == "0" && controllers.empty() : lists(controllers, "cpu")) return path;
    }
    return {};
}

// Where a hierarchy of groups is seen: its part below `top`, in the folder `folder`.
struct Mount {
    std::string top, folder;
};

// Lines of /proc/self/mountinfo: id, parent, device, top, folder, options … - type, source,
// options.
std::vector<Mount> group_mounts(const std::string& root, bool is_v2) {
    std::vector<Mount> mounts;
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const size_t middle = line.find(" - ");
        if (middle == std::string::npos) continue;
        std::string skipped, type, options;
        Mount mount;
        std::istringstream(line) >> skipped >> skipped >> skipped >> mount.top >> mount.folder;
        std::istringstream(line.substr(middle + 3)) >> type >> skipped >> options;
        if (is_v2 ? type == "cgroup2" : type == "cgroup" && lists(options, "cpu")) {
            mounts.push_back(std::move(mount));
        }
    }
    return mounts;
}

// A group's path below what is mounted; empty, the mount itself, where the group lies outside, as
// in a container that sees only its own.
std::string path_below(const std::string& top, const std::string& group) {
    const std::string above = top == "/" ? "" : top;
    const bool is_inside = group.compare(0, above.size() + 1, above + "/") == 0 &&
                           group.find("/..") == std::string::npos;
    return is_inside && group.size() > above.size() + 1 ? group.substr(above.size()) : "";
}

double least_quota(const std::string& root, bool is_v2) {
    double least = kNoQuota;
    const std::string group = own_group(root, is_v2);
    for (const Mount& mount : group_mounts(root, is_v2)) {
        for (std::string path = path_below(mount.top, group);; path.resize(path.rfind('/'))) {
            const std::string folder = root + mount.folder + path;
            least = std::min(least, is_v2 ? quota_v2(folder) : quota_v1(folder));
            if (path.empty()) break;
        }
    }
    return least;
}

int affinity_cores(const std::string& root) {
#ifdef __linux__
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        std::set<std::string> cores;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(cpu, &allowed)) continue;
            const std::string name = std::to_string(cpu);
            std::ifstream siblings(root + "/sys/devices/system/cpu/cpu" + name +
                                   "/topology/thread_siblings_list");
            std::string core;
            cores.insert(std::getline(siblings, core) ? core : name);
        }
        return static_cast<int>(cores.size());
    }
#endif
    (void)root;
    return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double cpu_quota(const std::string& root) {
    return std::min(least_quota(root, /*is_v2=*/true), least_quota(root, /*is_v2=*/false));
}

int usable_cores(const std::string& root) {
    const double quota = std::round(cpu_quota(root));
    const int n_cores = affinity_cores(root);
    return std::max(1, quota < n_cores ? static_cast<int>(quota) : n_cores);
}

}  // namespace crispvl
