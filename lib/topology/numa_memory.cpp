#include "lib/topology/numa_memory.hpp"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace pinion::topology {
namespace {

constexpr unsigned nodes_max = 1024;  // Linux has at most 2^10 (CONFIG_NODES_SHIFT)
constexpr unsigned word_bits = 8 * sizeof(unsigned long);
using NodeMask = std::array<unsigned long, nodes_max / word_bits>;
constexpr unsigned long mask_bits = nodes_max;

std::error_code prefer_node(void* memory, std::size_t bytes, int node) noexcept {
  if (node >= static_cast<int>(nodes_max)) {
    return std::make_error_code(std::errc::invalid_argument);
  }
  const auto bit = static_cast<unsigned>(node);
  NodeMask mask{};
  mask[bit / word_bits] = 1UL << (bit % word_bits);
  // mbind takes one off the number of bits it is given.
  if (::syscall(SYS_mbind, memory, bytes, MPOL_PREFERRED, mask.data(), mask_bits + 1, 0U) == 0) {
    return {};
  }
  return {errno, std::generic_category()};
}

}  // namespace

const std::vector<NumaNode>& numa_nodes() { return Topology::machine().numa_nodes(); }

MemoryBinding bind_memory(void* memory, std::size_t bytes, int node) {
  // hwloc is not asked where it makes no difference.
  if (node < 0) return bind_memory(memory, bytes, node, {});
  return bind_memory(memory, bytes, node, numa_nodes());
}

MemoryBinding bind_memory(void* memory, std::size_t bytes, int node,
                          const std::vector<NumaNode>& nodes) {
  if (node < 0) return {-1, "not bound: its CPUs belong to no single memory node"};
  const auto with_memory = std::count_if(nodes.begin(), nodes.end(),
                                         [](const NumaNode& n) { return n.memory_bytes != 0; });
  if (with_memory < 2) return {-1, "not bound: the machine has one memory node"};
  const std::string name = "node " + std::to_string(node);
  if (const std::error_code refused = prefer_node(memory, bytes, node)) {
    return {-1, "not bound: " + name + " was refused (mbind: " + refused.message() + ")"};
  }
  try {
    const int granted = preferred_node(memory);
    if (granted == node) return {node, name + " preferred"};
    return {granted, "asked for " + name + ", the kernel has " +
                         (granted < 0 ? "no preference" : "node " + std::to_string(granted))};
  } catch (const std::system_error& error) {
    return {node, name + " preferred, not verified (" + error.what() + ")"};
  }
}

int preferred_node(const void* address) {
  int mode = MPOL_DEFAULT;
  NodeMask mask{};
  if (::syscall(SYS_get_mempolicy, &mode, mask.data(), mask_bits, address, MPOL_F_ADDR) != 0) {
    throw std::system_error(errno, std::generic_category(), "get_mempolicy");
  }
  if (mode != MPOL_PREFERRED) return -1;
  for (unsigned node = 0; node < nodes_max; ++node) {
    if ((mask[node / word_bits] >> (node % word_bits) & 1) != 0) return static_cast<int>(node);
  }
  return -1;
}

int node_of_memory(const void* address) noexcept {
  int node = -1;
  constexpr unsigned long flags = MPOL_F_NODE | MPOL_F_ADDR;
  if (::syscall(SYS_get_mempolicy, &node, nullptr, 0UL, address, flags) != 0) return -1;
  return node;
}

}  // namespace pinion::topology
