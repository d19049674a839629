// Memory near its user: asked for, read back from the kernel, refused and survived. Edge case 65.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "lib/topology/numa_memory.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"

namespace {

namespace topology = pinion::topology;
using pinion::tests::deny;
using pinion::tests::in_child;
using pinion::tests::not_allowed;
using topology::bind_memory;
using topology::MemoryBinding;
using topology::NumaNode;

constexpr std::size_t bytes = 1 << 20;

// Two mappings of the same shared memory, as manager and worker have them.
class SharedMemory {
 public:
  SharedMemory() : fd_(::memfd_create("pinion-test", MFD_CLOEXEC)) {
    REQUIRE(fd_ >= 0);
    REQUIRE(::ftruncate(fd_, bytes) == 0);
    for (std::byte*& mapping : mappings_) {
      void* const p = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd_, 0);
      REQUIRE(p != MAP_FAILED);
      mapping = static_cast<std::byte*>(p);
    }
  }
  ~SharedMemory() {
    for (std::byte* const mapping : mappings_) ::munmap(mapping, bytes);
    ::close(fd_);
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::byte* manager() const { return mappings_[0]; }
  [[nodiscard]] std::byte* worker() const { return mappings_[1]; }

 private:
  int fd_;
  std::byte* mappings_[2] = {};
};

// This machine's first node and one that no kernel can have, as hwloc would show them.
std::vector<NumaNode> two_nodes() {
  NumaNode first = topology::numa_nodes().front();
  first.memory_bytes = 1 << 30;
  NumaNode second;
  second.index = 1023;
  second.memory_bytes = 1 << 30;
  return {first, second};
}

bool refused(const MemoryBinding& binding) {
  return binding.reason.find("was refused") != std::string::npos;
}

int first_node() { return topology::numa_nodes().front().index; }

}  // namespace

TEST_CASE(
    "memory is asked from a node, and the kernel says so, for every mapping and later pages") {
  const SharedMemory memory;
  REQUIRE(::fallocate(memory.fd(), 0, 0, 4096) == 0);
  CHECK(topology::preferred_node(memory.manager()) == -1);
  const MemoryBinding binding = bind_memory(memory.manager(), bytes, first_node(), two_nodes());
  if (refused(binding)) {
    checks::skip(binding.reason);
    return;
  }
  CHECK(binding.node == first_node());
  CHECK(binding.reason == "node " + std::to_string(first_node()) + " preferred");
  CHECK(topology::preferred_node(memory.worker()) == first_node());
  CHECK(topology::preferred_node(memory.worker() + bytes / 2) == first_node());
  REQUIRE(::fallocate(memory.fd(), 0, 4096, bytes - 4096) == 0);
  for (const std::size_t at : {std::size_t{0}, bytes / 2, bytes - 1}) {
    CHECK(topology::node_of_memory(memory.worker() + at) == first_node());
  }
}

TEST_CASE("where there is one node, or none is meant, the kernel is not asked") {
  const auto unasked = [](int node, const std::vector<NumaNode>& nodes, const char* reason) {
    return in_child([&] {
      const SharedMemory memory;
      deny(SYS_mbind, ENOSYS);
      const MemoryBinding binding = bind_memory(memory.manager(), bytes, node, nodes);
      return binding.node == -1 && binding.reason == reason ? 0 : 1;
    });
  };
  const auto passed = [](int status) { return status == 0 || status == not_allowed; };
  const char* const one = "not bound: the machine has one memory node";
  CHECK(passed(unasked(0, {two_nodes().front()}, one)));
  CHECK(passed(unasked(0, {}, one)));
  std::vector<NumaNode> second_empty = two_nodes();
  second_empty.back().memory_bytes = 0;
  CHECK(passed(unasked(0, second_empty, one)));
  CHECK(passed(unasked(-1, two_nodes(), "not bound: its CPUs belong to no single memory node")));
}

TEST_CASE("a node that the kernel refuses is told, and the memory is as good as before") {
  const SharedMemory memory;
  for (const int node : {1023, 1 << 20}) {
    const MemoryBinding binding = bind_memory(memory.manager(), bytes, node, two_nodes());
    CHECK(binding.node == -1);
    CHECK(binding.reason.find("not bound: node " + std::to_string(node) +
                              " was refused (mbind: ") == 0);
  }
  REQUIRE(::fallocate(memory.fd(), 0, 0, bytes) == 0);
  CHECK(memory.worker()[bytes - 1] == std::byte{0});
}

TEST_CASE("what a container's filter refuses is told and survived") {
  const int no_mbind = in_child([] {
    const SharedMemory memory;
    deny(SYS_mbind, EPERM);
    const MemoryBinding binding = bind_memory(memory.manager(), bytes, first_node(), two_nodes());
    const std::string node = std::to_string(first_node());
    if (binding.reason !=
        "not bound: node " + node + " was refused (mbind: Operation not permitted)") {
      return 1;
    }
    return ::fallocate(memory.fd(), 0, 0, bytes) == 0 ? 0 : 2;
  });
  CHECK((no_mbind == 0 || no_mbind == not_allowed));
  const int no_look = in_child([] {
    const SharedMemory memory;
    deny(SYS_get_mempolicy, EPERM);
    const MemoryBinding binding = bind_memory(memory.manager(), bytes, first_node(), two_nodes());
    if (refused(binding)) return not_allowed;
    if (binding.node != first_node()) return 1;
    if (binding.reason.find("not verified (get_mempolicy: ") == std::string::npos) return 2;
    return topology::node_of_memory(memory.manager()) == -1 ? 0 : 3;
  });
  CHECK((no_look == 0 || no_look == not_allowed));
}

TEST_CASE("this machine's nodes are known, and an address that is none has no node") {
  REQUIRE_FALSE(topology::numa_nodes().empty());
  CHECK(topology::node_of_memory(nullptr) == -1);
  const SharedMemory memory;
  const MemoryBinding binding = bind_memory(memory.manager(), bytes, first_node());
  CHECK_FALSE(binding.reason.empty());
  if (topology::numa_nodes().size() == 1) CHECK(binding.node == -1);
}
