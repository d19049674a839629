// Memory near its user.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lib/topology/topology.hpp"

namespace pinion::topology {

/// The memory nodes of this machine, with their memory and CPUs.
[[nodiscard]] const std::vector<NumaNode>& numa_nodes();

/// What came of the wish for a node.
struct MemoryBinding {
  int node = -1;       ///< from which pages are taken, as the kernel reports it; -1: not bound
  std::string reason;  ///< "node 1 preferred", "not bound: the machine has one memory node", ...
};

/// Asks that the pages of [memory, memory + bytes) be taken from `node`; call it before the pages
/// are committed, since those that exist stay where they are. On memory shared through a file the
/// wish belongs to the file, so it holds for every process and for fallocate. It is a preference
/// (MPOL_PREFERRED): a full node gives another's pages, where a strict binding would invite the
/// OOM killer. `memory` lies on a page boundary. No system call is made on a machine where only one
/// node has memory, or for node -1. A refusal (a container's filter, a cpuset without that node)
/// harms nothing: the text says it.
[[nodiscard]] MemoryBinding bind_memory(void* memory, std::size_t bytes, int node);

/// The same on a machine with these nodes.
[[nodiscard]] MemoryBinding bind_memory(void* memory, std::size_t bytes, int node,
                                        const std::vector<NumaNode>& nodes);

/// The node that is preferred for the page at `address`; -1 where none is. Throws std::system_error
/// when the kernel does not say.
[[nodiscard]] int preferred_node(const void* address);

/// The node that holds the page at `address`; -1 when the kernel does not say. Touches the page.
[[nodiscard]] int node_of_memory(const void* address) noexcept;

}  // namespace pinion::topology
