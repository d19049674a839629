#include "lib/topology/numa_memory.hpp"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace pinion::topology {
namespace {

constexpr unsigned nodes_max = 1024;  // Linux has at most 2^10 (CONFIG_NODES_SHIFT)
constexpr unsigned word_bits = 8 * sizeof(unsigned long);

}  // namespace

const std::vector<NumaNode>& numa_nodes() { return Topology::machine().numa_nodes(); }

std::error_code prefer_node(void* memory, std::size_t bytes, unsigned node) noexcept {
  if (node >= nodes_max) return std::make_error_code(std::errc::invalid_argument);
  std::array<unsigned long, nodes_max / word_bits> mask{};
  mask[node / word_bits] = 1UL << (node % word_bits);
  // The kernel takes one off the number of bits it is given.
  constexpr unsigned long bits = nodes_max + 1;
  if (::syscall(SYS_mbind, memory, bytes, MPOL_PREFERRED, mask.data(), bits, 0U) == 0) return {};
  return {errno, std::generic_category()};
}

std::error_code numa_bind_memory(void* memory, std::size_t bytes, int node) noexcept {
  if (node < 0) return {};
  try {
    if (numa_nodes().size() < 2) return {};
  } catch (const std::system_error& error) {  // hwloc could not read the machine
    return error.code();
  } catch (...) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
  return prefer_node(memory, bytes, static_cast<unsigned>(node));
}

int node_of_memory(const void* address) noexcept {
  int node = -1;
  constexpr unsigned long flags = MPOL_F_NODE | MPOL_F_ADDR;
  if (::syscall(SYS_get_mempolicy, &node, nullptr, 0UL, address, flags) != 0) return -1;
  return node;
}

}  // namespace pinion::topology
