#include "lib/topology/topology.hpp"

#include <hwloc.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace pinion::topology {

// Owns an hwloc topology for as long as it is being copied.
class HwlocReader {
 public:
  HwlocReader() {
    if (hwloc_topology_init(&raw_) != 0) fail("start hwloc");
  }
  ~HwlocReader() { hwloc_topology_destroy(raw_); }
  HwlocReader(const HwlocReader&) = delete;
  HwlocReader& operator=(const HwlocReader&) = delete;

  [[nodiscard]] bool describe(const std::string& synthetic) {
    return hwloc_topology_set_synthetic(raw_, synthetic.c_str()) == 0;
  }
  [[nodiscard]] bool read_xml(const std::string& text) {
    const auto bytes = static_cast<int>(text.size() + 1);  // with the end of the string
    return hwloc_topology_set_xmlbuffer(raw_, text.c_str(), bytes) == 0;
  }
  void load();
  void take_offline(const CpuSet& offline);
  [[nodiscard]] Topology copy() const;

 private:
  [[noreturn]] static void fail(const char* doing) {
    throw std::system_error(errno, std::generic_category(), std::string("cannot ") + doing);
  }
  [[nodiscard]] std::vector<CpuSet> sets_of(hwloc_obj_type_t type) const;
  [[nodiscard]] std::vector<CpuSet> last_level_caches(const Topology& machine) const;
  [[nodiscard]] static std::vector<CpuSet> numa_domains(const Topology& machine);
  void copy_nodes(Topology& out) const;

  hwloc_topology_t raw_ = nullptr;
};

namespace {

CpuSet to_cpu_set(hwloc_const_bitmap_t bitmap) {
  CpuSet set;
  for (int cpu = hwloc_bitmap_first(bitmap); cpu >= 0; cpu = hwloc_bitmap_next(bitmap, cpu)) {
    if (static_cast<unsigned>(cpu) >= CpuSet::cpu_limit) break;
    set.add(static_cast<unsigned>(cpu));
  }
  return set;
}

constexpr hwloc_obj_type_t caches[] = {HWLOC_OBJ_L5CACHE, HWLOC_OBJ_L4CACHE, HWLOC_OBJ_L3CACHE,
                                       HWLOC_OBJ_L2CACHE};

// A level under construction: sets that do not overlap, the first to come keeps a CPU.
class Division {
 public:
  void add(const CpuSet& set) {
    CpuSet part = set - covered_;
    if (part.empty()) return;
    covered_ |= part;
    parts_.push_back(std::move(part));
  }
  void add(const std::vector<CpuSet>& sets) {
    for (const CpuSet& set : sets) add(set);
  }

  // Neighbours beside each other, as hwloc has the threads.
  std::vector<CpuSet> in_order(const std::vector<CpuSet>& threads) const {
    std::vector<std::size_t> position(CpuSet::cpu_limit);
    for (std::size_t i = 0; i < threads.size(); ++i) position[threads[i].members().front()] = i;
    std::map<std::size_t, CpuSet> sorted;
    for (const CpuSet& part : parts_) {
      std::size_t first = threads.size();
      for (const unsigned cpu : part.members()) first = std::min(first, position[cpu]);
      sorted[first] = part;
    }
    std::vector<CpuSet> ordered;
    for (auto& [first, part] : sorted) ordered.push_back(std::move(part));
    return ordered;
  }

 private:
  std::vector<CpuSet> parts_;
  CpuSet covered_;
};

}  // namespace

