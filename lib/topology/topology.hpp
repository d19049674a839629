// The machine's shape: cores, caches, NUMA nodes and sockets, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/topology/cpu_set.hpp"

namespace pinion::topology {

/// The resources that a place can stand for, by the names of `OMP_PLACES`.
enum class Level { threads, cores, ll_caches, numa_domains, sockets };
[[nodiscard]] const char* level_name(Level level) noexcept;

/// A memory node.
struct NumaNode {
  int index = 0;                   ///< the kernel's number
  std::uint64_t memory_bytes = 0;  ///< 0 for a node without memory
  CpuSet cpus;                     ///< empty for a node without CPUs
};

/// What hwloc found, copied out of it; immutable, so any thread may read it.
///
/// Thread safety: all members are const. Every CPU that is online appears, usable by this process
/// or not.
class Topology {
 public:
  /// This machine, loaded by the first call and kept to the end of the process. Loading changes
  /// nothing in the process: no binding, no environment. Throws std::system_error.
  [[nodiscard]] static const Topology& machine();
  /// A new look at this machine; what `machine` does once.
  [[nodiscard]] static Topology load();
  /// A machine that is described in hwloc's words ("pack:2 core:4 pu:2"), without the CPUs that
  /// are `offline`. Throws std::invalid_argument if hwloc cannot read it.
  [[nodiscard]] static Topology synthetic(const std::string& description,
                                          const CpuSet& offline = {});

  /// A machine as hwloc wrote it down ("lstopo machine.xml"). Throws std::invalid_argument if hwloc
  /// cannot read it.
  [[nodiscard]] static Topology from_xml(const std::string& text);

  /// Every online CPU.
  [[nodiscard]] const CpuSet& cpus() const noexcept { return cpus_; }
  /// The resources of a level, neighbours beside each other; none is empty, and each CPU is in just
  /// one. What the machine does not show is replaced by the next thing it does: cores by threads,
  /// last-level caches by smaller ones and then sockets, NUMA domains and sockets by the machine.
  [[nodiscard]] const std::vector<CpuSet>& level(Level level) const noexcept;
  [[nodiscard]] const std::vector<NumaNode>& numa_nodes() const noexcept { return nodes_; }
  /// The node with memory whose CPUs include all of `cpus`, the nearest: of those the one with the
  /// fewest CPUs, then with the lowest number, since the kernel numbers ordinary memory before fast
  /// memory beside it. -1 where there is none (the set is empty, or spans nodes).
  [[nodiscard]] int node_of(const CpuSet& cpus) const noexcept;

 private:
  friend class HwlocReader;
  Topology() = default;

  CpuSet cpus_;
  std::vector<CpuSet> threads_;
  std::vector<CpuSet> cores_;
  std::vector<CpuSet> ll_caches_;
  std::vector<CpuSet> numa_domains_;
  std::vector<CpuSet> sockets_;
  std::vector<NumaNode> nodes_;
};

}  // namespace pinion::topology
