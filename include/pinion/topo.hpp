// What pinion would do on this machine, and why.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/placement.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinion {

/// The shape of the machine, and where the workers of a pool would go. Sets of CPUs are lists as
/// the kernel writes them ("0-7,16"), which `taskset -c` and `Placement` read.
struct TopologyReport {
  /// What one source says about the usable CPUs.
  struct Source {
    std::string name;      ///< "affinity mask", "cgroup cpuset", "CPU quota", ...
    std::string said;      ///< "0-7", "no limit", "2 cores of CPU time (...)"
    bool decided = false;  ///< the usable cores are as few as they are because of it
  };
  struct Worker {
    std::string cpus;  ///< empty: not bound
    int numa_node =
        -1;  ///< whose memory it gets; -1: its CPUs belong to no single node, or unbound
  };
  struct MemoryNode {
    int index = 0;                   ///< the kernel's number
    std::string cpus;                ///< those that are near to it
    std::uint64_t memory_bytes = 0;  ///< 0: it has none
  };

  unsigned sockets = 0;  ///< of the machine, usable or not
  unsigned cores = 0;    ///< physical ones
  unsigned threads = 0;  ///< CPUs, as the kernel counts them
  std::vector<MemoryNode> numa_nodes;

  std::vector<Source> sources;          ///< in the order in which they were asked
  std::string usable;                   ///< what they leave of the machine for this process
  std::optional<unsigned> quota_cores;  ///< cores that the CPU quota keeps busy; none: no quota

  std::string decided_by;  ///< where the places come from: `option "cores"`, "default: ...", ...
  Bind bind = Bind::close;
  std::vector<std::string> places;  ///< in the order in which they are dealt; empty: none is bound
  std::vector<Worker> workers;      ///< by index
  std::string spare;                ///< kept free for the caller
  std::vector<std::string> notes;   ///< what was ignored or limited, a sentence each

  std::string io_backend;  ///< "uring", "poll", or "none" where the one asked for cannot be had
  std::string io_reason;   ///< why that one
};

/// Describes the placement that a pool with these options would get. Throws `std::invalid_argument`
/// for a placement that cannot be, `std::system_error` where the machine cannot be looked at.
[[nodiscard]] PINION_API TopologyReport describe_topology(const Placement& placement = {},
                                                          unsigned processes = 0);

}  // namespace pinion