void HwlocReader::load() {
  // Only what places are made of: devices, instruction caches and distances cost most of a load.
  // DONT_CHANGE_BINDING keeps hwloc from moving the calling thread over all CPUs to ask each.
  constexpr unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED |
                                  HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
                                  HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
                                  HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;
  if (hwloc_topology_set_flags(raw_, flags) != 0) fail("set hwloc's flags");
  hwloc_topology_set_all_types_filter(raw_, HWLOC_TYPE_FILTER_KEEP_NONE);
  for (const auto type : caches) {
    hwloc_topology_set_type_filter(raw_, type, HWLOC_TYPE_FILTER_KEEP_ALL);
  }
  hwloc_topology_set_type_filter(raw_, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(raw_, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
  // A memory node whose CPUs are no other thing hangs on a group; without it, it would count as
  // near to all that is around.
  hwloc_topology_set_type_filter(raw_, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  if (hwloc_topology_load(raw_) != 0) fail("read the machine's topology");
}

void HwlocReader::take_offline(const CpuSet& offline) {
  hwloc_bitmap_t rest = hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(raw_));
  if (rest == nullptr) throw std::bad_alloc();
  for (const unsigned cpu : offline.members()) hwloc_bitmap_clr(rest, cpu);
  const int rc = hwloc_topology_restrict(raw_, rest, 0);
  hwloc_bitmap_free(rest);
  if (rc != 0) throw std::invalid_argument("no CPU is left online");
}

std::vector<CpuSet> HwlocReader::sets_of(hwloc_obj_type_t type) const {
  std::vector<CpuSet> sets;
  for (hwloc_obj_t object = hwloc_get_next_obj_by_type(raw_, type, nullptr); object != nullptr;
       object = hwloc_get_next_obj_by_type(raw_, type, object)) {
    CpuSet set = to_cpu_set(object->cpuset);
    if (!set.empty()) sets.push_back(std::move(set));
  }
  return sets;
}

// Of each CPU the outermost cache that it has: some cores of a chip may have none of the last
// level.
std::vector<CpuSet> HwlocReader::last_level_caches(const Topology& machine) const {
  Division division;
  for (const auto type : caches) division.add(sets_of(type));
  division.add(machine.sockets_);
  return division.in_order(machine.threads_);
}

// Memory of two kinds beside one group of CPUs is two nodes and one place; memory that is as near
// to all of the machine divides nothing.
std::vector<CpuSet> HwlocReader::numa_domains(const Topology& machine) {
  std::vector<CpuSet> near;
  for (const NumaNode& node : machine.nodes_) near.push_back(node.cpus);
  std::stable_sort(near.begin(), near.end(),
                   [](const CpuSet& a, const CpuSet& b) { return a.count() < b.count(); });
  Division division;
  division.add(near);
  division.add(machine.cpus_);
  return division.in_order(machine.threads_);
}

void HwlocReader::copy_nodes(Topology& out) const {
  for (hwloc_obj_t node = hwloc_get_next_obj_by_type(raw_, HWLOC_OBJ_NUMANODE, nullptr);
       node != nullptr; node = hwloc_get_next_obj_by_type(raw_, HWLOC_OBJ_NUMANODE, node)) {
    out.nodes_.push_back(NumaNode{.index = static_cast<int>(node->os_index),
                                  .memory_bytes = node->attr->numanode.local_memory,
                                  .cpus = to_cpu_set(node->cpuset)});
  }
}

Topology HwlocReader::copy() const {
  Topology out;
  out.cpus_ = to_cpu_set(hwloc_topology_get_topology_cpuset(raw_));
  out.threads_ = sets_of(HWLOC_OBJ_PU);
  Division cores;
  cores.add(sets_of(HWLOC_OBJ_CORE));
  cores.add(out.threads_);
  out.cores_ = cores.in_order(out.threads_);
  Division sockets;
  sockets.add(sets_of(HWLOC_OBJ_PACKAGE));
  sockets.add(out.cpus_);
  out.sockets_ = sockets.in_order(out.threads_);
  out.ll_caches_ = last_level_caches(out);
  copy_nodes(out);
  out.numa_domains_ = numa_domains(out);
  return out;
}

const char* level_name(Level level) noexcept {
  switch (level) {
    case Level::threads:
      return "threads";
    case Level::cores:
      return "cores";
    case Level::ll_caches:
      return "ll_caches";
    case Level::numa_domains:
      return "numa_domains";
    case Level::sockets:
      return "sockets";
  }
  return "unknown";
}

const Topology& Topology::machine() {
  // Never destroyed: threads of a pool may look at it while the process is leaving.
  static const Topology& topology = *new Topology(load());
  return topology;
}

Topology Topology::load() {
  HwlocReader reader;
  reader.load();
  return reader.copy();
}

Topology Topology::synthetic(const std::string& description, const CpuSet& offline) {
  HwlocReader reader;
  if (!reader.describe(description)) {
    throw std::invalid_argument("hwloc cannot read the topology \"" + description + "\"");
  }
  reader.load();
  if (!offline.empty()) reader.take_offline(offline);
  return reader.copy();
}

Topology Topology::from_xml(const std::string& text) {
  HwlocReader reader;
  if (!reader.read_xml(text)) throw std::invalid_argument("hwloc cannot read the XML");
  try {
    reader.load();
  } catch (const std::system_error&) {  // of some texts it sees only here what they are
    throw std::invalid_argument("hwloc cannot read the XML");
  }
  return reader.copy();
}

const std::vector<CpuSet>& Topology::level(Level level) const noexcept {
  switch (level) {
    case Level::threads:
      return threads_;
    case Level::cores:
      return cores_;
    case Level::ll_caches:
      return ll_caches_;
    case Level::numa_domains:
      return numa_domains_;
    case Level::sockets:
      break;
  }
  return sockets_;
}

int Topology::node_of(const CpuSet& cpus) const noexcept {
  if (cpus.empty()) return -1;
  const NumaNode* nearest = nullptr;
  for (const NumaNode& node : nodes_) {
    if (node.memory_bytes == 0 || !cpus.is_subset_of(node.cpus)) continue;
    const auto rank = [](const NumaNode& n) { return std::pair(n.cpus.count(), n.index); };
    if (nearest == nullptr || rank(node) < rank(*nearest)) nearest = &node;
  }
  return nearest == nullptr ? -1 : nearest->index;
}

}  // namespace pinion::topology
