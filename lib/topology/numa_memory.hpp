// Memory near its user.
#pragma once

#include <cstddef>
#include <system_error>
#include <vector>

#include "lib/topology/topology.hpp"

namespace pinion::topology {

/// The memory nodes of this machine, with their memory and CPUs.
[[nodiscard]] const std::vector<NumaNode>& numa_nodes();

/// Asks that the pages of [memory, memory + bytes) be taken from `node`; call it before the pages
/// are committed, since those that exist stay where they are. On memory shared through a file the
/// wish belongs to the file, so it holds for every process and for fallocate. It is a preference
/// (MPOL_PREFERRED): a full node gives another's pages, where a strict binding would invite the
/// OOM killer. `memory` lies on a page boundary. No system call is made on a machine with one
/// node, or for node -1. Returns the kernel's error; none of them harms the memory.
std::error_code numa_bind_memory(void* memory, std::size_t bytes, int node) noexcept;

/// The same, always asking the kernel.
std::error_code prefer_node(void* memory, std::size_t bytes, unsigned node) noexcept;

/// The node that holds the page at `address`; -1 when the kernel does not say. Touches the page.
[[nodiscard]] int node_of_memory(const void* address) noexcept;

}  // namespace pinion::topology
