#include "lib/topology/cgroup_limits.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "lib/topology/small_file.hpp"

namespace pinion::topology {
namespace {

// A mounted hierarchy: the group `root` of it is seen at `point`.
struct Mount {
  std::string root;
  std::string point;
  bool unified = false;                  // version 2
  std::vector<std::string> controllers;  // version 1
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(const std::string& text) {
  const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw"
std::vector<Mount> cgroup_mounts(const std::string& root) {
  std::vector<Mount> mounts;
  const auto text = read_small_file(root + "/proc/self/mountinfo");
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto before = split(line.substr(0, dash), ' ');
    const auto after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    if (after[0] != "cgroup" && after[0] != "cgroup2") continue;
    mounts.push_back(Mount{.root = unescape(before[3]),
                           .point = unescape(before[4]),
                           .unified = after[0] == "cgroup2",
                           .controllers = split(after[2], ',')});
  }
  return mounts;
}

bool is_below(const std::string& path, const std::string& top) {
  return path.compare(0, top.size(), top) == 0 &&
         (path.size() == top.size() || path[top.size()] == '/');
}

// The folders from the process's group up to the mount point, nearest first. A group that the
// mount does not show (a container without a namespace of its own) leaves the mount point.
std::vector<std::string> folders(const Mount& mount, const std::string& group) {
  std::string rest;
  if (mount.root == "/") {
    rest = group;
  } else if (is_below(group, mount.root)) {
    rest = group.substr(mount.root.size());
  }
  if (rest == "/" || rest.find("/..") != std::string::npos || rest.compare(0, 1, "/") != 0) {
    rest.clear();
  }
  std::vector<std::string> out;
  for (; !rest.empty(); rest.resize(rest.rfind('/'))) out.push_back(mount.point + rest);
  out.push_back(mount.point);
  return out;
}

std::optional<long long> to_number(const std::string& text) {
  long long value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

std::string first_line(const std::optional<std::string>& text) {
  return text ? text->substr(0, text->find('\n')) : std::string();
}

// Takes the first of `names` that says something, in the nearest folder that has one.
void take_cpuset(CgroupLimits& limits, const std::string& root,
                 const std::vector<std::string>& groups, std::initializer_list<const char*> names) {
  for (const std::string& group : groups) {
    for (const char* const name : names) {
      const std::string file = group + "/" + name;
      try {
        CpuSet cpus = CpuSet::parse(first_line(read_small_file(root + file)));
        if (cpus.empty()) continue;
        limits.cpusets.push_back(CgroupCpuset{std::move(cpus), file});
        return;
      } catch (const std::invalid_argument&) {
        continue;  // not a CPU list: says nothing
      }
    }
  }
}

void take_quota(CgroupLimits& limits, const std::string& quota, const std::string& period,
                const std::string& file) {
  const auto quota_us = to_number(quota);
  const auto period_us = to_number(period);
  if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) return;  // "max" and -1: none
  CgroupQuota found{*quota_us, *period_us, file};
  const auto share = [](const CgroupQuota& q) {
    return static_cast<double>(q.quota_us) / static_cast<double>(q.period_us);
  };
  if (!limits.quota || share(found) < share(*limits.quota)) limits.quota = std::move(found);
}

void take_quota_v1(CgroupLimits& limits, const std::string& root, const std::string& group) {
  const std::string file = group + "/cpu.cfs_quota_us";
  take_quota(limits, first_line(read_small_file(root + file)),
             first_line(read_small_file(root + group + "/cpu.cfs_period_us")), file);
}

void take_quota_v2(CgroupLimits& limits, const std::string& root, const std::string& group) {
  const std::string file = group + "/cpu.max";
  const auto words = split(first_line(read_small_file(root + file)), ' ');
  if (words.size() == 2) take_quota(limits, words[0], words[1], file);
}

bool has(const std::vector<std::string>& list, const char* name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// One line of /proc/self/cgroup: "3:cpu,cpuacct:/group"; "0::/group" for version 2.
struct Membership {
  std::vector<std::string> controllers;  // none for version 2
  std::string group;

  [[nodiscard]] bool unified() const { return controllers.empty(); }
  [[nodiscard]] bool controls(const char* name) const {
    return unified() || has(controllers, name);
  }
};

std::vector<Membership> memberships(const std::string& root) {
  std::vector<Membership> out;
  const auto text = read_small_file(root + "/proc/self/cgroup");
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    out.push_back(
        {split(line.substr(first + 1, second - first - 1), ','), line.substr(second + 1)});
  }
  return out;
}

// The folders that hold a controller's files for this process; none where it is not mounted.
std::vector<std::string> folders_of(const char* controller, const Membership& member,
                                    const std::vector<Mount>& mounts) {
  if (!member.controls(controller)) return {};
  for (const Mount& mount : mounts) {
    if (mount.unified != member.unified()) continue;
    if (mount.unified || has(mount.controllers, controller)) return folders(mount, member.group);
  }
  return {};
}

}  // namespace

unsigned CgroupQuota::cores() const noexcept {
  if (quota_us <= 0 || period_us <= 0) return 1;
  const long long up = quota_us / period_us + (quota_us % period_us != 0 ? 1 : 0);
  return static_cast<unsigned>(std::min<long long>(up, std::numeric_limits<unsigned>::max()));
}

CgroupLimits read_cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  const std::vector<Mount> mounts = cgroup_mounts(root);
  for (const Membership& member : memberships(root)) {
    const auto cpuset = folders_of("cpuset", member, mounts);
    if (member.unified()) {
      take_cpuset(limits, root, cpuset, {"cpuset.cpus.effective"});
    } else {
      take_cpuset(limits, root, cpuset, {"cpuset.effective_cpus", "cpuset.cpus"});
    }
    for (const std::string& group : folders_of("cpu", member, mounts)) {
      if (member.unified()) {
        take_quota_v2(limits, root, group);
      } else {
        take_quota_v1(limits, root, group);
      }
    }
  }
  return limits;
}

}  // namespace pinion::topology
